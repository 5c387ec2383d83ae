"""Events of relays on their way to users: og:events in a real Redis, a server that plays along."""

import contextlib
import json
import time

import jsonschema
import pytest

from component import ACCEPT, STANZAS, ComponentServer
from harness import ROOT, Trouble, wait_until
from notify import outcome, register, script

RELAY = "proxy.example.org"
STREAM = "og:events"
ALICE, BOB = "alice@example.org/phone", "bob@example.net/desk"
REASON = "Stream closed due to exceeded transfer quota for user bob@example.net"
EXPLANATION = "The transfer quota of bob@example.net is used up."


@pytest.fixture
def server():
    with contextlib.closing(ComponentServer(RELAY)) as it:
        yield it


@pytest.fixture
def redis(stage):
    return stage.redis()


def start(stage, redis, server, over_quota=None, **keys):
    section = {**server.section, "role": "relay"}
    if over_quota:
        section["over-quota"] = over_quota
    return stage.xmppgw(redis, {RELAY: section}, **keys)


def event(**changes):
    members = {"type": "over-limit", "component": RELAY, "requester": ALICE, "target": BOB}
    members.update(reason=REASON, explanation=EXPLANATION, hash="0" * 40, at_ms=1700000000000)
    return json.dumps({**members, **changes})


def add(redis, text):
    """Leaves an event as a relay does; its id."""
    return redis.command("XADD", STREAM, "*", "event", text)


def pending(redis):
    """How many entries were given to a gateway and not acknowledged."""
    return redis.command("XPENDING", STREAM, RELAY)[0]


def has_group(redis):
    return redis.command("EXISTS", STREAM) and redis.command("XINFO", "GROUPS", STREAM)


def untold(redis):
    """How many entries no gateway has taken yet."""
    group = redis.command("XINFO", "GROUPS", STREAM)[0]
    return dict(zip(group[::2], group[1::2]))["lag"]


def settled(redis):
    return untold(redis) == 0 and pending(redis) == 0


def messages(link, event_id, timeout=120):
    """The two messages of an event: {to: (type, from, body, error's type, condition, text)}."""
    found = {}
    for _ in range(2):
        message = link.answer(event_id, timeout)
        assert message.tag == ACCEPT + "message"
        *body, error = message
        assert [element.tag for element in body] in ([], [ACCEPT + "body"])
        condition, text = error
        assert text.tag == STANZAS + "text"
        found[message.get("to")] = (
            message.get("type"),
            message.get("from"),
            body[0].text if body else None,
            error.get("type"),
            condition.tag.removeprefix(STANZAS),
            text.text,
        )
    return found


def told(other, explanation=EXPLANATION, reason=REASON):
    body = f"The file transfer with {other} was stopped before it was complete. {explanation}"
    return ("headline", RELAY, body, "cancel", "not-allowed", reason)


TOLD = {ALICE: told("bob@example.net"), BOB: told("alice@example.org")}


def test_both_parties_are_told_and_the_entry_is_acknowledged(stage, redis, server):
    start(stage, redis, server)
    link = server.accept().log_in()
    event_id = add(redis, event())
    assert messages(link, event_id) == TOLD
    wait_until(lambda: settled(redis), what="the entry to be acknowledged")


def test_what_a_relay_explains_is_not_needed_and_not_believed(stage, redis, server):
    start(stage, redis, server)
    link = server.accept().log_in()
    old = json.loads(event())
    del old["explanation"]  # as a relay of an older release
    event_id = add(redis, json.dumps(old))
    assert messages(link, event_id)[BOB] == told("alice@example.org", REASON)
    event_id = add(redis, event(explanation="<b>&'"))
    assert messages(link, event_id)[BOB] == told("alice@example.org", "<b>&'")


def test_an_operator_may_have_errors_without_a_body(stage, redis, server):
    start(stage, redis, server, over_quota="error")
    link = server.accept().log_in()
    event_id = add(redis, event())
    error = ("error", RELAY, None, "cancel", "not-allowed", REASON)
    assert messages(link, event_id) == {ALICE: error, BOB: error}


def test_what_is_hostile_is_escaped_or_skipped_and_never_ends_the_stream(stage, redis, server):
    gateway = start(stage, redis, server)
    link = server.accept().log_in()
    for text in (
        "",
        "{",
        "[]",
        "\x00\x01",
        event(requester="not a jid@"),
        event(target=None),
        event(reason=17),
        event(reason="x" * 5000),
        event(component=["a"]),
        event(component="other.example.org"),
        event(type="credential"),
    ):
        add(redis, text)
    redis.command("XADD", STREAM, "*", "something", "else")
    reason, resource = "<presence/>]]>&'\" \x01 \U0001f4a5", "it's <a/> & \"b\""
    event_id = add(redis, event(reason=reason, requester=f"Alice@Example.ORG/{resource}"))
    found = messages(link, event_id)
    assert set(found) == {f"alice@example.org/{resource}", BOB}
    assert found[BOB] == told("alice@example.org", reason=reason.replace("\x01", "\ufffd"))
    wait_until(lambda: settled(redis), what="all entries to be acknowledged")
    assert not link.stanzas
    gateway.wait_log("event-malformed", count=10)


