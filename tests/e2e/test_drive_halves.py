"""Hostile halves at random: strangers who break SOCKS5 in every phase, operators who change limits
meanwhile, and honest transfers beside them, of which no byte may be lost, changed or miscounted."""

import collections
import itertools
import os
import random
import signal
import socket

import pytest

import bystanders
import bytestream as bs
import fleet as fl
from bystanders import KIB, MIB, Books, Task, Transfer, about
from harness import wait_until

STRANGERS = 6
PROXIES = "127.77.0.0/16"
CAPPED = "capped@example.org"
USERS = [f"s{i}@hostile.example" for i in range(4)] + ['o"d\u202e=d x@hostile.example', CAPPED]


@pytest.fixture
def relay(bare):
    return bare.relayd(
        "relay-1", bare.redis(), verifier="limits", trusted_proxies=PROXIES,
        pending_max=64, pending_per_address_max=16, streams_per_user_max=4,
        handshake_timeout="2m", transfer_update_quantization="64k",
    )


def garbage(dice):
    return dice.randbytes(dice.randrange(1, 300))


def greeting(dice):
    """Often a good one."""
    wrong = [b"\x05\x00", b"\x05\x01\x81", b"\x04\x01", b"GET / HTTP/1.1\r\n\r\n", b"\x05\xff",
             b"\x05\x02\x01\x02", garbage(dice)]
    return dice.choice([bs.GREETING, b"\x05\x03\x02\x00\x01", dice.choice(wrong)])


def request(dice, name):
    """Often a good one."""
    whole = bs.request(name)
    wrong = [bs.request(name, command=dice.randrange(256)), whole[:dice.randrange(46)],
             bs.request(name[1:]), bs.request(name + "0"), bs.request("g" * 40), bs.request(""),
             bs.request("www.example.org", 80), b"\x05\x01\x00\x01" + dice.randbytes(6),
             b"\x05\x01\x00\x04" + dice.randbytes(18), b"\x05\x01\x00" + garbage(dice)]
    return dice.choice([whole, whole, bs.request(name.upper(), 258), dice.choice(wrong)])


def proxy_header(dice):
    """What a balancer may send, and what it may not."""
    source = ("127.%d.1.1" % dice.randrange(100, 120), 1)
    known = [fl.proxy_header(source), fl.proxy_header(source, rest=dice.randbytes(500)),
             fl.proxy_header(("2001:db8::%x" % dice.randrange(100), 7), family=0x21),
             fl.proxy_header(source, command=0), fl.proxy_header(source, family=0),
             fl.proxy_header(source, family=0x12), fl.proxy_header(source, command=5)]
    header = dice.choice(known)
    cut = header[:14] + b"\xff\xff" + header[16:]
    return dice.choice([header, header, header[:dice.randrange(len(header))], cut, garbage(dice)])


def body(dice):
    """What a gateway asks for, or what it should not."""
    users = [dice.choice(USERS), dice.choice(USERS)]
    good = about(*users, charged=(dice.random() < 0.8, dice.random() < 0.5))
    good["deadline_ms"] = dice.choice([1, 5000, 60000])
    wrong = [{}, {**good, "parties": good["parties"][:1]}, {**good, "parties": 3 * good["parties"]},
             {**good, "deadline_ms": -1}, {**good, "tag": {"x": "y" * 5000}}, [good],
             about("x" * 600 + "@a.example", users[1]), {**good, "parties": [1, None]}]
    odd = [{**good, "tag": None}, {**good, "tag": {"component": 3, "requester": [], "n": 1.5}}]
    return dice.choice([good, good, good, good, dice.choice(odd), dice.choice(wrong)])


