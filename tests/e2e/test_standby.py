"""Gateways with standby = yes: one of them at a time holds the link to a real Prosody."""

import contextlib
import re
import signal
import time

import pytest

import demo
from component import ComponentServer
from demo import apns_token
from harness import wait_until
from servers import Prosody
from stack import APNS
from test_events import ALICE, BOB, add, event, has_group, messages
from test_xmppgw import PING, new_id

DOMAIN, PUSH, RELAY = "example.org", "push.example.org", "proxy.example.org"
TAKEOVER_S = 5  # what is promised after kill -9
AFTER_DRAIN_S = 1


class Prosodys(Prosody):
    """With the conflict rule of the test."""

    def __init__(self, stage, rule):
        self.rule = rule
        super().__init__(stage, DOMAIN, {PUSH: "the-secret"})

    def write_config(self):
        super().write_config()
        text = self.config.read_text()
        assert '"kick_old"' in text
        self.config.write_text(text.replace('"kick_old"', f'"{self.rule}"'))


class Pair:
    """Prosody and two gateways, which may have different Redis servers or prefixes."""

    def __init__(self, stage, rule="kick_old", redis=None, others=None, **keys):
        self.stage = stage
        self.domain, self.user1, self.user2, self.password = DOMAIN, "alice", "bob", "password"
        self.push_jid = PUSH
        self.redis = redis or stage.redis()
        self.server = Prosodys(stage, rule)
        for user in (self.user1, self.user2):
            self.server.add_user(user, self.password)
        stage.run(self.server)
        section = {"server": f"127.0.0.1:{self.server.component_port(PUSH)}"}
        section.update(secret="the-secret", role="push", standby="yes")
        self.one = stage.xmppgw(self.redis, {PUSH: section}, name="gateway-1", **keys)
        self.one.wait_log("stream-up")
        self.two = stage.xmppgw(
            others or self.redis, {PUSH: section}, name="gateway-2", **keys
        )

    def client(self, user, resource="phone"):
        from chat import Client

        return Client(self.server, user, self.password, resource)

    async def pings(self, count=1):
        async with self.client(self.user1) as client:
            for _ in range(count):
                await client.query("get", PUSH, PING)


def ups(gateway):
    return len(re.findall("stream-up", gateway.log_text()))


def link_count(pair):
    return ups(pair.one) + ups(pair.two)


def ready(gateway):
    return gateway.call("GET", "/readyz")[0] == 200


def covered(pair):
    """Until the second gateway has seen that the first has the lease."""
    wait_until(lambda: ready(pair.two), what="the second gateway to be ready")
    assert ups(pair.two) == 0


def lease(redis, domain=PUSH):
    return redis.command("HGET", f"og:standby:{domain}", "holder").split()[0]


def test_a_push_is_answered_before_and_after_a_kill_and_a_drain(stage, run):
    pair = Pair(stage)
    fake = pair.fake = stage.providers()
    stage.pushd("push-1", pair.redis, fake)
    for gateway in (pair.one, pair.two):
        gateway.wait_log("backend-found kind=push")
    covered(pair)
    token = apns_token()

    async def enable():
        async with pair.client(pair.user2) as phone:
            node = await phone.register_device(PUSH, APNS, token)
            await phone.enable_push(PUSH, node)

    async def write():
        async with pair.client(pair.user1) as writer:
            writer.send_message(f"{pair.user2}@{DOMAIN}", "Are you there?", mtype="chat")
        await demo.pushes_for(pair, [token])
        fake.reset()

    run(enable())
    run(write())
    pair.one.kill()
    killed = time.monotonic()
    pair.two.wait_log("stream-up")
    print(f"takeover after kill -9: {time.monotonic() - killed:.2f} s")
    run(write())
    pair.one.start()
    wait_until(lambda: ready(pair.one))
    assert ups(pair.one) == 0 and lease(pair.redis) == "gateway-2"
    assert pair.two.stop() == 0
    drained = time.monotonic()
    pair.one.wait_log("stream-up")
    print(f"takeover after a drain: {time.monotonic() - drained:.2f} s")
    run(write())
    assert not re.search(pair.server.gone, pair.server.log_text())


def test_a_redis_that_is_full_keeps_the_lease(stage, run):
    pair = Pair(stage)
    covered(pair)
    pair.redis.command("CONFIG", "SET", "maxmemory", "1")
    pair.one.wait_log("storage-full")
    # The other one might be the first to see that nobody has the lease.
    pair.two.popen.send_signal(signal.SIGSTOP)
    pair.redis.command("DEL", f"og:standby:{PUSH}")
    wait_until(lambda: pair.redis.command("EXISTS", f"og:standby:{PUSH}"), what="the lease")
    pair.two.popen.send_signal(signal.SIGCONT)
    run(pair.pings())
    assert link_count(pair) == 1


@pytest.mark.parametrize("rule", ["kick_old", "kick_new"])
def test_while_redis_is_away_the_holder_keeps_the_link(stage, run, rule):
    pair = Pair(stage, rule)
    covered(pair)
    pair.redis.kill()
    for gateway in (pair.one, pair.two):
        gateway.wait_log("redis-away")
    wait_until(lambda: not ready(pair.two), what="the other to know that it can't take over")
    run(pair.pings())
    pair.redis.start()
    wait_until(lambda: ready(pair.two), what="the lease to be seen again")
    assert lease(pair.redis) == "gateway-1"
    run(pair.pings())
    assert link_count(pair) == 1, "nobody has taken over"