def test_an_event_waits_while_the_link_is_down(stage, redis, server):
    gateway = start(stage, redis, server)
    link = server.accept().log_in()
    wait_until(lambda: has_group(redis), what="the group")
    server.close()
    link.close()
    gateway.wait_log("stream-ended")
    event_id = add(redis, event())
    gateway.wait_log("stream-ended .*reason=not-connected")
    assert untold(redis) == 1
    server.listen(server.port)
    link = server.accept().log_in("stream-2")
    assert messages(link, event_id) == TOLD


def test_an_event_waits_for_a_gateway_that_is_restarted(stage, redis, server):
    gateway = start(stage, redis, server)
    link = server.accept().log_in()
    wait_until(lambda: has_group(redis), what="the group")
    assert not link.stanzas and gateway.stop() == 0
    event_id = add(redis, event())
    gateway.start()
    link = server.accept().log_in("stream-2")
    assert messages(link, event_id) == TOLD
    wait_until(lambda: settled(redis), what="the entry to be acknowledged")


def test_what_a_gateway_was_given_before_it_died_it_tells_when_it_is_back(stage, redis, server):
    gateway = start(stage, redis, server, start=False)
    event_id = add(redis, event())
    redis.command("XGROUP", "CREATE", STREAM, RELAY, "0")
    redis.command("XREADGROUP", "GROUP", RELAY, gateway.name, "STREAMS", STREAM, ">")
    assert pending(redis) == 1
    gateway.start()
    link = server.accept().log_in()
    assert messages(link, event_id) == TOLD
    wait_until(lambda: settled(redis), what="the entry to be acknowledged")


def test_what_a_dead_gateway_was_given_another_one_takes_over(stage, redis, server):
    event_ids = [add(redis, event()) for _ in range(40)]
    redis.command("XGROUP", "CREATE", STREAM, RELAY, "0")
    redis.command("XREADGROUP", "GROUP", RELAY, "dead", "STREAMS", STREAM, ">")
    redis.command("XCLAIM", STREAM, RELAY, "dead", 0, *event_ids, "IDLE", 31000)
    start(stage, redis, server)
    link = server.accept().log_in()
    for event_id in event_ids:
        assert messages(link, event_id) == TOLD
    wait_until(lambda: settled(redis), what="the entries to be acknowledged")


def test_what_a_living_gateway_was_just_given_stays_its_own(stage, redis, server):
    add(redis, event())
    redis.command("XGROUP", "CREATE", STREAM, RELAY, "0")
    redis.command("XREADGROUP", "GROUP", RELAY, "other", "STREAMS", STREAM, ">")
    start(stage, redis, server)
    link = server.accept().log_in()
    event_id = add(redis, event())
    assert messages(link, event_id) == TOLD
    wait_until(lambda: pending(redis) == 1, what="the entry to be acknowledged")
    assert not link.stanzas


def test_of_two_gateways_each_event_is_told_by_one(stage, redis, server):
    with contextlib.closing(ComponentServer(RELAY)) as other:
        start(stage, redis, server, name="gateway-1")
        start(stage, redis, other, name="gateway-2")
        links = [server.accept().log_in(), other.accept().log_in()]
        event_ids = [add(redis, event()) for _ in range(60)]
        wait_until(lambda: has_group(redis) and settled(redis), what="all to be acknowledged")
        for link in links:
            while link.read(0.2):
                pass
        told = [stanza.get("id") for link in links for stanza in link.stanzas]
        assert sorted(told) == sorted(event_ids * 2)


NOTICE = "The certificate of the push provider apns-main expires on 2027-01-31."


def notice(**changes):
    members = {"type": "credential-expiry", "provider": "apns-main", "days": 7, "text": NOTICE}
    members.update(expires_ms=1801353600000, at_ms=int(time.time() * 1000))
    return json.dumps({**members, **changes})


def bodies(link, timeout=0.2):
    """The messages that have come: {to: body}."""
    while link.read(timeout):
        pass
    return {m.get("to"): m.findtext(ACCEPT + "body") for m in link.stanzas}