class Stranger(Task):
    """Does what comes to its mind, on connections from a network of its own."""

    def __init__(self, relay, dice, place, names):
        super().__init__()
        self.relay, self.dice, self.place, self.names = relay, dice, place, names
        self.socks = []
        self.silent = []  # connections that say nothing
        self.granted = {}  # socket -> its hash
        self.taken = collections.Counter()  # bytes of streams, by hash
        self.deeds = [
            (6, self.meet), (4, self.knock), (3, self.half), (3, self.hurry), (6, self.say),
            (3, self.drip), (6, self.flood), (6, self.read), (3, self.drain), (3, self.fin),
            (4, self.leave), (5, self.activate), (1, self.cut), (1, self.look), (1, self.crowd),
            (2, self.balance),
        ]
        self.start()

    def work(self):
        weights, deeds = zip(*self.deeds)
        for _ in range(self.dice.randrange(10, 40)):
            try:
                self.dice.choices(deeds, weights)[0]()
            except OSError:
                pass  # the relay refused, or hung up; or a socket is full or empty
            while len(self.socks) > 8:
                bystanders.end(self.dice, self.socks.pop(0))
        for sock in self.socks + self.silent:
            bystanders.end(self.dice, sock)

    def name(self):
        return self.dice.choice(self.names)

    def sock(self):
        if not self.socks:
            self.knock()
        return self.dice.choice(self.socks)

    def connect(self, source=None):
        small = self.dice.choice([None, None, 4096])
        source = source or f"127.{self.place}.1.{self.dice.randrange(1, 4)}"
        sock = bs.connect(self.relay, receive_buffer=small, source=source)
        self.socks.append(sock)
        return sock

    # Deeds

    def knock(self):
        self.connect().setblocking(False)

    def half(self, name=None):
        """Asks for a hash of all, as a client should; perhaps all at once."""
        sock, name = self.connect(), name or self.name()
        more = garbage(self.dice) if self.dice.random() < 0.3 else b""
        sock.sendall(bs.GREETING + bs.request(name) + more)
        reply = bs.exactly(sock, 49)
        sock.setblocking(False)
        if reply[2:4] == b"\x05\x00":
            assert reply == b"\x05\x00\x05\x00\x00\x03\x28" + name.encode() + b"\x00\x00"
            self.granted[sock] = name

    def hurry(self):
        """Asks for a hash and leaves, perhaps before that is claimed."""
        sock = self.connect()
        sock.sendall(bs.GREETING + bs.request(bs.new_hash()))
        self.socks.remove(sock)
        bystanders.end(self.dice, sock)

    def meet(self):
        """Two or three halves of one hash, and activations that come too early, or twice."""
        name = self.dice.choice([bs.new_hash(), bs.new_hash(), self.name()])
        steps = [lambda: self.half(name)] * self.dice.choice([2, 2, 3])
        steps += [lambda: self.activate(name)] * self.dice.choice([1, 2])
        if self.dice.random() < 0.3:
            self.dice.shuffle(steps)
        if self.dice.random() < 0.3:
            steps.append(lambda: self.cut(name))
        for step in steps:
            step()

    def say(self):
        self.sock().send(self.dice.choice([greeting, lambda dice: request(dice, self.name()),
                                           proxy_header, garbage])(self.dice))

    def drip(self):
        sock = self.connect()
        sock.settimeout(0.001)
        for byte in greeting(self.dice) + request(self.dice, self.name()):
            sock.send(bytes([byte]))
            try:
                sock.recv(1)
            except TimeoutError:
                pass
        sock.setblocking(False)

    def flood(self):
        self.sock().send(bytes(self.dice.choice([10, 10 * KIB, MIB])))

    def read(self):
        sock = self.sock()
        part = sock.recv(self.dice.choice([1, 1000, MIB]))
        self.taken[self.granted.get(sock)] += len(part)
        return part

    def drain(self):
        while self.read():
            pass

    def fin(self):
        self.sock().shutdown(self.dice.choice([socket.SHUT_WR, socket.SHUT_WR, socket.SHUT_RD]))

    def leave(self):
        sock = self.sock()
        self.socks.remove(sock)
        bystanders.end(self.dice, sock)

    def crowd(self):
        for i in range(self.dice.randrange(30)):
            self.silent.append(bs.connect(self.relay, source=f"127.{self.place}.9.{i % 5 + 1}"))

    def balance(self):
        """As a balancer, or where none is expected to be."""
        source = f"127.77.1.{self.dice.randrange(1, 5)}" if self.dice.random() < 0.8 else None
        sock = self.connect(source)
        sock.setblocking(False)
        sock.send(proxy_header(self.dice))
        sock.send(greeting(self.dice) + request(self.dice, self.name()))

    def activate(self, name=None):
        name = name or self.dice.choice([self.name(), bs.new_hash(), "no-hash"])
        status, answer = self.relay.call("POST", f"/v1/streams/{name}/activate", body(self.dice))
        assert status in (200, 400, 403, 404, 409, 503), (status, answer)

    def cut(self, name=None):
        assert self.relay.call("DELETE", f"/v1/streams/{name or self.name()}")[0] in (204, 404)

    def look(self):
        assert self.relay.call("GET", f"/v1/streams?limit={self.dice.randrange(1, 99)}")[0] == 200
        assert self.relay.call("GET", f"/v1/streams/{self.name()}")[0] in (200, 404)


