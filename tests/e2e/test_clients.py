"""Clients of people (tests/clients) send each other files on both servers: what they show."""

import hashlib
import itertools
import os
import re
import signal
import subprocess

import pytest

from harness import ROOT, Process, Stage, wait_until
from stack import Stack

MIB = 1024 * 1024
BUILD = os.environ.get("OG_BUILD", str(ROOT / "build"))
LIMIT = 24 * MIB
KEYS = {"verifier": "limits", "transfer_update_quantization": "64k"}

numbers = itertools.count()
matrix = pytest.mark.matrix
PAIRS = [
    pytest.param("purple", "qxmpp"),
    pytest.param("qxmpp", "purple"),
    pytest.param("purple", "purple", marks=matrix),
    pytest.param("qxmpp", "qxmpp", marks=matrix),
]


@pytest.fixture(scope="module")
def programs():
    """Their folder. They need libraries that nothing else needs, so `make all` leaves them out."""
    subprocess.run(
        ["make", "--no-print-directory", f"BUILD={BUILD}", "client-programs"], cwd=ROOT, check=True
    )
    return f"{BUILD}/clients"


@pytest.fixture(scope="module", params=["prosody", pytest.param("ejabberd", marks=matrix)])
def stack(request, tmp_path_factory):
    with Stage(tmp_path_factory.mktemp(request.param)) as stage:
        keys = {"charge": "both"}
        yield Stack(stage, request.param, relay_keys=KEYS, component_keys=keys).start()


@pytest.fixture(autouse=True)
def limits(stack):
    """Sets the limit of a user until the end of the test."""
    accounts = []

    def put(account, **bytes_of):
        assert stack.relays[0].call("PUT", f"/v1/limits/{account}", bytes_of)[0] == 200
        accounts.append(account)

    for key in stack.redis.command("KEYS", "og:usage:*"):
        stack.redis.command("DEL", key)
    yield put
    for account in accounts:
        stack.relays[0].call("DELETE", f"/v1/limits/{account}")


class Person(Process):
    """A user with one of the programs."""

    ready = "^online$"
    clean = (0, -15)

    def __init__(self, stack, programs, kind, user, number):
        super().__init__(stack.stage, f"{kind}-{user}-{number}", [])
        self.bare = f"{user}@{stack.domain}"
        self.jid = f"{self.bare}/{kind}"
        self.files, self.commands = self.folder / "files", self.folder / "commands"
        self.files.mkdir()
        os.mkfifo(self.commands)
        server = stack.server
        self.argv = [f"{programs}/{kind}", self.jid, stack.password, server.host, server.c2s_port,
                     stack.relay_jid, self.files, self.commands]

    def tell(self, command):
        with open(self.commands, "w") as commands:
            commands.write(command + "\n")

    def send(self, other, path):
        self.tell(f"send {other.jid} {path}")

    def ended(self, direction, name):
        """The outcome of a transfer as its user sees it."""
        return self.wait_log(rf"^ended {direction} {name} (\w+)$").group(1)

    def shown(self, pattern):
        return self.wait_log(f"^shown .*{pattern}")


@pytest.fixture
def people(stack, programs):
    """Logs in alice and bob with programs of two kinds; they are gone after the test."""
    here = []

    def come(one, two):
        for kind, user in ((one, stack.user1), (two, stack.user2)):
            here.append(stack.stage.run(Person(stack, programs, kind, user, next(numbers))))
        return here

    yield come
    for person in here:
        if person.alive:
            person.stop()