def test_a_component_that_is_only_for_pushes_tells_no_parties(stage, redis, server):
    with contextlib.closing(ComponentServer("push.example.org")) as push:
        components = {
            RELAY: {**server.section, "role": "relay"},
            push.domain: {**push.section, "role": "push"},
        }
        stage.xmppgw(redis, components)
        link, push_link = server.accept().log_in(), push.accept().log_in()
        assert messages(link, add(redis, event()))
        assert bodies(push_link) == {}


def test_each_admin_is_told_once_by_the_push_component_that_is_next(stage, redis, server):
    """Of its own server if there is one, else the first; never by a relay's."""
    with contextlib.closing(ComponentServer("push.example.net")) as first, contextlib.closing(
        ComponentServer("push.example.org")
    ) as second:
        admins = "root@example.org, boss@example.com, one@xexample.net"
        relay_admins = {"admins": f"relays@example.org, {admins}"}
        components = {RELAY: {**server.section, "role": "relay", **relay_admins}}
        for push in (first, second):
            components[push.domain] = {**push.section, "role": "push", "admins": admins}
        stage.xmppgw(redis, components)
        links = [one.accept().log_in() for one in (server, first, second)]
        add(redis, notice())
        found = wait_until(lambda: [all_of for all_of in [[bodies(link) for link in links]]
                                    if sum(map(len, all_of)) == 3])
        assert found == [[
            {},
            {"boss@example.com": NOTICE, "one@xexample.net": NOTICE},
            {"root@example.org": NOTICE},
        ]]


def test_an_old_notice_is_no_news(stage, redis, server):
    week_ms = 7 * 86400 * 1000
    old = notice(at_ms=int(time.time() * 1000) - week_ms - 1000)
    section = {**server.section, "role": "push", "admins": "root@example.org"}
    gateway = stage.xmppgw(redis, {RELAY: section})
    link = server.accept().log_in()
    add(redis, old)
    add(redis, notice(text="This is new."))
    gateway.wait_log("event-told")
    assert wait_until(lambda: bodies(link)) == {"root@example.org": "This is new."}


def test_the_server_is_told_of_devices_that_are_gone_where_that_is_configured(stage, redis):
    fake = stage.providers()
    with contextlib.closing(ComponentServer("push.example.org")) as tigase, contextlib.closing(
        ComponentServer("push.example.net")
    ) as other:
        push = stage.pushd("push-1", redis, fake)
        components = {
            tigase.domain: {**tigase.section, "role": "push", "remote_disable": "yes"},
            other.domain: {**other.section, "role": "push"},
        }
        stage.xmppgw(redis, components)
        link, silent = tigase.accept().log_in(), other.accept().log_in()
        wait_until(lambda: redis.command("EXISTS", "og:push:gone"), what="the group")
        nodes = []
        for component in (other.domain, tigase.domain, tigase.domain):
            device = register(push, component=component)
            nodes.append(device["node"])
            assert push.call("DELETE", f"/v1/devices/{device['node']}")[0] == 204
        dead = register(push, component=tigase.domain, owner="romeo@example.org")
        script(fake, dead["token"], 410, "Unregistered", timestamp=4102444800000)
        assert outcome(push, dead) == "gone"
        for node, owner in (*((node, None) for node in nodes[1:]), (dead["node"], dead["owner"])):
            message = link.wait(lambda: link.take(lambda e: e.tag == ACCEPT + "message"))
            (pubsub,) = message
            (affiliation,) = pubsub
            assert pubsub.tag == "{http://jabber.org/protocol/pubsub}pubsub"
            assert (message.get("from"), pubsub.get("node")) == (tigase.domain, node)
            assert affiliation.get("affiliation") == "none"
            assert affiliation.get("jid") == message.get("to")
            assert owner in (None, message.get("to"))
        entries = redis.command("XRANGE", "og:push:gone", "-", "+")
        for _, fields in entries:
            schema = json.loads((ROOT / "schemas/pushd/gone.json").read_text())
            jsonschema.validate(json.loads(fields[1]), schema)
        assert len(entries) == 4 and not silent.stanzas


def test_events_are_read_again_when_redis_was_emptied_or_away(stage, redis, server):
    gateway = start(stage, redis, server)
    link = server.accept().log_in()
    assert messages(link, add(redis, event()))
    redis.command("FLUSHALL")
    gateway.wait_log("events-failed .*NOGROUP")
    assert messages(link, add(redis, event()))
    redis.kill()
    gateway.wait_log("redis-away")
    redis.start()
    assert messages(link, add(redis, event()), timeout=120)
    with pytest.raises(Trouble):
        link.wait(lambda: link.stanzas or None, timeout=1)
