"""What has to hold for bystanders while somebody misbehaves: honest transfers, byte by byte, the
books (charged is what was relayed), and that nothing of all that stays behind in relays or Redis.

    books = Books(redis, relays)            # before anything else happens
    transfer = Transfer(dice, (relay, other), about(user, partner))      # in the background
    ...                                     # the mischief
    transfer.finish()                       # its bytes were exact, or it ended as it had to
    books.settle()                          # nothing is left, and all sums agree
    transfer.check_record(books)
"""

import collections
import hashlib
import json
import os
import re
import socket
import threading

import bytestream as bs
import fleet as fl
from harness import Trouble, wait_until

KIB, MIB = 1 << 10, 1 << 20
IDLE_PIPES = 3 * 32 * 2  # descriptors of pipes that the pool keeps for the next loans
ENDED = re.compile(
    r"stream-ended id=(\w+) reason=(\S+) state=(\S+) \S+ first=(\d+) second=(\d+)"
)


def about(user, partner, charged=(True, False), **more):
    """The body of an activation between USER and PARTNER."""
    parties = [{"user": who, "domain": who.split("@")[1]} for who in (user, partner)]
    for party, counts in zip(parties, charged):
        party["charged"] = counts
    tag = {"component": "proxy.example.org", "requester": f"{user}/one", "target": f"{partner}/two"}
    return {"parties": parties, "deadline_ms": 60000, "tag": tag, **more}


class Task(threading.Thread):
    """Runs in the background; finish() waits for its end and raises what it raised."""

    def __init__(self):
        super().__init__(daemon=True)
        self.error = None

    def run(self):
        try:
            self.work()
        except BaseException as error:
            self.error = error

    def finish(self):
        self.join(180)
        assert not self.is_alive(), f"{self} hangs"
        if self.error:
            raise self.error


class Transfer(Task):
    """
    A stream between halves at two relays (perhaps the same one), with bytes both ways. MAY_END: a
    limit may refuse it, or end it before all has gone.
    """

    def __init__(self, dice, relays, body, sources=None, may_end=False, most=MIB):
        super().__init__()
        self.dice, self.relays, self.body = dice, relays, body
        self.sources = sources or [None, None]
        self.may_end, self.most = may_end, most
        self.name, self.counts, self.ending = bs.new_hash(), [0, 0], None
        self.active = False  # it is, or it was
        self.start()

    def __repr__(self):
        return f"transfer {self.name} of {self.body['parties'][0]['user']}"

    def half(self, side):
        """A granted half. On a machine that is busy it may have to ask again."""
        relay, small = self.relays[side], self.dice.choice([None, None, 16384])
        late = rf"reason=redis-unavailable|bridge-failed id={self.name} .*outcome=timed-out"
        while True:
            options = {"receive_buffer": small, "source": self.sources[side]}
            sock, reply = bs.ask(relay, self.name, **options)
            if reply[:2] == b"\x05\x00":
                return sock
            excused = reply[:2] == b"\x05\x01" and re.search(late, relay.log_text())
            assert excused, f"{self} was refused by {relay.name}: {reply}\n{relay.tail()}"
            sock.close()

    def activate(self):
        """False: a limit forbids it."""

        def ask():
            answer = bs.activate(self.relays[0], self.name, self.body)
            return answer if answer[0] != 503 else None  # Redis was late

        status, answer = wait_until(ask, what="an activation")
        assert status == 200 or (self.may_end and status == 403), (self, status, answer)
        self.active = status == 200
        return self.active

    def work(self):
        halves = [self.half(0), self.half(1)]
        data = [self.dice.randbytes(self.dice.randrange(1, self.most)) for _ in halves]
        early = self.dice.random() < 0.5
        senders = [bs.Sender(*each) for each in zip(halves, data)] if early else []
        allowed = self.activate()
        senders = senders or [bs.Sender(*each) for each in zip(halves, data)]
        pause = self.dice.choice([0, 0, 0.001])
        receivers = [bs.Receiver(half, pause) for half in (halves[1], halves[0])]
        for side, receiver in enumerate(receivers):
            count, digest, ended = receiver.result()
            self.counts[side] = count
            assert digest == hashlib.sha256(data[side][:count]).hexdigest(), self
            whole = (count, ended) == (len(data[side]), "end")
            # A reset is told once: to who reads, or to who sends.
            reset = ended == "reset" or senders[not side].result() is not None
            assert whole or (self.may_end and reset), (self, side, count, len(data[side]), ended)
        if not allowed:
            assert self.counts == [0, 0], self
            self.ending = "denied"
        elif self.counts == [len(each) for each in data]:
            self.ending = "completed"
        else:
            self.ending = "over-limit"
        for half in halves:
            half.close()

    def check_record(self, books):
        """There is one, and it says what the clients saw."""
        records = books.records_of(self.name)
        if self.ending == "denied":
            assert records == [], self
            return
        (record,) = records
        assert record["bytes"] == self.counts, (self, record)
        # A limit that is as long as the transfer may end it or not.
        assert record["reason"] in (self.ending, "over-limit" if self.may_end else None), self
        if record["reason"] == "over-limit":
            assert self.name in books.told, self


