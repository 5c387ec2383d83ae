"""Lying relays at random, at both ends of a bridge: peers who claim what isn't theirs, with and
without the secret, and owners who stand in the registry and aren't what they say. Beside them
honest transfers cross bridges, of which no byte may be lost, changed or miscounted."""

import json
import random
import socket
import threading

import pytest

import bystanders
import bytestream as bs
import fleet as fl
from bystanders import MIB, Books, Task, Transfer, about
from harness import HOST, sign, wait_until

PEERS, PAIRS, LURES = 3, 3, 3
OTHER_SECRET = "secret-of-another-fleet"
CAPPED = "capped@example.org"


@pytest.fixture
def fleet(bare):
    return fl.Fleet(bare, 2, verifier="limits", handshake_timeout="2m",
                    transfer_update_quantization="64k")


class Deviant(Task):
    """Holds connections, and does with them what nobody expects."""

    def __init__(self, dice):
        super().__init__()
        self.dice, self.socks = dice, []

    def hold(self, sock):
        """Kept until its end, so that it stalls where nothing else is done with it."""
        self.socks.append(sock)
        return sock

    def deviate(self, sock):
        """Perhaps: true if SOCK is of no use any more."""
        if self.dice.random() < 0.85:
            return False
        how = self.dice.choice(["stall", "end", "fin", "garbage", "flood"])
        if how == "end":
            bystanders.end(self.dice, sock)
        elif how == "fin":
            sock.shutdown(socket.SHUT_WR)
        elif how == "garbage":
            sock.sendall(self.dice.randbytes(self.dice.randrange(1, 200)))
        elif how == "flood":
            sock.setblocking(False)
            sock.send(bytes(MIB))
        return True

    def leave(self):
        for sock in self.socks:
            bystanders.end(self.dice, sock)
        self.socks = []


# Who asks a relay for halves


class Peer(Deviant):
    """Asks for hashes of others with proofs that prove nothing, or too late: none is granted."""

    def __init__(self, relays, dice, transfers, overheard):
        super().__init__(dice)
        self.relays, self.transfers, self.overheard = relays, transfers, overheard
        self.start()

    def work(self):
        for _ in range(self.dice.randrange(3, 15)):
            try:
                self.ask(self.dice.choice(self.relays))
            except OSError:
                pass
        if self.dice.random() < 0.3:
            self.socks += [fl.dial(self.dice.choice(self.relays)) for _ in range(60)]
        self.leave()

    def ask(self, relay):
        sock = self.hold(fl.dial(relay))
        if self.deviate(sock):
            return
        sock.sendall(self.dice.choice([fl.PEER_GREETING] * 9 + [b"\x05\x02\x00\x81"]))
        nonce = bs.exactly(sock, 34)[2:]
        if len(nonce) < 32 or self.deviate(sock):
            return
        said = self.lie(relay, nonce, self.dice.choice(self.transfers))
        if self.dice.random() < 0.2:
            for byte in said:
                sock.sendall(bytes([byte]))
        else:
            sock.sendall(said)
        if self.deviate(sock):
            return
        if len(said) < 111:
            sock.shutdown(socket.SHUT_WR)
        assert bs.exactly(sock, 2) != b"\x05\x00", "granted without a proof"

    def lie(self, relay, nonce, transfer):
        name = transfer.name

        def whole(owner=relay.name, ours=fl.NONCE, named=name, **options):
            proof = fl.proof(nonce, named, owner=owner, ours=ours, **options)
            return ours + proof + bs.request(name)

        right = whole()  # but for the bit that is changed, or for the request
        place = self.dice.randrange(64)
        changed = bytes([right[place] ^ 1 << self.dice.randrange(8)])
        lies = [
            whole(secret=OTHER_SECRET), whole(secret=""), whole(owner="relay-3"),
            whole(owner=next(r.name for r in self.relays if r is not relay)),
            whole(who=b"O"), whole(named=bs.new_hash()), whole(ours=nonce, secret=OTHER_SECRET),
            right[:place] + changed + right[place + 1:], right[:self.dice.randrange(110)],
            right[:64] + bs.request(name, command=2), right[:64] + bs.request(name[1:] + "g"),
            right[:64] + bs.request(bs.new_hash()), self.dice.randbytes(111), bytes(111),
        ]
        if transfer.active:
            lies += [right] * 4  # a third half of a stream that has two
        if self.overheard:
            lies += [self.dice.choice(self.overheard)] * 4
        lie = self.dice.choice(lies)
        if len(lie) < 111:
            lie += self.dice.randbytes(111 - len(lie)) if self.dice.random() < 0.8 else b""
        return lie


