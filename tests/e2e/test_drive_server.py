"""A malicious XMPP server at random, with the real gateway, relay and pushd behind it: nothing that
it sends stops one of them, leaves anything behind, or gets an answer that costs a registration."""

import contextlib
import dataclasses
import hashlib
import os
import re
import select
import signal
import socket
import ssl
from xml.sax.saxutils import escape

import pytest

import bytestream as bs
from component import ERROR, HEADER, ComponentServer, Link
from conversation import GONE, RESULT, WAIT, Conversation, Stanza, new_iq
from descriptors import connections, descriptors, left_open, wait_at_rest
from harness import PATIENCE, Trouble, wait_until
from notify import APNS, FCM, apns_token, fcm_token
from phones import Phones
from test_server_quirks import ODD
from test_xmppgw import BYTESTREAMS, PING, RELAY, activate, command, publish

PUSH, DOMAIN, EVIL = "push.example.org", "example.org", "evil.example"
ADMIN = f"root@{DOMAIN}/desk"
MODULE = "monalProdiOS"
COMMANDS = "http://jabber.org/protocol/commands"
STREAMS = "urn:ietf:params:xml:ns:xmpp-streams"
DISCO = "http://jabber.org/protocol/disco"
POOL = 32  # connections that the gateway keeps to each backend
IDLE_PIPES = 3 * 32 * 2  # descriptors of pipes that the relay keeps for the next loans
MEMORY_MAX = 600_000_000  # bytes, with the sanitizers
DRAINS = {"drain-relay", "drain-push-daemon"}  # what an administrator really does
USERS = [f"alice@{DOMAIN}/phone", f"bob@{DOMAIN}", f"mallory@{EVIL}/x", "MALLORY@EVIL.example/X"]
ODD_JIDS = [
    "jörg@exämple.org/ü", "@", "a@b@c", "<&'\">@x/\n", "x" * 3000, "\U0001f600@evil.example", " ",
    f"{'l' * 1023}@{EVIL}/{'r' * 1023}", "a@" + "b" * 1100, "xn--@x/", f"/{DOMAIN}",
]
ODD_TEXTS = [
    "", " ", "0", "-1", "99999999999999999999", "x" * 5000, "é\U0001f600" * 300, "a@b", "{}",
    "null", "' or 1=1", "%s%n", "\\u0000", "../..", "2026-11-30", "202611", "0" * 40, "f" * 32,
    "\n\r\t", "all", "user", "next", "\u202e\u2066", "\ufeff", "\x7f\x85",
]


def odd_text(dice):
    return escape(dice.choice(ODD_TEXTS), {"\r": "&#13;"})


class Place:
    """
    A component at its server, and at another one to which it is sent on. IDENTITY: the folder of
    the server's certificate, where it speaks TLS.
    """

    def __init__(self, domain, identity=None):
        self.servers = [ComponentServer(domain), ComponentServer(domain)]
        self.domain, self.section = domain, self.servers[0].section
        self.talk, self.tls = None, None
        if identity:
            self.section |= {"tls": "yes", "ca_file": identity / "ca.pem"}
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(identity / "server.pem", identity / "server.key")

    def next_link(self, gateway):
        """The gateway's next connection; SIGHUP ends its wait, which may be a minute."""
        for _ in range(PATIENCE):
            ready, _, _ = select.select([server.socket for server in self.servers], [], [], 1)
            for server in self.servers:
                if server.socket in ready:
                    return Link(server, server.socket.accept()[0])
            os.kill(gateway.pid, signal.SIGHUP)
        raise Trouble(f"no component connected to {self.domain}")

    def secure(self, link):
        if self.tls:
            link.socket.settimeout(PATIENCE)
            link.socket = self.tls.wrap_socket(link.socket, server_side=True)

    def close(self):
        for server in self.servers:
            server.close()