class Books:
    """What relays have recorded and charged. Nobody else may use REDIS for transfers."""

    def __init__(self, redis, relays):
        self.redis, self.relays = redis, relays
        self.records = []  # of the round that was settled last
        self.told = set()  # streams of that round that a limit has ended, as an event says
        self.relayed = 0  # bytes, in all rounds
        self.charged = collections.Counter()  # bytes by ledger, in all rounds
        self.settled = collections.Counter()  # the same, when the last round had ended
        self.imported = collections.Counter()  # bytes by account
        self.lock = threading.Lock()
        wait_until(lambda: self.left_in_redis() == [])
        self.at_rest = {relay: descriptors(relay) for relay in relays}
        self.read_logs = {relay: len(relay.log_text()) for relay in relays}
        self.read_ids = {}  # of the last entry of each stream in Redis

    # What operators change

    def add(self, ledger, more):
        """Somebody has changed a ledger by MORE bytes."""
        with self.lock:
            self.charged[ledger] += more

    # At the end of a round

    def settle(self):
        """Waits until nothing is left; then all sums agree."""
        self.wait_gone(self.left_in_relays)
        self.check_claims()
        self.wait_gone(lambda: self.left_in_relays() + self.left_in_redis())
        self.read_records()
        self.read_events()
        self.check_logs()
        self.check_sums()

    def wait_gone(self, look):
        """Until LOOK finds nothing left."""
        left = []

        def is_gone():
            left[:] = look()
            return not left

        try:
            wait_until(is_gone)
        except Trouble:
            raise AssertionError(f"left behind: {left}") from None

    def check_claims(self):
        """The streams are gone, and their claims with them: none stays until it runs out."""
        for relay in self.relays:
            name = bs.new_hash()
            half = wait_until(lambda: fl.granted(relay, name), what="a claim")
            # Redis has answered behind the removals; those that it was away for run out.
            left = [key for key in self.redis.command("KEYS", "og:claim:*")
                    if (self.redis.command("GET", key) or "").startswith(f"{relay.name} ")]
            assert left == [f"og:claim:{name}"] or "redis-away" in relay.log_text(), left
            half.close()

    def left_in_relays(self):
        left = []
        for relay in self.relays:
            assert relay.alive, f"{relay.name} is gone\n{relay.tail()}"
            cut_waiting(relay)
            left += self.left_in(relay)
        return left

    def left_in_redis(self):
        return self.redis.command("KEYS", "og:claim:*") + self.redis.open_leases()

    def left_in(self, relay):
        """What RELAY still has of streams, connections, pipes and descriptors."""
        left = []
        for name, value in gauges(relay).items():
            if value and re.match(r"(streams|halves|pipes_lent|bridges|outbox_items)\b", name):
                left.append(f"{relay.name} {name} {value:g}")
        now, before = descriptors(relay), self.at_rest[relay]
        for kind in now | before:
            most = before[kind] + (IDLE_PIPES if kind == "pipe" else 0)
            if now[kind] > most:
                left.append(f"{relay.name} has {now[kind]} descriptors of {kind}, not {most}")
        return left

    def read_new(self, key, field):
        """The entries of the stream KEY that came since the last round."""
        entries = self.redis.command("XRANGE", key, self.read_ids.get(key, "-"), "+")
        if entries:
            self.read_ids[key] = f"({entries[-1][0]}"
        return [json.loads(fields[1]) for _, fields in entries if fields[0] == field]

    def read_records(self):
        self.records = self.read_new("og:transfers", "record")
        for record in self.records:
            total = sum(record["bytes"])
            charged = [party for party in record["parties"] if party.get("charged", True)]
            ledgers = {f"{kind}:{party[kind]}" for party in charged for kind in ("user", "domain")}
            self.relayed += total
            for ledger in ledgers | {f"instance:{record['relay']}", "global"}:
                self.charged[ledger] += total

    def records_of(self, name):
        return [record for record in self.records if record["hash"] == name]

    def read_events(self):
        events = self.read_new("og:events", "event")
        self.told = {event["hash"] for event in events if event["type"] == "over-limit"}
        ended = {record["hash"] for record in self.records
                 if record["reason"] == "over-limit" and has_names(record["tag"])}
        assert ended <= self.told, "no event says that a limit ended these"

    def check_logs(self):
        """Each stream that was active has one line and one record, which say the same."""
        for relay in self.relays:
            text = relay.log_text()
            lines = collections.Counter(
                (name, reason, int(first), int(second)) for name, reason, state, first, second
                in ENDED.findall(text[self.read_logs[relay]:]) if state in ("active", "closing")
            )
            self.read_logs[relay] = len(text)
            records = collections.Counter(
                (record["hash"], record["reason"], *record["bytes"])
                for record in self.records if record["relay"] == relay.name
            )
            assert lines == records, (lines - records, records - lines)

    def check_sums(self):
        """Charged is what was relayed, to the byte."""
        relayed = sum(gauges(relay)[f'bytes_total{{direction="{way}"}}'] for relay in self.relays
                      for way in ("first_to_second", "second_to_first"))
        assert relayed == self.relayed
        usage = collections.Counter()
        for key in self.redis.command("KEYS", "og:usage:*"):
            fields = iter(self.redis.command("HGETALL", key))
            usage.update({name: int(value) for name, value in zip(fields, fields)
                          if not name.startswith("imported:")})
        wrong = {name: (usage[name], self.charged[name]) for name in usage | self.charged
                 if usage[name] != self.charged[name]}
        assert wrong == {}, "ledger: (in Redis, by the records)"
        self.settled = +self.charged


