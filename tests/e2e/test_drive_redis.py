"""A lying Redis at random: replies that are changed, connections that break, keys that somebody
else has written, while transfers, publishes and registrations go on.

What holds whatever Redis says: no daemon dies, hangs, or takes memory without end; every request
gets an answer; nobody who only writes to Redis is sent a secret, a token or a message; once Redis
is honest again all work by themselves, and nothing is left of what went on.

What can't be promised while Redis lies, and isn't asserted: that bytes are counted, and limits
kept, as they were (the count is Redis's); that a push which was answered `queued` is still there;
that a registration, a record or an event wasn't lost or changed; that an API shows what is so.
A budget that Redis took and then said that it hadn't stays taken until the month ends. A
key of all users that somebody spoiled (SHARED) stops them until an operator deletes it.
"""

import contextlib
import hashlib
import json
import os
import random
import re
import socket
import threading
import time
import urllib.error

import pytest

import bytestream as bs
import notify
from component import ComponentServer, error_of
from harness import HOST, PATIENCE, SANITIZER, Stage, Trouble, sign, wait_until
from lying_redis import FAILURES, KINDS, LyingRedis
from test_xmppgw import activate, command, new_id, publish

GATE, SPARE = "gate.example.org", "spare.example.org"
ALICE, BOB = "alice@example.org/phone", "bob@example.org/desk"
WORKERS = 4
LIES_AT_ONCE = 60
ROUND_SECONDS = 2
MEMORY_MAX = 1 << 20  # KiB: a reply of 64 MiB in its three copies, and what ASan keeps
FILES_MORE = 40  # kept connections and pipes
CLAIMS = 3  # of streams that forged records' relays own
# Keys that all users share: spoiled, they are to be deleted before anybody is served again.
SHARED = re.compile(
    r"og:(usage|ledgers):\d+|og:limits|og:registry:(relay|push)(:relay-\d|:push-\d)?"
    r"|og:push:(counts|stored|notes|expiry|queue:.*|key:.*)"
)


# What operators ask a relay and pushd for
RELAY_CALLS = [
    ("GET", "/v1/streams", None),
    ("GET", "/v1/limits", None),
    ("GET", "/v1/limits?limit=1", None),
    ("GET", "/v1/limits/{user}", None),
    ("PUT", "/v1/limits/{user}", {"file": 0, "user": 1 << 40, "domain": 0}),
    ("DELETE", "/v1/limits/{user}", None),
    ("GET", "/v1/usage?limit=1", None),
    ("GET", "/v1/usage?account={user}", None),
    ("POST", "/v1/usage/{user}/credit", {"bytes": 1000}),
    ("PUT", "/v1/usage/{user}/imported", {"bytes": 10}),
    ("GET", "/v1/transfers?limit=5", None),
    ("GET", "/v1/transfers?user={user}&order=newest", None),
    ("DELETE", "/v1/accounts/{user}", None),
]
GONE = {"owner": "u1@example.org", "component": notify.COMPONENT, "provider": notify.APNS}
PUSH_CALLS = [
    ("GET", "/v1/devices?owner={user}", None),
    ("GET", "/v1/devices/{node}", None),
    ("DELETE", "/v1/devices/{node}", None),
    ("POST", "/v1/devices/{node}/test", {}),
    ("POST", "/v1/devices/unregister", {**GONE, "token": "ab" * 32}),
    ("GET", "/v1/queue?limit=1", None),
    ("GET", "/v1/providers", None),
    ("GET", "/v1/statistics", None),
    ("DELETE", "/v1/accounts/{user}", None),
]
# Replies of other shapes than any command or script gives
SHAPES = [
    b":5\r\n",
    b":-9223372036854775808\r\n",
    b"$2\r\nhi\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*1\r\n:1\r\n",
    b"*2\r\n:1\r\n:2\r\n",
    b"*2\r\n*1\r\n*-1\r\n*-1\r\n",
    b"*2\r\n*1\r\n:7\r\n*1\r\n:7\r\n",
    b"*3\r\n:1\r\n$1\r\n0\r\n*1\r\n*2\r\n:1\r\n:2\r\n",
    b"*1\r\n*4\r\n$1\r\n\xff\r\n:9223372036854775807\r\n:-9223372036854775808\r\n*-1\r\n",
    b"*18\r\n" + b"$1\r\n\xff\r\n" * 18,
    b"*18\r\n" + b"$-1\r\n" * 17 + b"*0\r\n",
    b"*4\r\n:1764500000000\r\n:0\r\n*1\r\n:1\r\n*11\r\n" + b"$1\r\n1\r\n" * 11,
    b"-ERR no\r\n",
]


