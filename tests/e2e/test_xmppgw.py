"""xmppgw with a server that misbehaves byte by byte, and with the real daemons behind it."""

import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import time

import pytest

import bytestream as bs
from component import ComponentServer, error_of, iq
from demo import apns_token, fcm_token
from harness import Stage, Trouble, wait_until

PUSH, RELAY, DOMAIN = "push.example.org", "proxy.example.org", "example.org"
APNS, FCM = "apns-binary-api", "fcm-xmpp-api"
PING = "<ping xmlns='urn:xmpp:ping'/>"
TROUBLE = ("wait", "internal-server-error")
GONE = ("cancel", "item-not-found")
BYTESTREAMS = "http://jabber.org/protocol/bytestreams"
DATA = "{jabber:x:data}"
COMMANDS = "{http://jabber.org/protocol/commands}"
ids = itertools.count(1)


def new_id():
    return f"i{next(ids)}"


def publish(node, body="Hello", secret=None):
    options = (
        "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='secret'>"
        f"<value>{secret}</value></field></x></publish-options>"
        if secret
        else ""
    )
    return (
        f"<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'><item>"
        "<notification xmlns='urn:xmpp:push:0'><x xmlns='jabber:x:data' type='submit'>"
        f"<field var='last-message-body'><value>{body}</value></field></x></notification>"
        f"</item></publish>{options}</pubsub>"
    )


def command(node, **fields):
    form = "".join(
        f"<field var='{key.replace('_', '-')}'><value>{value}</value></field>"
        for key, value in fields.items()
    )
    return (
        f"<command xmlns='http://jabber.org/protocol/commands' node='{node}'>"
        f"<x xmlns='jabber:x:data' type='submit'>{form}</x></command>"
    )


# The configuration, read again


ADMIN = "root@example.org"
COMMAND_LIST = (
    "<query xmlns='http://jabber.org/protocol/disco#items' "
    "node='http://jabber.org/protocol/commands'/>"
)


def reload(gateway, components):
    """SIGHUP with these sections of components instead."""
    sections = {"daemon": gateway.sections["daemon"]}
    sections.update({f"component {domain}": keys for domain, keys in components.items()})
    sections.update({k: v for k, v in gateway.sections.items() if k.startswith("relay ")})
    gateway.configure(sections)
    times = gateway.log_text().count("config-reloaded")
    os.kill(gateway.pid, signal.SIGHUP)
    gateway.wait_log("config-reloaded", count=times + 1)
    assert "config-needs-restart" not in gateway.log_text()


def may_run_commands(link, jid, to):
    return error_of(link.ask(new_id(), "get", COMMAND_LIST, jid, to)) is None


def test_an_administrator_counts_only_on_the_link_that_names_him(stage, server):
    with contextlib.closing(ComponentServer("proxy.other.example")) as other:
        start(stage, server, other, component_keys={RELAY: {"admins": ADMIN}})
        link, theirs = server.accept().log_in(), other.accept().log_in()
        assert may_run_commands(link, f"{ADMIN}/desk", RELAY)
        assert not may_run_commands(theirs, f"{ADMIN}/desk", other.domain)
        refused = theirs.ask(new_id(), "set", command("list-relays"), ADMIN)
        assert error_of(refused)[:2] == ("auth", "forbidden")


def test_a_reload_changes_admins_served_domains_and_components(stage, server):
    with contextlib.closing(ComponentServer("proxy.other.example")) as other:
        gateway = start(stage, server)
        link = server.accept().log_in()
        section = {**server.section, "role": "relay"}
        assert not may_run_commands(link, ADMIN, RELAY)
        both = {
            RELAY: {**section, "admins": ADMIN, "served_domains": "served.example"},
            other.domain: {**other.section, "role": "relay"},
        }
        reload(gateway, both)
        theirs = other.accept().log_in()
        assert may_run_commands(link, ADMIN, RELAY)
        query = f"<query xmlns='{BYTESTREAMS}'/>"
        assert error_of(link.ask(new_id(), "get", query))[:2] == ("auth", "forbidden")
        assert theirs.ask(new_id(), "get", query).get("type") == "result"
        assert 'stream_up{component="proxy.other.example"} 1' in gateway.call("GET", "/metrics")[1]
        reload(gateway, {RELAY: section})
        theirs.wait_closed()
        assert not may_run_commands(link, ADMIN, RELAY)
        assert not link.closed
        assert "proxy.other.example" not in gateway.call("GET", "/metrics")[1]
        assert gateway.log_text().count(f"stream-up component={RELAY}") == 1


def test_a_reload_brings_another_secret_and_another_server(stage, server):
    gateway = start(stage, server)
    link = server.accept()
    link.open()
    link.handshake()
    link.error("not-authorized")
    gateway.wait_log("stream-ended .*reason=refused")
    server.secret = "another secret"
    reload(gateway, {RELAY: {**server.section, "role": "relay"}})
    link = server.accept().log_in()  # at once, not after the minute that a refusal costs
    with contextlib.closing(ComponentServer(RELAY)) as moved:
        reload(gateway, {RELAY: {**moved.section, "role": "relay"}})
        link.wait_closed()
        link.close()
        there = moved.accept().log_in()
        assert there.ask(new_id(), "get", PING).get("type") == "result"


def test_a_wrong_configuration_changes_nothing(stage, server):
    gateway = start(stage, server)
    link = server.accept().log_in()
    keys = {**server.section, "role": "relay"}
    sections = {**gateway.sections, f"component {RELAY}": {**keys, "admins": "nobody"}}
    gateway.configure(sections)
    os.kill(gateway.pid, signal.SIGHUP)
    gateway.wait_log("config-refused text=component .*admins: nobody is no user@domain")
    assert link.ask(new_id(), "get", PING).get("type") == "result"