def test_the_holder_connects_again_while_redis_is_away(stage, run):
    pair = Pair(stage)
    covered(pair)
    pair.redis.kill()
    for gateway in (pair.one, pair.two):
        gateway.wait_log("redis-away")
    pair.server.stop()
    pair.one.wait_log("stream-ended .*not-connected")
    pair.server.start()
    pair.one.wait_log("stream-up", count=2)
    run(pair.pings())
    pair.redis.start()
    wait_until(lambda: ready(pair.two), what="the lease to be seen again")
    assert lease(pair.redis) == "gateway-1" and ups(pair.two) == 0


def test_when_the_server_is_back_one_of_both_has_the_link(stage, run):
    pair = Pair(stage)
    covered(pair)
    pair.server.stop()
    pair.one.wait_log("stream-ended .*not-connected")
    pair.server.start()
    wait_until(lambda: link_count(pair) == 2, what="one to be linked")
    run(pair.pings())
    wait_until(lambda: ready(pair.one) and ready(pair.two), what="the other to stand by")
    assert link_count(pair) == 2


def test_a_holder_that_slept_gives_way(stage, run):
    pair = Pair(stage)
    covered(pair)
    pair.one.popen.send_signal(signal.SIGSTOP)
    pair.two.wait_log("stream-up")
    pair.one.popen.send_signal(signal.SIGCONT)
    pair.one.wait_log("stream-ended .*reason=conflict")
    wait_until(lambda: ready(pair.one), what="the first to stand by")
    run(pair.pings())
    assert link_count(pair) == 2 and lease(pair.redis) == "gateway-2"
    pair.two.kill()
    pair.one.wait_log("stream-up", count=2)
    run(pair.pings())


@pytest.mark.parametrize("rule", ["kick_old", "kick_new"])
def test_of_two_that_both_have_a_lease_one_gives_way_for_good(stage, run, rule):
    """Each has a Redis of its own, so none sees the other's lease."""
    pair = Pair(stage, rule, others=stage.redis(name="redis-2"), log_level="debug")
    loser = pair.one if rule == "kick_old" else pair.two
    loser.wait_log("stream-ended .*reason=conflict")
    if rule == "kick_old":
        pair.two.wait_log("stream-up")
        loser.wait_log("lease-useless")
        assert not ready(loser)
    links = link_count(pair)
    if rule == "kick_new":  # its next attempt is refused, too, and disturbs nobody
        loser.wait_log("stream-state .*from=authenticating to=standby", count=2)
    for _ in range(5):
        run(pair.pings(20))
    assert link_count(pair) == links == (2 if rule == "kick_old" else 1)


def test_an_event_is_told_by_the_gateway_that_has_the_link(stage):
    """Redis gives an event to whoever asks for it, and only the holder asks."""
    redis = stage.redis()
    with contextlib.closing(ComponentServer(RELAY)) as server:
        section = {**server.section, "role": "relay", "standby": "yes"}
        one, two = (
            stage.xmppgw(redis, {RELAY: section}, name=f"gateway-{number}", start=number == 1)
            for number in (1, 2)
        )
        link = server.accept().log_in()
        two.start()
        wait_until(lambda: ready(two) and has_group(redis), what="both to be settled")
        for _ in range(20):
            assert set(messages(link, add(redis, event()))) == {ALICE, BOB}
        assert "event-told" not in two.log_text()
        one.kill()
        link = server.accept().log_in("stream-2")
        for _ in range(20):
            assert set(messages(link, add(redis, event()))) == {ALICE, BOB}
        assert link.ask(new_id(), "get", PING).get("type") == "result"
        two.wait_log("event-told", count=20)


def test_another_that_takes_the_lease_is_given_the_link(stage):
    """A server that knows no conflict: the holder sees by the lease alone that it isn't one."""
    redis = stage.redis()
    with contextlib.closing(ComponentServer(RELAY)) as server:
        section = {**server.section, "role": "relay", "standby": "yes"}
        gateway = stage.xmppgw(redis, {RELAY: section})
        link = server.accept().log_in()
        gateway.wait_log("stream-up")

        def steal(life_ms):
            seconds, rest = redis.command("TIME")
            ends = int(seconds) * 1000 + int(rest) // 1000 + life_ms
            redis.command("HSET", f"og:standby:{RELAY}", "holder", "other 1", "ends", ends)

        end = time.monotonic() + 60
        while not link.closed and time.monotonic() < end:
            steal(2900)
            link.read(0.5)
        assert link.closed and link.bytes.endswith(b"</stream:stream>")
        gateway.wait_log("lease-lost .*holder=other")
        link.close()
        server.accept().log_in("stream-2")


def test_standby_needs_redis(stage):
    section = {"server": "127.0.0.1:1", "secret": "s", "role": "relay", "standby": "yes"}
    relays = {"relay-1": {"control": "http://127.0.0.1:9", "advertise": "192.0.2.1:1080"}}
    gateway = stage.xmppgw(None, {RELAY: section}, relays=relays, start=False)
    gateway.clean = (1,)
    for option in ((), ("-n",)):
        gateway.argv += option
        gateway.start(wait=False)
        assert gateway.wait_exit() == 1
        assert f"component {RELAY}: standby needs redis" in gateway.log_text()