class Trap:
    """Where forged records of the registry point to: nobody may ever connect."""

    def __init__(self):
        self.socket = socket.create_server((HOST, 0))
        self.socket.setblocking(False)
        self.place = "%s:%d" % self.socket.getsockname()

    def caught(self):
        try:
            self.socket.accept()
        except BlockingIOError:
            return False
        return True


class Spare:
    """The server of a component with standby = yes: it takes every connection."""

    def __init__(self):
        self.server, self.linked = ComponentServer(SPARE), False
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                link = self.server.accept(timeout=None)
                link.log_in()
                self.linked = True
                link.wait_closed(timeout=3600)
            except (Trouble, OSError):
                if self.server.socket.fileno() < 0:
                    return
            self.linked = False


class Cast:
    """All that runs, with what is asked of it."""

    def __init__(self, stage, seed):
        self.redis, self.fake = stage.redis(), stage.providers()
        self.dice = random.Random(seed)
        self.liar = LyingRedis(self.redis, random.Random(seed + 1))
        peering = {"peer_listen": f"{HOST}:0", "peer_secret": "secret-of-the-fleet"}
        limits = {"verifier": "limits", "transfer_update_quantization": "64k"}
        limits["pending_timeout"] = "5s"
        self.relays = [
            stage.relayd(f"relay-{n}", self.liar, **peering, **limits) for n in (1, 2)
        ]
        self.push = stage.pushd("push-1", self.liar, self.fake, lease="5s")
        self.server, self.spare = ComponentServer(GATE), Spare()
        self.gateway = stage.xmppgw(
            self.liar,
            {
                GATE: {**self.server.section, "role": "relay, push", "remote_disable": "yes"},
                SPARE: {**self.spare.server.section, "role": "push", "standby": "yes"},
            },
        )
        self.link = self.server.accept().log_in()
        self.daemons = [*self.relays, self.push, self.gateway]
        self.trap, self.faults = Trap(), []
        self.asked, self.answered = set(), set()
        self.devices = []

    # The gateway

    def ask(self, payload, sender=ALICE):
        """Sends an IQ that is to be answered once; its id."""
        self.asked.add(name := new_id())
        self.link.send(
            f"<iq type='set' id='{name}' from='{sender}' to='{GATE}'>{payload}</iq>"
        )
        return name

    def answer(self, name):
        answer = self.link.answer(name, timeout=PATIENCE)
        self.answered.add(name)
        return answer

    def all_answered(self):
        for name in sorted(self.asked - self.answered):
            self.answer(name)
        while self.link.read(0.1):
            pass
        twice = [e.get("id") for e in self.link.stanzas if e.get("id") in self.asked]
        assert twice == [] and not self.link.closed

    # What works once Redis is honest

    def transfer(self, size=200000):
        """Two halves, at any relays; the activation goes through the gateway."""
        sid, data = new_id(), self.dice.randbytes(size)
        name = hashlib.sha1(f"{sid}{ALICE}{BOB}".encode()).hexdigest()
        with contextlib.ExitStack() as closing:
            one, other = (
                closing.enter_context(bs.half(self.dice.choice(self.relays), name))
                for _ in range(2)
            )
            assert error_of(self.answer(self.ask(activate(sid, BOB)))) is None
            sender = bs.Sender(one, data)
            assert bs.exactly(other, size) == data
            assert sender.result() is None

    def notice(self):
        """A device registers and gets a push, both through the gateway."""
        token = notify.apns_token()
        form = command("register-device", provider=notify.APNS, device_token=token)
        answer = self.answer(self.ask(form, f"u{self.dice.random()}@example.org/x"))
        assert error_of(answer) is None
        node = re.search(r"[0-9a-f]{32}", " ".join(answer.itertext())).group()
        assert error_of(self.answer(self.ask(publish(node), "example.org"))) is None
        wait_until(lambda: notify.got(self.fake, token), what="the push")

    def stored(self):
        """A push that its provider can't take at first comes later, from the queue."""
        device = notify.register(self.push, notify.FCM)
        notify.script(self.fake, device["token"], 500, times=1)
        assert notify.outcome(self.push, device) in ("queued", "sent")
        wait_until(lambda: len(notify.got(self.fake, device["token"])) == 2, what="the queue")

    def again(self, act):
        """ACT works, after some time."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return act()
            except (AssertionError, OSError, Trouble, AttributeError):
                if time.monotonic() > end:
                    raise

    def works(self):
        self.live()
        for act in (self.transfer, self.notice):
            self.again(act)
        for daemon in self.daemons:
            wait_until(lambda: daemon.call("GET", "/readyz")[0] == 200, what=daemon.name)
        wait_until(lambda: self.spare.linked, what="the component with a standby")

    def live(self):
        for daemon in self.daemons:
            assert daemon.alive, daemon.tail()
            report = SANITIZER.search(daemon.log_text())
            assert not report, daemon.log_text()[report.start() :][:3000]
        assert not self.trap.caught(), "a daemon called an address of an unsigned record"
        assert self.faults == []

    # What goes on meanwhile

    @contextlib.contextmanager
    def load(self):
        over = threading.Event()
        threads = [
            threading.Thread(target=self.work, args=(random.Random(self.dice.random()), over))
            for _ in range(WORKERS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def work(self, dice, over):
        acts = [self.some_stream, self.some_stream, self.some_push, self.some_push]
        acts += [self.some_relay_call, self.some_push_call]
        while not over.is_set():
            act = dice.choice(acts)
            try:
                act(dice)
            except (TimeoutError, urllib.error.URLError) as error:
                if isinstance(getattr(error, "reason", error), TimeoutError):
                    self.faults.append(f"{act.__name__}: no answer")
            except (ConnectionError, AssertionError):
                pass

    def call(self, daemon, method, path, body=None):
        status, answer = daemon.call(method, path, body)
        if status == 500 or (status == 200 and not isinstance(answer, dict)):
            self.faults.append(f"{daemon.name} {method} {path}: {status} {answer!r}")
        return status, answer

    def some_stream(self, dice):
        name = dice.choice((bs.new_hash(), bs.new_hash(), f"{dice.randrange(CLAIMS):040x}"))
        relays = [dice.choice(self.relays) for _ in range(2)]
        user = f"u{dice.randrange(9)}@example.org"
        about = {**bs.ABOUT, "parties": [{"user": user, "domain": "example.org"}] * 2}
        with contextlib.ExitStack() as closing:
            halves = [closing.enter_context(bs.ask(relay, name)[0]) for relay in relays]
            for relay in set(relays):
                self.call(relay, "POST", f"/v1/streams/{name}/activate", about)
            sender = bs.Sender(halves[0], dice.randbytes(dice.randrange(300000)))
            halves[1].settimeout(dice.random())
            with contextlib.suppress(TimeoutError):
                while halves[1].recv(1 << 16):
                    pass
            halves[0].close()
            sender.result()

    def some_relay_call(self, dice):
        self.operate(dice.choice(self.relays), *dice.choice(RELAY_CALLS), dice)

    def some_push_call(self, dice):
        self.operate(self.push, *dice.choice(PUSH_CALLS), dice)

    def operate(self, daemon, method, path, body, dice):
        node = dice.choice(self.devices)["node"] if self.devices else "0" * 32
        path = path.format(user=f"u{dice.randrange(9)}@example.org", node=node)
        return self.call(daemon, method, path, body)

    def some_push(self, dice):
        """A new device of any dialect, or pushes to some that are known."""
        if dice.random() < 0.4 or not self.devices:
            provider = dice.choice((notify.APNS, notify.FCM))
            more = {"owner": f"u{dice.randrange(9)}@example.org"}
            if dice.random() < 0.3:
                more.update(dialect="p2", device_id=f"d{dice.randrange(5)}")
            body = notify.claim(provider, **more)
            status, answer = self.call(self.push, "POST", "/v1/devices", body)
            if status == 200:
                self.devices = [*self.devices[-50:], {**body, **answer}]
                self.script(dice, body["token"])
            return
        items = [notify.item(dice.choice(self.devices)) for _ in range(dice.randrange(1, 6))]
        for item in items:
            item["secret"] = next(
                (d["secret"] for d in self.devices if d["node"] == item["node"]), ""
            )
        body = {"deadline_ms": 8000, "notifications": items}
        self.call(self.push, "POST", "/v1/notifications", body)

    def script(self, dice, token):
        """The provider may find fault with TOKEN."""
        status, reason = dice.choice(
            [(None, None)] * 3
            + [(500, None), (503, None), (410, "Unregistered"), (400, "BadDeviceToken")]
        )
        if status:
            notify.script(self.fake, token, status, reason, times=dice.randrange(1, 4))

    def some_stanzas(self):
        """Of which the answers are read at the end."""
        sid = new_id()
        name = hashlib.sha1(f"{sid}{ALICE}{BOB}".encode()).hexdigest()
        with contextlib.suppress(OSError, AssertionError):
            with bs.ask(self.dice.choice(self.relays), name)[0]:
                self.ask(activate(sid, BOB))
        self.ask(command("register-device", provider=notify.APNS, device_token="ab" * 32))
        self.ask("<query xmlns='http://jabber.org/protocol/bytestreams'/>")
        node = self.dice.choice(self.devices)["node"] if self.devices else "0" * 32
        self.ask(publish(node), "example.org")

    # What is left

    def files(self):
        return {d.name: len(os.listdir(f"/proc/{d.pid}/fd")) for d in self.daemons}

    def memory(self):
        """The most that each has had, in KiB."""
        status = {d.name: open(f"/proc/{d.pid}/status").read() for d in self.daemons}
        return {n: int(re.search(r"VmHWM:\s+(\d+)", text).group(1)) for n, text in status.items()}

    def ends(self):
        """All streams and halves do."""
        for relay in self.relays:
            streams = lambda: relay.call("GET", "/v1/streams")[1]["streams"]
            wait_until(lambda: streams() == [], what=f"{relay.name} to have no streams")

    def forgets(self):
        """Leases and claims that nobody removed end by themselves; here they go at once."""
        for kind in ("lease", "claim"):
            for key in self.redis.command("KEYS", f"og:{kind}:*"):
                assert self.redis.command("PTTL", key) != -1, key
                self.redis.command("DEL", key)

    def leaves_no_lease(self):
        """After transfers during which Redis failed, but didn't lie."""
        wait_until(lambda: not self.redis.open_leases(), what="leases to end")


