"""What push clients send, played on real servers, and what they are pushed.

tests/data/clients has a folder for each client: its stanzas (register.xml, enable.xml and so on),
how it reads the reply and what it does when its token changes (client.json), and what must arrive
at the provider for each event (pushes.json): on Prosody, on ejabberd, and for what Tigase's server
publishes, which the others can't and send on. The events are in events/. {names} are filled in;
"*" is any text, an encrypted payload is given by its plain text.
"""

import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import secrets
import xml.etree.ElementTree as ET

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chat import FORMS, IqError
from demo import apns_token, fcm_token
from harness import ROOT, Stage, wait_until
from stack import APNS, FCM, Stack
from test_xmppgw import PING

FOLDER = ROOT / "tests/data/clients"
CLIENTS = sorted(path.parent.name for path in FOLDER.glob("*/client.json"))
EVENTS = ("message", "omemo", "call")  # of users who write to each other; more need a room
# An account that was removed has no devices any more, so that comes last.
TIGASE = sorted(
    (path.stem for path in FOLDER.glob("events/tigase-*.xml")),
    key=lambda event: (event == "tigase-account-removed", event),
)
WITH_RULES = sorted(path.parent.name for path in FOLDER.glob("*/enable-plain.xml"))
MODULES = [
    module + suffix
    for module in ("monalProdiOS", "monalProdCatalyst", "monalAlpha", "quicksyProdiOS",
                   "quicksyProdCatalyst")
    for suffix in ("", "-sandbox")
]
SERVERS = {
    "prosody": {"modules": ["cloud_notify_extensions"]},
    "ejabberd": {},
}
MUTED = "muted"  # whom the apps with rules don't want to hear of
SPEAKER = "Alîce of the garden"  # a nickname as people have them
ids = itertools.count(1)


def providers(usual):
    """One provider for each app, as their operators would name them."""
    apns, fcm = usual[APNS], usual[FCM]
    return {
        "tigase:messenger:apns:1": {**apns, "commands": "none"},
        "snikket:apns:1": {**apns, "commands": "none"},
        "monal": {**apns, "push_modules": ", ".join(MODULES), "commands": "none"},
        "p2-apns": {**apns, "commands": "register-push-apns"},
        "fcm-xmpp-api": {**fcm, "commands": "none"},
        "p2-fcm": fcm,
    }


@pytest.fixture(scope="module", params=SERVERS)
def stack(request, tmp_path_factory):
    with Stage(tmp_path_factory.mktemp(request.param)) as stage:
        yield Stack(
            stage,
            request.param,
            users=[MUTED, *(f"{name}-user" for name in CLIENTS)],
            providers=providers,
            server_keys={"rooms": "rooms.example.org", **SERVERS[request.param]},
        ).start()


def only_on(server):
    """Those on ejabberd alone stand last: pytest takes them for tests on the first of SERVERS."""
    return pytest.mark.parametrize("stack", [server], indirect=True)


