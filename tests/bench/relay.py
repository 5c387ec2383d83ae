"""make bench-relay: relayd beside direct TCP and beside other people's relays, one after another in
interleaved rounds, with what each costs. `make bench` calls it.

Environment: ROUNDS (5), SECONDS (2, of each transfer). Figures go to
build/bench/relay.txt, relay.json and relay.svg.
"""

import asyncio
import os
import pathlib
import resource
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import load  # noqa: E402
import namespace  # noqa: E402
import relay_report  # noqa: E402
import report  # noqa: E402
import usage  # noqa: E402
from harness import Daemon, Stage, Trouble  # noqa: E402
from peers import LIMITS, Field, Local, start_relay  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = float(os.environ.get("SECONDS", "2"))
COUNTS = (1, 100)
IDLE_PAIRS, STALLED_PAIRS, NEW_STREAMS = 9000, 100, 10000


def tell(text):
    print(text, flush=True)


def in_turn(peers, number):
    """Each round begins with another one, so that nobody always follows the same."""
    first = number % len(peers)
    return peers[first:] + peers[:first]


class Bench:
    """All peers, and what was measured of each."""

    def __init__(self, field):
        self.field = field
        self.found = {peer.name: {"label": peer.label} for peer in field.peers}

    def attempt(self, peer, what, work):
        """WORK's figures, noted under WHAT for PEER; a failure is noted and told of."""
        notes = self.found[peer.name]
        try:
            figures = work()
        except Trouble as trouble:
            notes.setdefault("failures", []).append(f"{what}: {trouble}")
            tell(f"  {peer.name}: {what} failed: {trouble}")
            return
        notes.setdefault(what, []).append(figures)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        tell(f"  {peer.name}: {what}: {shown}")

    def at_rest(self):
        for process in self.field.stage.processes:
            if isinstance(process, Daemon):
                memory = usage.private_bytes(process.pid)
                self.found[f"{process.program} at rest"] = {"private_mib": memory / (1 << 20)}

    def idle(self):
        for peer in self.field.peers[1:]:
            self.attempt(peer, "idle", lambda: load.idle(peer, peer.idle_pairs))

    def check(self):
        """Every byte of a short transfer compared; it warms everybody up, too."""
        for peer in self.field.peers:
            self.attempt(peer, "checked", lambda: load.transfer(peer, 100, 0.5, "--whole"))

    def transfers(self):
        for number in range(ROUNDS):
            for count in COUNTS:
                tell(f"round {number + 1} of {ROUNDS}, {count} at once")
                for peer in in_turn(self.field.peers, number):
                    work = lambda: {"round": number, **load.transfer(peer, count, SECONDS)}
                    self.attempt(peer, f"transfer {count}", work)

    def limits(self):
        """relayd with limits and without, in many turns: what is looked for is small. Each lasts
        SECONDS, because a stream's leases begin small: half a second shows their growth alone."""
        pair = [peer for peer in self.field.peers if peer.name in ("relayd", "relayd-limits")]
        for number in range(2 * ROUNDS if len(pair) == 2 else 0):
            for count in COUNTS:
                for peer in in_turn(pair, number % 2):
                    work = lambda: {"round": number, **load.transfer(peer, count, SECONDS)}
                    self.attempt(peer, f"turn {count}", work)

    def stalls(self):
        for peer in self.field.peers[1:]:
            self.attempt(peer, "stalled", lambda: load.stall(peer, STALLED_PAIRS))


def crowd(bench, stage):
    """Thousands of idle pairs, and new streams, on relays of their own."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    pairs = min(IDLE_PAIRS, (limit - 1000) // 2)
    redis = bench.field.redis
    for name, label, store, keys in (
        ("crowd-alone", "without Redis", None, {}),
        ("crowd-claims", "claimed in Redis", redis, {"redis_prefix": "claims:"}),
        ("crowd-limits", "with limits", redis, {"redis_prefix": "limits:", **LIMITS}),
    ):
        relay = start_relay(stage, name, store, connection_max=2 * pairs + 400, **keys)
        peer = Local(name, relay)
        bench.found[name] = {"label": label}
        bench.attempt(peer, "idle", lambda: load.idle(peer, pairs))
        for _ in range(ROUNDS):
            bench.attempt(peer, "churn", lambda: load.churn(peer, NEW_STREAMS))
        relay.stop()


def measure(stage, loop):
    tell("Starting everybody")
    field = Field(stage, loop)
    bench = Bench(field)
    for label, reason in field.missing.items():
        tell(f"  without {label}: {reason}")
    bench.at_rest()
    for title, work in (
        ("Checking content", bench.check),
        ("Transfers", bench.transfers),
        ("relayd with limits beside relayd without", bench.limits),
        (f"Stalled receivers, {STALLED_PAIRS} of each", bench.stalls),
        ("Idle pairs", bench.idle),
        ("Idle pairs up to the limit of descriptors, new streams", lambda: crowd(bench, stage)),
    ):
        tell(title)
        work()
    field.close()
    return bench.found, field.missing


def main():
    namespace.enter()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with tempfile.TemporaryDirectory() as folder:
        with Stage(folder, build=load.BUILD, record=False) as stage:
            found, missing = measure(stage, loop)
    settings = {"rounds": ROUNDS, "seconds": SECONDS, "network": namespace.describe()}
    text, data = relay_report.compose(found, missing, settings)
    tell("\n" + text)
    report.write("relay", text, data)
    relay_report.plot(data)


if __name__ == "__main__":
    main()