# Keys that somebody else writes


class Spoiler:
    """Spoils keys of the Redis at PORT, and deletes them again."""

    def __init__(self, redis, dice, trap):
        self.command, self.dice, self.trap = redis.command, dice, trap
        self.spoiled = set()

    def some(self, count):
        keys = [k for k in self.command("KEYS", "og:*") if not k.startswith("og:push:bearer")]
        fixed = ["og:transfers", "og:events", "og:push:gone", "og:push:counts", "og:limits"]
        fixed += ["og:registry:relay", "og:registry:push", "og:push:notes"]
        for _ in range(count):
            key = self.dice.choice(self.dice.choice((keys, fixed)) or fixed)
            self.spoiled.add(key)
            with contextlib.suppress(ValueError):  # Redis may refuse, too
                self.dice.choice([self.retype, self.alter, self.alter])(key)
        self.dice.choice([self.forge, self.strange_note, lambda: None])()

    def value(self):
        values = ["", "-1", "nan", "inf", "1e300", str(2**63 - 1), str(-(2**63)), "text", "0x10"]
        values += ["{}", "[" * 5000, "null", '"', "x" * 70000, b"\xff\xfe\0", "1 2", "99999999"]
        values += ["relay-1 1", "relay-2 99", '{"type":"over-limit"}', '{"epoch":1,"control":1}']
        return self.dice.choice(values)

    def retype(self, key):
        self.command("DEL", key)
        words = [["SET", key, self.value()], ["LPUSH", key, self.value()]]
        words += [["SADD", key, self.value()], ["ZADD", key, "1", self.value()]]
        words += [["HSET", key, "a", self.value()], ["XADD", key, "*", "a", self.value()]]
        words += [["XADD", key, f"{2**64 - 1}-{2**64 - 1}", "a", "b"]]
        self.command(*self.dice.choice(words))

    def alter(self, key):
        kind = self.command("TYPE", key)
        if kind == "hash":
            field = self.dice.choice(self.command("HKEYS", key))
            self.command(*self.dice.choice([
                ["HSET", key, field, self.value()],
                ["HSET", key, self.value(), self.value()],
                ["HDEL", key, field],
            ]))
        elif kind == "zset":
            score = self.dice.choice(("-inf", "inf", "0", "1e300", "-5"))
            self.command("ZADD", key, score, self.value())
        elif kind == "stream":
            self.command("XADD", key, "*", self.dice.choice(("event", "record")), self.value())
        elif kind == "string":
            self.command("SET", key, self.value())
        elif kind == "set":
            self.command("SADD", key, self.value())
        elif kind == "list":
            self.command("LPUSH", key, self.value())

    def forge(self):
        """A record that nobody of the fleet has signed, or has signed for somebody else."""
        kind, url = self.dice.choice((("relay", "control"), ("push", "api")))
        name = self.dice.choice((f"{kind}-1", f"{kind}-9"))
        text = self.command("GET", f"og:registry:{kind}:{kind}-1") or "{}"
        with contextlib.suppress(ValueError):
            record = json.loads(text)
            record.update({"id": name, url: f"http://{self.trap.place}"})
            record.update({"peer": self.trap.place} if kind == "relay" else {})
            turn = self.dice.randrange(4)
            if turn == 0:
                record.pop("signatures", None)
            elif turn == 1:
                record.pop("signatures", None)
                sign(record, f"{kind}:{name}", token="another token of another fleet")
            elif turn == 2:
                record.pop("signatures", None)
                record["at_ms"] = 1700000000000  # once it was a record of the fleet
                sign(record, f"{kind}:{name}")
            self.command("SET", f"og:registry:{kind}:{name}", json.dumps(record), "PX", 60000)
            self.command("ZADD", f"og:registry:{kind}", str(10**15), name)
            self.spoiled.add(f"og:registry:{kind}:{name}")
            if kind == "relay":
                epoch = record.get("epoch", 1)
                for n in range(CLAIMS):
                    self.command("SET", f"og:claim:{n:040x}", f"{name} {epoch}", "PX", 60000)

    def strange_note(self):
        """An entry of the queue that pushd has never written."""
        name = f"strange-{self.dice.random()}"
        provider = self.dice.choice((notify.APNS, notify.FCM))
        fields = {"provider": provider, "priority": "high", "domain": "example.org", "node": "x"}
        fields.update(slot="", attempts=1, count=-1, expires=10**15, created=1, item="{}")
        fields["class"] = 0
        if self.dice.random() < 0.7:
            fields[self.dice.choice(list(fields))] = self.value()
        if self.dice.random() < 0.5:
            del fields[self.dice.choice(list(fields))]
        key, queue = f"og:push:note:{name}", f"og:push:queue:{provider}:high"
        self.spoiled.add(key)
        if self.dice.random() < 0.2:
            self.command("LPUSH", key, "x")
        else:
            self.command("HSET", key, *[word for pair in fields.items() for word in pair])
        self.command("ZADD", f"{queue}:example.org", "1", name)
        self.command("ZADD", queue, "1", "example.org")

    def delete(self, pattern=re.compile(".*")):
        """What an operator does."""
        for key in sorted(self.spoiled):
            if pattern.fullmatch(key):
                self.command("DEL", key)
                self.spoiled.remove(key)


