"""Those who send to the pretend providers: pushd through its API, its sender alone, a bare loop of
libcurl's and h2load, each run for a while, one after another, on a core of its own.
"""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import threading
import time

import notify
import usage
from harness import Trouble
from push_load import Publisher, item

PATIENCE_S = 60
TURNS = 4  # of each in a round: what else the machine does then hits all alike
TOKENS = 2048  # that those without devices send to
EACH = (256, 16, 1)  # notifications with one call
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
        self.sent += other.sent
        self.cpu += other.cpu
        self.wall += other.wall

    def rates(self):
        per_cpu_second = self.sent / self.cpu if self.cpu else 0.0
        return {"per_cpu_second": per_cpu_second, "per_second": self.sent / self.wall}


class Calls:
    """pushd's API, so many notifications with each call; PUBLISHER is shared."""

    def __init__(self, publisher, each):
        self.publisher, self.each = publisher, each

    def run(self, seconds):
        before, began = usage.cpu_seconds(self.publisher.pid), time.monotonic()
        outcomes, _ = self.publisher.run(seconds, self.each)
        cpu, wall = usage.cpu_seconds(self.publisher.pid) - before, time.monotonic() - began
        if set(outcomes) != {"sent"}:
            raise Trouble(f"not all were sent: {outcomes}")
        return Turn(outcomes["sent"], cpu, wall)

    def close(self):
        pass


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


class H2load:
    """nghttp2's load generator: what HTTP/2 costs without libcurl. Starts anew for each turn."""

    def __init__(self, request, tokens, folder, in_flight):
        url, *headers = request.split("\n\n", 1)[0].split("\n")
        body = request.split("\n\n", 1)[1].rstrip("\n")
        uris, data = folder / "uris", folder / "data"
        uris.write_text("".join(url.replace("@TOKEN@", token) + "\n" for token in tokens))
        data.write_text(body.replace("@TOKEN@", tokens[0]))
        self.argv = ["h2load", "-c1", f"-m{in_flight}", f"-d{data}", f"-i{uris}"]
        for header in headers:
            self.argv.append("-H" + header.replace("@ID@", "00000000-0000-4000-8000-000000000000"))

    def run(self, seconds):
        began, before = time.monotonic(), os.times()
        done = subprocess.run(
            [*self.argv, f"-D{seconds * 1000:.0f}ms"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            preexec_fn=lambda: keep_apart(0),
        )
        wall, after = time.monotonic() - began, os.times()
        found = re.search(r"requests: (\d+) total(?s:.*)status codes: (\d+) 2xx", done.stdout)
        if not found or found.group(1) != found.group(2):
            raise Trouble(f"h2load: {(done.stdout + done.stderr)[-600:]}")
        children = (time.children_user + time.children_system for time in (after, before))
        return Turn(int(found.group(1)), next(children) - next(children), wall)

    def close(self):
        pass


def write_request(fake, endpoint, token, path):
    """The request as pushd has just made it, as a pattern for a device's token and an id."""
    sent = fake.received()[-1]
    body = json.dumps(sent["body"], ensure_ascii=False, separators=(",", ":"))
    headers = dict(sent["headers"])
    if len(body.encode()) != int(headers.pop("content-length")):
        raise Trouble("the provider shows another body than the one that was sent")
    headers.pop("user-agent", None)
    if "apns-id" in headers:
        headers["apns-id"] = "@ID@"
    lines = [endpoint + sent["path"], *(f"{name}: {text}" for name, text in headers.items())]
    path.write_text("\n".join([*lines, "", body, ""]).replace(token, "@TOKEN@"))


class Course:
    """Those who send to one provider at ENDPOINT, to be run one after another."""

    def __init__(self, push, fake, devices, endpoint):
        self.provider, self.fake = devices[0].provider, fake
        self.folder = push.folder / self.provider
        self.folder.mkdir()
        self.publisher = Publisher(push, devices)
        fake.reset()
        outcomes = self.publisher.api.outcomes(self.publisher.some(1))
        if outcomes != [b"sent"]:
            raise Trouble(f"the first notification: {outcomes}")
        write_request(fake, endpoint, devices[0].token, self.folder / "request")
        tokens = [device.token for device in devices[:TOKENS]]
        (self.folder / "tokens").write_text("".join(token + "\n" for token in tokens))
        (self.folder / "notification").write_bytes(item(devices[0]))
        self.runners = self.programs(push, fake, tokens)
        for each in EACH:
            self.runners[f"api {each}"] = Calls(self.publisher, each)

    def programs(self, push, fake, tokens):
        in_flight, path = STREAMS[self.provider], self.folder / "request"
        bare = {"request": path, "ca": fake.ca, "in_flight": in_flight}
        alone = {"config": push.config, "provider": self.provider, "in_flight": 2 * in_flight}
        alone["notification"] = self.folder / "notification"
        found = {}
        if shutil.which("h2load"):
            found["h2load"] = H2load(path.read_text(), tokens, self.folder, in_flight)
        tokens = self.folder / "tokens"
        found["libcurl"] = Program(push.stage, "push_libcurl", tokens=tokens, **bare)
        found["sender"] = Program(push.stage, "push_sender", tokens=tokens, **alone)
        return found

    def run(self, what, seconds, turns=TURNS, names=None):
        """One round of all (or those of NAMES): rates by runner."""
        runners = {name: self.runners[name] for name in names or self.runners}
        total = {name: Turn() for name in runners}
        for _ in range(turns):
            for name, runner in runners.items():
                self.fake.reset()
                total[name].add(runner.run(seconds / turns))
        found = {name: turn.rates() for name, turn in total.items()}
        for name, rates in found.items():
            text = ", ".join(f"{key} {value:.0f}" for key, value in rates.items())
            tell(f"  {what}, {LABELS[self.provider]}, {name}: {text}")
        return found

    def close(self):
        for runner in self.runners.values():
            runner.close()
