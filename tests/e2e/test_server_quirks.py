"""
MongooseIM, Openfire and Tigase, played by build/xmpp-server: what each publishes becomes a push,
and no answer costs a registration that is good. Prosody and ejabberd, played too, get all the odd
publishes.
"""

import re
import socket

import pytest

from harness import HOST, ROOT, Stage, wait_until
from notify import APNS, got, known, register, script
from pretend import PretendServer

COMPONENT = "push.example.org"
PUBLISHES = ROOT / "tests/data/publish"
PLAYED = ("mongooseim", "openfire", "tigase")
WAIT = ("wait", "internal-server-error")
GONE = ("cancel", "item-not-found")
PUBSUB = "http://jabber.org/protocol/pubsub"
NOTIFICATION = "<notification xmlns='urn:xmpp:push:0'/>"
ITEM = f"<item>{NOTIFICATION}</item>"


class Scene:
    """A pretend server with the real gateway and pushd, and the pretend providers behind."""

    def __init__(self, stage, kind):
        self.stage, self.kind = stage, kind
        self.redis, self.fake = stage.redis(), stage.providers()
        self.push = stage.pushd("push-1", self.redis, self.fake)
        self.server = stage.run(PretendServer(stage, kind, [COMPONENT]))
        components = {COMPONENT: self.server.section(COMPONENT)}
        self.gateway = stage.xmppgw(self.redis, components)
        self.server.wait_links(COMPONENT)
        self.gateway.wait_log("backend-found")

    def device(self, jid=COMPONENT, provider=APNS):
        """A new device, enabled at the server."""
        device = register(self.push, provider)
        self.server.register(jid, device["node"], device.get("secret"))
        return device

    def pushed(self, device, count):
        """Waits for COUNT pushes in all to DEVICE, and gives the last one's request."""
        wait_until(lambda: len(got(self.fake, device["token"])) >= count, what="a push")
        return got(self.fake, device["token"])[-1]


@pytest.fixture(scope="module", params=[*PLAYED, "prosody", "ejabberd"])
def every(request, tmp_path_factory):
    """Each kind of server."""
    with Stage(tmp_path_factory.mktemp(request.param)) as stage:
        yield Scene(stage, request.param)


# For those that can't be installed; the real ones of the others are tested elsewhere.
played_only = pytest.mark.parametrize("every", PLAYED, indirect=True)


def error_of(told):
    assert told["ending"] == "error", told
    return told["type"], told["condition"]


def template(name):
    """A publish of tests/data as the pretend server sends it to a device of its own."""
    text = (PUBLISHES / f"{name}.xml").read_text().strip()
    head, rest = text.split(">", 1)
    for attribute in ("id", "from", "to"):
        head = re.sub(rf"\b{attribute}='[^']*'", f"{attribute}='{{{attribute}}}'", head)
    rest = re.sub(r"<publish node='[^']*'", "<publish node='{node}'", rest)
    rest = re.sub(r"<publish-options>.*</publish-options>", "{options}", rest)
    return f"{head}>{rest}"


def odd(payload, head="from='{from}'"):
    return f"<iq type='set' id='{{id}}' to='{{to}}' {head}>{payload}</iq>"


def pubsub(content):
    return f"<pubsub xmlns='{PUBSUB}'>{content}</pubsub>"


def vectors(kind):
    return sorted(path.stem for path in PUBLISHES.glob(f"{kind}-*.xml"))


# What servers publish


@played_only
def test_every_publish_of_the_kind_becomes_a_push_that_is_answered_result(every):
    names = vectors(every.kind)
    assert names
    for name in names:
        device = every.device()
        told = every.server.publish(device["node"], stanza=template(name))
        assert told["ending"] == "result", (name, told)
        every.pushed(device, 1)


@played_only
def test_a_message_shows_what_the_server_tells_of_it(every):
    device = every.device()
    assert every.server.publish(device["node"], "message")["ending"] == "result"
    request = every.pushed(device, 1)
    assert request["headers"]["apns-priority"] == "10"
    assert request["body"]["account"] == device["owner"]
    sender = {"mongooseim": "bob@example.org", "tigase": "bob@example.org/phone"}
    assert request["body"].get("sender") == sender.get(every.kind)


@pytest.mark.parametrize("every", ["mongooseim", "tigase"], indirect=True)
def test_a_call_is_urgent(every):
    """Openfire never pushes for calls."""
    device = every.device()
    assert every.server.publish(device["node"], "call")["ending"] == "result"
    request = every.pushed(device, 1)
    assert request["headers"]["apns-priority"] == "10"
    assert request["headers"]["apns-push-type"] == "alert"