class Pretender(Deviant):
    """Knows the secret, and takes the second half of a stream by hand; then it does anything."""

    def __init__(self, relays, dice, overheard):
        super().__init__(dice)
        self.relays, self.overheard = relays, overheard
        self.start()

    def work(self):
        for _ in range(self.dice.randrange(1, 5)):
            try:
                self.pretend(*self.dice.sample(self.relays, 2), bs.new_hash())
            except OSError:
                pass
        self.leave()

    def take(self, relay, name):
        """As a relay that bridges; what crossed the wire can be overheard."""
        sock = self.hold(fl.dial(relay))
        if self.deviate(sock):
            return None
        nonce = fl.challenge(sock)
        said = fl.NONCE + fl.proof(nonce, name, owner=relay.name) + bs.request(name)
        sock.sendall(said)
        self.overheard.append(said)
        if self.deviate(sock):
            return None
        grant = bs.exactly(sock, 79)
        if grant[1:2] != b"\x00":
            return None
        assert grant[47:] == fl.proof(nonce, name, owner=relay.name, who=b"O")
        if self.dice.random() < 0.8:
            return sock
        self.replay(relay, name, sock, said)
        return None

    def replay(self, relay, name, sock, said):
        """Once the one who said it has left, somebody else says the same."""
        bystanders.end(self.dice, sock)
        wait_until(lambda: len((fl.state(relay, name) or {"halves": []})["halves"]) < 2)
        again = self.hold(fl.dial(relay))
        fl.challenge(again)
        again.sendall(said)
        assert bs.exactly(again, 2) == b"\x05\x01", "by a proof that was shown before"

    def pretend(self, owner, other, name):
        client = fl.granted(owner, name)
        if client is None:  # Redis was late
            return
        self.hold(client)
        if self.dice.random() < 0.2:
            self.take(other, name)  # it isn't the owner, and refuses
        if self.dice.random() < 0.2:
            bystanders.end(self.dice, self.socks.pop(self.socks.index(client)))
        peers = [self.take(owner, name) for _ in range(self.dice.choice([1, 1, 2, 3]))]
        socks = [client, *filter(None, peers)]
        deeds = [
            lambda sock: sock.send(bytes(self.dice.choice([1, 100, MIB]))),
            lambda sock: sock.recv(MIB), lambda sock: sock.recv(MIB),
            lambda sock: sock.shutdown(socket.SHUT_WR),
            lambda sock: bystanders.end(self.dice, sock),
            lambda sock: self.activate(owner, name), lambda sock: self.activate(owner, name),
            lambda sock: self.activate(other, name), lambda sock: self.cut(owner, name),
        ]
        for sock in socks:
            sock.setblocking(False)
        for deed in self.dice.choices(deeds, [4, 3, 3, 1, 1, 2, 2, 1, 1], k=20):
            try:
                deed(self.dice.choice(socks))
            except OSError:
                pass

    def activate(self, relay, name):
        user = f"p{self.dice.randrange(3)}@pretending.example"
        status, answer = bs.activate(relay, name, about(user, "nobody@example.net"))
        assert status in (200, 404, 409, 503), (status, answer)

    def cut(self, relay, name):
        assert relay.call("DELETE", f"/v1/streams/{name}")[0] in (204, 404)


# Who owns hashes, as the registry says


