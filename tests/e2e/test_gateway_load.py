"""
A gateway under 1,000 publishes per second of a pretend server, while parts of the whole go away and
come back: every IQ that a living gateway has read is answered, none twice, and no registration is
lost, which the next push of each device shows. And the same on a real Prosody and a real ejabberd,
at the rate that they give.
"""

import asyncio
import http.client
import json
import re
import time

import pytest

from chat import Client
from harness import Stage, wait_until
from notify import APNS, apns_token, claim, got, metric
from pretend import ENDINGS, PretendServer
from stack import SERVERS

COMPONENT = "push.example.org"
PASSWORD = "secret-of-all"
RATE = 1000
IN_FLIGHT = 150
DEVICES = 600
COUNT = 1800
KINDS = ("prosody", "ejabberd")
ANSWERED = "outrigger_xmppgw_iqs_answered_total"


def register_many(push, count):
    """COUNT devices of as many users, over one connection: (node, secret)s."""
    connection = http.client.HTTPConnection(push.address("api"), timeout=120)
    headers = {"Authorization": f"Bearer {push.stage.token}", "Content-Type": "application/json"}
    found = []
    for _ in range(count):
        connection.request("POST", "/v1/devices", json.dumps(claim()), headers)
        answer = connection.getresponse()
        assert answer.status == 200
        told = json.loads(answer.read())
        found.append((told["node"], told["secret"]))
    connection.close()
    return found