class Player:
    """One client with its device, that plays its stanzas."""

    def __init__(self, stack, name):
        self.stack, self.name, self.user = stack, name, f"{name}-user"
        self.about = json.loads((FOLDER / name / "client.json").read_text())
        self.pushes = json.loads((FOLDER / name / "pushes.json").read_text())
        self.key = secrets.token_bytes(16)
        self.sealed = False  # the server encrypts for us
        device = secrets.token_hex(8)
        self.values = {
            "push": stack.push_jid,
            "domain": stack.domain,
            "rooms": stack.server.rooms,
            "room": f"{name}@{stack.server.rooms}",
            "nick": SPEAKER,
            "own_nick": "N",
            "account": f"{self.user}@{stack.domain}",
            "hash": hashlib.sha1(f"{self.user}@{stack.domain}\0{device}".encode()).hexdigest(),
            "sender": f"{stack.user1}@{stack.domain}",
            "device": device,
            "key": base64.b64encode(self.key).decode(),
            "max": "3072",
            "options": "",
        }
        self.new_token()

    def new_token(self):
        fcm = "fcm" in self.about["provider"]
        self.values["token"] = fcm_token() if fcm else apns_token()
        if self.about.get("token") == "upper":
            self.values["token"] = self.values["token"].upper()
        self.values["voip"] = apns_token()

    def fill(self, text):
        for name, value in self.values.items():
            text = text.replace(f"{{{name}}}", value)
        return text.replace("{n}", f"v{next(ids)}")

    def has(self, step):
        return (FOLDER / self.name / f"{step}.xml").exists()

    async def send(self, phone, step):
        """Sends the client's stanza for STEP; the answer."""
        iq = ET.fromstring(self.fill((FOLDER / self.name / f"{step}.xml").read_text()))
        return await phone.query(iq.get("type"), iq.get("to"), ET.tostring(iq[0], "unicode"))

    async def error(self, phone, step):
        """The condition with which STEP was refused, or None."""
        try:
            await self.send(phone, step)
        except IqError as error:
            return error.condition
        return None

    async def find(self, phone):
        """Finds the component as the client does: the first one with these features."""
        for jid in await phone.items(self.stack.domain):
            with contextlib.suppress(IqError):
                identities, features = await phone.info(jid)
                if ("pubsub", "push") in identities and set(self.about["finds"]) <= features:
                    return jid
        return None

    async def register(self, phone):
        if "finds" in self.about:
            assert await self.find(phone) == self.stack.push_jid
        if not self.has("register"):
            return
        command = (await self.send(phone, "register")).xml[0]
        reads = self.about["reads"]
        [form] = command.findall(f"{{{FORMS}}}x")
        assert (command.get("status"), form.get("type")) == (reads["status"], reads["form"])
        fields = {field.get("var"): field for field in form}
        for var, kind in reads["fields"].items():
            assert fields[var].get("type") == kind
            self.values[var] = fields[var][0].text
        self.values["max"] = self.values.get("max-payload-size", "")

    async def enable(self, phone):
        account = self.values["account"]
        _, features = await phone.info(account)
        assert "urn:xmpp:push:0" in features
        self.sealed = "needs" in self.about and set(self.about["needs"]) <= features
        plain = "needs" in self.about and not self.sealed
        await self.send(phone, "enable-plain" if plain else "enable")

    async def play(self, *steps):
        """Logs in, takes STEPS and goes offline."""
        async with self.stack.client(self.user) as phone:
            await self.take(phone, *steps)

    async def take(self, phone, *steps):
        for step in steps:
            if step in ("register", "enable"):
                await getattr(self, step)(phone)
            elif step == "disable":
                # ejabberd says so where the registration has gone before; clients go on.
                assert await self.error(phone, step) in (None, "item-not-found")
            elif self.has(step):
                await self.send(phone, step)

    async def stay_in_room(self):
        """Registers, enables, enters the room and loses its connection, which leaves it there."""
        phone = self.stack.client(self.user)
        phone.register_plugin("xep_0198")
        async with phone:
            await self.take(phone, "register", "enable")
            await phone.enter(self.values["room"], self.values["own_nick"])
            await phone.vanish()

    def expected(self, kind, event):
        return json.loads(self.fill(json.dumps(self.pushes[kind][event])))

    async def event(self, event):
        """user1 writes, calls …, or the server publishes for Tigase's."""
        async with self.stack.client(self.stack.user1, "desk") as peer:
            if event.startswith("tigase-"):
                self.values["options"] = self.options()
                self.values.setdefault("node", self.values["token"])
                await self.stack.server.publish(peer, self.text_of(event))
            else:
                peer.send_raw(self.text_of(event))

    def text_of(self, event):
        return self.fill((FOLDER / "events" / f"{event}.xml").read_text())

    def options(self):
        """The publish-options of enable.xml, as servers repeat them."""
        enable = ET.fromstring(self.fill((FOLDER / self.name / "enable.xml").read_text()))
        form = enable[0].find(f"{{{FORMS}}}x")
        if form is None:
            return ""
        return f"<publish-options>{ET.tostring(form, 'unicode')}</publish-options>"

    def next_record(self):
        """The number of the provider's next request."""
        received = self.stack.fake.received()
        return received[-1]["n"] + 1 if received else 0

    def records(self, first):
        tokens = {self.values[name].lower() for name in ("token", "voip")}
        return [
            record
            for record in self.stack.fake.received(first)
            if any(token in json.dumps(record).lower() for token in tokens)
        ]

    def pushed(self, first):
        """The one push that came since record FIRST, in the form of pushes.json."""
        [record] = wait_until(lambda: self.records(first), 20, f"a push to {self.name}")
        assert record["answered"] == 200, record
        if record["provider"] == "fcm":
            message = record["body"]["message"]
            assert message["token"] == self.values["token"]
            return {"priority": message["android"]["priority"], "to": "token",
                    "body": message["data"]}
        headers, token = record["headers"], record["path"].rsplit("/", 1)[1]
        kind = headers["apns-push-type"]
        assert headers["apns-topic"] == self.stack.fake.topic + (".voip" if kind == "voip" else "")
        return {
            "type": kind,
            "priority": headers["apns-priority"],
            "to": "voip" if token == self.values["voip"] else "token",
            "body": record["body"],
        }

    async def hear(self, peer, event, expected):
        """PEER, who stays in the room, says EVENT, and that alone is pushed, as EXPECTED."""
        first = self.next_record()
        peer.send_raw(self.text_of(event))
        self.check(await asyncio.to_thread(self.pushed, first), expected)

    def check(self, got, expected):
        """GOT is EXPECTED, as far as that says."""
        body, wanted = got["body"], expected["body"]
        if isinstance(wanted.get("encrypted"), dict):
            body["encrypted"] = self.opened(body)
        for key, value in wanted.items():
            if value == "*":
                assert body[key]
                body[key] = "*"
        assert got == expected

    def opened(self, body):
        """The plain text of an encrypted payload: by a key that the client alone knows."""
        data = base64.b64decode(body["encrypted"]), base64.b64decode(body["iv"])
        try:
            return json.loads(AESGCM(self.key).decrypt(data[1], data[0], None))
        except InvalidTag:
            return "forged"

    def expect(self, run, kind, event):
        first = self.next_record()
        run(self.event(event))
        self.check(self.pushed(first), self.expected(kind, event))


