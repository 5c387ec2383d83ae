"""
Components over TLS: a real ejabberd with "tls: true", a real Prosody behind a real stunnel; and
servers that send them elsewhere.
"""

import contextlib

import pytest

import readme
from certificates import DAY, Authority, clock_library, openssl
from chat import Client
from component import ERROR, ComponentServer
from harness import HOST, Process, free_port
from servers import Ejabberd, Prosody
from test_xmppgw import PING, new_id

DOMAIN, RELAY = "example.org", "proxy.example.org"
RELAYS = {"relay-1": {"control": "http://127.0.0.1:9", "advertise": "192.0.2.1:1080"}}


def certificate(authority, names, days=30, started_days_ago=0):
    """A file with a server's key and its certificate for NAMES, as in subjectAltName."""
    key, request, extensions = (authority.path(suffix) for suffix in ("key", "csr", "ext"))
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj",
            "/CN=A server")
    extensions.write_text(f"subjectAltName={names}\n")
    clock = {}
    if started_days_ago:
        clock = {"LD_PRELOAD": str(clock_library(authority.folder)),
                 "OG_CLOCK_OFFSET": str(-started_days_ago * DAY)}
    pem = openssl("x509", "-req", "-in", request, "-CA", authority.certificate, "-CAkey",
                  authority.key, "-days", days, "-set_serial", authority.count, "-extfile",
                  extensions, **clock)
    path = authority.path("pem")
    path.write_text(pem.decode() + key.read_text())
    return path


class SecureEjabberd(Ejabberd):
    def __init__(self, stage, certificate):
        self.certificate = certificate
        super().__init__(stage, DOMAIN, {RELAY: "the-secret"})

    def write_config(self):
        super().write_config()
        text = self.config.read_text()
        for plain, secure in (
            ("certfiles: []", f'certfiles: ["{self.certificate}"]'),
            ("module: ejabberd_service", "module: ejabberd_service\n    tls: true\n"
             f'    certfile: "{self.certificate}"'),
        ):
            assert plain in text
            text = text.replace(plain, secure)
        self.config.write_text(text)


class Stunnel(Process):
    """A real stunnel before PROSODY's port for components, with the page's configuration."""

    ready = r"Service \[xmpp-components\] .*bound to"

    def __init__(self, stage, prosody, certificate):
        self.port = free_port()
        config = stage.folder / "stunnel.conf"
        super().__init__(stage, "stunnel", ["stunnel", config])
        [block] = readme.blocks("stunnel")
        text = block.text
        for shown, real in (
            ("0.0.0.0:5270", f"{HOST}:{self.port}"),
            ("127.0.0.1:5347", f"{HOST}:{prosody.component_port(RELAY)}"),
            ("/etc/stunnel/xmpp.pem", str(certificate)),
        ):
            assert shown in text, shown
            text = text.replace(shown, real)
        here = "foreground = yes\nsyslog = no\npid =\ndebug = info\n"
        config.write_text(here + text)

    def component_port(self, component):
        return self.port


def start(stage, server, **keys):
    section = {"server": f"127.0.0.1:{server.component_port(RELAY)}", "secret": "the-secret"}
    section.update(role="relay", tls="yes", **keys)
    return stage.xmppgw(None, {RELAY: section}, relays=RELAYS)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.mark.parametrize("names, keys", [
    ("DNS:xmpp.example.org", {"tls_name": "xmpp.example.org"}),
    ("IP:127.0.0.1", {}),
], ids=["name", "address"])
def test_a_verified_ejabberd_is_served(stage, authority, run, names, keys):
    server = SecureEjabberd(stage, certificate(authority, names))
    server.add_user("alice", "password")
    stage.run(server)
    gateway = start(stage, server, ca_file=authority.certificate, **keys)
    gateway.wait_log("stream-up")
    run(ask(server, 0, 100_000, 600_000))  # more than one record, and more than is taken
    assert "stream-ended" not in gateway.log_text()
    assert gateway.stop() == 0


async def ask(server, *sizes):
    """A user's requests of these SIZES, of which the gateway takes those up to 256 KiB."""
    async with Client(server, "alice", "password") as client:
        for size in sizes:
            error = await client.error_of("set", RELAY, f"<a xmlns='urn:a'>{'x' * size}</a>")
            assert error[1] == "internal-server-error" if size > 262144 else error
        for _ in range(50):
            await client.query("get", RELAY, PING)


def start_prosody(stage, certificate):
    """Prosody and the stunnel before it."""
    prosody = Prosody(stage, DOMAIN, {RELAY: "the-secret"})
    prosody.add_user("alice", "password")
    stage.run(prosody)
    return prosody, stage.run(Stunnel(stage, prosody, certificate))