class Scene:
    def __init__(self, stage, dice):
        self.stage, self.dice = stage, dice
        self.redis, self.fake = stage.redis(), stage.providers()
        providers = self.fake.provider_sections()
        providers[APNS]["push_modules"] = MODULE
        self.pushd = stage.pushd("push-1", self.redis, providers=providers)
        self.relay = stage.relayd("relay-1", self.redis)
        self.push, self.proxy = self.places = [
            Place(domain, self.fake.set if dice.random() < 0.3 else None)
            for domain in (PUSH, RELAY)
        ]
        keys = {"admins": ADMIN.split("/")[0]}
        components = {
            PUSH: {**self.push.section, "role": "push", **keys},
            RELAY: {**self.proxy.section, "role": "relay", **keys},
        }
        self.gateway = stage.xmppgw(self.redis, components)
        for place in self.places:
            self.connect(place)
        self.gateway.wait_log("backend-found", count=2)
        self.phones = Phones(self.fake)
        for provider in (APNS, APNS, FCM, FCM):
            self.phones.add(self.push.talk, provider)
        self.fields = {place: self.read_fields(place) for place in self.places}
        self.halves = []
        self.begin()

    def begin(self):
        """Each thing once, since what it needs stays for the next time."""
        for place, first in (self.push, publish_to_phone), (self.proxy, activate_stream):
            wait_until(lambda: place.talk.ask(first(self)) is RESULT)
        self.check_halves()
        port = lambda address: int(address.rsplit(":", 1)[1])
        self.kept = {"pipe:[N]": IDLE_PIPES, **connections(port(self.fake.url), 8)}
        for address in self.pushd.address("api"), self.relay.address("control"):
            self.kept |= connections(port(address), POOL)
        self.before = {daemon: descriptors(daemon) for daemon in self.daemons}

    @property
    def daemons(self):
        return self.gateway, self.pushd, self.relay

    def connect(self, place):
        """Lets the gateway in, though it may have given up a connection that was left waiting."""
        for _ in range(5):
            link = place.next_link(self.gateway)
            with contextlib.suppress(Trouble, OSError):
                place.secure(link)
                place.talk = Conversation(link.log_in(new_stream_id(self.dice)), place.talk)
                return
        raise Trouble(f"the component {place.domain} doesn't log in")

    def read_fields(self, place):
        """The fields of all commands that administrators have there."""
        query = f"<query xmlns='{DISCO}#items' node='{COMMANDS}'/>"
        ask = new_iq("get", query, ADMIN, place.domain, allowed={RESULT})
        place.talk.ask(ask)
        found = {}
        for item in ask.request.answer[0]:
            form = new_iq("set", f"<command xmlns='{COMMANDS}' node='{item.get('node')}'/>", ADMIN,
                          place.domain)
            place.talk.ask(form)
            found[item.get("node")] = [
                field.get("var") for field in form.request.answer.iter("{jabber:x:data}field")
            ]
        assert len(found) > 5
        return {node: vars for node, vars in found.items() if node not in DRAINS}

    # At the end of a round

    def check(self):
        for place in self.places:
            place.talk.settle()
        self.check_halves()
        self.phones.check()
        for daemon in self.daemons:
            assert daemon.alive, daemon.tail()
        wait_at_rest(self.left)

    def left(self):
        sums = gauges(self.gateway)
        return [
            *(left_open(daemon, before, self.kept) for daemon, before in self.before.items()),
            *(self.redis.command("KEYS", f"og:{kind}:*") for kind in ("claim", "lease")),
            *(place.talk.unanswered() for place in self.places), sums["iqs_outstanding"],
            sums["iqs_received_total"] - sums["iqs_answered_total"],
            [daemon.name for daemon in self.daemons if memory(daemon) > MEMORY_MAX],
        ]

    def check_halves(self):
        """Where an activation was answered well bytes go through; with the halves all goes."""
        for name, request, first, second in self.halves:
            if request.answer is not None and request.outcome is RESULT:
                first.sendall(b"bytes")
                assert bs.exactly(second, 5) == b"bytes"
            first.close()
            second.close()
        for name, *_ in self.halves:
            wait_until(lambda: self.relay.call("GET", f"/v1/streams/{name}")[0] == 404)
        assert self.relay.call("GET", "/v1/limits")[0] == 200  # Redis has answered it by now
        claims = [f"og:claim:{name}" for name, *_ in self.halves]
        assert not claims or self.redis.command("EXISTS", *claims) == 0
        self.halves.clear()