class Operator(Task):
    """Changes limits, credits and imports of strangers while they transfer."""

    def __init__(self, relay, dice, books):
        super().__init__()
        self.relay, self.dice, self.books = relay, dice, books
        self.start()

    def work(self):
        for _ in range(self.dice.randrange(5, 25)):
            self.dice.choice([self.set, self.set, self.forget, self.credit, self.imported])()

    def account(self):
        return self.dice.choice(USERS[:4] + ["hostile.example"])

    def ledger(self, account):
        return f"{'user' if '@' in account else 'domain'}:{account}"

    def set(self):
        sizes = [-1, 0, 1, 70000, MIB, 20 * MIB]
        limits = {kind: self.dice.choice(sizes) for kind in ("file", "user", "domain")}
        assert self.relay.call("PUT", f"/v1/limits/{self.account()}", limits)[0] == 200

    def forget(self):
        assert self.relay.call("DELETE", f"/v1/limits/{self.account()}")[0] in (204, 404)

    def credit(self):
        """Less than what the last rounds have left there, since a ledger doesn't fall below 0."""
        account = self.account()
        most = self.books.settled[self.ledger(account)]
        if most > 0:
            bytes_ = self.dice.randrange(most) + 1
            self.books.settled[self.ledger(account)] -= bytes_
            self.books.add(self.ledger(account), -bytes_)
            call = "POST", f"/v1/usage/{account}/credit", {"bytes": bytes_}
            assert self.relay.call(*call)[0] == 200

    def imported(self):
        """More each time."""
        account, more = self.account(), self.dice.randrange(1, MIB)
        self.books.imported[account] += more
        self.books.add(self.ledger(account), more)
        call = "PUT", f"/v1/usage/{account}/imported", {"bytes": self.books.imported[account]}
        assert self.relay.call(*call)[0] == 200


class Round:
    """Strangers, operators and honest users at the same time."""

    def __init__(self, relay, dice, books, cap):
        seeds = [random.Random(dice.getrandbits(64)) for _ in range(STRANGERS + 8)]
        names = [bs.new_hash() for _ in range(5)]
        networks = itertools.count(20)

        def transfer(user, **options):
            sources = [f"127.{next(networks)}.1.1" for _ in range(2)]
            partner = seeds[0].choice(["nobody@example.net", user])
            return Transfer(seeds.pop(), (relay, relay), about(user, partner), sources, **options)

        self.relay, self.cap = relay, cap
        self.strangers = [Stranger(relay, seeds.pop(), 100 + i, names) for i in range(STRANGERS)]
        self.transfers = [transfer(f"h{i}@honest.example") for i in range(2)]
        self.transfers += [transfer(CAPPED, may_end=True) for i in range(2)]
        self.operator = Operator(relay, seeds.pop(), books)

    def finish(self):
        for each in (*self.transfers, self.operator, *self.strangers):
            each.finish()
            assert used(self.relay, CAPPED) <= self.cap

    def check(self, books):
        """What clients have read was relayed."""
        for transfer in self.transfers:
            transfer.check_record(books)
        taken = sum((stranger.taken for stranger in self.strangers), collections.Counter())
        for name in taken.keys() - {None}:
            assert taken[name] <= sum(sum(record["bytes"]) for record in books.records_of(name))


def used(relay, account):
    status, answer = relay.call("GET", f"/v1/usage?account={account}")
    assert status == 200
    return sum(row["bytes"] for row in answer["usage"])


def reload(relay, dice):
    """New rates, and other default limits, for what goes on."""
    keys = {"stream_rate": dice.choice(["0", "8M"]), "relay_rate": dice.choice(["0", "0", "32M"]),
            "user_rate": dice.choice(["0", "0", "4M"]),
            "default_user_limit": dice.choice(["0", "5", "-1"]),
            "default_file_limit": dice.choice(["0", "300k"])}
    relay.configure({"daemon": {**relay.sections["daemon"], **keys}})
    times = relay.log_text().count("config-reloaded")
    os.kill(relay.pid, signal.SIGHUP)
    relay.wait_log("config-reloaded", count=times + 1)


def test_hostile_halves_cost_nobody_a_byte_and_leave_nothing(relay, drive):
    redis = relay.stage.processes[0]
    books, cap, much = Books(redis, [relay]), 0, 1 << 40
    for domain in ("honest.example", "example.org"):
        limits = {"file": much, "user": much, "domain": much}
        assert relay.call("PUT", f"/v1/limits/{domain}", limits)[0] == 200
    for _ in drive:
        cap += drive.random.choice([1, 100000, 3 * MIB])
        assert relay.call("PUT", f"/v1/limits/{CAPPED}", {"user": cap})[0] == 200
        reload(relay, drive.random)
        round_ = Round(relay, drive.random, books, cap)
        round_.finish()
        books.settle()
        round_.check(books)
        check_places(relay)
    books.settle()
    assert relay.stop() == 0
    assert books.left_in_redis() == redis.command("KEYS", "og:registry:relay:*") == []


def check_places(relay):
    """No stream of a user counts that has ended."""
    for user in USERS:
        name = bs.new_hash()
        halves = [wait_until(lambda: fl.granted(relay, name)) for _ in range(2)]
        status, answer = bs.activate(relay, name, about(user, user))
        assert status == 200 or answer["error"] in ("forbidden", "over_limit"), answer
        for sock in halves:
            sock.close()
