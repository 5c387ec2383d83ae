"""XMPP clients (slixmpp) that do what people's clients do: log in, send files, register."""

import asyncio
import hashlib
import logging
import time
import xml.etree.ElementTree as ET

logging.getLogger("slixmpp").setLevel(logging.CRITICAL)  # it speaks already when imported

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout

from harness import Trouble

FORMS = "jabber:x:data"
DISCO = "http://jabber.org/protocol/disco"
COMMANDS = "http://jabber.org/protocol/commands"
PUSH = "urn:xmpp:push:0"
PUBLISH_OPTIONS = "http://jabber.org/protocol/pubsub#publish-options"
MUCSUB = "urn:xmpp:mucsub"
BYTESTREAMS = "http://jabber.org/protocol/bytestreams"
CHUNK = 256 * 1024


class Client(slixmpp.ClientXMPP):
    """One user's client; "async with" logs in and out. USER is of SERVER's domain, or has an @."""

    def __init__(self, server, user, password, resource="e2e"):
        jid = user if "@" in user else f"{user}@{server.domain}"
        super().__init__(f"{jid}/{resource}", password)
        self.home = server
        self.messages = asyncio.Queue()
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0065", {"auto_accept": True})
        self["feature_mechanisms"].unencrypted_plain = True
        self.add_event_handler("message", self.messages.put_nowait)

    async def __aenter__(self):
        online, failed = self.future_of("session_start"), self.future_of("failed_all_auth")
        lost = self.future_of("connection_failed")
        self.connect_without_tls()
        await asyncio.wait({online, failed, lost}, timeout=120, return_when="FIRST_COMPLETED")
        if not online.done():
            raise Trouble(f"{self.boundjid} could not log in")
        self.send_presence()
        return self

    def connect_without_tls(self):
        """Debian 12's slixmpp (1.8) is told so by arguments, Debian 13's (1.10) by attributes."""
        host, port = self.home.host, self.home.c2s_port
        if hasattr(self, "enable_plaintext"):
            self.enable_direct_tls = self.enable_starttls = False
            self.enable_plaintext = True
            self.connect(host, port)
        else:
            self.connect((host, port), disable_starttls=True, force_starttls=False)

    async def __aexit__(self, *error):
        if self.is_connected():
            gone = self.future_of("disconnected")
            self.disconnect(wait=1)
            await asyncio.wait_for(gone, 60)

    async def vanish(self):
        """
        The network is gone: the connection ends without a word. All that came is acknowledged by
        stream management (xep_0198, to be registered before), so nothing is owed to this session.
        """
        await self.query("get", self.home.domain, f'<query xmlns="{DISCO}#info"/>')
        self["xep_0198"].send_ack()
        gone = self.future_of("disconnected")
        self.transport.close()
        await asyncio.wait_for(gone, 60)

    async def enter(self, room, nick):
        """Enters ROOM as NICK, and is shown no history."""
        self.register_plugin("xep_0045")
        await self["xep_0045"].join_muc_wait(room, nick, maxstanzas=0, timeout=60)

    async def subscribe_room(self, room, nick):
        """ejabberd's MUC/Sub: ROOM's messages come without the user being in it."""
        wanted = f'<event node="{MUCSUB}:nodes:messages"/>'
        payload = f'<subscribe xmlns="{MUCSUB}:0" nick="{nick}">{wanted}</subscribe>'
        await self.query("set", room, payload)

    def future_of(self, event):
        """A future that the next EVENT settles."""
        future = asyncio.get_running_loop().create_future()
        self.add_event_handler(
            event, lambda data: future.done() or future.set_result(data), disposable=True
        )
        return future

    async def query(self, kind, to, payload, timeout=120):
        """Sends an IQ with PAYLOAD (XML text); the answer's stanza. Raises IqError, IqTimeout."""
        iq = self.make_iq(id=self.new_id(), ito=to, itype=kind)
        iq.append(ET.fromstring(payload))
        return await iq.send(timeout=timeout)

    async def error_of(self, kind, to, payload):
        """Sends an IQ that is to fail: its error's (type, condition, text), or None."""
        try:
            await self.query(kind, to, payload)
        except IqError as error:
            return error.etype, error.condition, error.text
        return None

    async def items(self, to):
        answer = await self.query("get", to, f'<query xmlns="{DISCO}#items"/>')
        return [item.get("jid") for item in answer.xml[0]]

    async def info(self, to):
        """disco#info: ({(category, type)}, {feature})."""
        answer = await self.query("get", to, f'<query xmlns="{DISCO}#info"/>')
        found = answer.xml[0].iter(f"{{{DISCO}#info}}identity")
        identities = {(identity.get("category"), identity.get("type")) for identity in found}
        found = answer.xml[0].iter(f"{{{DISCO}#info}}feature")
        return identities, {feature.get("var") for feature in found}

    async def find(self, category, kind):
        """The first item of the user's server with that identity, as clients look for services."""
        for jid in await self.items(self.home.domain):
            try:
                identities, _ = await self.info(jid)
            except (IqError, IqTimeout):
                continue
            if (category, kind) in identities:
                return jid
        return None

    async def command(self, to, node, fields=None):
        """An ad-hoc command (XEP-0050) with a form: {var: value} of the result."""
        form = ""
        if fields is not None:
            form = "".join(
                f'<field var="{var}"><value>{value}</value></field>'
                for var, value in fields.items()
            )
            form = f'<x xmlns="{FORMS}" type="submit">{form}</x>'
        payload = f'<command xmlns="{COMMANDS}" node="{node}">{form}</command>'
        command = (await self.query("set", to, payload)).xml[0]
        values = {
            field.get("var"): [value.text for value in field.iter(f"{{{FORMS}}}value")]
            for field in command.iter(f"{{{FORMS}}}field")
        }
        return {var: found[0] if found else None for var, found in values.items()}

    async def register_device(self, push_jid, provider, token):
        """Tigase's register-device; the node that the server is to publish to."""
        fields = {"provider": provider, "device-token": token}
        return (await self.command(push_jid, "register-device", fields))["node"]

    async def unregister_device(self, push_jid, provider, token):
        fields = {"provider": provider, "device-token": token}
        return await self.command(push_jid, "unregister-device", fields)

    async def enable_push(self, push_jid, node, **options):
        """XEP-0357: the user's server publishes to NODE from now on, with OPTIONS."""
        form = "".join(
            f'<field var="{var}"><value>{value}</value></field>' for var, value in options.items()
        )
        if form:
            kind = f"<field var='FORM_TYPE' type='hidden'><value>{PUBLISH_OPTIONS}</value></field>"
            form = f'<x xmlns="{FORMS}" type="submit">{kind}{form}</x>'
        enable = f'<enable xmlns="{PUSH}" jid="{push_jid}" node="{node}">{form}</enable>'
        await self.query("set", None, enable)

    async def disable_push(self, push_jid):
        await self.query("set", None, f'<disable xmlns="{PUSH}" jid="{push_jid}"/>')