def gauges(gateway):
    """The metrics of GATEWAY, without prefix and summed over their labels."""
    found = {}
    for name, value in re.findall(r"^outrigger_xmppgw_(\w+)(?:\{.*\})? (\S+)$",
                                  gateway.call("GET", "/metrics")[1], re.M):
        found[name] = found.get(name, 0) + float(value)
    return found


def memory(process):
    with open(f"/proc/{process.pid}/status") as status:
        return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


# Stanzas of a server in its right mind


def publish_to_phone(scene):
    dice, phone = scene.dice, scene.dice.choice(scene.phones.all)
    to = dice.choice([PUSH, PUSH, "PUSH.example.ORG", f"x@{PUSH}/é", f"{PUSH}/{phone.node}", None])
    id = dice.choice([None, None, "rr-17/+=" + "x" * dice.choice([0, 80, 5000]) + odd_id(dice)])
    return scene.phones.publish(phone, PUSH, odd_text(dice), to=to, id=id)


def publish_by_mischief(scene):
    """To a device that is there, or isn't, by somebody who may, or may not; no answer costs it."""
    dice, phone = scene.dice, scene.dice.choice(scene.phones.all)
    node, kind = phone.node, dice.choice(["odd", "odd", "unknown", "stranger", "user"])
    sender, allowed, payload = DOMAIN, {WAIT}, publish(node, secret=phone.secret)
    if kind == "odd":
        payload = dice.choice(list(ODD.values())).format(node=node)
    elif kind == "unknown":
        node = escape(dice.choice([*ODD_TEXTS[1:], apns_token()]), {"'": "&apos;", "\r": "&#13;"})
        payload, allowed = publish(node, odd_text(dice), dice.choice([None, "s", "s" * 500])), None
        if dice.random() < 0.3:
            payload = payload.replace("'secret'", "'pushModule'").replace(">s<", f">{MODULE}<")
    elif kind == "stranger":
        sender, allowed = dice.choice([EVIL, f"sub.{DOMAIN}"]), {GONE, WAIT}
    else:
        sender, allowed = dice.choice([*USERS, *ODD_JIDS, f"{DOMAIN}/x", f"@{DOMAIN}"]), None
    return new_iq("set", payload, sender, PUSH, allowed=allowed)


def register(scene):
    dice = scene.dice
    token = dice.choice([apns_token(), fcm_token(), odd_text(dice)])
    payload = dice.choice([
        command("register-device", provider=dice.choice([APNS, FCM, "x"]), device_token=token,
                device_second_token=odd_text(dice)),
        command(f"register-push-{dice.choice(['fcm', 'apns', 'x'])}", token=token,
                device_id=odd_text(dice), muc=dice.choice(["r@rooms.example", odd_text(dice)])),
        command("unregister-device", device_token=token),
        command(f"unregister-push-{dice.choice(['fcm', 'apns'])}", android_id=odd_text(dice)),
        f"<command xmlns='{COMMANDS}' node='register-device'/>",
    ])
    if dice.random() < 0.3:
        field = f"<field var='token'><value>{token}</value><value/><x/></field>"
        payload = payload.replace("<field", dice.choice([field + "<field", "<field/><field"]))
    return new_iq("set", payload, dice.choice(USERS + ODD_JIDS), PUSH)


def ask_relay(scene):
    query = f"<query xmlns='{BYTESTREAMS}'/>"
    return new_iq("get", query, scene.dice.choice(USERS + ODD_JIDS), RELAY)


def activate_stream(scene):
    """Halves that are there, and an activation of them."""
    dice, sid, target = scene.dice, f"s{scene.dice.getrandbits(40)}", f"bob@{DOMAIN}/x"
    requester = dice.choice([f"alice@{DOMAIN}/phone", f"mallory@{EVIL}/x"])
    name = hashlib.sha1(f"{sid}{requester}{target}".encode()).hexdigest()
    stanza = new_iq("set", activate(sid, target), requester, RELAY, allowed={RESULT, WAIT})
    first, second = bs.half(scene.relay, name), bs.half(scene.relay, name)
    scene.halves.append((name, stanza.request, first, second))
    return stanza