@pytest.mark.parametrize("jid", [COMPONENT, f"{COMPONENT}/device", f"x@{COMPONENT}/device"])
def test_the_answer_comes_from_what_was_published_to(every, jid):
    """A wrong one would be a fault of the stream, or find nobody who waits for it."""
    device = every.device(jid)
    for count in (1, 2):
        assert every.server.publish(device["node"])["ending"] == "result"
        every.pushed(device, count)


# What costs a registration, and what doesn't


ODD = {
    "no-publish": pubsub(""),
    "no-node": pubsub(f"<publish>{ITEM}</publish>"),
    "no-item": pubsub("<publish node='{node}'/>"),
    "no-notification": pubsub("<publish node='{node}'><item/></publish>"),
    "many-items": pubsub(f"<publish node='{{node}}'>{17 * ITEM}</publish>"),
    "retract": pubsub("<retract node='{node}'><item id='1'/></retract>"),
    "two-payloads": 2 * pubsub(f"<publish node='{{node}}'>{ITEM}</publish>"),
    "no-payload": "",
    "other-namespace": f"<pubsub><publish node='{{node}}'>{ITEM}</publish></pubsub>",
    "other-payload": NOTIFICATION,
    "too-large": pubsub(f"<publish node='{{node}}'>{300 * 1024 * 'x'}</publish>"),
    "too-deep": pubsub(f"<publish node='{{node}}'>{40 * '<a>'}{40 * '</a>'}</publish>"),
}


@pytest.mark.parametrize("name", ODD)
def test_no_odd_publish_costs_a_registration(every, name):
    device = every.device()
    told = every.server.publish(device["node"], stanza=odd(ODD[name]))
    assert error_of(told) == WAIT
    assert not told["lost"]
    assert every.server.publish(device["node"])["ending"] == "result"
    every.pushed(device, 1)


@pytest.mark.parametrize("sender", ["alice@{from}", "{from}/push"])
def test_nor_does_a_publish_that_is_not_from_the_domain(every, sender):
    device = every.device()
    publish = pubsub(f"<publish node='{{node}}'>{ITEM}</publish>")
    told = every.server.publish(device["node"], stanza=odd(publish, f"from='{sender}'"))
    assert error_of(told) == WAIT
    assert "domain" in told["text"]
    every.gateway.wait_log("publish-malformed component=push.example.org")


def test_trouble_of_ours_costs_none(every):
    device = every.device()
    script(every.fake, device["token"], 400, "PayloadEmpty", times=1)
    told = every.server.publish(device["node"])
    assert error_of(told) == WAIT
    assert known(every.push, device)
    assert not every.server.registrations()[device["node"]]["lost"]


def test_a_dead_device_ends_its_registration_where_the_server_lets_it(every):
    device = every.device()
    node = device["node"]
    every.server.expect_lost(node)
    script(every.fake, device["token"], 410, "Unregistered")
    times = 16 if every.kind == "prosody" else 1
    for _ in range(times):
        assert error_of(every.server.publish(node)) == GONE
    assert every.server.registrations()[node]["lost"] == (every.kind != "openfire")
    assert not known(every.push, device)


# The stream


def converse(server, *texts, until=b"</stream:stream>"):
    """Sends TEXTS, each after an answer to the one before; all that came up to UNTIL."""
    with socket.create_connection((HOST, server.port), 60) as connection:
        for text in texts:
            connection.sendall(text.encode())
            data = connection.recv(65536)
        while until not in data and (more := connection.recv(65536)):
            data += more
    return data.decode()


def opening(name=COMPONENT, more=""):
    return (
        f"<stream:stream xmlns='jabber:component:accept' to='{name}' "
        f"xmlns:stream='http://etherx.jabber.org/streams' {more}>"
    )


def test_the_pretend_server_refuses_strangers(every):
    said = converse(every.server, opening(), "<handshake>0000</handshake>")
    assert "<not-authorized" in said
    if every.kind in ("openfire", "prosody", "tigase"):
        assert "<host-unknown" in converse(every.server, opening("other.example.com"))


def test_a_second_gateway_shares_the_name_or_gets_a_conflict(every, tmp_path):
    stats = every.server.stats
    before = stats()["streams"]["conflicts"]
    refused = lambda: stats()["streams"]["conflicts"] > before
    shares = lambda: stats()["components"][COMPONENT]["links"] == 2
    components = {COMPONENT: every.server.section(COMPONENT)}
    with Stage(tmp_path, record=False) as stage:
        second = stage.xmppgw(every.redis, components, name="second", start=False)
        second.start(wait=False)
        wait_until(lambda: refused() or shares())
        if every.kind != "openfire":
            assert shares() == (every.kind in ("ejabberd", "tigase"))
        second.wait_log("stream-up" if shares() else "conflict")
        device = every.device()
        assert every.server.publish(device["node"])["ending"] == "result"
    every.server.wait_links(COMPONENT, 1)