class Liar:
    """A relay of the registry that is played here: it answers those who dial it as it likes."""

    EPOCH = 1234567890123

    def __init__(self, redis, relays):
        self.redis, self.relays = redis, relays
        self.server = socket.create_server((HOST, 0), backlog=100)
        self.address = "%s:%d" % self.server.getsockname()
        self.granted = set()  # hashes to which it has proved itself
        self.claims = {}  # hash -> who owns it
        self.begun = {}  # hash -> the bytes that it sends; None: it breaks the protocol
        self.calls = []
        self.dice = None
        threading.Thread(target=self.accept, daemon=True).start()

    def register(self, dice):
        """Records of relays that lie in different ways: which of them proves itself."""
        self.dice = dice
        wrong = ["127.0.0.1:1", "relay.invalid:1", "nonsense", "", "[::1]:99999", 7, None, ["x"],
                 "x" * 5000, f"{HOST}:{self.redis.port}"]
        wrong += [relay.address(what) for relay in self.relays
                  for what in ("peering", "socks", "control")]
        self.write(sign(self.record("liar", self.address), "relay:liar"))
        self.write(self.record("unsigned", self.address))
        self.write(sign(self.record("stranger", self.address), "relay:stranger", "another-token"))
        self.write(sign(self.record("thief", self.address), "relay:liar"))
        self.write(sign(self.record("lost", dice.choice(wrong)), "relay:lost"))

    def record(self, id, peer):
        return {
            "id": id, "epoch": self.EPOCH, "advertise": [self.address],
            "control": f"http://{self.address}", "peer": peer, "streams": 0, "halves": 0,
            "bytes_per_second": 0, "draining": False, "full": False, "verifier": "limits",
        }

    def write(self, record):
        text = json.dumps(record, separators=(",", ":"))
        key = f"og:registry:relay:{record['id']}"
        self.redis.command("SET", key, text, "PX", 600000)

    def accept(self):
        while True:
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            sock.settimeout(60)
            self.calls.append(Answer(self, random.Random(self.dice.getrandbits(64)), sock))

    def finish(self):
        calls, self.calls = self.calls, []
        for call in calls:
            call.finish()

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


class Answer(Deviant):
    """One relay that has dialled the liar."""

    def __init__(self, liar, dice, sock):
        super().__init__(dice)
        self.liar, self.sock = liar, self.hold(sock)
        self.start()

    def work(self):
        try:
            if self.dice.random() < 0.2:
                self.pass_on(self.dice.choice(self.liar.relays))
            else:
                self.answer()
            self.sock.settimeout(self.dice.choice([0.01, 3]))
            bs.to_end(self.sock)
        except OSError:
            pass
        self.leave()

    def pass_on(self, relay):
        """Whatever the one says to us we say to the other."""
        victim = self.hold(fl.dial(relay))
        for there, back in ((3, 34), (111, 79)):
            victim.sendall(bs.exactly(self.sock, there))
            self.sock.sendall(bs.exactly(victim, back))

    def answer(self):
        sock = self.sock
        if self.deviate(sock):
            return
        assert fl.PEER_GREETING.startswith(bs.exactly(sock, 3))
        nonce = self.dice.randbytes(32)
        wrong = [b"\x05\xff", b"\x05\x00", b"HTTP/1.1 400\r\n\r\n", b"\x05\x81" + nonce[1:]]
        sock.sendall(self.dice.choice([b"\x05\x81" + nonce] * 9 + wrong))
        if self.deviate(sock):
            return
        said = bs.exactly(sock, 111)
        if len(said) < 111:
            return
        name = said[69:109].decode()
        self.grant(name, self.prove(nonce, said[:32], name))

    def prove(self, nonce, theirs, name, who=b"O", secret=fl.SECRET):
        return fl.proof(nonce, name, owner="liar", who=who, secret=secret, ours=theirs)

    def grant(self, name, proof):
        assert self.liar.claims[name] == "liar", "whose record was believed?"
        granted = b"\x05\x00\x00\x03\x28" + name.encode() + b"\x00\x00"
        other = b"\x05\x00\x00\x03\x28" + bs.new_hash().encode() + b"\x00\x00"
        wrong = [granted + bytes(32), granted + proof[:-1] + bytes([proof[-1] ^ 1]), other + proof,
                 b"\x05\x02\x00\x01" + bytes(6), b"\x05\x01\x00\x01" + bytes(6), b"\x05\xc8",
                 granted[:20], b"\x04" + granted[1:] + proof, self.dice.randbytes(79)]
        if self.dice.random() < 0.5:
            self.sock.sendall(self.dice.choice(wrong))
            return
        self.liar.granted.add(name)
        self.liar.begun[name] = None
        self.sock.sendall(granted + proof)
        if not self.deviate(self.sock):
            self.begin(name)

    def begin(self, name):
        """The stream is activated, as we say, or it isn't; then come bytes."""
        data = self.dice.randbytes(self.dice.randrange(1, MIB))
        go = self.dice.choice([b"\x00"] * 8 + [b"\x01", b"\xff"])
        self.liar.begun[name] = data if go == b"\x00" else b""
        self.sock.sendall(go + data[:1000])
        how = self.dice.choice(["all", "all", "all", "stall", "end"])
        if how == "all":
            self.sock.sendall(data[1000:])
            self.sock.shutdown(socket.SHUT_WR)
        elif how == "end":
            bystanders.end(self.dice, self.sock)


