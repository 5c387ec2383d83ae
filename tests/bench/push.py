"""make bench-push: pushd beside a bare loop of libcurl's that posts the same request to the same
pretend providers: notifications per CPU second through pushd's API (arrays, several calls in
flight, devices in a real Redis) and by its sender alone, and pushd's memory at rest.

Environment: ROUNDS (5), SECONDS (2, of each in a round). Figures go to build/bench/push.txt and
push.json.
"""

import dataclasses
import http.client
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import namespace  # noqa: E402
import notify  # noqa: E402
import report  # noqa: E402
import usage  # noqa: E402
from harness import Stage, Trouble, wait_until  # noqa: E402
from report import Samples, Target  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = float(os.environ.get("SECONDS", "2"))
TURNS = 4  # of each in a round: what else the machine does then hits all alike
ARRAY, CALLS, DEVICES = 256, 16, 2048
DEADLINE_MS = 30000
PATIENCE_S = 60
SUMMARY = {"count": 1, "sender": "juliet@example.org/balcony"}
SUMMARY["body"] = "Wherefore art thou, Romeo? Deny thy father and refuse thy name."
PACKAGES = ["libcurl4", "libnghttp2-14", "libssl3", "libmicrohttpd12", "redis-server"]
# What a provider allows on one connection, and pushd keeps full.
STREAMS = {notify.APNS: 1000, notify.FCM: 100}
LABELS = {notify.APNS: "APNs", notify.FCM: "FCM"}


CORES = sorted(os.sched_getaffinity(0))


def tell(text):
    print(text, flush=True)


def keep_apart(measured, *others):
    """The process that is measured gets a core of its own, if there is more than one."""
    if len(CORES) > 1:
        os.sched_setaffinity(measured, CORES[:1])
        for pid in others:
            os.sched_setaffinity(pid, CORES[1:])


@dataclasses.dataclass
class Turn:
    """How many were sent, in how much CPU time and time."""

    sent: int = 0
    cpu: float = 0.0
    wall: float = 0.0

    def add(self, other):
        self.sent, self.cpu, self.wall = (
            self.sent + other.sent,
            self.cpu + other.cpu,
            self.wall + other.wall,
        )

    def rates(self):
        return {"per_cpu_second": self.sent / self.cpu, "per_second": self.sent / self.wall}