@pytest.fixture
def cast(tmp_path, drive):
    with Stage(tmp_path, record=False) as stage:
        stage.sanitizer_env["ASAN_OPTIONS"] += ":quarantine_size_mb=16"
        cast = Cast(stage, drive.seed)
        cast.again(cast.notice)
        cast.works()
        yield cast
        cast.spare.server.close()
        cast.server.close()
        cast.trap.socket.close()
        stage_faults = stage.close()
        cast.liar.close()
        assert stage_faults == []


def test_a_reply_of_another_shape_is_no_answer(cast):
    """Whatever is asked for: it is answered, and nobody dies of it."""
    cast.devices = [notify.register(cast.push)]
    publishing = {"deadline_ms": 500, "notifications": [notify.item(cast.devices[0])]}
    for shape in SHAPES:
        print(shape)
        with cast.liar.saying(shape):
            for daemon, calls in ((cast.relays[0], RELAY_CALLS), (cast.push, PUSH_CALLS)):
                for call in calls:
                    cast.operate(daemon, *call, cast.dice)
            for provider in (notify.APNS, notify.FCM):
                cast.call(cast.push, "POST", "/v1/devices", notify.claim(provider))
            cast.call(cast.push, "POST", "/v1/notifications", publishing)
            cast.ask(activate("1", BOB))
            cast.all_answered()
        cast.works()