class Lured(Deviant):
    """A client whose hash a lying relay owns: it is refused, or gets what that relay sends."""

    def __init__(self, liar, relays, dice):
        super().__init__(dice)
        self.liar, self.relays = liar, relays
        self.start()

    def work(self):
        for _ in range(self.dice.randrange(1, 5)):
            name = bs.new_hash()
            try:
                self.meet(name)
            finally:
                self.liar.redis.command("DEL", f"og:claim:{name}")
        self.leave()

    def meet(self, name):
        owner = self.dice.choice(["liar"] * 6 + ["unsigned", "stranger", "thief", "lost"])
        if self.dice.random() < 0.3:
            # The liar would like to pass on what it is told to who really has the other half.
            self.socks += filter(None, [fl.granted(self.dice.choice(self.relays), name)])
        self.liar.claims[name] = owner
        claim = f"{owner} {self.liar.EPOCH}"
        self.liar.redis.command("SET", f"og:claim:{name}", claim, "PX", 600000)
        others = [each for each in self.relays if fl.state(each, name) is None]
        sock, reply = bs.ask(self.dice.choice(others), name)
        self.hold(sock)
        if reply[:2] != b"\x05\x00":
            assert reply[:2] in (b"\x05\x01", b"\x05\x02"), reply
            return
        assert name in self.liar.granted, "who granted that?"
        self.read(sock, name)

    def read(self, sock, name):
        sock.settimeout(self.dice.choice([0.05, 5]))
        got = b""
        try:
            if self.dice.random() < 0.5:
                sock.send(self.dice.randbytes(1000))
            while part := sock.recv(MIB):
                got += part
        except OSError:
            pass
        said = self.liar.begun[name]
        assert said is None or said.startswith(got), (name, len(got))


class Round:
    def __init__(self, fleet, liar, dice, cap):
        relays, self.cap = fleet.relays, cap
        seeds = [random.Random(dice.getrandbits(64)) for _ in range(PEERS + PAIRS + LURES + 9)]
        liar.register(seeds.pop())
        self.liar, overheard = liar, []

        def transfer(user, **options):
            mine = seeds.pop()
            pair = [mine.choice(relays), mine.choice(relays)]
            return Transfer(mine, pair, about(user, "nobody@example.net"), **options)

        self.transfers = [transfer(f"h{i}@honest.example") for i in range(3)]
        self.transfers += [transfer(CAPPED, may_end=True) for i in range(2)]
        self.liars = [Peer(relays, seeds.pop(), self.transfers, overheard) for _ in range(PEERS)]
        self.liars += [Pretender(relays, seeds.pop(), overheard) for _ in range(PAIRS)]
        self.liars += [Lured(liar, relays, seeds.pop()) for _ in range(LURES)]

    def finish(self):
        for each in (*self.transfers, *self.liars, self.liar):
            each.finish()


def check_bridge(transfer):
    """What the relay between says of a whole transfer."""
    owner, other = transfer.relays
    if owner is other or transfer.ending != "completed":
        return
    line = other.wait_log(rf"bridge-ended id={transfer.name} .*").group(0)
    assert f"owner={owner.name} " in line
    assert f"sent={transfer.counts[1]} received={transfer.counts[0]} " in line


def test_lying_relays_get_nothing_and_cost_nobody_a_byte(fleet, drive):
    books, liar = Books(fleet.redis, fleet.relays), Liar(fleet.redis, fleet.relays)
    cap = 0
    for _ in drive:
        cap += drive.random.choice([1, 100000, 3 * MIB])
        assert fleet[0].call("PUT", f"/v1/limits/{CAPPED}", {"user": cap})[0] == 200
        round_ = Round(fleet, liar, drive.random, cap)
        round_.finish()
        books.settle()
        for transfer in round_.transfers:
            transfer.check_record(books)
            check_bridge(transfer)
        assert books.charged[f"user:{CAPPED}"] <= cap
    liar.close()
    for relay in fleet:
        assert relay.stop() == 0
    assert books.left_in_redis() == []