class Half:
    """One end of a bytestream: hashes what comes, and knows when the other side has finished."""

    def __init__(self, connection):
        self.connection, self.received = connection, 0
        self.sha, self.closed = hashlib.sha256(), asyncio.get_running_loop().create_future()
        connection.event = self.on_event  # slixmpp's own event doesn't say which stream it is of

    def on_event(self, name, data):
        if name == "socks5_data":
            self.sha.update(data)
            self.received += len(data)
        elif name == "socks5_closed" and not self.closed.done():
            self.closed.set_result(data)

    async def send(self, data):
        for start in range(0, len(data), CHUNK):
            await self.connection.write(data[start : start + CHUNK])

    def finish(self):
        self.connection.transport.write_eof()

    def close(self):
        self.connection.transport.abort()


async def open_bytestream(requester, target, sid=None):
    """XEP-0065 through the proxy that slixmpp finds: the two halves, requester's first."""
    come = target.future_of("socks5_stream")
    attach = lambda connection: halves.append(Half(connection))
    halves = []
    target.add_event_handler("socks5_stream", attach, disposable=True)
    connection = await requester["xep_0065"].handshake(target.boundjid, sid=sid, timeout=120)
    if connection is None:
        raise Trouble("slixmpp could not open a bytestream")
    await asyncio.wait_for(come, 60)
    return Half(connection), halves[0]


async def transfer(requester, target, data, back=b""):
    """DATA from requester to target, BACK the other way: (target's half, requester's, seconds)."""
    ours, theirs = await open_bytestream(requester, target)
    begun = time.monotonic()
    await asyncio.gather(ours.send(data), theirs.send(back))
    while theirs.received < len(data) or ours.received < len(back):
        if theirs.closed.done() and ours.closed.done():
            break
        await asyncio.sleep(0.01)
    seconds = time.monotonic() - begun
    ours.finish()
    await asyncio.wait_for(asyncio.gather(ours.closed, theirs.closed), 60)
    return theirs, ours, seconds