def test_keys_that_moved_into_the_components_sections_are_refused_with_a_hint(stage, server):
    for key in ("admins", "served_domains"):
        gateway = start(stage, server, name=f"with-{key}", begin=False, **{key: "example.org"})
        gateway.start(wait=False)
        assert gateway.wait_exit() == 1
        name = key.replace("_", "-")
        hint = f"{name} is retired: set {name} in each \\[component ID\\] that it is for"
        assert re.search(hint, gateway.log_text())
        gateway.clean = (1,)


# The link


@pytest.fixture
def server():
    it = ComponentServer(RELAY)
    with contextlib.closing(it):
        yield it


def start(stage, *servers, role="relay", begin=True, component_keys=None, **keys):
    """A gateway without Redis whose one relay is nowhere. COMPONENT_KEYS: by domain."""
    components = {
        s.domain: {**s.section, "role": role, **(component_keys or {}).get(s.domain, {})}
        for s in servers
    }
    relays = {"relay-1": {"control": "http://127.0.0.1:9", "advertise": "192.0.2.1:1080"}}
    return stage.xmppgw(None, components, relays=relays, start=begin, **keys)


def test_it_logs_in_with_header_and_handshake_and_answers(stage, server):
    gateway = start(stage, server)
    link = server.accept().log_in("5f1a03db-b0f1-4932-87bf-84d51b609401")
    assert link.header.tag == "{http://etherx.jabber.org/streams}stream"
    assert link.header.get("to") == RELAY
    assert b"xmlns='jabber:component:accept'" in link.bytes
    link.send(iq("rr-1/+=&lt;&#10;", "get", PING, "alice@example.org/phone", RELAY))
    assert link.answer("rr-1/+=<\n").get("type") == "result"
    gateway.wait_log("stream-up")
    assert gateway.call("GET", "/readyz")[0] == 200


def test_a_component_is_configured_in_any_case_and_speaks_in_lower_case(stage):
    server = ComponentServer("Proxy.Example.ORG")
    start(stage, server)
    link = server.accept()
    link.open()
    assert link.header.get("to") == RELAY
    wanted = hashlib.sha1(b"stream-1the-secret").hexdigest()
    assert link.handshake().text == wanted
    link.send("<handshake/>")
    answer = link.ask(new_id(), "get", PING, to="someone@PROXY.example.org/there")
    assert answer.get("from") == "someone@proxy.example.org/there"
    assert answer.get("to") == "alice@example.org/phone"


def test_one_byte_at_a_time_is_as_good_as_any(stage, server):
    start(stage, server)
    link = server.accept().log_in()
    stanza_id = new_id()
    for byte in iq(stanza_id, "get", PING, "alice@example.org/phone", RELAY):
        link.send(byte)
    assert link.answer(stanza_id).get("type") == "result"


def test_a_wrong_secret_is_logged_once_and_tried_again_slowly(stage, server):
    gateway = start(stage, server)
    link = server.accept()
    link.open()
    link.handshake()
    link.error("not-authorized", "Given token does not match calculated token")
    line = gateway.wait_log(r"stream-ended .*retry-ms=(\d+)")
    assert "reason=refused" in line.group(0) and "not-authorized" in line.group(0)
    assert 60000 <= int(line.group(1)) < 62000
    assert gateway.call("GET", "/readyz")[0] == 503
    with pytest.raises(Trouble):
        server.accept(timeout=1)


def test_prosodys_header_without_an_id_is_followed_by_its_error(stage, server):
    gateway = start(stage, server)
    link = server.accept()
    link.open("")
    link.error("host-unknown", "proxy.example.org does not match any configured component")
    line = gateway.wait_log(r"stream-ended .*retry-ms=(\d+)").group(0)
    assert "reason=refused" in line and "host-unknown" in line


def test_a_conflict_waits_five_seconds_at_least(stage, server):
    gateway = start(stage, server)
    link = server.accept().log_in()
    gateway.wait_log("stream-up")
    began = time.monotonic()
    link.error("conflict", "Replaced by a new connection")
    line = gateway.wait_log(r"stream-ended .*reason=conflict .*retry-ms=(\d+)")
    assert 5000 <= int(line.group(1)) < 7000
    server.accept().log_in("stream-2")
    assert time.monotonic() - began > 4


def test_it_connects_again_when_the_server_is_gone_and_back(stage, server):
    gateway = start(stage, server)
    link = server.accept().log_in()
    gateway.wait_log("stream-up")
    server.close()
    link.close()
    gateway.wait_log("stream-ended .*reason=not-connected")
    wait_until(lambda: gateway.call("GET", "/readyz")[0] == 503)
    server.listen(server.port)
    link = server.accept().log_in("stream-2")
    assert link.ask(new_id(), "get", PING).get("type") == "result"
    text = gateway.log_text()
    assert len([line for line in text.splitlines() if "not-connected" in line]) == 1, text


def test_a_server_that_says_nothing_is_given_up(stage, server):
    gateway = start(stage, server)
    link = server.accept()
    gateway.wait_log(r"stream-ended .*reason=timed-out detail=\"opening\"")
    link.wait_closed()
    server.accept().log_in()


@pytest.mark.parametrize(
    "garbage, reason",
    [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "bad-xml"),
        ("<html><body/></html>", "bad-xml"),
        ("<stream:stream>", "bad-xml"),
        ("\0\1\2\3", "bad-xml"),
        ("", "closed"),
    ],
)
def test_what_is_no_stream_ends_the_connection_alone(stage, server, garbage, reason):
    gateway = start(stage, server)
    link = server.accept()
    link.wait(lambda: link.header is not None)
    link.send(garbage)
    if not garbage:
        link.socket.shutdown(socket.SHUT_WR)
    gateway.wait_log(f"stream-ended .*reason={reason}")
    server.accept().log_in()


