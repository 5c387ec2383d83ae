"""One gateway, relays and push daemons on different Redis servers, and its own on a third."""

import contextlib
import hashlib

from bytestream import half
from component import ComponentServer, error_of
from demo import apns_token
from harness import wait_until
from test_events import BOB, NOTICE, add, bodies, event, messages, notice
from test_xmppgw import APNS, BYTESTREAMS, activate, command, fields_of, new_id, publish

RELAY, PUSH, DOMAIN = "proxy.example.org", "push.example.org", "example.org"
ALICE = "alice@example.org/phone"


def test_relays_and_push_daemons_are_found_each_in_their_own(stage):
    relays, pushes = (stage.redis(name=name) for name in ("redis-relay", "redis-push"))
    own = stage.redis(name="redis-own")
    fake = stage.providers()
    relay = stage.relayd("relay-1", relays, advertise="192.0.2.1:1080")
    stage.pushd("push-1", pushes, fake)
    with contextlib.ExitStack() as closing:
        proxy, push = (
            closing.enter_context(contextlib.closing(ComponentServer(domain)))
            for domain in (RELAY, PUSH)
        )
        gateway = stage.xmppgw(
            own,
            {
                RELAY: {**proxy.section, "role": "relay"},
                PUSH: {**push.section, "role": "push", "admins": "root@example.org"},
            },
            relay_redis=relays.url,
            push_redis=pushes.url,
        )
        proxy_link, push_link = proxy.accept().log_in(), push.accept().log_in()
        for kind in ("relay", "push"):
            gateway.wait_log(f"backend-found kind={kind}")
        check_transfer(proxy_link, relay)
        check_push(push_link)
        check_events(relays, pushes, proxy_link, push_link)
    assert own.command("KEYS", "*") == []


def check_transfer(link, relay):
    """The relay is offered, and the owner of a stream is found."""
    answer = link.ask(new_id(), "get", f"<query xmlns='{BYTESTREAMS}'/>")
    assert [host.get("host") for host in answer[0]] == ["192.0.2.1"]
    sid = new_id()
    name = hashlib.sha1(f"{sid}{ALICE}{BOB}".encode()).hexdigest()
    halves = [half(relay, name) for _ in range(2)]
    assert error_of(link.ask(new_id(), "set", activate(sid, BOB), sender=ALICE)) is None
    halves[0].sendall(b"data")
    assert halves[1].recv(4) == b"data"


def check_push(link):
    fields = command("register-device", provider=APNS, device_token=apns_token())
    node = fields_of(link.ask(new_id(), "set", fields))["node"][1][0]
    assert error_of(link.ask(new_id(), "set", publish(node), sender=DOMAIN)) is None


def check_events(relays, pushes, proxy_link, push_link):
    """The events of both are told."""
    assert set(messages(proxy_link, add(relays, event()))) == {ALICE, BOB}
    add(pushes, notice())
    assert wait_until(lambda: bodies(push_link)) == {"root@example.org": NOTICE}


def test_a_redis_of_their_own_needs_one_of_the_gateways(stage):
    section = {"server": "127.0.0.1:1", "secret": "s", "role": "relay"}
    relays = {"relay-1": {"control": "http://127.0.0.1:9", "advertise": "192.0.2.1:1080"}}
    gateway = stage.xmppgw(None, {RELAY: section}, relays=relays, start=False,
                           push_redis="redis://127.0.0.1:1")
    gateway.clean = (1,)
    gateway.start(wait=False)
    assert gateway.wait_exit() == 1
    assert "push-redis needs redis, which is none" in gateway.log_text()