def has_names(tag):
    return isinstance(tag, dict) and all(
        isinstance(tag.get(key), str) for key in ("component", "requester", "target")
    )


def gauges(relay):
    """All metrics of RELAY, without the prefix of their names."""
    status, text = relay.call("GET", "/metrics", token=None)
    assert status == 200
    lines = re.findall(r"^outrigger_relayd_(\S+) (\S+)$", text, re.M)
    return {name: float(value) for name, value in lines}


def descriptors(relay):
    """How many descriptors RELAY has, by kind: socket, pipe, others by their names."""
    found = collections.Counter()
    folder = f"/proc/{relay.pid}/fd"
    for fd in os.listdir(folder):
        try:
            found[os.readlink(f"{folder}/{fd}").split(":")[0]] += 1
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def cut_waiting(relay):
    """
    Cuts streams that wait for halves which will never come: a half that has left bytes behind
    waits. One that is active has to end by itself.
    """
    status, page = relay.call("GET", "/v1/streams?limit=1000")
    assert status == 200
    for stream in page["streams"]:
        if stream["state"] in ("waiting", "paired"):
            assert relay.call("DELETE", f"/v1/streams/{stream['hash']}")[0] in (204, 404)


def end(dice, sock):
    """Leaves in one of the three ways."""
    try:
        how = dice.choice(["close", "reset", "shutdown"])
        if how == "shutdown":
            sock.shutdown(socket.SHUT_RDWR)
        if how == "reset":
            bs.reset(sock)
    except OSError:
        pass
    sock.close()
