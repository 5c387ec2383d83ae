"""
Hostile apps at random: they register, renew, publish and unregister what they like, and misuse the
REST calls, over TLS and without. Honest phones beside them go on getting their pushes, the caps
hold, and nothing stays behind in pushd or Redis.
"""

import collections
import contextlib
import json
import re
import socket
import ssl

import pytest

import bytestream as bs
import recorder
from component import ComponentServer
from conversation import RESULT, Conversation, new_iq
from descriptors import connections, descriptors, left_open, wait_at_rest
from notify import APNS, FCM, apns_token, fcm_token, known, script
from phones import Phones
from push_indexes import check_push_indexes
from test_drive_server import COMMANDS, ODD_JIDS, POOL, PUSH, odd_text
from test_xmppgw import DATA, DOMAIN, command, fields_of, publish

MODULE = "monalProdiOS"
PER_TOKEN, PER_OWNER, PER_DOMAIN = 3, 4, 12
HOSTS = ["evil.example", "worse.example", "xn--bse-1na.example"]
HONEST_MOST = 8
SUCCESS = {"result": "success"}
VERDICTS = {  # what providers say of tokens that strangers made up
    APNS: [(400, "BadDeviceToken"), (410, "Unregistered"), (400, "DeviceTokenNotForTopic")],
    FCM: [(404, "UNREGISTERED"), (400, "INVALID_ARGUMENT"), (403, "SENDER_ID_MISMATCH")],
}


class Scene:
    def __init__(self, stage, dice):
        self.dice = dice
        self.redis, self.fake = stage.redis(), stage.providers()
        providers = self.fake.provider_sections()
        providers[APNS]["push_modules"] = MODULE
        cert, key = (self.fake.set / f"server.{kind}" for kind in ("pem", "key"))
        keys = {
            "providers": providers, "trusted_proxies": "127.0.0.0/8",
            "devices_per_token_max": PER_TOKEN, "devices_per_owner_max": PER_OWNER,
            "devices_per_domain_max": PER_DOMAIN, "registration_rate": 1000,
        }
        self.pushds = [
            stage.pushd("push-1", self.redis, **keys, cert_file=cert, key_file=key),
            stage.pushd("push-2", self.redis, **keys),
        ]
        self.server = ComponentServer(PUSH)
        self.gateway = stage.xmppgw(self.redis, {PUSH: {**self.server.section, "role": "push"}})
        self.talk = Conversation(self.server.accept().log_in())
        self.gateway.wait_log("backend-found", count=2)
        self.phones = Phones(self.fake)
        self.canary = self.phones.add(self.talk, APNS)  # named by requests that nobody may serve
        self.owners = [f"m{n}@{host}/x" for n in range(4) for host in HOSTS]
        makers = {APNS: apns_token, FCM: fcm_token}
        self.tokens = {kind: [make() for _ in range(8)] for kind, make in makers.items()}
        self.booty = []  # registrations of strangers: owner, provider, token, node, secret
        self.calls = 0
        self.open = []  # connections that are there for the rest of a round
        self.before = {daemon: descriptors(daemon) for daemon in (self.gateway, *self.pushds)}
        port = lambda address: int(address.rsplit(":", 1)[1])
        self.kept = connections(port(self.fake.url), 8)
        for push in self.pushds:
            self.kept |= connections(port(push.address("api")), POOL)

    # At the end of a round

    def check(self):
        self.talk.settle()
        self.phones.reach(self.talk)
        for sock in self.open:
            close(self.dice, sock)
        self.open.clear()
        assert known(self.pushds[0], vars(self.canary)), "a request in doubt was served"
        self.check_caps()
        wait_at_rest(
            lambda: [left_open(each, before, self.kept) for each, before in self.before.items()]
        )

    def check_caps(self):
        """By what is in Redis."""
        owners, tokens, domains = (collections.Counter() for _ in range(3))
        with recorder.Resp(self.redis.port) as resp:
            for key in resp.command("KEYS", "og:push:device:*"):
                owner, token = resp.command("HMGET", key, "owner", "token_hash")
                user, at, domain = owner.rpartition("@")  # no user: a domain has pinned a token
                owners[owner] += bool(at)
                tokens[token] += 1
                domains[domain] += 1
        for counts, most in (owners, PER_OWNER), (tokens, PER_TOKEN), (domains, PER_DOMAIN):
            assert all(count <= most for count in counts.values()), counts.most_common(5)