class Scene:
    """Redis, providers, a push daemon, one or two gateways and a pretend server with DEVICES."""

    def __init__(self, stage, kind):
        self.stage, self.kind = stage, kind
        # To sync each write would take longer than all else; a killed Redis loses nothing by that.
        self.redis = stage.redis(extra=("--appendfsync", "everysec"))
        self.fake = stage.providers()
        self.push = stage.pushd("push-1", self.redis, self.fake, answer_within="15s")
        self.server = stage.run(PretendServer(stage, kind, [COMPONENT], args=["--kick-old"]))
        self.gateway = self.add_gateway("gateway-1", 1)
        self.other = None
        devices = register_many(self.push, DEVICES)
        self.server.register_all([(COMPONENT, node, secret) for node, secret in devices])
        self.nodes = [node for node, _ in devices]

    def add_gateway(self, name, links):
        components = {COMPONENT: self.server.section(COMPONENT)}
        gateway = self.stage.xmppgw(self.redis, components, name=name, drain_timeout="60s")
        self.server.wait_links(COMPONENT, links)
        gateway.wait_log("backend-found")
        return gateway

    def second(self):
        """The other gateway, started."""
        if self.other is None:
            self.other = self.add_gateway("gateway-2", 2)
        elif not self.other.alive:
            self.other.start()
            self.server.wait_links(COMPONENT, 2)
        return self.other

    def begin(self, count=COUNT, first=None):
        """
        A load begins, and FIRST of it (None: a third) are sent when this returns. A machine that
        is too busy for the rate gets fewer: no more than IN_FLIGHT are unanswered at a time.
        """
        self.server.load(count=count, rate=RATE, in_flight=IN_FLIGHT)
        self.wait_sent(first or count // 3)

    def wait_sent(self, count):
        wait_until(lambda: self.server.load_so_far()["sent"] >= count, what="a part of a load")

    def end(self):
        """Waits for its end, and checks what must hold whatever happened: the report."""
        report = self.server.wait_load()
        assert sum(report[ending] for ending in ENDINGS) == report["sent"]
        assert report["timeout"] == 0, report
        stats = self.server.stats()
        assert set(stats["errors"]) <= {"wait/internal-server-error"}, stats
        assert stats["registrations_lost"] == 0 and stats["unasked"] == 0
        return report

    def check_registrations(self, count=30):
        """The next push of COUNT devices arrives."""
        before = self.pushes()
        for node in self.nodes[:count]:
            told = self.server.publish(node)
            assert told["ending"] == "result", told
        wait_until(lambda: self.pushes() >= before + count, what="the next pushes")

    def pushes(self):
        """How many were accepted by APNs."""
        return self.fake.stats()["providers"]["apns"]["statuses"].get("200", 0)


@pytest.fixture(scope="module", params=KINDS)
def scene(request, tmp_path_factory):
    with Stage(tmp_path_factory.mktemp(request.param), record=False) as stage:
        yield Scene(stage, request.param)


def test_a_load_without_trouble_is_answered_result_each(scene):
    before = scene.pushes()
    scene.begin(DEVICES)
    report = scene.end()
    assert report["result"] == report["sent"] == DEVICES, (report, scene.server.stats())
    assert scene.pushes() == before + DEVICES


def test_the_server_is_restarted(scene):
    scene.begin()
    scene.server.restart_now(down_ms=300)
    scene.server.wait_links(COMPONENT)
    report = scene.end()
    assert report["error"] == 0, "what the restart didn't cut off was answered result"
    scene.check_registrations()


def test_the_gateway_is_killed_and_started_again(scene):
    gateway = scene.gateway
    scene.begin()
    gateway.kill()
    gateway.start()
    scene.server.wait_links(COMPONENT)
    report = scene.end()
    assert report["error"] == 0
    scene.check_registrations()


def test_the_gateway_is_drained(scene):
    """What it has read was pushed and is answered; what it hasn't read was not pushed."""
    gateway, before = scene.gateway, scene.pushes()
    scene.begin(DEVICES)
    gateway.stop()
    gateway.start()
    report = scene.end()
    assert report["error"] == 0
    assert scene.pushes() == before + report["result"]
    scene.check_registrations()


def test_redis_is_restarted(scene):
    scene.begin()
    scene.redis.kill()
    scene.redis.start()
    report = scene.end()
    assert report["lost"] == 0
    scene.check_registrations()


def test_the_push_daemon_is_killed_and_started_again(scene):
    scene.begin()
    scene.push.kill()
    scene.push.start()
    report = scene.end()
    assert report["lost"] == 0
    scene.check_registrations()


def test_the_push_daemon_is_drained(scene):
    scene.begin()
    scene.push.stop()
    scene.push.start()
    report = scene.end()
    assert report["lost"] == 0
    scene.check_registrations()


# Two gateways


@pytest.fixture
def second(scene):
    """A second gateway beside the first."""
    gateway = scene.second()
    yield gateway
    gateway.stop()
    scene.server.wait_links(COMPONENT, 1)


def answered(gateway):
    return metric(gateway, ANSWERED, outcome="result")


@pytest.mark.parametrize("scene", ["ejabberd"], indirect=True)
def test_two_gateways_share_the_load_and_one_of_them_may_go(scene, second):
    first = scene.gateway
    before = answered(first)
    scene.begin(2 * COUNT)
    wait_until(lambda: answered(first) > before and answered(second) > 0, what="both to answer")
    second.kill()
    scene.server.wait_links(COMPONENT, 1)
    between = answered(first)
    report = scene.end()
    assert answered(first) > between
    assert report["error"] == 0 and report["lost"] < report["sent"] // 2
    scene.check_registrations()


@pytest.mark.parametrize("scene", ["ejabberd"], indirect=True)
def test_of_two_gateways_one_is_drained_and_comes_back(scene, second):
    before = scene.pushes()
    scene.begin(DEVICES)
    second.stop()
    second.start()
    scene.server.wait_links(COMPONENT, 2)
    report = scene.end()
    assert report["error"] == 0
    assert scene.pushes() == before + report["result"]
    scene.check_registrations()


# Real servers


USERS = [f"user{number}" for number in range(6)]
EACH = 20  # messages to each of them, at a time


class RealScene:
    """A real server, whose users are offline and have enabled pushes, and gateways."""

    def __init__(self, stage, kind, gateways):
        self.stage, self.kind = stage, kind
        self.server = SERVERS[kind](stage, "example.org", {COMPONENT: "secret"}, name=kind)
        for user in (*USERS, "writer"):
            self.server.add_user(user, PASSWORD)
        stage.run(self.server)
        self.redis, self.fake = stage.redis(), stage.providers()
        self.push = stage.pushd("push-1", self.redis, self.fake, answer_within="15s")
        address = f"127.0.0.1:{self.server.component_port(COMPONENT)}"
        section = {"server": address, "secret": "secret", "role": "push"}
        self.gateways = [
            stage.xmppgw(self.redis, {COMPONENT: section}, name=f"gateway-{n}") for n in gateways
        ]
        for gateway in self.gateways:
            self.wait_up(gateway)
        self.tokens = {user: apns_token() for user in USERS}
        asyncio.run(self.enable_all())

    def wait_up(self, gateway):
        gateway.wait_log("backend-found")
        gateway.wait_log("stream-up")

    async def enable_all(self):
        for user, token in self.tokens.items():
            async with Client(self.server, user, PASSWORD) as phone:
                node = await phone.register_device(COMPONENT, APNS, token)
                await phone.enable_push(COMPONENT, node)

    async def write(self, each, trouble=lambda: None):
        """EACH messages to everybody, with TROUBLE after the first third of them."""
        async with Client(self.server, "writer", PASSWORD) as writer:
            for number in range(each):
                for user in USERS:
                    to = f"{user}@{self.server.domain}"
                    writer.send_message(to, "Are you there?", mtype="chat")
                await asyncio.sleep(0)
                if number == each // 3:
                    trouble()

    def check_registrations(self):
        """One message to each is pushed to each."""
        before = {user: len(got(self.fake, token)) for user, token in self.tokens.items()}
        asyncio.run(self.write(1))
        for user, token in self.tokens.items():
            wait_until(
                lambda: len(got(self.fake, token)) > before[user], what=f"a push for {user}"
            )
        assert not re.search(self.server.gone, self.server.log_text()), "a registration is lost"


@pytest.fixture(params=SERVERS)
def real(request, tmp_path):
    """Two gateways where the server lets them share; Prosody's own gets one."""
    gateways = (1, 2) if request.param == "ejabberd" else (1,)
    with Stage(tmp_path, record=False) as stage:
        yield RealScene(stage, request.param, gateways)


def test_a_real_server_keeps_its_registrations_while_parts_go_away(real):
    def restart(part):
        part.kill()
        part.start()

    def restart_gateway():
        restart(real.gateways[-1])
        real.wait_up(real.gateways[-1])

    def drain_gateway():
        real.gateways[-1].stop()
        real.gateways[-1].start()
        real.wait_up(real.gateways[-1])

    for trouble in (restart_gateway, drain_gateway, lambda: restart(real.redis),
                    lambda: restart(real.push)):
        asyncio.run(real.write(EACH, trouble))
        real.check_registrations()
    if real.kind == "ejabberd":
        assert all(answered(gateway) > 0 for gateway in real.gateways), "both have a share"


# For long


@pytest.mark.matrix
@pytest.mark.parametrize("scene", [*KINDS, "mongooseim", "openfire", "tigase"], indirect=True)
def test_all_of_it_for_a_minute(scene):
    gateway = scene.gateway
    scene.begin(60 * RATE, RATE)
    begun = time.monotonic()
    while scene.server.load_so_far()["sent"] < 50 * RATE and time.monotonic() < begun + 300:
        for part in (gateway, scene.push, scene.redis):
            part.kill()
            part.start()
        scene.server.restart_now(down_ms=100)
        scene.server.wait_links(COMPONENT)
        scene.push.stop()
        scene.push.start()
        gateway.stop()
        gateway.start()
        scene.server.wait_links(COMPONENT)
    scene.server.stop_load()
    report = scene.end()
    print(report)
    assert report["result"] > report["sent"] // 3
    scene.check_registrations()