def test_a_prosody_behind_stunnel_is_served_whichever_of_them_restarts(stage, authority, run):
    prosody, stunnel = start_prosody(stage, certificate(authority, "DNS:xmpp.example.org"))
    gateway = start(stage, stunnel, ca_file=authority.certificate, tls_name="xmpp.example.org")
    gateway.wait_log("stream-up")
    run(ask(prosody, 0, 100_000, 200_000))  # Prosody takes no more from a client
    assert "stream-ended" not in gateway.log_text()
    for count, restarted in enumerate((prosody, stunnel), 2):
        restarted.kill()
        gateway.wait_log("stream-ended", count=count - 1)
        restarted.start()
        gateway.wait_log("stream-up", count=count)
        run(ask(prosody, 0))
    assert gateway.stop() == 0


def test_a_stunnel_with_a_certificate_for_another_name_is_refused(stage, authority):
    _, stunnel = start_prosody(stage, certificate(authority, "DNS:other.example.org"))
    gateway = start(stage, stunnel, ca_file=authority.certificate, tls_name="xmpp.example.org")
    line = gateway.wait_log("stream-ended .*reason=tls-failed .*").group(0)
    assert "hostname mismatch" in line.lower()
    assert "stream-up" not in gateway.log_text()


@pytest.mark.parametrize("names, options, trusted, reason", [
    ("DNS:other.example.org", {}, True, "hostname mismatch"),
    ("DNS:xmpp.example.org", {}, False, "unable to get local issuer certificate"),
    ("DNS:xmpp.example.org", {"started_days_ago": 60}, True, "certificate has expired"),
], ids=["wrong-name", "unknown-authority", "expired"])
def test_a_wrong_certificate_is_refused_with_the_reason(
    stage, authority, names, options, trusted, reason
):
    stage.run(server := SecureEjabberd(stage, certificate(authority, names, **options)))
    keys = {"ca_file": authority.certificate} if trusted else {}
    gateway = start(stage, server, tls_name="xmpp.example.org", **keys)
    line = gateway.wait_log("stream-ended .*reason=tls-failed .*").group(0)
    assert reason in line.lower()
    assert "stream-up" not in gateway.log_text()


def test_a_server_without_tls_gets_no_secret(stage):
    with contextlib.closing(ComponentServer(RELAY)) as server:
        gateway = stage.xmppgw(
            None, {RELAY: {**server.section, "role": "relay", "tls": "yes"}}, relays=RELAYS
        )
        link = server.accept()
        link.socket.settimeout(60)
        assert link.socket.recv(1) == b"\x16", "a handshake of TLS"
        link.send("<?xml version='1.0'?>")
        gateway.wait_log("stream-ended .*reason=tls-failed")


@pytest.mark.parametrize("keys, complaint", [
    ({"tls": "yes", "ca_file": "/nowhere.pem"}, "ca-file /nowhere.pem: "),
    ({"tls_name": "xmpp.example.org"}, "tls-name and ca-file need tls = yes"),
    ({"standby": "yes", "allow_multiple": "yes"}, "it is standby or allow-multiple, not both"),
])
def test_what_contradicts_itself_is_refused(stage, keys, complaint):
    section = {"server": "127.0.0.1:1", "secret": "s", "role": "relay", **keys}
    gateway = stage.xmppgw(None, {RELAY: section}, relays=RELAYS, start=False)
    gateway.clean = (1,)
    gateway.start(wait=False)
    assert gateway.wait_exit() == 1
    assert complaint in gateway.log_text()


def test_openfire_is_told_of_several_gateways(stage):
    with contextlib.closing(ComponentServer(RELAY)) as server:
        for allow in ("yes", "no"):
            section = {**server.section, "role": "relay", "allow_multiple": allow}
            gateway = stage.xmppgw(None, {RELAY: section}, relays=RELAYS, name=f"gateway-{allow}")
            link = server.accept().log_in()
            assert link.header.get("allowMultiple") == {"yes": "true", "no": None}[allow]
            gateway.wait_log("stream-up")


def redirect(link, host):
    link.open("")
    link.send(ERROR.format(condition="see-other-host", text="").replace(
        "<see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>",
        f"<see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{host}</see-other-host>"))
    link.close()


def test_another_host_is_followed_for_one_connection(stage):
    with contextlib.closing(ComponentServer(RELAY)) as server, contextlib.closing(
        ComponentServer(RELAY)
    ) as other:
        gateway = stage.xmppgw(None, {RELAY: {**server.section, "role": "relay"}}, relays=RELAYS)
        redirect(server.accept(), f"127.0.0.1:{other.port}")
        link = other.accept().log_in()
        line = gateway.wait_log("stream-ended .*reason=see-other-host .*").group(0)
        assert f"127.0.0.1:{other.port}" in line
        assert link.ask(new_id(), "get", PING).get("type") == "result"
        link.close()
        server.accept().log_in("stream-2")


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "nowhere:x", "[::1", "x" * 3000])
def test_no_circle_of_hosts_and_no_nonsense_is_followed(stage, host):
    with contextlib.closing(ComponentServer(RELAY)) as server:
        gateway = stage.xmppgw(None, {RELAY: {**server.section, "role": "relay"}}, relays=RELAYS)
        for _ in range(4 if "port" in host else 1):
            redirect(server.accept(), host.format(port=server.port))
        line = gateway.wait_log("stream-ended .*reason=refused .*").group(0)
        assert "see-other-host" in line and "retry-ms=6" in line