def close(dice, sock):
    with contextlib.suppress(OSError):
        if dice.random() < 0.3 and not isinstance(sock, ssl.SSLSocket):
            bs.reset(sock)
    sock.close()


# By XMPP


def token(scene, provider):
    """Seldom a new one: many have the same."""
    dice = scene.dice
    new = apns_token() if provider == APNS else fcm_token()
    upper = dice.choice(scene.tokens[provider]).upper()
    return dice.choice([dice.choice(scene.tokens[provider]), new, upper])


def registers(scene):
    dice = scene.dice
    provider, owner = dice.choice([APNS, FCM]), dice.choice(scene.owners)
    its = token(scene, provider)
    if dice.random() < 0.5:
        payload = command("register-device", provider=provider, device_token=its)
    else:
        room = {"muc": f"room{dice.randrange(3)}@rooms.example"} if dice.random() < 0.3 else {}
        service = "apns" if provider == APNS else "fcm"
        id = dice.choice(["same", f"id-{dice.randrange(10**6)}", its[:20]])
        payload = command(f"register-push-{service}", token=its, android_id=id, **room)
    stanza = new_iq("set", payload, owner, PUSH)
    scene.booty = scene.booty[-200:] + [(stanza.request, owner, provider, its)]
    scene.talk.say(stanza)


def odd_field(dice, var, text):
    kind = dice.choice(["", " type='hidden'", " label='x'"])
    values = f"<value>{text}</value>" * dice.choice([0, 1, 1, 1, 2, 40])
    return f"<field var='{var}'{kind}>{values}</field>"


def registers_oddly(scene):
    dice = scene.dice
    fields = [odd_field(dice, var, text) for var, text in (
        ("provider", dice.choice([APNS, FCM, odd_text(dice)])),
        ("token", dice.choice([apns_token(), fcm_token(), odd_text(dice), "a" * 4097])),
        ("device-token", dice.choice([apns_token(), odd_text(dice), "a" * 201, "ab" * 100])),
        ("device-second-token", dice.choice([apns_token(), odd_text(dice)])),
        ("android-id", odd_text(dice)), ("device-id", odd_text(dice)),
        ("muc", dice.choice(["r@rooms.example", "r@rooms.example/x", odd_text(dice)])),
        ("channel", odd_text(dice)), ("FORM_TYPE", "urn:x"), ("x", odd_text(dice)),
    ) if dice.random() < 0.8]
    dice.shuffle(fields)
    node = dice.choice(["register-device", "register-push-fcm", "register-push-apns",
                        "unregister-device", "unregister-push-fcm", "v1-register-push", ""])
    kind = dice.choice(["", " type='submit'", " type='form'", " type='cancel'", " type='x'"])
    action = dice.choice(["", "", " action='complete'", " action='next'", " action='x'"])
    payload = (f"<command xmlns='{COMMANDS}' node='{node}'{action}>"
               f"<x xmlns='jabber:x:data'{kind}>{''.join(fields)}</x></command>")
    sender = dice.choice([*scene.owners, *ODD_JIDS])
    scene.talk.say(new_iq("set", payload, sender, PUSH))


def pick(scene):
    """What a stranger has registered: (owner, provider, token, node, secret), or None."""
    done = [each for each in scene.booty if each[0].answer is not None]
    done = [each for each in done if each[0].outcome is RESULT]
    if not done:
        return None
    request, *what = scene.dice.choice(done)
    form = request.answer.find(f"{{{COMMANDS}}}command/{DATA}x")
    fields = fields_of(request.answer, form.get("type"))
    return *what, *(fields.get(name, (None, [None]))[1][0] for name in ("node", "secret"))


