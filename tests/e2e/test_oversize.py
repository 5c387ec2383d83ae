"""An ejabberd that limits no stanza: what one user sends can't end the component's stream."""

from slixmpp.exceptions import IqError

from chat import Client
from servers import Ejabberd
from test_xmppgw import PING

DOMAIN, RELAY = "example.org", "proxy.example.org"


def test_a_users_endless_stanzas_are_answered_and_the_stream_lives(stage, run):
    server = Ejabberd(stage, DOMAIN, {RELAY: "the-secret"})
    server.add_user("alice", "password")
    stage.run(server)
    section = {"server": f"127.0.0.1:{server.component_port(RELAY)}", "secret": "the-secret"}
    relays = {"relay-1": {"control": "http://127.0.0.1:9", "advertise": "192.0.2.1:1080"}}
    gateway = stage.xmppgw(None, {RELAY: {**section, "role": "relay"}}, relays=relays)
    gateway.wait_log("stream-up")
    # A tag over 1 MiB is test_xmppgw's: the first expat 2.5 reads it again with each of its pieces,
    # for which ejabberd may need minutes.
    payloads = {
        "a text": f"<a xmlns='urn:a'>{'x' * 4_300_000}</a>",
        "elements": f"<a xmlns='urn:a'>{'<b>text</b>' * 400_000}</a>",
    }

    async def send():
        async with Client(server, "alice", "password") as client:
            for payload in payloads.values():
                try:
                    await client.query("set", RELAY, payload, timeout=240)
                except IqError as error:
                    assert (error.etype, error.condition) == ("wait", "internal-server-error")
                else:
                    raise AssertionError("an oversize stanza has a result")
            await client.query("get", RELAY, PING)

    run(send(), timeout=800)
    gateway.wait_log("stanza-skipped", count=len(payloads))
    assert "stream-ended" not in gateway.log_text()