def activate_by_mischief(scene):
    dice = scene.dice
    target = escape(dice.choice(USERS + ODD_JIDS))
    sid = dice.choice(["", "1", "é" * 64, "s" * 128, "s" * 5000, "&lt;&#10;"])
    payload = dice.choice([
        activate(sid, target), f"<query xmlns='{BYTESTREAMS}' sid='{sid}'/>",
        f"<query xmlns='{BYTESTREAMS}' sid='{sid}'>{'<activate>x</activate>' * 3}</query>",
        f"<query xmlns='{BYTESTREAMS}'><streamhost jid='x' host='h' port='p'/></query>",
        activate(sid, f"<![CDATA[{odd_text(dice)}]]>"), activate(sid, "<activate>a@b</activate>"),
    ])
    sender = dice.choice(USERS + ODD_JIDS)
    return new_iq(dice.choice(["set", "get"]), payload, sender, RELAY)


def administrate(scene, place):
    """By the administrator, or by somebody who isn't; what it changes is strangers' alone."""
    dice = scene.dice
    node, vars = dice.choice(list(scene.fields[place].items()))
    text = lambda: dice.choice([odd_text(dice), f"mallory@{EVIL}", EVIL])
    fields = "".join(
        f"<field var='{var}'><value>{text()}</value></field>" for var in vars if dice.random() < 0.8
    )
    more = dice.choice(["", "", " action='cancel'", " action='prev'", " action='complete'",
                        f" sessionid='{'s' * dice.choice([1, 64, 65, 3000])}'", " action='x&lt;'"])
    form = f"<x xmlns='jabber:x:data' type='{dice.choice(['submit', 'cancel', 'x'])}'>{fields}</x>"
    payload = f"<command xmlns='{COMMANDS}' node='{node}'{more}>{dice.choice([form, '', 2 * form])}"
    sender = dice.choice([ADMIN, ADMIN, *USERS, DOMAIN])
    return new_iq("set", payload + "</command>", sender, place.domain)


def discover(scene, place):
    dice = scene.dice
    nodes = ["", f" node='{COMMANDS}'", " node='register-device'", f" node='{'n' * 3000}'"]
    node = dice.choice(nodes)
    payload = dice.choice([f"<query xmlns='{DISCO}#info'{node}/>", PING,
                           f"<query xmlns='{DISCO}#items'{node}/>",
                           "<query xmlns='jabber:iq:version'/>"])
    return new_iq("get", payload, dice.choice([DOMAIN, *USERS]), place.domain)


# Stanzas of another


def wrong_payload(scene, place):
    """Answered, like all that is get or set and says from whom it is."""
    dice, to = scene.dice, ""
    payload = dice.choice([
        "", PING + PING, "text", "<ping/>", "<x xmlns='urn:x'/>", f"<iq>{PING}</iq>", "<error/>",
        "<command xmlns='jabber:client' node='register-device'/>", f"<a xmlns=''>{PING}</a>",
        PING.replace("ping ", "p:ping ").replace("xmlns=", "xmlns:p="), "<![CDATA[<a></b>]]>",
        f"<pubsub xmlns='{BYTESTREAMS}'/>", f"<command xmlns='{COMMANDS}' node='{odd_id(dice)}'/>",
    ])
    allowed = None
    if dice.random() < 0.3:
        to, allowed = dice.choice(["other.example", "a@Sub.push.example.org/B"]), {WAIT}
    id = dice.choice(["", odd_id(dice), "i" * 100_000, "\n\t 'x' \""])
    kind, sender = dice.choice(["get", "set"]), dice.choice(USERS + ODD_JIDS)
    return new_iq(kind, payload, sender, place.domain, to, id, allowed=allowed)


def odd_id(dice):
    return f"{dice.choice(['', '/+=', '%n', '{0}'])}{dice.getrandbits(32)}"