def publishes(scene):
    """To its own, from its own domain or from another."""
    its, dice = pick(scene), scene.dice
    if its is None:
        return registers(scene)
    owner, _, _, node, secret = its
    domain = owner.rpartition("@")[2].partition("/")[0]
    secret = dice.choice([secret, secret, None, "x"])
    sender = dice.choice([domain, domain, domain, DOMAIN, owner])
    scene.talk.say(new_iq("set", publish(node, odd_text(dice), secret), sender, PUSH))


def pins(scene):
    """As fpush's apps do, who name the token itself."""
    dice = scene.dice
    module = dice.choice([MODULE, MODULE, "none", MODULE + "x"])
    payload = publish(token(scene, APNS), secret=module).replace("'secret'", "'pushModule'")
    scene.talk.say(new_iq("set", payload, dice.choice([*HOSTS, *HOSTS, scene.owners[0]]), PUSH))


def unregisters(scene):
    its, dice = pick(scene), scene.dice
    if its is None:
        return registers(scene)
    owner, provider, its_token, *_ = its
    owner = dice.choice([owner, owner, dice.choice(scene.owners)])
    fields = dice.choice([{"provider": provider}, {"provider": "x"}, {}])
    payload = command("unregister-device", device_token=its_token, **fields)
    if dice.random() < 0.4:
        service = "apns" if provider == APNS else "fcm"
        payload = command(f"unregister-push-{service}", android_id="same")
    scene.talk.say(new_iq("set", payload, owner, PUSH))


def is_refused(scene):
    """From now on the provider has something against a token that strangers use."""
    provider = scene.dice.choice([APNS, FCM])
    status, reason = scene.dice.choice(VERDICTS[provider])
    its = scene.dice.choice(scene.tokens[provider])
    script(scene.fake, its, status, reason, times=scene.dice.choice([1, 3, 10]))


# By REST


def dial(scene, plain=None):
    """A connection to one of the public listeners."""
    encrypted = scene.dice.random() < 0.5 if plain is None else not plain
    address = scene.pushds[0 if encrypted else 1].address("public")
    host, port = address.rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), timeout=120)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not encrypted:
        return sock
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(sock)


def head(scene, path="/unregister-device/", method="POST", version="HTTP/1.1"):
    """The beginning of a request, from a network that hasn't asked before."""
    scene.calls += 1
    address = f"10.{scene.calls & 255}.{scene.calls >> 8 & 255}.1"
    return f"{method} {path}{PUSH} {version}\r\nX-Forwarded-For: {address}\r\n"


def removal(scene, owner, token, path="/unregister-device/", more=""):
    """The bytes of a whole request that unregisters."""
    account = owner.partition("/")[0]
    body = json.dumps({"account": account, "provider": APNS, "device-token": token}).encode()
    fields = f"Host: {PUSH}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return (head(scene, path) + fields).encode() + body


def target(scene):
    """Whose device a stranger unregisters, and its token."""
    its = pick(scene)
    return (its[0], its[2]) if its else (f"nobody@{HOSTS[0]}", apns_token())


def hear(sock):
    """All that comes until the server hangs up."""
    data = b""
    try:
        while more := sock.recv(65536):
            data += more
    except OSError:  # it was reset: what it said may be lost
        pass
    return data


def answers(data):
    """[(status, body)] of the answers in DATA, which each have a length."""
    found = []
    while data:
        lines, data = data.split(b"\r\n\r\n", 1)
        length = int(re.search(rb"(?i)content-length: (\d+)", lines).group(1))
        found.append((int(lines.split()[1]), data[:length]))
        data = data[length:]
    return found