def choose(dice):
    """What is told in a round, and how often."""
    kinds = dice.choice([None, None, FAILURES, [dice.choice(KINDS)], ["element"], ["flood"]])
    return 0.05 if kinds == ["flood"] else dice.choice((0.1, 0.3, 0.6, 1)), kinds


def test_a_lying_redis_stops_nobody(cast, drive):
    files, dice = cast.files(), drive.random
    spoiler = Spoiler(cast.redis, dice, cast.trap)
    for number in drive:
        (chance, kinds), spoils = choose(dice), dice.random() < 0.4
        chance = 0 if spoils and dice.random() < 0.5 else chance
        print(f"round {number}: chance {chance} of {kinds}, spoils {spoils}")
        with cast.load(), cast.liar.lying(chance, kinds):
            if spoils:
                spoiler.some(dice.randrange(1, 8))
            cast.some_stanzas()
            cast.liar.goes_on(LIES_AT_ONCE, ROUND_SECONDS)
            cast.some_stanzas()
        spoiler.delete(SHARED)
        cast.works()
        if spoils:
            cast.again(cast.stored)
        spoiler.delete()
    cast.all_answered()
    cast.again(cast.stored)
    cast.ends()
    cast.forgets()
    with cast.load(), cast.liar.lying(0.1, FAILURES):
        cast.some_stanzas()
        cast.liar.goes_on(LIES_AT_ONCE, ROUND_SECONDS)
    cast.works()
    cast.all_answered()
    cast.ends()
    cast.leaves_no_lease()
    cast.forgets()
    print(f"{len(cast.liar.told)} lies", cast.memory(), cast.files(), files)
    for name, count in cast.files().items():
        assert count <= files[name] + FILES_MORE, name
    assert max(cast.memory().values()) < MEMORY_MAX, cast.memory()