@pytest.mark.parametrize(
    "text, condition",
    [
        ("<!-- a comment -->", b"<restricted-xml "),
        ("<?php ?>", b"<restricted-xml "),
        ("<iq></message>", b"<not-well-formed "),
        ("<iq>&unknown;</iq>", b"<not-well-formed "),
        ("<iq><!--" + "x" * 2_000_000, b"<policy-violation "),
    ],
    ids=["comment", "instruction", "tags", "entity", "endless-comment"],
)
def test_what_no_stream_may_have_is_a_stream_error(stage, server, text, condition):
    gateway = start(stage, server)
    link = server.accept().log_in()
    gateway.wait_log("stream-up")
    with contextlib.suppress(ConnectionError):
        link.send(text)
    link.wait_closed()
    assert condition in link.bytes and b"</stream:stream>" in link.bytes
    gateway.wait_log("stream-ended .*reason=bad-xml")
    server.accept().log_in()


def test_stanzas_that_are_too_large_or_too_deep_are_refused_and_the_stream_lives(stage, server):
    start(stage, server)
    link = server.accept().log_in()
    large, deep = f"<a>{'x' * 600_000}</a>", "<a>" * 40 + "</a>" * 40
    crowded = "<a " + " ".join(f"b{number}=''" for number in range(40)) + "/>"
    for payload in (large, deep, crowded):
        stanza_id = new_id()
        link.send(iq(stanza_id, "set", payload, "alice@example.org/phone", RELAY))
        assert error_of(link.answer(stanza_id))[:2] == TROUBLE
        link.send(iq("no", "result", payload, "alice@example.org/phone", RELAY))
        link.send(f"<message from='a@b' to='{RELAY}' id='no'>{payload}</message>")
    assert link.ask(new_id(), "get", PING).get("type") == "result"
    assert b"id='no'" not in link.bytes