@pytest.fixture(params=CLIENTS)
def player(stack, request):
    return Player(stack, request.param)


def test_what_happens_reaches_the_phone_as_its_app_reads_it(stack, run, player):
    run(player.play("register", "enable"))
    assert player.sealed == ("needs" in player.about and stack.server.name == "prosody")
    for event in EVENTS:
        player.expect(run, stack.server.name, event)
    for event in TIGASE:
        player.expect(run, "tigase", event)
    run(player.play("disable"))


def test_a_room_is_heard_by_a_phone_that_lost_its_connection(stack, run, player):
    async def talk():
        async with stack.client(stack.user1, "desk") as peer:
            await peer.enter(player.values["room"], SPEAKER)
            await player.stay_in_room()
            await player.hear(peer, "groupchat", player.expected(stack.server.name, "groupchat"))

    run(talk())
    run(player.play("disable"))


@only_on("prosody")
@pytest.mark.parametrize("name", WITH_RULES)
def test_who_is_muted_pushes_nothing(stack, run, name):
    player = Player(stack, name)

    async def write(user):
        async with stack.client(user, "desk") as peer:
            peer.send_raw(player.text_of("message"))
            await peer.info(stack.domain)  # by then the server has handled the message

    run(player.play("register", "enable"))
    first = player.next_record()
    for user in (MUTED, stack.user1):
        run(write(user))
    player.check(player.pushed(first), player.expected("prosody", "message"))
    run(player.play("disable"))