def send(scene, sock, data):
    """In pieces of some size, but never very many."""
    size = max(scene.dice.choice([len(data), len(data), 1, 9]), len(data) // 500) or 1
    for start in range(0, len(data), size):
        sock.sendall(data[start : start + size])


def unregisters_by_rest(scene):
    """One request after another on one connection: each is answered, in their order."""
    dice = scene.dice
    count = dice.choice([1, 1, 2, 5, 15])
    paths = ["/unregister-device/", "/rest/push/unregister-device/"]
    requests = [removal(scene, *target(scene), dice.choice(paths)) for _ in range(count - 1)]
    requests.append(removal(scene, *target(scene), more="Connection: close\r\n"))
    sock = dial(scene)
    send(scene, sock, b"".join(requests))
    got = answers(hear(sock))
    assert [status for status, _ in got] == [200] * count
    assert all(json.loads(body) == SUCCESS for _, body in got)
    sock.close()


DOUBTFUL = [  # of which a proxy may think otherwise where they end
    "Host: x\r\nContent-Length: 2\r\nContent-Length: 2", "Host: x\r\nContent-Length: 2, 2",
    "Host: x\r\nContent-Length: 2\r\nContent-Length: 0", "Host: x\r\nContent-Length: +2",
    "Host: x\r\nContent-Length: 0x2", "Host: x\r\nContent-Length:", "Content-Length: 2",
    "Host: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked", "Host: x\r\nX Y: z",
    "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 2", "Host: x\r\nContent-Length: -2",
    "Host: x\r\nTransfer-Encoding: identity\r\nContent-Length: 2", "Host: x\r\nContent-Length : 2",
    "Host: x\r\nHost: y\r\nContent-Length: 2", "Host: x\r\n Content-Length: 2\r\nContent-Length: 2",
    "Host: x\r\nTransfer-Encoding: xchunked\r\nContent-Length: 2", "Host: x\r\nContent-Length: 2 2",
    "Host: x\r\nTransfer-Encoding: chunked, identity\r\nContent-Length: 2",
    "Host: x\r\nContent-Length: 18446744073709551618", "Host: x\r\nContent-Length: 4294967298",
]


def smuggles(scene):
    """A request for the canary behind one that is in doubt, or within the body of another."""
    dice, sock = scene.dice, dial(scene)
    secret = removal(scene, scene.canary.owner, scene.canary.token)
    how = dice.choice(["behind", "behind", "within", "chunked"])
    if how == "behind":
        data = f"{head(scene)}{dice.choice(DOUBTFUL)}\r\n\r\n{{}}".encode() + secret
    elif how == "within":
        fields = f"Host: x\r\nContent-Length: {len(secret)}\r\nConnection: close\r\n\r\n"
        data = (head(scene) + fields).encode() + secret
    else:
        fields = "Host: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        data = f"{head(scene)}{fields}{len(secret):x}\r\n".encode() + secret + b"\r\n0\r\n\r\n"
    with contextlib.suppress(OSError):  # it hangs up while we send
        send(scene, sock, data)
    # What the library itself refuses, it may refuse with two heads (libmicrohttpd 0.9.75).
    got = hear(sock)
    assert set(re.findall(rb"HTTP/1.1 (\d+)", got)) <= {b"400", b"404", b"411", b"413"}, (data, got)
    sock.close()


CALL = b"POST /unregister-device/x HTTP/1.1\r\nHost: x\r\n"
GARBAGE = [
    b"\0", b"\r\n" * 500, b"GET / HTTP/9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"POST",
    b"POST / HTTP/1.1\r\nno colon\r\n\r\n", b"X" * 70_000, b"GET " + b"/" * 40_000, b"\x05\x01\0",
    b"GET http:// HTTP/1.1\r\n\r\n", b"POST /unregister-device/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    CALL + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n", CALL + b"A: b\r\n" * 5000,
    CALL + b"Content-Length: 99999\r\n\r\n" + b"x" * 99_999,
    CALL + b"Content-Length: 8193\r\n\r\n", CALL + b"X-Forwarded-For: " + b"1.2.3.4," * 900,
    CALL + b"Upgrade: h2c\r\nConnection: upgrade\r\n\r\n", b"<stream:stream>", b"\x80\xff" * 99,
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
]


def talks_nonsense(scene):
    """Says what is no request, or no whole one, and goes, or stays for the rest of the round."""
    dice, sock = scene.dice, dial(scene)
    whole = removal(scene, *target(scene))
    data = dice.choice([dice.choice(GARBAGE), whole[: dice.randrange(len(whole))],
                        whole[:-1] + b"\xff", whole.replace(b"account", b"\\u0000account")])
    with contextlib.suppress(OSError):
        send(scene, sock, data)
        how = dice.choice(["stay", "leave", "half", "half"])
        if how == "half" and not isinstance(sock, ssl.SSLSocket):
            sock.shutdown(socket.SHUT_WR)
            hear(sock)
        if how == "stay":
            scene.open.append(sock)
            return
    close(dice, sock)


def breaks_a_handshake(scene):
    """Stops within TLS's handshake, or breaks it."""
    dice, bytes_in, bytes_out = scene.dice, ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = dice.choice([ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    tls = context.wrap_bio(bytes_in, bytes_out)
    host, port = scene.pushds[0].address("public").rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), timeout=120)
    with contextlib.suppress(OSError):
        for _ in range(dice.randrange(3)):
            with contextlib.suppress(ssl.SSLError):
                tls.do_handshake()
            sock.sendall(bytes_out.read())
            bytes_in.write(sock.recv(65536))
        with contextlib.suppress(ssl.SSLError):
            tls.do_handshake()
        last = bytearray(bytes_out.read())
        if last and dice.random() < 0.5:
            last[dice.randrange(len(last))] ^= 1 << dice.randrange(8)
        last = last[: dice.randrange(len(last) + 1)]
        garbage = [dice.randbytes(100), b"GET / HTTP/1.1\r\n"]
        sock.sendall(dice.choice([bytes(last), bytes(last), *garbage]))
    if dice.random() < 0.3:
        scene.open.append(sock)
    else:
        close(dice, sock)


# Honest ones


def comes(scene):
    """Another phone, and one that is there already says so again."""
    phones, dice = scene.phones, scene.dice
    if len(phones.all) < HONEST_MOST:
        phones.add(scene.talk, dice.choice([APNS, FCM]))
    phones.register(scene.talk, dice.choice(phones.all))


def goes(scene):
    others = [phone for phone in scene.phones.all if phone is not scene.canary]
    scene.talk.settle()  # what is published from now on is gone
    if len(others) > 2:
        scene.phones.remove(scene.talk, scene.dice.choice(others))


def goes_by_rest(scene):
    """After which it isn't there, whatever else happens at this moment."""
    others = [phone for phone in scene.phones.all if phone.provider == APNS][1:]
    scene.talk.settle()
    if others:
        phone, sock = scene.dice.choice(others), dial(scene)
        more = "Connection: close\r\n"
        sock.sendall(removal(scene, phone.owner, phone.token.upper(), more=more))
        assert [status for status, _ in answers(hear(sock))] == [200]
        sock.close()
        scene.phones.all.remove(phone)
        assert not known(scene.pushds[0], vars(phone))


def is_published(scene):
    phone = scene.dice.choice(scene.phones.all)
    scene.talk.say(scene.phones.publish(phone, PUSH, odd_text(scene.dice)))


DEEDS = [
    (10, registers), (5, registers_oddly), (8, publishes), (4, pins), (3, unregisters),
    (2, is_refused), (2, unregisters_by_rest), (3, smuggles), (3, talks_nonsense),
    (3, breaks_a_handshake), (2, comes), (1, goes), (1, goes_by_rest), (6, is_published),
]


@pytest.fixture
def scene(bare, drive):
    it = Scene(bare, drive.random)
    yield it
    it.server.close()


def test_hostile_apps_cost_honest_phones_nothing(scene, drive):
    weights, deeds = zip(*DEEDS)
    for number in drive:
        for deed in drive.random.choices(deeds, weights, k=drive.random.randrange(20, 60)):
            deed(scene)
        scene.check()
        if number % 4 == 0:
            check_push_indexes(scene.redis)
