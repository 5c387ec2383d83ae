"""make soak: the whole stack under a mixed load for hours, and how what it uses changes meanwhile.

Publishes of a pretend ejabberd, files and messages of clients of a real Prosody, transfers over
bridges and under limits, devices that come, go and die, and restarts: relay-2, push-2 and gateway-2
are stopped or killed in turn. Of relay-1, push-1, gateway-1 and Redis, which live throughout, the
private memory and the descriptors are recorded, with Redis's keys and the latency of the publishes.
At the end each row's slope is printed: by least squares, without the first quarter, in which caches
fill. The status is 1 if a byte was wrong, a push was lost, or a daemon crashed.

Environment: HOURS (2), RATE (200, publishes per second). Figures go to build/bench/soak.txt,
soak.json and soak.svg.
"""

import asyncio
import contextlib
import hashlib
import math
import os
import pathlib
import random
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import bytestream as bs  # noqa: E402
import load  # noqa: E402
import report  # noqa: E402
import usage  # noqa: E402
from chat import transfer  # noqa: E402
from harness import Stage, Trouble, wait_until  # noqa: E402
from notify import COMPONENT, FCM, item, publish, register, script  # noqa: E402
from pretend import PretendServer  # noqa: E402
from stack import Stack  # noqa: E402
from test_gateway_load import register_many  # noqa: E402

HOURS = float(os.environ.get("HOURS", "2"))
RATE = int(os.environ.get("RATE", "200"))
NODES = 500
USERS = 200  # who transfer, and are charged for it
FILE_MOST = 4 << 20
SAMPLES = 240  # at most; a sample takes as long as a round of publishes
ROUND_SECONDS = max(2, HOURS * 3600 / SAMPLES)
RESTART_SECONDS = max(5, HOURS * 3600 / 60)
PAUSE = 0.5  # between two steps of a load
QUIET_SECONDS = 10  # how long a restart may disturb what began before its end
WARM = 0.25  # the share of the time in which slopes don't count

PLOT = """\
set terminal svg size 1100,900 font "sans-serif,12" background rgb "white"
set output "{out}"
set multiplot layout 3,1 title "{title}" font ",13"
set xlabel "minutes"
set grid
set key outside right
set datafile separator ","
"""


def tell(text):
    print(text, flush=True)


class Disturbed(Exception):
    """What was done has failed because a daemon was restarted meanwhile."""


class Restarts:
    """One of the second daemons is stopped or killed in turn, and comes back."""

    def __init__(self, daemons):
        self.daemons, self.count, self.last, self.away = daemons, 0, 0.0, None

    def step(self):
        daemon = self.daemons[self.count % len(self.daemons)]
        self.count += 1
        self.away = daemon
        if self.count // len(self.daemons) % 2:
            daemon.stop()
        else:
            daemon.kill()
        daemon.start()
        self.away, self.last = None, time.monotonic()

    def excuse(self, began):
        """True if what began then, and fails now, may fail."""
        return self.away is not None or self.last + QUIET_SECONDS > began


class Load(threading.Thread):
    """STEP again and again until the soak ends, with PAUSE seconds between."""

    def __init__(self, soak, name, step, pause=PAUSE):
        super().__init__(name=name, daemon=True)
        self.soak, self.step, self.pause = soak, step, pause
        self.done = self.disturbed = 0

    def run(self):
        while not self.soak.over.wait(self.pause):
            began = time.monotonic()
            try:
                self.step()
                self.done += 1
            except Disturbed:
                self.disturbed += 1
            except Exception as error:  # a thread's exception would be lost
                if self.soak.restarts.excuse(began):
                    self.disturbed += 1
                    continue
                self.soak.fail(f"{self.name}: {error!r}")
                return