@only_on("prosody")
@pytest.mark.parametrize("name", WITH_RULES)
def test_a_quiet_room_pushes_only_what_mentions_the_user(stack, run, name):
    player = Player(stack, name)
    player.values["room"] = f"quiet@{stack.server.rooms}"
    expected = player.expected("prosody", "groupchat")
    expected["body"]["encrypted"]["message"] = "N, are you there?"

    async def talk():
        async with stack.client(stack.user1, "desk") as peer:
            await peer.enter(player.values["room"], SPEAKER)
            await player.stay_in_room()
            peer.send_raw(player.text_of("groupchat"))
            await player.hear(peer, "mention", expected)

    run(talk())
    run(player.play("disable"))


def test_a_new_token_takes_over_and_unregistering_ends_it(stack, run, player):
    run(player.play("register", "enable"))
    before = dict(player.values)
    tokens = (player.values["token"], player.values["voip"])
    if "disable" in player.about["renews"]:
        run(player.play(*[s for s in player.about["renews"] if s in ("disable", "unregister")]))
    player.new_token()
    run(player.play(*[s for s in player.about["renews"] if s in ("register", "enable")]))
    if player.about["keeps_node"]:
        assert [player.values[key] for key in ("node", "secret")] == [
            before[key] for key in ("node", "secret")]
    first = player.next_record()
    run(player.event("message"))
    player.check(player.pushed(first), player.expected(stack.server.name, "message"))
    if player.about["renews"][0] == "disable" or player.about["keeps_node"]:
        late = json.dumps(stack.fake.received(first)).lower()
        assert not any(token.lower() in late for token in tokens), "the old token gets nothing"
    if not player.has("unregister"):
        run(player.play("disable"))
        return
    run(player.play("unregister"))
    gone(stack, run, player)
    run(player.play("disable"))


def gone(stack, run, player):
    """A message to PLAYER's user is answered with the end of the registration."""
    before = stack.server.log_text().count(stack.server.gone)
    run(player.event("message"))
    stack.server.wait_log(stack.server.gone, count=before + 1)


@pytest.mark.parametrize("name", ["siskin", "snikket-ios"])
@pytest.mark.parametrize("path", ["/unregister-device/", "/rest/push/unregister-device/"])
def test_an_app_whose_account_cannot_log_in_unregisters_by_rest(stack, run, name, path):
    player = Player(stack, name)
    run(player.play("register", "enable"))
    body = json.loads(player.fill((FOLDER / name / "unregister.json").read_text()))
    for _ in range(2):
        answer = stack.push.call_public("POST", path + stack.push_jid, body)
        assert answer == (200, {"result": "success"})
    gone(stack, run, player)
    run(player.play("disable"))


def test_every_push_module_of_monal_and_quicksy_is_served(stack, run):
    async def enable(token, module):
        async with stack.client(stack.user2) as phone:
            with contextlib.suppress(IqError):
                await phone.disable_push(stack.push_jid)
            await phone.enable_push(stack.push_jid, token, pushModule=module)

    async def write():
        async with stack.client(stack.user1) as writer:
            writer.send_message(f"{stack.user2}@{stack.domain}", "Are you there?", mtype="chat")

    for module in MODULES:
        token = apns_token()
        run(enable(token, module))
        run(write())
        wait_until(
            lambda: any(token in r["path"] and r["answered"] == 200 for r in stack.fake.received()),
            what=f"a push for {module}",
        )


@only_on("ejabberd")
def test_a_rooms_subscriber_hears_of_it_while_logged_out(stack, run, player):
    async def subscribe():
        async with stack.client(player.user) as phone:
            await player.take(phone, "register", "enable")
            await phone.subscribe_room(player.values["room"], "N")

    async def talk():
        async with stack.client(stack.user1, "desk") as peer:
            await peer.enter(player.values["room"], SPEAKER)
            await subscribe()
            phone = f"{player.values['account']}/phone"
            assert await peer.error_of("get", phone, PING), "its session has ended"
            await player.hear(peer, "groupchat", player.expected("ejabberd", "groupchat"))

    run(talk())
    run(player.play("disable"))