@pytest.fixture
def file_of(tmp_path):
    def make(size, name=None):
        path = tmp_path / (name or f"file-{size}")
        with open(path, "wb") as out:
            for _ in range(size // MIB):
                out.write(os.urandom(MIB))
            out.write(os.urandom(size % MIB))
        return path

    return make


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def streams(stack):
    return [
        (relay, stream)
        for relay in stack.relays
        for stream in relay.call("GET", "/v1/streams")[1]["streams"]
    ]


def relayed(stack):
    return sum(sum(row["bytes"]) for row in stack.transfers())


@pytest.mark.parametrize("one, two", PAIRS)
@pytest.mark.parametrize("size", [1, 64 * MIB])
def test_a_file_arrives(stack, people, file_of, one, two, size):
    alice, bob = people(one, two)
    path, before = file_of(size), relayed(stack)
    alice.send(bob, path)
    assert alice.ended("sent", path.name) == "complete"
    assert bob.ended("received", path.name) == "complete"
    assert digest(bob.files / path.name) == digest(path)
    wait_until(lambda: relayed(stack) - before == size, what="the relay's record")


@matrix
@pytest.mark.parametrize("one, two", PAIRS)
def test_two_files_at_once_one_each_way(stack, people, file_of, one, two):
    alice, bob = people(one, two)
    there, back = file_of(16 * MIB, "there"), file_of(16 * MIB, "back")
    alice.send(bob, there)
    bob.send(alice, back)
    for sender, receiver, path in ((alice, bob, there), (bob, alice, back)):
        assert sender.ended("sent", path.name) == "complete"
        assert receiver.ended("received", path.name) == "complete"
        assert digest(receiver.files / path.name) == digest(path)


@matrix
@pytest.mark.parametrize("canceller", ["sender", "receiver"])
@pytest.mark.parametrize("one, two", PAIRS)
def test_one_that_cancels_is_seen_by_the_other(stack, people, tmp_path, one, two, canceller):
    alice, bob = people(one, two)
    path = tmp_path / "large"
    with open(path, "wb") as out:
        out.truncate(1024 * MIB)  # takes no room, and is never sent whole
    alice.send(bob, path)
    wait_until(lambda: [s for _, s in streams(stack) if s["state"] == "active"], what="bytes")
    stopped, acting = (bob, alice) if canceller == "sender" else (alice, bob)
    os.kill(stopped.pid, signal.SIGSTOP)
    acting.tell("cancel")
    os.kill(stopped.pid, signal.SIGCONT)
    assert alice.ended("sent", path.name) in ("failed", "cancelled")
    assert bob.ended("received", path.name) in ("failed", "cancelled")
    wait_until(lambda: not streams(stack), what="the relay to be empty")


@pytest.mark.parametrize("one, two", PAIRS)
@pytest.mark.parametrize("whose", ["sender", pytest.param("receiver", marks=matrix)])
def test_a_limit_in_the_middle_is_a_failure_with_its_reason(
    stack, people, file_of, limits, one, two, whose
):
    alice, bob = people(one, two)
    owner = alice if whose == "sender" else bob
    limits(owner.bare, user=LIMIT)
    path, before = file_of(64 * MIB), relayed(stack)
    alice.send(bob, path)
    assert bob.ended("received", path.name) == "failed"
    assert alice.ended("sent", path.name) == "failed"
    why = f"was stopped before it was complete. The transfer quota of {owner.bare}, 24 MB a month"
    for person, other in ((alice, bob), (bob, alice)):
        person.shown(re.escape(f"The file transfer with {other.bare} {why}"))
    wait_until(lambda: relayed(stack) - before == LIMIT, what="the relay's record")


@pytest.mark.parametrize("one, two", PAIRS)
@pytest.mark.parametrize("size", [1, pytest.param(64 * MIB, marks=matrix)])
def test_a_limit_at_the_start_is_a_failure_with_its_reason(
    stack, people, file_of, limits, one, two, size
):
    alice, bob = people(one, two)
    limits(alice.bare, user=-1)
    path = file_of(size)
    alice.send(bob, path)
    assert bob.ended("received", path.name) == "failed"
    alice.shown(re.escape(f"The file transfer with {bob.bare} was not allowed. "
                          f"File transfers are not allowed for {alice.bare}."))
    wait_until(lambda: not streams(stack), what="the relay to be empty")
    outcome = alice.ended("sent", path.name)
    # libpurple doesn't wait for the answer to its activation, so a byte has left it by then.
    assert outcome == "failed" or (one, size) == ("purple", 1)
