"""One run of relay_load, step by step, with readings of what the relay uses in between."""

import contextlib
import os
import pathlib
import re
import subprocess
import threading
import time

import namespace
import usage
from harness import ROOT, Trouble

BUILD = pathlib.Path(os.environ.get("OG_BUILD", ROOT / "build")).resolve()
PATIENCE_S = 120
FIRST_PAIRS = 100
GIB = 1 << 30


class Load:
    """relay_load, which stops at each line that it says."""

    def __init__(self, *options):
        argv = [BUILD / "bench/relay_load", "--steps", *namespace.load_options(), *options]
        self.process = subprocess.Popen(
            list(map(str, argv)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.guard = threading.Timer(PATIENCE_S, self.process.kill)
        self.guard.start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.guard.cancel()
        self.process.kill()
        self.process.communicate()

    def say(self, text=""):
        try:
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the next step tells why

    def step(self):
        """Its next line: the numbers in it by name."""
        line = self.process.stdout.readline()
        if not line:
            error = self.process.stderr.read().strip()
            raise Trouble(error.replace("\n", "; ") or "relay_load ended or hung")
        return {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", line)}


def start(peer, work, streams, *options):
    """A run whose pairs are open and active, but have not moved anything."""
    load = Load("--work", work, "--streams", streams, *peer.route(), *options)
    try:
        hashes = peer.plan(streams)
        if hashes:
            load.say("\n".join(hashes))
        load.step()
        peer.activate()
    except BaseException:
        load.__exit__()
        raise
    return load


class Meter:
    """CPU time that passes: the relay's, the load's, and what others take of the machine."""

    def __init__(self, peer):
        self.peer = peer
        self.began = self.read()

    def read(self):
        ours = usage.cpu_seconds(os.getpid())  # the load and all peers descend from us
        return [self.peer.cpu_seconds(), ours, *usage.machine_cpu_seconds()]

    def figures(self, gib):
        relay, ours, busy, capacity = (b - a for a, b in zip(self.began, self.read()))
        return {
            "cpu_s_per_gib": relay / gib,
            "load_cpu_s_per_gib": (ours - relay) / gib,
            "others_share": max((busy - ours) / capacity, 0),
        }


def transfer(peer, streams, seconds, *options):
    """Speed, CPU time for each GiB, memory in the middle of it, and how disturbed it was."""
    with start(peer, "transfer", streams, "--seconds", seconds, *options) as load:
        meter = Meter(peer)
        load.say()
        time.sleep(seconds / 2)
        memory = peer.private_bytes()
        result = load.step()
        return {**result, **meter.figures(result["gib"]), "memory_mib": memory / (1 << 20)}


@contextlib.contextmanager
def holding(peer, pairs):
    """While it lasts there are so many pairs, which have all passed a byte each way."""
    with start(peer, "idle", pairs) as load:
        load.say()
        load.step()
        yield


def idle(peer, pairs, seconds=3):
    """Bytes of memory for each idle pair, CPU time while all idle, pipes that pairs hold then."""
    with holding(peer, FIRST_PAIRS):
        memory = peer.private_bytes()  # with what the first ones cost once and for all
        with holding(peer, pairs):
            time.sleep(0.5)
            cpu = peer.cpu_seconds()
            time.sleep(seconds)
            figures = {"pairs": pairs, "cpu_s": peer.cpu_seconds() - cpu, "seconds": seconds}
            figures["bytes_per_pair"] = (peer.private_bytes() - memory) / pairs
            if hasattr(peer, "pipes_lent"):
                figures["pipes"] = peer.pipes_lent()
            return figures


def stall(peer, pairs):
    """Memory of the relay for each pair whose receiver doesn't read; all is read in the end."""
    memory = peer.private_bytes()
    with start(peer, "stall", pairs) as load:
        load.say()
        stalled = load.step()["stalled_gib"]
        grown = peer.private_bytes() - memory
        load.say()
        load.step()
        return {
            "pairs": pairs,
            "bytes_per_pair": grown / pairs,
            "mib_on_the_way_per_pair": stalled * 1024 / pairs,
        }


def churn(peer, streams):
    """New streams (two handshakes and an activation each), by wall time and by CPU time."""
    with Load("--work", "churn", "--streams", streams, *peer.route()) as load:
        load.step()
        before = peer.cpu_seconds()
        load.say()
        result = load.step()
        cpu = peer.cpu_seconds() - before
        return {"per_second": result["per_second"], "per_cpu_second": streams / cpu}
