"""What waits, and what happens to it: pushd's memory while thousands of notifications are queued,
and what is lost or comes twice when pushd or Redis dies under load.

Lost means: answered `sent` or `queued`, and never come to the provider. Each notification goes to
another device, so that none is merged into another.
"""

import json
import random
import re
import time

import usage
from harness import Trouble, wait_until
from push_load import OUTCOMES, Api, item
from push_path import delivered
from push_runners import tell

QUEUED = (1000, 100000)
ARRAY, CALLS = 16, 48  # of the load in which somebody dies
PER_DEATH = 8000
MIB = 1 << 20
PATIENCE_S = 90
MARK = re.compile(r"mark-(\d+)-")
PROMISED = (b"sent", b"queued")
# One of a hundred is refused for now, one comes late: there is always something to be stored.
FAULTS = [
    {"match": {"share": 0.01, "seed": 1}, "answer": {"status": 503}},
    {"match": {"share": 0.01, "seed": 2}, "answer": {"delay_ms": 1500}},
]
SHORT = {"answer_within": "200ms", "lease": "10s"}


def private_mib(push):
    return usage.private_bytes(push.pid) / MIB


def redis_mib(redis):
    return int(re.search(r"used_memory:(\d+)", redis.command("INFO", "memory")).group(1)) / MIB


def stored(redis):
    """How many notifications wait, of all providers."""
    found = redis.command("HVALS", "og:push:stored")
    return sum(map(int, found))


def drained(redis):
    """Waits until nothing is stored; what doesn't go then counts as lost, as it hasn't come."""
    try:
        wait_until(lambda: stored(redis) == 0, PATIENCE_S)
    except Trouble as trouble:
        tell(f"  {stored(redis)} are still queued: {trouble}")


def publish_all(api, items, each, calls):
    """Publishes ITEMS; how many had which outcome."""
    requests = (api.publish(items[at : at + each]) for at in range(0, len(items), each))
    counts = {}
    for _, body, _ in api.exchange(((request, None) for request in requests), calls):
        for outcome in OUTCOMES.findall(body or b""):
            counts[outcome.decode()] = counts.get(outcome.decode(), 0) + 1
    return counts


def queue(push, redis, fake, devices):
    """Memory with nothing queued, with some and with many while the provider is away; then the
    provider is back, and all is to be sent."""
    fake.stop()
    try:
        found = {"queued": fill(push, redis, devices)}
    finally:
        fake.start()
    sent = send_all(redis, fake, found["queued"][-1]["queued"])
    found["sent"] = {**sent, "mib": private_mib(push)}
    tell(f"  provider back: {found['sent']}")
    return found


def fill(push, redis, devices):
    """Memory with so and so many queued, as rows."""
    empty_mib = redis_mib(redis)
    rows = [{"queued": 0, "mib": private_mib(push), "redis_mib": 0.0}]
    api, done = Api(push), 0
    for count in QUEUED:
        items = [item(device) for device in devices[done:count]]
        began = time.monotonic()
        outcomes = publish_all(api, items, 256, 16)
        took, done = time.monotonic() - began, count
        row = {"queued": stored(redis), "mib": private_mib(push), "outcomes": outcomes}
        row.update(redis_mib=redis_mib(redis) - empty_mib, seconds=took)
        rows.append(row)
        tell(f"  queued: {row}")
        if row["queued"] == 0:
            raise Trouble(f"nothing was queued: {outcomes}")
    return rows


def send_all(redis, fake, count):
    """Until all that waits has gone: how long it took, once the first had come."""
    wait_until(lambda: delivered(fake) > 0, PATIENCE_S, "the provider to be used again")
    began = time.monotonic()
    drained(redis)
    took, there = time.monotonic() - began, delivered(fake)
    return {"seconds": took, "lost": max(count - there, 0), "twice": max(there - count, 0)}


class Campaign:
    """Load on PUSH, in which KILL is called now and then."""

    def __init__(self, push, redis, fake, devices):
        self.push, self.redis, self.fake, self.devices = push, redis, fake, devices
        self.outcomes = {}  # by mark; None: no answer came
        self.marks = iter(range(len(devices)))
        self.random = random.Random(4)

    def requests(self, count, api):
        for _ in range(0, count, ARRAY):
            marks = [mark for _, mark in zip(range(ARRAY), self.marks)]
            items = [item(self.devices[m], body=f"mark-{m}-") for m in marks]
            if items:
                yield api.publish(items), marks

    def load(self, count, kill):
        """Publishes COUNT; somewhere on the way KILL is called."""
        api = Api(self.push)
        moment, at = self.random.uniform(0.1, 0.9) * count, 0
        for marks, body, _ in api.exchange(self.requests(count, api), CALLS):
            outcomes = OUTCOMES.findall(body) if body else [None] * len(marks)
            self.outcomes.update(zip(marks, outcomes))
            if at <= moment < at + ARRAY:
                kill()
            at += ARRAY

    def run(self, deaths, kill, revive):
        """What became of all, after so many deaths."""
        self.fake.reset()
        self.fake.script(*FAULTS)
        for _ in range(deaths):
            self.load(PER_DEATH, kill)
            revive()
        drained(self.redis)
        receipts = self.receipts()
        promised = [mark for mark, outcome in self.outcomes.items() if outcome in PROMISED]
        found = {"deaths": deaths, "published": len(self.outcomes), "promised": len(promised)}
        found["queued"] = sum(outcome == b"queued" for outcome in self.outcomes.values())
        found["lost"] = sum(mark not in receipts for mark in promised)
        found["twice"] = sum(count - 1 for count in receipts.values())
        sent = (mark for mark, outcome in self.outcomes.items() if outcome == b"sent")
        found["sent_twice"] = sum(receipts.get(mark, 0) > 1 for mark in sent)
        found["unanswered"] = sum(outcome is None for outcome in self.outcomes.values())
        return found

    def receipts(self):
        """How often each has come to the provider and was taken, by its mark."""
        counts, first = {}, 0
        while page := self.fake.control("GET", f"/received?from={first}&limit=10000"):
            for request in page:
                mark = MARK.search(json.dumps(request["body"]))
                if mark and request["answered"] == 200:
                    counts[int(mark.group(1))] = counts.get(int(mark.group(1)), 0) + 1
            first = page[-1]["n"] + 1
        return counts


def deaths_of_pushd(push, redis, fake, devices, count):
    found = Campaign(push, redis, fake, devices).run(count, push.kill, push.start)
    tell(f"  kill -9 of pushd: {found}")
    return found


def deaths_of_redis(push, redis, fake, devices, count):
    """Redis with appendfsync always; it is back at once."""

    def kill():
        redis.kill()
        redis.start()

    def ready():
        return push.call("GET", "/readyz")[0] == 200

    found = Campaign(push, redis, fake, devices).run(count, kill, lambda: wait_until(ready))
    tell(f"  kill -9 of Redis: {found}")
    return found