def test_stanzas_without_an_end_in_sight_are_skipped_and_answered(stage, server):
    """Over 4 MiB, and tags over 1 MiB: their length is no limit."""
    gateway = start(stage, server)
    link = server.accept().log_in()
    sizes = {"child": 6_000_000, "children": 6_000_000, "tag": 2_000_000, "start": 2_000_000}
    payloads = {
        "child": f"<a>{'x' * sizes['child']}</a>",
        "children": "<a>text</a>" * (sizes["children"] // 11),
        "tag": f"<a b='{'x' * sizes['tag']}'/>",
    }
    before = gateway_memory(gateway)
    for name, payload in payloads.items():
        link.send(iq(name, "set", payload, "example.org", RELAY))
        assert error_of(link.answer(name))[:2] == TROUBLE
    own_tag = f"<iq type='set' id='start' from='example.org' to='{RELAY}' a='"
    link.send(own_tag + "x" * sizes["start"] + "'><a/></iq>")
    assert error_of(link.answer("start"))[:2] == TROUBLE
    link.send("<iq type='set' id='" + "x" * 2_000_000 + f"' from='example.org' to='{RELAY}'/>")
    assert link.ask(new_id(), "get", PING).get("type") == "result"
    gateway.wait_log("stanza-skipped", count=5)
    assert gateway_memory(gateway) - before < 300_000_000
    assert "stream-ended" not in gateway.log_text()


def gateway_memory(gateway):
    """The most bytes that it ever had (with the sanitizers, which free late)."""
    status = pathlib.Path(f"/proc/{gateway.pid}/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status).group(1))


def test_requests_are_answered_once_and_nothing_else_is(stage, server):
    start(stage, server)
    link = server.accept().log_in()
    for number in range(200):
        link.send(iq(f"p{number}", "get", PING, "alice@example.org/phone", RELAY))
        link.send(iq(f"q{number}", "result", "", "alice@example.org/phone", RELAY))
        link.send(iq(f"q{number}", "error", PING, "alice@example.org/phone", RELAY))
        link.send(f"<presence from='a@b' to='{RELAY}' id='q{number}'/>")
    link.send(iq("last", "get", PING, "alice@example.org/phone", RELAY))
    link.answer("last")
    assert sorted(s.get("id") for s in link.stanzas) == sorted(f"p{n}" for n in range(200))


def test_stanzas_for_another_host_are_sent_back_with_one_hint(stage, server):
    gateway = start(stage, server)
    link = server.accept().log_in()
    for _ in range(3):
        answer = link.ask(new_id(), "get", PING, to="push.example.org")
        assert error_of(answer)[:2] == TROUBLE
        assert answer.get("from") == "push.example.org"
    hints = [line for line in gateway.log_text().splitlines() if "global_routes" in line]
    assert len(hints) == 1
    status, metrics = gateway.call("GET", "/metrics")
    assert 'outrigger_xmppgw_iqs_received_total{kind="misrouted"} 3' in metrics


def test_it_says_goodbye_when_it_is_told_to_stop(stage, server):
    gateway = start(stage, server)
    link = server.accept().log_in()
    gateway.wait_log("stream-up")
    gateway.popen.terminate()
    link.wait(lambda: link.closed or None, what="the end tag")
    assert link.bytes.endswith(b"</stream:stream>")
    link.send("</stream:stream>")
    link.close()
    assert gateway.wait_exit() == 0


def test_it_stops_although_the_server_is_away(stage, server):
    server.close()
    gateway = start(stage, server)
    gateway.wait_log("stream-ended")
    assert gateway.stop() == 0


def test_a_server_that_does_not_read_is_not_read_either(stage, server):
    gateway = start(stage, server)
    link = server.accept().log_in()
    gateway.wait_log("stream-up")
    stanza = iq("x" * 1000, "get", PING, "alice@example.org/phone", RELAY).encode() * 100
    link.socket.settimeout(1)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 200_000_000:
            link.socket.sendall(stanza)
            sent += len(stanza)
    link.socket.settimeout(None)
    link.close()
    gateway.wait_log("stream-ended")
    server.accept().log_in()


@pytest.mark.parametrize(
    "component, keys, complaint",
    [
        ({"role": "relay, bogus"}, {}, "role must be"),
        ({"role": "push"}, {}, "needs redis"),
        ({"role": "relay", "server": "nowhere"}, {}, "server"),
        ({"role": "relay"}, {"bogus": "1"}, "bogus"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(stage, component, keys, complaint):
    section = {"server": "127.0.0.1:1", "secret": "s", **component}
    relays = {"relay-1": {"control": "http://127.0.0.1:9", "advertise": "192.0.2.1:1080"}}
    gateway = stage.xmppgw(None, {RELAY: section}, relays=relays, start=False, **keys)
    gateway.clean = (1,)
    gateway.start(wait=False)
    assert gateway.wait_exit() == 1
    assert complaint in gateway.log_text()


# The relay role


def test_without_redis_the_configured_relay_is_offered_and_asked(stage, server):
    relay = stage.relayd("relay-1", None)
    relays = {
        "relay-1": {"control": relay.url(), "advertise": "192.0.2.1:1080, [2001:db8::1]:1081"}
    }
    stage.xmppgw(None, {RELAY: {**server.section, "role": "relay"}}, relays=relays)
    link = server.accept().log_in()
    answer = link.ask(new_id(), "get", f"<query xmlns='{BYTESTREAMS}'/>")
    hosts = [(h.get("jid"), h.get("host"), h.get("port")) for h in answer[0]]
    assert hosts == [(RELAY, "192.0.2.1", "1080"), (RELAY, "2001:db8::1", "1081")]
    check_activation(link, relay)


def connect(relay, name):
    """A SOCKS5 half whose handshake is done."""
    host, port = relay.address("socks").rsplit(":", 1)
    half = socket.create_connection((host, int(port)), timeout=120)
    half.sendall(b"\5\1\0")
    assert half.recv(2) == b"\5\0"
    half.sendall(b"\5\1\0\3\x28" + name.encode() + b"\0\0")
    assert half.recv(64)[:2] == b"\5\0"
    return half


def activate(sid, target):
    return f"<query xmlns='{BYTESTREAMS}' sid='{sid}'><activate>{target}</activate></query>"


def check_activation(link, relay):
    """Unknown, one half, both halves, again; the requester's JID is written in capitals."""
    sid, target = new_id(), "bob@example.org/Phone"
    name = hashlib.sha1(f"{sid}alice@example.org/phone{target}".encode()).hexdigest()
    sender, target = "Alice@Example.ORG/phone", "Bob@EXAMPLE.org/Phone"

    def outcome():
        return error_of(link.ask(new_id(), "set", activate(sid, target), sender=sender))

    assert outcome() == ("cancel", "item-not-found", None)
    one = connect(relay, name)
    assert outcome() == ("cancel", "not-allowed", None)
    other = connect(relay, name)
    assert outcome() is None
    assert outcome() is None
    one.sendall(b"data")
    assert other.recv(4) == b"data"
    one.close()
    other.close()


def test_a_malformed_activation_has_the_conditions_of_the_xep(stage, server):
    start(stage, server)
    link = server.accept().log_in()
    for payload, condition in (
        (activate("", "bob@example.org/x"), "bad-request"),
        (activate("s" * 129, "bob@example.org/x"), "bad-request"),
        (f"<query xmlns='{BYTESTREAMS}' sid='1'/>", "bad-request"),
        (activate("1", "bob@@example.org"), "jid-malformed"),
    ):
        assert error_of(link.ask(new_id(), "set", payload))[:2] == ("modify", condition)
    answer = link.ask(new_id(), "set", activate("1", "bob@example.org/x"))
    assert error_of(answer)[:2] == TROUBLE, "the relay can't be reached"


def test_the_requester_must_be_of_a_served_domain_or_either_party_if_so_told(stage, server):
    relay = stage.relayd("relay-1", None)
    relays = {"relay-1": {"control": relay.url(), "advertise": "192.0.2.1:1080"}}
    components = {RELAY: {**server.section, "role": "relay"}}
    components[RELAY]["served_domains"] = "Served.example, other.example"
    gateway = stage.xmppgw(None, components, relays=relays)
    link = server.accept().log_in()
    forbidden = ("auth", "forbidden")
    stranger, served = "alice@example.org/x", "alice@served.example/x"
    query = f"<query xmlns='{BYTESTREAMS}'/>"
    assert error_of(link.ask(new_id(), "get", query, stranger))[:2] == forbidden
    assert error_of(link.ask(new_id(), "get", query, served)) is None

    def outcome(requester, target):
        """With both halves there: what the activation is answered."""
        sid = new_id()
        name = hashlib.sha1(f"{sid}{requester}{target}".encode()).hexdigest()
        with connect(relay, name), connect(relay, name):
            return error_of(link.ask(new_id(), "set", activate(sid, target), requester))

    assert outcome(stranger, "bob@example.net/x")[:2] == forbidden
    assert outcome(stranger, "nobody@served.example/x")[:2] == forbidden
    assert outcome(served, "bob@example.net/x") is None
    components[RELAY]["serve"] = "either"
    reload(gateway, components)
    assert outcome(stranger, "bob@sub.served.example/x")[:2] == forbidden
    assert outcome(stranger, "bob@served.example/x") is None
    assert outcome(served, "bob@example.net/x") is None


CHARGED = {
    "requester": ("alice@example.org", "example.org"),
    "served": ("alice@example.org", "bob@served.example", "example.org", "served.example"),
    "both": ("alice@example.org", "bob@served.example", "carol@example.net"),
}


@pytest.mark.parametrize("charge", CHARGED)
def test_a_transfer_is_charged_to_whom_the_component_says(stage, server, charge):
    redis = stage.redis()
    relay = stage.relayd("relay-1", redis, verifier="limits")
    section = {**server.section, "role": "relay", "served_domains": "example.org, served.example"}
    stage.xmppgw(redis, {RELAY: {**section, "charge": charge}})
    link = server.accept().log_in()
    requester = "alice@example.org/x"
    for target in ("bob@served.example/x", "carol@example.net/x"):
        sid = new_id()
        name = hashlib.sha1(f"{sid}{requester}{target}".encode()).hexdigest()
        with connect(relay, name) as one, connect(relay, name) as other:
            assert error_of(link.ask(new_id(), "set", activate(sid, target), requester)) is None
            one.sendall(b"data")
            assert other.recv(4) == b"data"
    ledgers = redis.command("ZRANGE", redis.command("KEYS", "og:ledgers:*")[0], 0, -1)
    accounts = [name.split(":")[1] for name in ledgers if name.startswith(("user", "domain"))]
    assert set(CHARGED[charge]) <= set(accounts)
    assert charge == "both" or set(accounts) == set(CHARGED[charge])


def test_too_many_transfers_and_full_relays_are_resource_constraints(stage, server):
    redis = stage.redis()
    keys = {"connection_max": 8, "connection_reserve": 25, "streams_per_user_max": 1}
    relay = stage.relayd("relay-1", redis, **keys)
    stage.xmppgw(redis, {RELAY: {**server.section, "role": "relay"}})
    link = server.accept().log_in()
    requester, target = "alice@example.org/x", "bob@example.org/x"
    halves, errors = [], []
    for _ in range(2):
        sid = new_id()
        name = hashlib.sha1(f"{sid}{requester}{target}".encode()).hexdigest()
        halves += connect(relay, name), connect(relay, name)
        errors.append(error_of(link.ask(new_id(), "set", activate(sid, target), requester)))
    text = "User alice@example.org has 1 transfers at this relay already"
    assert errors == [None, ("wait", "resource-constraint", text)]

    def asked():
        return error_of(link.ask(new_id(), "get", f"<query xmlns='{BYTESTREAMS}'/>"))

    full = ("wait", "resource-constraint", "All relays are full; try again later.")
    while relay.call("GET", "/readyz", token=None)[0] == 200:
        halves.append(connect(relay, hashlib.sha1(new_id().encode()).hexdigest()))
    wait_until(lambda: asked() == full, what="the gateway to know that the relay is full")
    other = stage.relayd("relay-2", redis)
    wait_until(lambda: asked() is None, what="the other relay to be offered")
    for half in halves:
        half.close()
    assert other


def test_a_requester_whose_name_is_too_long_to_be_charged_is_told_so(stage, server):
    relay = stage.relayd("relay-1", None)
    relays = {"relay-1": {"control": relay.url(), "advertise": "192.0.2.1:1080"}}
    stage.xmppgw(None, {RELAY: {**server.section, "role": "relay"}}, relays=relays)
    link = server.accept().log_in()
    sid, requester, target = new_id(), "a" * 600 + "@example.org/x", "b@example.org/x"
    name = hashlib.sha1(f"{sid}{requester}{target}".encode()).hexdigest()
    with connect(relay, name), connect(relay, name):
        error = error_of(link.ask(new_id(), "set", activate(sid, target), requester))
    assert error[:2] == ("modify", "bad-request") and "512 bytes" in error[2]


def name_of(sid, requester, target):
    return hashlib.sha1(f"{sid}{requester}{target}".encode()).hexdigest()


@pytest.mark.parametrize("with_redis", [True, False], ids=["redis", "no-redis"])
def test_whom_the_gateway_refuses_does_not_wait_for_the_other(stage, server, with_redis):
    """Without Redis it is the second relay that has the stream."""
    redis = stage.redis() if with_redis else None
    relays = [stage.relayd(name, redis) for name in ("relay-1", "relay-2")]
    places = {} if with_redis else {
        relay.name: {"control": relay.url(), "advertise": relay.address("socks")}
        for relay in relays}
    section = {**server.section, "role": "relay", "served_domains": "served.example"}
    gateway = stage.xmppgw(redis, {RELAY: section}, relays=places)
    link = server.accept().log_in()
    target = "bob@example.net/x"

    def refused(requester, relay, activated=False):
        """Both halves are there, and the activation is refused."""
        sid = new_id()
        name = name_of(sid, requester, target)
        halves = connect(relay, name), connect(relay, name)
        if activated:
            assert bs.activate(relay, name)[0] == 200
        error = error_of(link.ask(new_id(), "set", activate(sid, target), requester))
        return name, *halves, error[1]

    long = "a" * 600 + "@served.example"
    for requester, why, condition in (("alice@example.org", "not-served", "forbidden"),
                                      (long, "bad-request", "bad-request")):
        for relay in relays:
            name, one, other, error = refused(f"{requester}/x", relay)
            assert error == condition
            assert bs.to_end(one)[1] == bs.to_end(other)[1] == "reset"
            relay.wait_log(f"stream-ended id={name} reason=denied ")
            gateway.wait_log(f"activation-refused id={name} component={RELAY} reason={why} "
                             f"requester={requester} target=bob@example.net$")
    name, one, other, error = refused("alice@example.org/x", relays[1], activated=True)
    relays[1].wait_log(r"request-refused route=/v1/streams/\{hash\} status=409 ")
    one.sendall(b"data")
    assert (error, other.recv(4)) == ("forbidden", b"data")


def test_strangers_cause_few_lines_and_each_gets_an_answer(stage, server):
    """More than are denied at once."""
    relay = stage.relayd("relay-1", None)
    relays = {"relay-1": {"control": relay.url(), "advertise": "192.0.2.1:1080"}}
    section = {**server.section, "role": "relay", "served_domains": "served.example"}
    gateway = stage.xmppgw(None, {RELAY: section}, relays=relays)
    link = server.accept().log_in()
    asked = [new_id() for _ in range(500)]
    stranger, payload = "alice@example.org/x", activate("1", "bob@example.net/x")
    link.send("".join(iq(one, "set", payload, stranger, RELAY) for one in asked))
    for one in asked:
        assert error_of(link.answer(one))[:2] == ("auth", "forbidden")
    gateway.wait_log(r"lines-withheld what=activation-refused reason=not-served count=\d+")


def test_with_redis_the_owner_of_the_hash_is_asked(stage, server):
    redis = stage.redis()
    relays = [stage.relayd(f"relay-{n}", redis) for n in (1, 2)]
    stage.xmppgw(redis, {RELAY: {**server.section, "role": "relay"}})
    link = server.accept().log_in()
    for relay in relays:
        check_activation(link, relay)
    seen = set()

    def offered():
        answer = link.ask(new_id(), "get", f"<query xmlns='{BYTESTREAMS}'/>")
        if answer.get("type") == "result":
            assert len(answer[0]) == 1
            seen.add(f"{answer[0][0].get('host')}:{answer[0][0].get('port')}")
        return len(seen) == 2

    wait_until(offered, what="both relays to be offered")
    assert seen == {relay.address("socks") for relay in relays}
    redis.kill()
    answer = link.ask(new_id(), "set", activate("1", "bob@example.org/x"))
    assert error_of(answer)[:2] == TROUBLE


# The push role


class Push:
    """A gateway in the push role, with all that is behind it."""

    def __init__(self, stage, **keys):
        """KEYS: of pushd."""
        self.stage = stage
        self.redis = stage.redis()
        self.fake = stage.providers()
        self.pushd = stage.pushd("push-1", self.redis, self.fake, **keys)
        self.server = ComponentServer(PUSH)
        section = {**self.server.section, "role": "push"}
        self.gateway = stage.xmppgw(self.redis, {PUSH: section})
        self.link = self.server.accept().log_in()
        wait_until(self.finds_pushd, what="the gateway to find pushd")

    def finds_pushd(self):
        info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        answer = self.link.ask(new_id(), "get", info)
        return APNS in {feature.get("var") for feature in answer[0]}

    def register(self, token, provider=APNS, **more):
        payload = command("register-device", provider=provider, device_token=token, **more)
        return self.link.ask(new_id(), "set", payload)

    def node(self, token, provider=APNS):
        # After a restart the gateway knows the providers with its next reading of the records.
        wait_until(self.finds_pushd, what="the gateway to find pushd")
        answer = self.register(token, provider)
        return fields_of(answer)["node"][1][0]

    def publish(self, node, sender=DOMAIN, **more):
        """Publishes and gives the error, or None."""
        return error_of(self.link.ask(new_id(), "set", publish(node, **more), sender=sender))


def fields_of(answer, kind="result"):
    """{var: (type, values)} of a command's form, which is of KIND."""
    form = answer.find(f"{COMMANDS}command/{DATA}x")
    assert form.get("type") == kind
    return {
        field.get("var"): (field.get("type"), [value.text for value in field])
        for field in form
    }


@pytest.fixture(scope="module")
def push(tmp_path_factory):
    with Stage(tmp_path_factory.mktemp("push")) as stage:
        it = Push(stage)
        yield it
        it.server.close()


def test_disco_tells_the_identity_and_the_providers_that_there_are(push):
    info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    answer = push.link.ask(new_id(), "get", info)
    elements = [(e.tag.split("}")[1], e.get("category"), e.get("type")) for e in answer[0]]
    assert ("identity", "pubsub", "push") in elements
    features = [e.get("var") for e in answer[0] if e.get("var")]
    assert {"urn:xmpp:push:0", "http://jabber.org/protocol/commands", APNS, FCM} <= set(features)
    assert BYTESTREAMS not in features
    assert len(features) == len(set(features))


def test_a_device_is_registered_in_one_step_as_siskin_does(push):
    token = apns_token().upper()
    answer = push.register(token, device_second_token=apns_token())
    assert answer.find(f"{COMMANDS}command").get("status") == "completed"
    fields = fields_of(answer)
    assert fields["node"][0] == "text-single" and len(fields["node"][1][0]) == 32
    assert fields["features"][0] == "text-multi"
    assert "tigase:push:encrypt:0" in fields["features"][1]
    assert fields["max-payload-size"] == ("text-single", ["3072"])
    assert fields_of(push.register(token))["node"] == fields["node"], "again: the same node"


def test_the_form_lists_the_providers(push):
    answer = push.link.ask(
        new_id(),
        "set",
        "<command xmlns='http://jabber.org/protocol/commands' node='register-device'/>",
    )
    assert answer.find(f"{COMMANDS}command").get("status") == "executing"
    options = answer.findall(f"{COMMANDS}command/{DATA}x/{DATA}field/{DATA}option/{DATA}value")
    assert {option.text for option in options} == {APNS, FCM}


def test_wrong_registrations_are_refused_with_a_reason(push):
    for answer in (push.register(apns_token(), "nobody"), push.register("not hex")):
        kind, condition, text = error_of(answer)
        assert (kind, condition) == ("modify", "bad-request")
        assert text


def test_an_app_is_told_to_wait_when_there_are_too_many_devices(stage):
    push = Push(stage, devices_max=1)
    token = apns_token()
    node = push.node(token)
    kind, condition, text = error_of(push.register(apns_token()))
    assert (kind, condition) == ("wait", "resource-constraint")
    assert text == "there are too many devices"
    assert push.node(token) == node and push.publish(node) is None
    push.server.close()


def test_a_device_is_unregistered_by_its_owner_alone(push):
    token = apns_token()
    push.node(token)
    payload = command("unregister-device", provider=APNS, device_token=token)
    answer = push.link.ask(new_id(), "set", payload, sender="eve@example.org/x")
    assert error_of(answer) == (*GONE, "Device is not registered")
    answer = push.link.ask(new_id(), "set", payload)
    assert answer.find(f"{COMMANDS}command").get("status") == "completed"
    assert error_of(push.link.ask(new_id(), "set", payload))[:2] == GONE


def p2(push, node="register-push-fcm", action="execute", **fields):
    """The answer to p2's command NODE with a form of no FORM_TYPE."""
    form = "".join(f"<field var='{k.replace('_', '-')}'><value>{v}</value></field>"
                   for k, v in fields.items())
    action = f" action='{action}'" if action else ""
    return push.link.ask(
        new_id(),
        "set",
        f"<command xmlns='http://jabber.org/protocol/commands' node='{node}'{action}>"
        f"<x xmlns='jabber:x:data' type='submit'>{form}</x></command>",
    )


def reply_of(answer):
    """What p2's clients read: the values of the one form, by field, with status and types."""
    found = answer.find(f"{COMMANDS}command")
    assert found.get("status") == "completed" and len(found.findall(f"{DATA}x")) == 1
    fields = fields_of(answer, "form")
    types = {var: kind for var, (kind, _) in fields.items()}
    assert types == {"jid": "jid-single", "node": "text-single", "secret": "text-single"}
    return {var: value for var, (_, [value]) in fields.items()}


@pytest.mark.parametrize("action", [None, "execute", "complete", "next"])
def test_p2s_registration_is_answered_with_jid_node_and_secret_in_one_step(push, action):
    token = fcm_token()
    answer = p2(push, action=action, token=token, android_id="92afd7a91cdba9a0")
    reply = reply_of(answer)
    assert answer.find(f"{COMMANDS}command").get("node") == "register-push-fcm"
    assert reply["jid"] == PUSH and len(reply["node"]) == len(reply["secret"]) == 32
    assert reply_of(p2(push, token=fcm_token(), android_id="92afd7a91cdba9a0")) == reply
    assert reply_of(p2(push, token=token, device_id="92afd7a91cdba9a0")) == reply
    assert push.publish(reply["node"], secret=reply["secret"]) is None
    assert push.publish(reply["node"]) == (*GONE, None), "without its secret"
    [record] = [r for r in push.fake.received() if token in json.dumps(r["body"])]
    account = hashlib.sha1(b"alice@example.org\0" b"92afd7a91cdba9a0").hexdigest()
    assert record["body"]["message"]["data"] == {"account": account}
    assert record["body"]["message"]["android"]["priority"] == "HIGH"


def test_p2s_registration_serves_apns_too(push):
    token, device = apns_token(), {"device_id": "0523AD60-ADD0-45A4-8D05-DC1AC59BB1CA"}
    reply = reply_of(p2(push, "register-push-apns", token=token.upper(), **device))
    assert push.publish(reply["node"], secret=reply["secret"]) is None
    [record] = [r for r in push.fake.received() if r["path"].endswith(token)]
    assert set(record["body"]) == {"aps", "account"}
    assert record["headers"]["apns-push-type"] == "alert"
    form = p2(push, "unregister-push-apns", **device)
    assert form.find(f"{COMMANDS}command").get("status") == "completed"
    assert push.publish(reply["node"], secret=reply["secret"]) == (*GONE, None)


def test_a_rooms_channel_is_registered_beside_the_account_and_unregistered_alone(push):
    room, token = "garden@rooms.example.net", fcm_token()
    account = reply_of(p2(push, token=token, android_id="phone-1"))
    channel = reply_of(p2(push, token=token, android_id="phone-1", muc=room))
    assert channel["node"] != account["node"]
    keys = {"secret": channel["secret"], "sender": "rooms.example.net"}
    assert push.publish(channel["node"], **keys) is None
    [record] = [r for r in push.fake.received() if token in json.dumps(r["body"])]
    name = record["body"]["message"]["data"]["channel"]
    assert name == hashlib.sha1(f"{room}\0phone-1".encode()).hexdigest()
    answer = p2(push, "unregister-push-fcm", android_id="phone-1", channel="0" * 40)
    assert error_of(answer)[:2] == GONE
    answer = p2(push, "unregister-push-fcm", android_id="phone-1", channel=name)
    assert answer.find(f"{COMMANDS}command").get("status") == "completed"
    assert push.publish(channel["node"], **keys) == (*GONE, None)
    assert push.publish(account["node"], secret=account["secret"]) is None
    p2(push, "unregister-push-fcm", android_id="phone-1")
    assert push.publish(account["node"], secret=account["secret"]) == (*GONE, None)


def test_p2s_malformed_requests_are_refused_with_a_reason(push):
    for fields, reason in (
        ({"token": "t"}, "android-id or device-id is missing."),
        ({"android_id": "i"}, "token is missing."),
        ({"token": "t", "android_id": "i", "muc": "a@b/c"}, "channel: must be a bare JID"),
    ):
        assert error_of(p2(push, **fields)) == ("modify", "bad-request", reason)


def test_a_publish_becomes_a_push_and_is_answered_from_the_address_it_was_sent_to(push):
    token = apns_token()
    node = push.node(token)
    stanza_id = "rr-1795340409852-ZS4v99mHp1+oKFc9BGE8OX9QSnI=-70306884"
    answer = push.link.ask(stanza_id, "set", publish(node), sender=DOMAIN, to="PUSH.example.org")
    assert answer.get("type") == "result" and len(answer) == 0
    assert answer.get("from") == PUSH and answer.get("to") == DOMAIN
    [record] = [r for r in push.fake.received() if r["path"].endswith(token)]
    assert record["answered"] == 200


def test_strangers_get_one_and_the_same_answer(push):
    node = push.node(apns_token())
    assert push.publish(node) is None
    for sender in ("example.com", "alice@example.org/phone"):
        assert push.publish(node, sender=sender) == (*GONE, None)
    for sender in ("alice@example.org", "example.org/x"):  # that may be a server
        for any_node in (node, "0" * 32):
            text = "not from a server's domain"
            assert push.publish(any_node, sender=sender) == (*TROUBLE, text)
    assert push.publish("0" * 32) == (*GONE, None)
    assert push.publish("n" * 500) == (*GONE, None)
    assert push.publish(node, secret="s" * 500) == (*GONE, None)


def test_a_dead_token_is_gone_a_doubtful_one_is_not_and_trouble_is_waited_out(push):
    token, doubtful, late = apns_token(), apns_token(), fcm_token()
    nodes = push.node(token), push.node(doubtful), push.node(late, FCM)
    dead = {"status": 410, "reason": "Unregistered", "timestamp": 4102444800000}
    push.fake.script({"match": {"token": token}, "answer": dead})
    bad = {"status": 400, "reason": "BadDeviceToken"}
    push.fake.script({"match": {"token": doubtful}, "answer": bad})
    push.fake.script({"match": {"token": late}, "answer": {"status": 503}})
    assert push.publish(nodes[0])[:2] == GONE
    assert push.publish(nodes[1])[:2] == TROUBLE
    assert push.publish(nodes[2]) is None
    push.fake.reset()
    assert push.publish(nodes[1]) is None

    def sent():
        records = [one for one in push.fake.received() if late in json.dumps(one["body"])]
        return [one["answered"] for one in records] == [200]

    wait_until(sent, what="what had been queued")


def test_many_publishes_in_one_turn_go_in_arrays_and_all_are_answered(push):
    nodes = [push.node(apns_token()) for _ in range(5)]
    before = calls_of(push)
    wanted = {}
    text = ""
    for number in range(500):
        stanza_id = new_id()
        known = number % 2 == 0
        wanted[stanza_id] = "result" if known else "error"
        node = nodes[number % 5] if known else "f" * 32
        text += iq(stanza_id, "set", publish(node), DOMAIN, PUSH)
    push.link.send(text)
    for stanza_id, kind in wanted.items():
        answer = push.link.answer(stanza_id)
        assert answer.get("type") == kind, error_of(answer)
    assert push.link.stanzas == []
    assert calls_of(push) - before < 100


def calls_of(push):
    _, text = push.gateway.call("GET", "/metrics")
    [line] = [l for l in text.splitlines() if 'backend_calls_total{outcome="answered"}' in l]
    return int(line.split()[-1])


def test_publishes_wait_for_a_pushd_that_restarts_and_none_is_lost(push):
    token = apns_token()
    node = push.node(token)
    push.pushd.stop()
    wanted = [new_id() for _ in range(20)]
    for stanza_id in wanted:
        push.link.send(iq(stanza_id, "set", publish(node), DOMAIN, PUSH))
    push.pushd.start()
    for stanza_id in wanted:
        assert push.link.answer(stanza_id).get("type") == "result"
    assert len([r for r in push.fake.received() if r["path"].endswith(token)]) == 20


def test_publishes_wait_for_a_pushd_that_was_killed_and_none_is_lost_or_doubled(push):
    """The gateway keeps connections to it, and learns of their end only when it uses them."""
    if push.pushd.recorder:
        push.pushd.recorder.server.resets = True
    token = apns_token()
    node = push.node(token)
    for number in range(1, 4):
        assert push.publish(node) is None
        push.pushd.kill()
        wanted = [new_id() for _ in range(5)]
        for stanza_id in wanted:
            push.link.send(iq(stanza_id, "set", publish(node), DOMAIN, PUSH))
        wait_until(lambda: "reason=unreachable" in push.gateway.log_text())
        push.pushd.start()
        for stanza_id in wanted:
            assert push.link.answer(stanza_id).get("type") == "result"
        received = [r for r in push.fake.received() if r["path"].endswith(token)]
        assert len(received) == number * (1 + len(wanted))


def test_a_publish_without_any_pushd_is_answered_in_time(push):
    node = push.node(apns_token())
    push.pushd.kill()
    assert push.publish(node)[:2] == TROUBLE
    push.pushd.start()
    wait_until(lambda: push.publish(node) is None, what="pushd to be found again")


def test_a_pushd_that_does_not_answer_costs_no_registration(push):
    node = push.node(apns_token())
    push.pushd.popen.send_signal(19)  # SIGSTOP
    try:
        began = time.monotonic()
        assert push.publish(node)[:2] == TROUBLE
        assert time.monotonic() - began > 20
        assert push.link.ask(new_id(), "get", PING).get("type") == "result"
    finally:
        push.pushd.popen.send_signal(18)
    wait_until(lambda: push.publish(node) is None, what="pushd to go on")


def test_what_is_in_flight_is_answered_before_the_stream_is_closed(push):
    token = apns_token()
    node = push.node(token)
    push.fake.script({"match": {"token": token}, "answer": {"status": 200, "delay_ms": 700}})
    stanza_id = new_id()
    push.link.send(iq(stanza_id, "set", publish(node), DOMAIN, PUSH))
    wait_until(lambda: any(r["path"].endswith(token) for r in push.fake.received()))
    push.gateway.popen.terminate()
    assert push.link.answer(stanza_id).get("type") == "result"
    push.link.wait_closed()
    push.link.close()
    assert push.gateway.wait_exit() == 0
    push.fake.reset()
    push.gateway.start()
    push.link = push.server.accept().log_in("stream-3")
    wait_until(push.finds_pushd)


def test_no_secret_token_or_body_is_in_the_log(push):
    text = push.gateway.log_text(all_starts=True)
    assert "the-secret" not in text and push.stage.token not in text and "Hello" not in text
