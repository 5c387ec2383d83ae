"""make bench-push: pushd beside a bare loop of libcurl's and h2load, which post the same request to
the same pretend providers: notifications per CPU second through pushd's API (1, 16 and 256 with
each call, devices in a real Redis) and by its sender alone, at once and from afar; the whole path
from publish to result, also while strangers shake hands with the public listener; memory at rest
and with many queued; what is lost when pushd or Redis dies.

Environment: ROUNDS (5), SECONDS (2, of each in a round). Figures go to build/bench/push.txt,
push.json and push.svg.
"""

import contextlib
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import namespace  # noqa: E402
import notify  # noqa: E402
import push_distance  # noqa: E402
import push_path  # noqa: E402
import push_report  # noqa: E402
import push_strangers  # noqa: E402
import push_trouble  # noqa: E402
import report  # noqa: E402
from harness import Stage, Trouble, wait_until  # noqa: E402
from push_load import Api  # noqa: E402
from push_runners import Course, keep_apart, tell  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = float(os.environ.get("SECONDS", "2"))
DEVICES = 50000  # of each provider: they are published to in turn, more seldom than `interval`
ROUND_TRIPS_MS = (40, 80)
FAR = ("libcurl", "sender", "api 256")
DEATHS_OF_PUSHD, DEATHS_OF_REDIS = 5, 3


class Bench:
    """What all parts use, and what they found."""

    def __init__(self, stage):
        self.stage = stage
        self.redis, self.fake = stage.redis(), stage.providers()
        self.distance = push_distance.choose(self.fake.url)
        self.found = {"failures": {}, "rates": {}}
        self.devices = {}

    def attempt(self, title, part, *arguments):
        """A part, after which all ends that it started; a failure is noted, the others go on."""
        tell(title)
        began = time.monotonic()
        try:
            with contextlib.ExitStack() as self.ends:
                part(*arguments)
        except (Trouble, OSError) as trouble:
            self.found["failures"][title] = str(trouble).split("\n", 1)[0]
            tell(f"  failed: {trouble}")
        tell(f"  {time.monotonic() - began:.0f} s")

    def start(self, name, **keys):
        push = self.stage.pushd(f"pushd-{name}", self.redis, self.fake, **keys)
        self.ends.callback(push.stop)
        wait_until(lambda: push.call("GET", "/readyz")[0] == 200, what="pushd")
        return push

    def register(self):
        push = self.start("first")
        self.found["memory"] = {"rest_mib": push_trouble.private_mib(push)}
        for provider in (notify.APNS, notify.FCM):
            self.devices[provider] = Api(push).register(provider, DEVICES)

    def mixed(self):
        """Devices of both providers, by turns."""
        return [device for pair in zip(*self.devices.values()) for device in pair]

    def courses(self, push, endpoint):
        keep_apart(push.pid, self.fake.pid, self.redis.pid, os.getpid())
        courses = []
        for devices in self.devices.values():
            courses.append(Course(push, self.fake, devices, endpoint))
            self.ends.callback(courses[-1].close)
        return courses

    def near(self):
        push = self.start("near")
        courses = self.courses(push, self.fake.url)
        rounds = self.found["rates"]["0"] = []
        for number in range(ROUNDS):
            what = f"round {number + 1}"
            rounds.append({course.provider: course.run(what, SECONDS) for course in courses})
        self.found["memory"]["after_mib"] = push_trouble.private_mib(push)

    def far(self):
        """The same, once, with a round trip to the provider."""
        sections = self.fake.provider_sections()
        for section in sections.values():
            section["endpoint"] = self.distance.url
        push = self.start("far", providers=sections, answer_within="20s")
        courses = self.courses(push, self.distance.url)
        if self.distance.pid:
            keep_apart(push.pid, self.distance.pid)
        self.ends.callback(self.distance.close)
        for round_trip in ROUND_TRIPS_MS:
            self.distance.set(round_trip)
            what = f"{round_trip} ms away"
            found = {c.provider: c.run(what, SECONDS, turns=1, names=FAR) for c in courses}
            self.found["rates"][str(round_trip)] = [found]

    def path(self):
        push = self.start("path")
        parts = push_path.Parts(self.stage, self.redis, push, self.fake)
        self.found["path"] = push_path.measure(parts, self.mixed(), ROUNDS, SECONDS)

    def strangers(self, key):
        push = self.start(f"strangers-{key}", **push_strangers.certificate(self.stage.folder, key))
        parts = push_path.Parts(self.stage, self.redis, push, self.fake)
        found = push_strangers.measure(parts, self.mixed(), ROUNDS, SECONDS)
        self.found.setdefault("strangers", {})[key] = found

    def trouble(self, name, work, *more, **keys):
        """A part of push_trouble, with a pushd of its own."""
        push = self.start(name, **keys)
        push_path.on_two_cores(push.pid, self.fake.pid, self.redis.pid, os.getpid())
        self.found[name] = work(push, self.redis, self.fake, self.mixed(), *more)

    def deaths(self, name, work, count):
        self.trouble(name, work, count, **push_trouble.SHORT)


def measure(stage):
    bench = Bench(stage)
    bench.attempt("Registering devices", bench.register)
    bench.attempt("Senders, one after another", bench.near)
    bench.attempt("Senders, with the provider far away", bench.far)
    bench.attempt("The whole path", bench.path)
    for key in push_strangers.KEYS:
        bench.attempt(f"Strangers' handshakes, {key}", bench.strangers, key)
    pushd, redis = push_trouble.deaths_of_pushd, push_trouble.deaths_of_redis
    bench.attempt("pushd dies", bench.deaths, "pushd", pushd, DEATHS_OF_PUSHD)
    bench.attempt("Redis dies", bench.deaths, "redis", redis, DEATHS_OF_REDIS)
    bench.attempt("Many queued", bench.trouble, "queue", push_trouble.queue)
    return bench.found, bench.distance.note


def main():
    namespace.enter()
    with tempfile.TemporaryDirectory() as folder:
        with Stage(folder, build=report.FOLDER.parent, record=False) as stage:
            found, distance = measure(stage)
    settings = {"rounds": ROUNDS, "seconds": SECONDS, "network": namespace.describe()}
    text, data = push_report.compose(found, {**settings, "distance": distance})
    tell("\n" + text)
    report.write("push", text, data)
    push_report.plot(data)


if __name__ == "__main__":
    main()