class Api:
    """pushd's API: CALLS threads, each with a call of ARRAY notifications always in flight."""

    def __init__(self, push, provider):
        self.pid, self.token, self.address = push.pid, push.stage.token, push.address("api")
        self.devices = [self.claim(provider) for _ in range(DEVICES)]
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_S)
        for device in self.devices:
            device.update(json.loads(self.post(connection, "/v1/devices", json.dumps(device))))
        items = [notify.item(device, summary=SUMMARY) for device in self.devices]
        self.item = items[0]
        self.bodies = [self.compose(items[at : at + ARRAY]) for at in range(0, DEVICES, ARRAY)]
        connection.close()

    @staticmethod
    def claim(provider):
        return notify.claim(provider)

    @staticmethod
    def compose(items):
        return json.dumps({"deadline_ms": DEADLINE_MS, "notifications": items})

    def post(self, connection, path, body):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Trouble(f"pushd answered {answer.status} to {path}: {text[:200]}")
        return text

    def publish_one(self):
        """One notification alone, so that the provider shows what it looks like."""
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_S)
        self.post(connection, "/v1/notifications", self.compose([self.item]))
        connection.close()

    def call_until(self, end, bodies, counts):
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE_S)
        while time.monotonic() < end:
            began = time.monotonic()
            answer = self.post(connection, "/v1/notifications", next(bodies))
            counts.append((answer.count(b'"sent"'), time.monotonic() - began))
        connection.close()

    def load(self, seconds):
        """Calls for SECONDS: [(how many were sent, how long it took)]."""
        bodies, counts = itertools.cycle(self.bodies), []
        arguments = (time.monotonic() + seconds, bodies, counts)
        threads = [threading.Thread(target=self.call_until, args=arguments) for _ in range(CALLS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return counts

    def run(self, seconds):
        before, began = usage.cpu_seconds(self.pid), time.monotonic()
        counts = self.load(seconds)
        cpu, wall = usage.cpu_seconds(self.pid) - before, time.monotonic() - began
        sent = sum(count for count, _ in counts)
        if sent != ARRAY * len(counts):
            raise Trouble(f"only {sent} of {ARRAY * len(counts)} were sent")
        return Turn(sent, cpu, wall)


class Program:
    """One of our two programs that send by themselves; it waits for a line between turns."""

    def __init__(self, stage, program, **options):
        self.argv = [str(stage.binary(f"bench/{program}"))]
        for name, value in options.items():
            self.argv += [f"--{name.replace('_', '-')}", str(value)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self.argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        keep_apart(self.process.pid)
        self.hear("ready")

    def run(self, seconds):
        before = usage.cpu_seconds(self.process.pid)
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        figures = dict(word.split("=") for word in self.hear("sent=").split())
        cpu = usage.cpu_seconds(self.process.pid) - before
        if int(figures["refused"]):
            raise Trouble(f"{self.argv[0]}: {figures['refused']} were refused")
        return Turn(int(figures["sent"]), cpu, float(figures["seconds"]))

    def hear(self, start):
        guard = threading.Timer(PATIENCE_S, self.process.kill)
        guard.start()
        line = self.process.stdout.readline()
        guard.cancel()
        if not line.startswith(start):
            why = self.process.stderr.read().strip() or "ended or hung"
            raise Trouble(f"{self.argv[0]}: {why}")
        return line

    def close(self):
        self.process.kill()
        self.process.communicate()


def write_request(fake, api, path):
    """The request as pushd has just made it, as a pattern for a device's token and an id."""
    sent = fake.received()[-1]
    token = next(d["token"] for d in api.devices if d["node"] == api.item["node"])
    body = json.dumps(sent["body"], ensure_ascii=False, separators=(",", ":"))
    headers = dict(sent["headers"])
    if len(body.encode()) != int(headers.pop("content-length")):
        raise Trouble("the provider shows another body than the one that was sent")
    headers.pop("user-agent", None)
    if "apns-id" in headers:
        headers["apns-id"] = "@ID@"
    lines = [fake.url + sent["path"], *(f"{name}: {text}" for name, text in headers.items())]
    path.write_text("\n".join([*lines, "", body, ""]).replace(token, "@TOKEN@"))


class Course:
    """Those who send to one provider, to be run one after another."""

    def __init__(self, stage, push, fake, provider):
        self.provider, self.fake = provider, fake
        folder = stage.folder / provider
        folder.mkdir()
        api = Api(push, provider)
        api.publish_one()
        write_request(fake, api, folder / "request")
        (folder / "tokens").write_text("".join(d["token"] + "\n" for d in api.devices))
        (folder / "notification").write_text(json.dumps(api.item))
        tokens = folder / "tokens"
        bare = {"request": folder / "request", "ca": fake.ca, "in_flight": STREAMS[provider]}
        alone = {"config": push.config, "provider": provider}
        alone.update(notification=folder / "notification", in_flight=2 * STREAMS[provider])
        self.runners = {
            "libcurl": Program(stage, "push_libcurl", tokens=tokens, **bare),
            "sender": Program(stage, "push_sender", tokens=tokens, **alone),
            "api": api,
        }

    def run(self, number):
        """One round: rates by runner."""
        turns = {name: Turn() for name in self.runners}
        for _ in range(TURNS):
            for name, runner in self.runners.items():
                self.fake.reset()
                turns[name].add(runner.run(SECONDS / TURNS))
        found = {name: turn.rates() for name, turn in turns.items()}
        for name, rates in found.items():
            text = ", ".join(f"{key} {value:.0f}" for key, value in rates.items())
            tell(f"  round {number + 1}, {LABELS[self.provider]}, {name}: {text}")
        return found

    def close(self):
        for runner in self.runners.values():
            if isinstance(runner, Program):
                runner.close()


def measure(stage):
    """What was found: pushd's memory at rest, and for each provider its rounds."""
    redis, fake = stage.redis(), stage.providers()
    push = stage.pushd("pushd", redis, fake)
    wait_until(lambda: push.call("GET", "/readyz")[0] == 200, what="pushd")
    found = {"memory_mib": usage.private_bytes(push.pid) / (1 << 20)}
    keep_apart(push.pid, fake.pid, redis.pid, os.getpid())
    courses = {provider: Course(stage, push, fake, provider) for provider in LABELS}
    found["rounds"] = [
        {provider: course.run(number) for provider, course in courses.items()}
        for number in range(ROUNDS)
    ]
    for course in courses.values():
        course.close()
    found["memory_after_mib"] = usage.private_bytes(push.pid) / (1 << 20)
    return found


def samples(found, provider, runner, base=None, figure="per_cpu_second"):
    """A runner's figure in each round, or in parts of BASE's in the same one."""
    rounds = [round[provider] for round in found["rounds"]]
    return Samples(
        round[runner][figure] / (round[base][figure] if base else 1) for round in rounds
    )


def rows(found):
    titles = {
        "libcurl": "bare libcurl loop",
        "sender": "pushd's sender alone",
        "api": f"pushd through its API, {CALLS} calls of {ARRAY}",
    }
    for provider, label in LABELS.items():
        for runner, title in titles.items():
            ratio = samples(found, provider, runner, "libcurl").text()
            yield [
                f"{label}, {title}",
                samples(found, provider, runner).text(0),
                "" if runner == "libcurl" else ratio,
                samples(found, provider, runner, figure="per_second").text(0),
            ]


def targets(found):
    for provider, label in LABELS.items():
        share = samples(found, provider, "sender", "libcurl").median
        yield Target(f"{label}: sender alone, of bare libcurl", share, 0.9)
        rate = samples(found, provider, "api").median
        yield Target(f"{label}: through the API, per CPU second", rate, 12000, digits=0)
    memory = found["memory_mib"]
    yield Target("pushd at rest: private memory", memory, 6, "MiB", most=True)


NOTES = """\
Median (least-most) of the rounds; a ratio is of the same round. CPU time is that of the process
alone, from /proc/PID/stat: pushd's with API, devices and sender, or the loop's; it has a core of
its own, the provider, Redis and the load have the rest. All send the same request over one HTTP/2
connection, with as many at once as the provider allows (APNs 1000, FCM 100); the bare loop finds
it made. Memory: private, from smaps_rollup, before the first call ({after:.1f} MiB at the end)."""


def main():
    namespace.enter()
    with tempfile.TemporaryDirectory() as folder:
        with Stage(folder, build=report.FOLDER.parent, record=False) as stage:
            found = measure(stage)
    goals = list(targets(found))
    head = ["who", "per CPU second", "of libcurl", "per second"]
    title = f"{report.machine()}\n{ROUNDS} rounds of {SECONDS:g} s each, in {TURNS} turns"
    parts = [title, report.table(head, rows(found)), report.targets_table(goals)]
    text = "\n\n".join([*parts, NOTES.format(after=found["memory_after_mib"])])
    tell("\n" + text)
    data = {"machine": report.machine(), "rounds": ROUNDS, "seconds": SECONDS, "found": found}
    data.update(versions=report.versions(PACKAGES), targets=[goal.record() for goal in goals])
    report.write("push", text, data)


if __name__ == "__main__":
    main()