class Soak:
    def __init__(self, stage):
        self.stage, self.over, self.failures = stage, threading.Event(), []
        self.began = time.monotonic()
        self.samples, self.results = [], 0
        self.stack = Stack(stage, domain="example.net", relay_keys={
            "verifier": "limits", "default_user_limit": "100T"}).start()
        stack, redis = self.stack, self.stack.redis
        self.server = stage.run(PretendServer(stage, "ejabberd", [COMPONENT]))
        sections = {COMPONENT: self.server.section(COMPONENT)}
        self.push = [stack.push, stage.pushd("push-2", redis, stack.fake)]
        # The gateway of the stack stays; those of the pretend server are its own.
        self.gateways = [stage.xmppgw(redis, sections, name=f"gateway-{n}") for n in (1, 2)]
        self.server.wait_links(COMPONENT, 2)
        self.restarts = Restarts([stack.relays[1], self.push[1], self.gateways[1]])
        devices = register_many(self.push[0], NODES)
        self.server.register_all([(COMPONENT, node, secret) for node, secret in devices])
        self.watched = {"relay-1": stack.relays[0], "push-1": self.push[0],
                        "gateway-1": self.gateways[0], "redis": redis}
        self.loads = [
            Load(self, "transfers", self.transfer),
            Load(self, "bridges", self.transfer),
            Load(self, "devices", self.device),
            Load(self, "chats", lambda: asyncio.run(self.chat()), 10 * PAUSE),
            Load(self, "rounds of publishes", lambda: self.sample(self.publishes()), 0),
        ]

    def fail(self, why):
        self.failures.append(why)
        tell(f"  failed: {why}")
        self.over.set()

    # ---- the loads ----

    def transfer(self):
        """A file each way between halves at any two relays, compared."""
        name, (first, second) = bs.new_hash(), random.choices(self.stack.relays, k=2)
        data = [os.urandom(int(math.exp(random.uniform(0, math.log(FILE_MOST)))))
                for _ in range(2)]
        about = {**bs.ABOUT, "parties": [
            {"user": f"user{random.randrange(USERS)}@example.org", "domain": "example.org"},
            {"user": "juliet@example.net", "domain": "example.net", "charged": False}]}
        with bs.half(first, name) as here, bs.half(second, name) as there:
            status, answer = bs.activate(first, name, about)
            if status != 200:
                raise Trouble(f"activation: {status} {answer}")
            senders = [bs.Sender(*each) for each in zip((here, there), data)]
            ends = [bs.Receiver(there).result(), bs.Receiver(here).result()]
            for sender in senders:
                sender.result()
        for sent, (count, digest, ended) in zip(data, ends):
            if digest != hashlib.sha256(sent[:count]).hexdigest():
                self.fail(f"wrong bytes in {name}")
            if ended == "end" and count != len(sent):
                self.fail(f"{name} ended whole after {count} of {len(sent)} bytes")
        if [ended for _, _, ended in ends] != ["end", "end"]:
            raise Trouble(f"{name}: {ends}")

    def device(self):
        """One comes, gets a push, and goes: its app has had enough, or its token has died."""
        push = random.choice(self.push)
        device = register(push, FCM)
        outcome = publish(push, item(device))[0]["outcome"]
        if outcome not in ("sent", "queued"):
            raise Trouble(f"a new device's push is {outcome}")
        if random.random() < 0.5:
            push.call("DELETE", f"/v1/devices/{device['node']}")
            return
        script(self.stack.fake, device["token"], 404, "UNREGISTERED", times=1)
        outcome = publish(push, item(device))[0]["outcome"]
        if outcome not in ("gone", "queued", "unavailable"):
            raise Trouble(f"a dead device's push is {outcome}")

    async def chat(self):
        """alice sends bob a file through the proxy."""
        stack, data = self.stack, os.urandom(1 << 20)
        async with stack.client("alice") as sender, stack.client("bob") as receiver:
            await sender["xep_0065"].discover_proxies()
            received, _, _ = await transfer(sender, receiver, data)
        if received.sha.digest() != hashlib.sha256(data).digest():
            raise Trouble("a client got another file than was sent")

    def publishes(self):
        """A round: its report."""
        self.server.load(count=int(RATE * ROUND_SECONDS), rate=RATE, in_flight=150)
        found = self.server.wait_load(ROUND_SECONDS * 10 + 120)
        self.results += found["result"]
        if found["timeout"]:
            self.fail(f"publishes without an answer: {found}")
        return found

    # ---- what is recorded ----

    def sample(self, found):
        row = {"minutes": (time.monotonic() - self.began) / 60,
               "publish p50, ms": found["p50_us"] / 1000, "publish p99, ms": found["p99_us"] / 1000}
        for name, process in self.watched.items():
            row[f"{name} memory, MiB"] = usage.private_bytes(process.pid) / (1 << 20)
            row[f"{name} descriptors"] = len(os.listdir(f"/proc/{process.pid}/fd"))
        row["redis keys"] = self.stack.redis.command("DBSIZE")
        self.samples.append(row)
        if len(self.samples) % 20 == 1:
            tell("  " + ", ".join(f"{name} {value:.4g}" for name, value in row.items()))

    def run(self):
        for one in self.loads:
            one.start()
        end = time.monotonic() + HOURS * 3600
        # In this thread: what a thread has started ends with it.
        while not self.over.wait(min(RESTART_SECONDS, max(0, end - time.monotonic()))):
            if time.monotonic() >= end:
                break
            self.restarts.step()
        self.over.set()
        for one in self.loads:
            one.join(120)
            if one.is_alive():
                self.fail(f"{one.name} hangs")
        self.check()

    def check(self):
        """Nothing is on its way any more, and nothing was lost."""
        empty = lambda: not self.stack.redis.command("KEYS", "og:push:note:*")
        wait_until(empty, what="the queue to drain")
        if self.server.stats()["registrations_lost"]:
            self.fail(f"registrations were lost: {self.server.stats()}")
        accepted = self.stack.fake.stats()["providers"]["apns"]["statuses"].get("200", 0)
        if accepted < self.results:
            self.fail(f"{self.results} publishes were answered well, {accepted} were sent")