def wrong_address(scene, place):
    """What can't be answered, or hardly: nothing comes, or one answer."""
    dice = scene.dice
    to = dice.choice(["@@", f"a@b@{place.domain}", "x" * 5000, "", "[::1", "\ud7ff.example"])
    id = odd_id(dice) + place.domain
    return new_iq("get", PING, USERS[0], place.domain, to or " ", id, needed=False)


def unasked(scene, place):
    """Nobody may answer these, of which none is a request."""
    dice, to = scene.dice, place.domain
    id = dice.choice(["r1", "c1", "x" * 70000, odd_id(dice)])
    rest = f"id='{id}' from='{dice.choice([DOMAIN, USERS[0], place.domain])}' to='{to}'"
    payload = dice.choice(["", PING, publish("f" * 32), f"<error type='cancel'>{PING}</error>",
                           f"<a>{'<b/>' * 5000}</a>", "<a>" * 50 + "</a>" * 50, "y" * 300_000])
    return Stanza(dice.choice([
        f"<iq type='result' {rest}>{payload}</iq>", f"<iq type='error' {rest}>{payload}</iq>",
        f"<iq type='GET' {rest}>{payload}</iq>", f"<iq {rest}>{payload}</iq>",
        f"<iq type='get' from='{USERS[0]}' to='{to}'>{payload}</iq>",
        f"<iq type='get' id='{id}' to='{to}'>{payload}</iq>",
        f"<iq type='get' id='{id}' from='' to='{to}'>{payload}</iq>",
        f"<iq xmlns='jabber:server' type='get' {rest}>{payload}</iq>",
        f"<iq xmlns='' type='get' {rest}>{payload}</iq>", f"<handshake>{payload}</handshake>",
        f"<x:iq xmlns:x='urn:x' type='get' {rest}>{payload}</x:iq>", " \n\t",
        f"<message {rest}>{payload}</message>", f"<presence type='subscribe' {rest}/>",
        f"<message type='error' {rest}>{payload}</message>", f"<route {rest}>{payload}</route>",
        f"<stream:features>{payload}</stream:features>", f"<IQ type='get' {rest}/>",
    ]))


def other_spelling(scene, place):
    """The same request as XML lets one write it."""
    stanza = scene.dice.choice([discover, wrong_payload])(scene, place)
    text, dice = stanza.text, scene.dice
    if dice.random() < 0.3:
        text = text.replace("<iq ", "<c:iq xmlns:c='jabber:component:accept' ", 1)
        text = text[: -len("</iq>")] + "</c:iq \n>"
    elif dice.random() < 0.5:
        text = text.replace("<iq ", "<iq xmlns='jabber:client' \n xml:lang='x' ", 1)
    else:
        text = text.replace("<iq ", "<iq " + " ".join(f"a{n}='{n}'" for n in range(25)) + " ", 1)
    return Stanza(" \n" + text + dice.choice(["", "\r\n", "text"]), stanza.request)


