"""Torture of relayd: transfers, bridges and limits while its calls fail."""

import contextlib
import hashlib
import os

import pytest

import bytestream as bs
from fleet import SECRET
from harness import Trouble, wait_until
from torture import begin_tortured
from torturer import (
    STEP, Refused, Scenario, call, numbers, torture_each, torture_share, torture_start,
)

KIB = 1 << 10


def end_of(receiver, data, sender=None):
    """
    How a direction ended: "end" or "reset"; the bytes that came are right, and all if "end". SENDER
    uses the same socket: if it was told of a reset, the receiver sees an end.
    """
    count, digest, ended = receiver.result()
    if sender and isinstance(sender.result(), (ConnectionResetError, BrokenPipeError)):
        ended = "reset"
    if ended is None or "timed out" in str(ended):
        raise Trouble(f"a direction hangs after {count} of {len(data)} bytes")
    assert digest == hashlib.sha256(data[:count]).hexdigest(), "wrong bytes"
    assert ended != "end" or count == len(data), f"a file ended after {count} of {len(data)} bytes"
    return ended


class Transfer(Scenario):
    """Two halves, an activation, a file in each direction; OWNER has the first half."""

    sizes = 40 * KIB + 1, 30 * KIB + 7

    def __init__(self, daemon, torture, owner, other):
        super().__init__(daemon, torture)
        self.owner, self.other, self.name = owner, other, None
        self.data = [os.urandom(size) for size in self.sizes]

    def half(self, relay):
        try:
            return bs.half(relay, self.name, timeout=STEP)
        except TimeoutError as hung:
            raise Trouble(f"a handshake with {relay.name} hangs") from hung
        except (OSError, AssertionError) as error:
            raise Refused(f"handshake: {error!r}") from error

    def run(self):
        self.name = bs.new_hash()
        with contextlib.ExitStack() as socks:
            first = socks.enter_context(self.half(self.owner))
            second = socks.enter_context(self.half(self.other))
            call(self.owner, "POST", f"/v1/streams/{self.name}/activate", bs.ABOUT)
            senders = [bs.Sender(*each) for each in zip((first, second), self.data)]
            receivers = [bs.Receiver(second), bs.Receiver(first)]
            endings = [end_of(*each) for each in zip(receivers, self.data, reversed(senders))]
        if endings != ["end", "end"]:
            raise Refused(f"the transfer: {endings}")

    def check(self):
        """Nothing of the stream is left."""
        for relay in {self.owner, self.other}:
            gone = lambda: relay.call("GET", "/v1/streams")[1]["streams"] == []
            wait_until(gone, what=f"the streams of {relay.name} to end")


class LimitReached(Transfer):
    """A user sends more than he may: what he may arrives, then both sides are reset."""

    limit = 70 * KIB
    sizes = 90 * KIB, 0

    def run(self):
        self.account = f"user{next(numbers)}@limited.example"
        about = {**bs.ABOUT, "parties": [
            {"user": self.account, "domain": "limited.example"},
            {"user": "juliet@example.net", "domain": "example.net", "charged": False}]}
        call(self.owner, "PUT", f"/v1/limits/{self.account}", {"user": self.limit})
        self.name = bs.new_hash()
        with contextlib.ExitStack() as socks:
            first = socks.enter_context(self.half(self.owner))
            second = socks.enter_context(self.half(self.other))
            call(self.owner, "POST", f"/v1/streams/{self.name}/activate", about)
            sender = bs.Sender(first, self.data[0])
            receiver = bs.Receiver(second)
            ended = end_of(receiver, self.data[0])
            sender.result()
        arrived = receiver.count
        assert ended != "end", "the limit didn't end the transfer"
        assert arrived <= self.limit, f"{arrived} bytes arrived, {self.limit} were allowed"
        if arrived < self.limit:
            raise Refused(f"{arrived} bytes arrived")

    def check(self):
        super().check()
        path = f"/v1/usage?account={self.account}"
        used = {row["kind"]: row["bytes"] for row in self.owner.call("GET", path)[1]["usage"]}
        assert used.get("user", 0) <= self.limit, used


def relay(stage, redis, name="relay-1"):
    """A relay and its board."""
    keys = {"verifier": "limits", "peer_listen": "127.0.0.1:0", "peer_secret": SECRET}
    return begin_tortured(stage.relayd(name, redis, False, **keys))


def transfer(stage, kind=Transfer):
    one, torture = relay(stage, stage.redis())
    return kind(one, torture, one, one)


def bridge(stage, at_owner):
    """The relay that is tortured owns the stream, or bridges a half to the owner."""
    redis = stage.redis()
    (owner, owners), (other, others) = relay(stage, redis), relay(stage, redis, "relay-2")
    return Transfer(*((owner, owners) if at_owner else (other, others)), owner, other)


SCENARIOS = {
    "transfer": transfer,
    "owner": lambda stage: bridge(stage, True),
    "bridge": lambda stage: bridge(stage, False),
    "limit": lambda stage: transfer(stage, LimitReached),
}


@pytest.mark.matrix
@pytest.mark.parametrize("name", SCENARIOS)
def test_each_point(bare, name):
    torture_each(SCENARIOS[name](bare))


@pytest.mark.matrix
def test_each_point_of_a_start(bare):
    torture_start(SCENARIOS["transfer"](bare))


def test_a_share_of_the_points(bare, drive):
    torture_share([SCENARIOS[drive.random.choice(list(SCENARIOS))](bare)], drive)