# What became of it


def slope(xs, ys):
    """By least squares: (change of y for each unit of x, half of its 95 % interval)."""
    count, x_mean, y_mean = len(xs), statistics.fmean(xs), statistics.fmean(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    if count < 3 or spread == 0:
        return 0.0, math.inf
    rise = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys)) / spread
    rest = sum((y - y_mean - rise * (x - x_mean)) ** 2 for x, y in zip(xs, ys))
    return rise, 1.96 * math.sqrt(rest / (count - 2) / spread)


def slopes(samples):
    """{row: (first, last, slope for each hour, half of its interval)} of what is warm."""
    end = samples[-1]["minutes"]
    warm = [row for row in samples if row["minutes"] >= WARM * end]
    hours = [row["minutes"] / 60 for row in warm]
    found = {}
    for name in warm[0]:
        if name != "minutes":
            values = [row[name] for row in warm]
            found[name] = (values[0], values[-1], *slope(hours, values))
    return found


def compose(soak):
    found = slopes(soak.samples)
    rows = [[name, f"{first:.2f}", f"{last:.2f}", f"{rise:+.3f}", f"{half:.3f}"]
            for name, (first, last, rise, half) in found.items()]
    lines = [f"Soak of {soak.samples[-1]['minutes']:.0f} min, {report.machine()}", "",
             report.table(["", "first", "last", "an hour", "95 %: ±"], rows), "",
             f"{soak.results} publishes answered result, "
             + ", ".join(f"{one.done} {one.name} ({one.disturbed} disturbed)"
                         for one in soak.loads)]
    lines += [f"FAILED: {why}" for why in soak.failures]
    return "\n".join(lines), {"samples": soak.samples, "slopes": found,
                              "failures": soak.failures, "machine": report.machine()}


def plot(samples):
    """soak.svg: memory, descriptors and keys, latency, over the time."""
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder, "soak.csv")
        names = [name for name in samples[0] if name != "minutes"]
        lines = [",".join(f"{row[name]:.4f}" for name in ("minutes", *names)) for row in samples]
        data.write_text("\n".join(lines) + "\n")
        script = ""
        for part, label in (("memory", "MiB"), ("descriptors", "descriptors"), ("publish", "ms")):
            lines = ", ".join(f'"{data}" using 1:{2 + at} with lines title "{name}"'
                              for at, name in enumerate(names) if part in name)
            script += f'set ylabel "{label}"\nplot [] [0:] {lines}\n'
        report.plot("soak", script, PLOT, title=f"{HOURS:g} hours, {RATE} publishes per second")


def main():
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as ends:
        soak = Soak(ends.enter_context(Stage(folder, build=load.BUILD, record=False)))
        tell(f"All run; {HOURS:g} hours from now")
        soak.run()
    text, data = compose(soak)
    tell("\n" + text)
    report.write("soak", text, data)
    plot(soak.samples)
    return 1 if soak.failures else 0


if __name__ == "__main__":
    sys.exit(main())