def too_much(scene, place):
    """Skipped, but answered."""
    dice = scene.dice
    size = dice.choice([300_000] * 8 + [700_000, 2_500_000, 5_000_000])
    tag = dice.choice([300_000] * 4 + [900_000, 1_500_000])
    depth, many = dice.choice([32, 40, 3000]), dice.choice([33, 500])
    attributes = " ".join(f"b{n}='{n}'" for n in range(many))
    more = dice.choice(["", "", "", "", f" {attributes}", f" c='{'x' * tag}'"])
    payload = dice.choice([
        f"<a>{'x' * size}</a>", "<a>text</a>" * (size // 11), f"<a {attributes}/>",
        "<a>" * depth + "</a>" * depth, f"<a b='{'x' * tag}'/>" + "y" * 300_000,
        f"<a xmlns='urn:{'x' * 270_000}'/>", f"<{'a' * 270_000}/>",
        "<a>" * 40 + "<![CDATA[" + "]]" * 9 + " ></iq>]]>" + "</a>" * 40, "&lt;" * 70_000,
    ])
    kind = dice.choice(["set", "get"])
    sender = dice.choice([DOMAIN, *USERS])
    return new_iq(kind, payload, sender, place.domain, more=more, allowed={WAIT})


DEEDS = [  # weight, what is sent to the push component, and to the proxy
    (8, publish_to_phone, activate_stream),
    (6, publish_by_mischief, activate_by_mischief),
    (4, register, ask_relay),
]
BOTH = [
    (3, administrate), (3, discover), (4, wrong_payload), (1, wrong_address), (6, unasked),
    (3, other_spelling), (1, too_much),
]


def new_stanza(scene, place):
    ours = [(weight, each[place is scene.proxy]) for weight, *each in DEEDS]
    deeds = ours + [(weight, lambda scene, deed=deed: deed(scene, place)) for weight, deed in BOTH]
    weights, deeds = zip(*deeds)
    return scene.dice.choices(deeds, weights)[0](scene)


def talk(scene, place):
    """Some stanzas, in pieces of some size; one of them may come again, with the same id."""
    dice = scene.dice
    size = dice.choice([None, None, 1, 7, 1000])
    for _ in range(dice.randrange(1, 25)):
        stanza = new_stanza(scene, place)
        place.talk.say(stanza, size and max(size, len(stanza.data) // 250))
        if stanza.request and dice.random() < 0.1:
            again = dataclasses.replace(stanza.request, outcome=None, answer=None)
            for phone in scene.phones.all:
                phone.requests += [again] * (stanza.request in phone.requests)
            place.talk.say(Stanza(stanza.text, again))


# The end of a stream


XML_FAULTS = [
    "<!-- a comment -->", "<?php ?>", "<!DOCTYPE x>", "<iq>&unknown;</iq>", "<iq></message>",
    "<iq a='1' a='2'/>", "<y:iq/>", "<iq a=1/>", b"<iq>\xff</iq>", b"\0", "</iq>", "]]>",
    "<!DOCTYPE x [<!ENTITY a 'b'><!ENTITY c '&a;&a;&a;'>]>", "<iq a='<'/>", "<iq>&#0;</iq>",
    b"<iq>\xed\xa0\x80</iq>", "<iq><!-- x --></iq>", f"<iq>{'<a>' * 100}<!-- x -->",
    f"<iq>{'<a>' * 40}{'</a>' * 40}</iq></iq>", "</stream:stream><iq/>", "<iq><![CDATA[" + "x" * 99,
]
CONDITIONS = [
    "conflict", "not-authorized", "host-unknown", "system-shutdown", "x", "policy-violation",
    "see-other-host", "see-other-host", "see-other-host",
]


def stream_error(scene, place):
    dice = scene.dice
    condition = dice.choice(CONDITIONS)
    text = odd_text(dice)
    if condition == "see-other-host":
        return see_other_host(scene, place)
    return dice.choice([
        ERROR.format(condition=condition, text=text), "<stream:error/>",
        ERROR.format(condition=condition, text="t" * 100_000),
        f"<stream:error><text xmlns='{STREAMS}'>{text}</text></stream:error>",
    ])


def see_other_host(scene, place):
    dice = scene.dice
    port = dice.choice(place.servers).port
    host = dice.choice([
        *[f"127.0.0.1:{port}"] * 6, f"localhost:{port}", "127.0.0.1:1", "", "[::1", "h" * 3000,
        "127.0.0.1:99999", f"[::1]:{port}", "&lt;:5",
    ])
    condition = f"<see-other-host xmlns='{STREAMS}'>{host}</see-other-host>"
    return f"<stream:error>{condition}</stream:error></stream:stream>"


def break_off(scene, place):
    """Ends the stream, at a time and in a way that it likes; the gateway hangs up, or finds out."""
    dice, link = scene.dice, place.talk.link
    if dice.random() < 0.5:
        place.talk.settle()  # else what is on its way is answered on the next link, or never
    how = dice.choice(["fault", "fault", "fault", "error", "error", "end", "half", "cut", "reset",
                       "record"])
    last = {"fault": dice.choice(XML_FAULTS), "error": stream_error(scene, place),
            "end": "</stream:stream>"}.get(how, "")
    if how == "cut":
        last = new_stanza(scene, place).text
        last = last[: dice.randrange(len(last))]
    data = last if isinstance(last, bytes) else last.encode()
    with contextlib.suppress(OSError, Trouble):
        place.talk.push(data, dice.choice([len(data) or 1, 3, 1000]))
        if how == "record":  # of TLS, where TLS is spoken
            record = dice.choice([b"x" * 99, b"\x17\x03\x03\0\x09" + b"x" * 9])
            os.write(link.socket.fileno(), record)
        if how in ("half", "fault", "record"):
            link.socket.shutdown(socket.SHUT_WR)
    if how in ("fault", "error", "end", "half", "record"):
        drain(link)
    leave(dice, link, how)


def drain(link):
    """Until the gateway hangs up."""
    link.parser = _Deaf()
    with contextlib.suppress(ssl.SSLError):
        link.wait_closed(PATIENCE)


class _Deaf:
    """In the place of a parser, for bytes that don't matter any more."""

    def feed(self, data):
        pass

    def read_events(self):
        return ()


def leave(dice, link, how):
    if how == "reset" or dice.random() < 0.2:
        bs.reset(link.socket)
    link.close()


# The beginning of one


def new_stream_id(dice):
    return dice.choice(["s", "5f1a03db-b0f1-4932-87bf-84d51b609401", "%s", "é", "0" * 100_000])


GREETINGS = [
    "HTTP/1.1 400 Bad Request\r\n\r\n", "<html>", "<stream:stream>", b"\0\1\2", "</stream:stream>",
    "<?xml version='1.0' encoding='UTF-16'?><stream:stream>", "<!DOCTYPE x>", b"\xef\xbb\xbf<x/>",
    "<stream:stream xmlns:stream='urn:x' id='1'>", "<stream xmlns='jabber:component:accept'>",
    "<?xml version='1.0'?>" * 2, " " * 70_000 + "<", "<" + "x" * 1_200_000, b"\x16\x03\x03\0\x31\2",
    "<!-- x -->", "<stream:stream " + " ".join(f"xmlns:n{n}='urn:{n}'" for n in range(3000)),
]
INSTEAD_OF_HANDSHAKE = [
    f"<iq type='get' id='early' from='a@b' to='{PUSH}'>{PING}</iq>", "<message/>", "<handshake",
    "<handshake xmlns='urn:x'/>", "<stream:features/>", "<!-- x -->", "</stream:stream>",
    "<a>" * 99,
    "<handshake>" + "x" * 300_000 + "</handshake>", "<proceed/>",
]


def greet_badly(scene, place):
    """One connection that comes to nothing."""
    dice, link = scene.dice, place.next_link(scene.gateway)
    header = HEADER.format(id="1", domain=place.domain)
    data = dice.choice([
        dice.choice(GREETINGS), HEADER.format(id="", domain="x") + stream_error(scene, place),
        header + stream_error(scene, place), header + dice.choice(INSTEAD_OF_HANDSHAKE),
        header + header, header[: dice.randrange(len(header))], "",
    ])
    data = data if isinstance(data, bytes) else data.encode()
    with contextlib.suppress(OSError):
        if dice.random() < 0.7:
            place.secure(link)
        size = dice.choice([1, 100_000]) if len(data) < 3000 else 100_000
        for start in range(0, len(data), size):
            link.send(data[start : start + size])
        link.socket.shutdown(socket.SHUT_WR)
        if dice.random() < 0.7:
            drain(link)
    leave(dice, link, None)


# The driver


@pytest.fixture
def scene(bare, drive):
    it = Scene(bare, drive.random)
    yield it
    for place in it.places:
        place.close()


def test_a_malicious_server_stops_nothing_and_gets_each_answer_once(scene, drive):
    for _ in drive:
        for _ in range(drive.random.randrange(1, 4)):
            talk(scene, drive.random.choice(scene.places))
        scene.check()
        for place in drive.random.choices(scene.places, k=drive.random.randrange(4)):
            talk(scene, place)
            break_off(scene, place)
            for _ in range(drive.random.choice([0, 0, 1, 2, 5])):
                greet_badly(scene, place)
            scene.connect(place)
    scene.check()
    assert scene.relay.stop() == 0
    assert scene.redis.command("KEYS", "og:registry:relay:*") == []
