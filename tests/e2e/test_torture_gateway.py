"""Torture of xmppgw: its link, activations and publishes while its calls fail."""

import contextlib
import hashlib
import os
import signal
import time

import pytest

import bytestream as bs
from component import ComponentServer, error_of, iq
from harness import Trouble, wait_until
from notify import COMPONENT, DOMAIN
from test_torture_push import Pushes, push
from test_torture_relay import Transfer, relay
from test_xmppgw import PING, RELAY, TROUBLE, activate, publish
from torture import begin_tortured
from torturer import (
    STEP, Refused, Scenario, numbers, torture_each, torture_share, torture_start,
)


class Link(Scenario):
    """The link of SERVER, which is lost and returns."""

    def __init__(self, daemon, torture, server):
        super().__init__(daemon, torture)
        self.server = server
        self.link = server.accept().log_in()

    def ask(self, kind, payload, sender="alice@example.org/phone"):
        """Its reply; Refused if the link is lost before."""
        name = f"i{next(numbers)}"
        try:
            self.link.send(iq(name, kind, payload, sender, self.server.domain))
            return self.link.answer(name)
        except (Trouble, OSError) as trouble:
            if not self.link.closed and isinstance(trouble, Trouble):
                raise
            self.link.closed = True
            raise Refused(f"the link: {trouble}") from trouble

    def hasten(self):
        """Has the gateway connect at once, whatever its back-off: by another secret."""
        self.server.secret = f"the secret number {next(numbers)}"
        name = f"component {self.server.domain}"
        section = {**self.daemon.sections[name], **self.server.section}
        self.daemon.configure({**self.daemon.sections, name: section})
        if self.daemon.alive:
            os.kill(self.daemon.pid, signal.SIGHUP)

    def accept(self, timeout):
        """Its next connection; Refused if it has ended."""
        end = time.monotonic() + timeout
        while self.daemon.alive:
            with contextlib.suppress(Trouble):
                return self.server.accept(min(timeout, 1))
            if time.monotonic() > end:
                raise Trouble(f"{self.daemon.name} didn't connect within {timeout} s")
        raise Refused(f"{self.daemon.name} has ended")

    def relink(self, timeout=STEP):
        """Loses the link and has the gateway log in again; Refused if that fails."""
        self.link.close()
        self.link.closed = True
        self.hasten()
        link = self.accept(timeout)
        try:
            self.link = link.log_in()
        except (Trouble, OSError, AssertionError) as trouble:  # it may have had the old secret
            link.close()
            raise Refused(f"log in: {trouble}") from trouble

    def served(self):
        if not self.link.closed:
            self.link.read(0)
        if self.link.closed and self.daemon.alive:
            with contextlib.suppress(Refused, Trouble):
                self.relink(2)
        return not self.link.closed and super().served()

    def run(self):
        self.relink()
        assert self.ask("get", PING).get("type") == "result"


class Publish(Link):
    """A server publishes, and the notification arrives."""

    def __init__(self, daemon, torture, server, pushes):
        super().__init__(daemon, torture, server)
        self.pushes = pushes

    def run(self):
        number = next(numbers)
        field = "<field var='message-count'><value>{}</value></field>"
        payload = publish(self.pushes.device["node"]).replace("<field", field.format(number) +
                                                              "<field", 1)
        error = error_of(self.ask("set", payload, DOMAIN))
        assert error is None or error[:2] == TROUBLE, f"a registration may be lost by {error}"
        if error is not None:
            raise Refused(error)
        wait_until(lambda: self.pushes.arrived(number), STEP, "an acknowledged notification")


class Activate(Link):
    """A client activates its transfer."""

    def __init__(self, daemon, torture, server, transfer):
        super().__init__(daemon, torture, server)
        self.transfer = transfer

    def run(self):
        requester, target = "alice@example.org/x", "bob@example.org/x"
        sid = f"s{next(numbers)}"
        self.transfer.name = hashlib.sha1(f"{sid}{requester}{target}".encode()).hexdigest()
        relay = self.transfer.owner
        with self.transfer.half(relay) as one, self.transfer.half(relay) as other:
            error = error_of(self.ask("set", activate(sid, target), requester))
            if error is not None:
                raise Refused(error)
            one.sendall(b"data")
            assert bs.exactly(other, 4) == b"data"


def gateway(stage, redis, domain, role):
    """A gateway, its board, and the server that it is linked to."""
    server = ComponentServer(domain)
    section = {**server.section, "role": role}
    return *begin_tortured(stage.xmppgw(redis, {domain: section}, start=False)), server


def link(stage):
    return Link(*gateway(stage, stage.redis(), RELAY, "relay"))


def activation(stage):
    redis = stage.redis()
    one, torture = relay(stage, redis)
    transfer = Transfer(one, torture, one, one)
    return Activate(*gateway(stage, redis, RELAY, "relay"), transfer)


def publication(stage):
    redis = stage.redis()
    pushes = Pushes(*push(stage, redis))
    return Publish(*gateway(stage, redis, COMPONENT, "push"), pushes)


SCENARIOS = {"link": link, "activation": activation, "publish": publication}


@pytest.mark.matrix
@pytest.mark.parametrize("name", SCENARIOS)
def test_each_point(bare, name):
    torture_each(SCENARIOS[name](bare))


@pytest.mark.matrix
def test_each_point_of_a_start(bare):
    torture_start(SCENARIOS["link"](bare))


def test_a_share_of_the_points(bare, drive):
    torture_share([SCENARIOS[drive.random.choice(list(SCENARIOS))](bare)], drive)
