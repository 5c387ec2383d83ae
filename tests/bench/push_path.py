"""The whole path on two cores: a server publishes over a component's link, xmppgw asks pushd, pushd
the provider, and the result comes back to the server. The server is played here by the least that
does it; it measures from when a stanza was due until its result is in.
"""

import contextlib
import dataclasses
import os
import re
import select
import time

import notify
from component import ComponentServer
from harness import ROOT, Trouble, wait_until
from push_runners import CORES, tell

COMPONENT, DOMAIN = notify.COMPONENT, notify.DOMAIN
WINDOW = 1000  # unanswered ones when all that goes is sent
ENOUGH = 4000  # per second, and latency at half of that
PATIENCE_S = 40
ANSWER = re.compile(rb"<iq type='(result|error)'[^>]* id='[^']*?(\d+)'")


class Server:
    """An XMPP server with one component, whose users' devices are DEVICES."""

    def __init__(self, stage, redis, devices):
        listener = ComponentServer(COMPONENT)
        section = {**listener.section, "role": "push"}
        self.gateway = stage.xmppgw(redis, {COMPONENT: section})
        self.link = listener.accept().log_in()
        self.gateway.wait_log("backend-found")
        self.nodes = [device.node.encode() for device in devices]
        self.pattern = self.make_pattern()
        self.at = 0

    @staticmethod
    def make_pattern():
        """Prosody's publish in pieces, between which id and node go."""
        text = (ROOT / "tests/data/publish/prosody-body.xml").read_text().strip()
        text = re.sub(r"\bto='[^']*'", f"to='{COMPONENT}'", text)
        text = re.sub(r"\bfrom='[^']*'", f"from='{DOMAIN}'", text, count=1)
        text = re.sub(r"\bid='[^']*'", "id='@'", text, count=1)
        text = re.sub(r"node='[^']*'", "node='@'", text, count=1)
        return text.encode().split(b"@")

    def texts(self, count):
        """COUNT publishes, each with its number as id, to the next nodes."""
        one, two, three = self.pattern
        for number in range(count):
            node = self.nodes[self.at]
            self.at = (self.at + 1) % len(self.nodes)
            yield one + b"p%d" % number + two + node + three

    def run(self, count, per_second=None):
        """Publishes COUNT, at a pace or with WINDOW unanswered ones: a Run."""
        return Run(self.link.socket, list(self.texts(count)), per_second).finish()


class Run:
    """Stanzas out and results in. Latency counts from when a stanza was due, not from when we came
    to send it, so that waiting for us counts, too."""

    def __init__(self, link, texts, per_second):
        self.link, self.texts, self.per_second = link, texts, per_second
        self.due = [0.0] * len(texts)
        self.latencies, self.errors, self.sent, self.tail = [], 0, 0, b""
        self.began = self.heard = time.monotonic()

    @property
    def answered(self):
        return len(self.latencies)

    def finish(self):
        self.link.setblocking(True)
        while self.answered < len(self.texts):
            self.send()
            if select.select([self.link], [], [], self.pause())[0]:
                self.receive()
            elif time.monotonic() - self.heard > PATIENCE_S:
                break  # the rest is unanswered
        self.seconds = time.monotonic() - self.began
        return self

    def pause(self):
        return 0.001 if self.per_second and self.sent < len(self.texts) else PATIENCE_S

    def send(self):
        now, first = time.monotonic(), self.sent
        if self.per_second:
            self.sent = min(int((now - self.began) * self.per_second), len(self.texts))
            for n in range(first, self.sent):
                self.due[n] = self.began + n / self.per_second
        elif self.sent - self.answered <= WINDOW // 2:
            self.sent = min(self.answered + WINDOW, len(self.texts))
            self.due[first : self.sent] = [now] * (self.sent - first)
        if self.sent > first:
            self.link.sendall(b"".join(self.texts[first : self.sent]))

    def receive(self):
        data = self.tail + self.link.recv(1 << 20)
        cut = data.rfind(b">") + 1
        now = self.heard = time.monotonic()
        for kind, number in ANSWER.findall(data[:cut]):
            self.latencies.append(now - self.due[int(number)])
            self.errors += kind == b"error"
        self.tail = data[cut:]

    def percentile_ms(self, part):
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(int(part * len(ordered)), len(ordered) - 1)]


def on_two_cores(*pids):
    for pid in pids:
        os.sched_setaffinity(pid, CORES[:2])


def delivered(fake):
    """How many both providers have taken."""
    rows = (fake.stats()["providers"][kind]["statuses"] for kind in ("apns", "fcm"))
    return sum(row.get("200", 0) for row in rows)


def one_run(server, fake, count, pace=None):
    """Figures of one run. What was answered `result` has come to the provider by then, except for
    what was queued or replaced, for which some time is given."""
    fake.reset()
    run = server.run(count, pace)
    results = run.answered - run.errors
    try:
        wait_until(lambda: delivered(fake) >= results, 10)
    except Trouble:
        pass
    figures = {"per_second": run.answered / run.seconds, "errors": run.errors}
    figures.update(unanswered=count - run.answered, lost=max(results - delivered(fake), 0))
    figures.update(p50_ms=run.percentile_ms(0.5), p99_ms=run.percentile_ms(0.99))
    figures.update(most_ms=run.percentile_ms(1))
    return figures


@dataclasses.dataclass
class Parts:
    """What the path consists of, besides the gateway and the server."""

    stage: object
    redis: object
    push: object
    fake: object


@contextlib.contextmanager
def serving(parts, devices):
    """A server whose gateway is linked, and which has published some already."""
    server = Server(parts.stage, parts.redis, devices)
    pids = [parts.push.pid, parts.fake.pid, parts.redis.pid, server.gateway.pid]
    on_two_cores(*pids, os.getpid())
    try:
        server.run(ENOUGH // 2)  # connections, windows and caches
        yield server
    finally:
        server.link.close()
        server.gateway.stop()


def measure(parts, devices, rounds, seconds):
    """The path as fast as it goes, and at half of what it has to reach."""
    with serving(parts, devices) as server:
        return run_all(server, parts.fake, rounds, seconds)


def run_all(server, fake, rounds, seconds):
    found = {"most": [], "half": []}
    for number in range(rounds):
        speed = found["most"][-1]["per_second"] if number else ENOUGH
        found["most"].append(one_run(server, fake, int(speed * seconds)))
        found["half"].append(one_run(server, fake, int(ENOUGH / 2 * seconds), ENOUGH // 2))
        for what in found:
            text = ", ".join(f"{name} {value:.4g}" for name, value in found[what][-1].items())
            tell(f"  round {number + 1}, whole path, {what}: {text}")
    return found
