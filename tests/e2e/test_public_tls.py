"""The TLS of pushd's public listener: what it takes, and that strangers' handshakes take turns."""

import socket
import ssl
import subprocess

import pytest

from harness import HOST, http


@pytest.fixture(scope="module")
def push(module_stage, redis):
    folder = module_stage.folder / "tls"
    folder.mkdir()
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=push.example.org", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return module_stage.pushd("push-tls", redis, cert_file=cert, key_file=key)


def shake_hands(push, ciphers=None, source=None):
    """A connection over TLS; with CIPHERS it is TLS 1.2 with one of these."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if ciphers:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    host, port = push.address("public").rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), 60, source and (source, 0))
    return context.wrap_socket(sock)


OLD = {
    "RSA key exchange": "AES128-GCM-SHA256",
    "CBC and SHA-1": "ECDHE-RSA-AES128-SHA",
    "CBC": "ECDHE-RSA-AES256-SHA384",
    "finite fields": "DHE-RSA-AES128-GCM-SHA256",
}


@pytest.mark.parametrize("what", OLD)
def test_what_is_weak_in_tls_1_2_is_refused(push, what):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shake_hands(push, OLD[what])


def test_the_servers_order_decides(push):
    both = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384"
    with shake_hands(push, both) as sock:
        assert sock.cipher()[0] == "ECDHE-RSA-AES256-GCM-SHA384"
    with shake_hands(push) as sock:
        assert sock.version() == "TLSv1.3"


def test_an_address_that_shakes_hands_without_end_keeps_no_other_out(push):
    """More than it is allowed in the second, so that some of these wait; another doesn't."""
    waiting = []
    host, port = push.address("public").rsplit(":", 1)
    for _ in range(60):
        sock = socket.create_connection((host, int(port)), 60)
        sock.setblocking(False)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        tls = context.wrap_socket(sock, do_handshake_on_connect=False)
        try:
            tls.do_handshake()  # sends the hello
        except ssl.SSLWantReadError:
            waiting.append(tls)
    with shake_hands(push, source="127.0.0.2") as sock:
        assert sock.version() == "TLSv1.3"
    assert http("GET", f"http://{push.address('api')}/healthz")[0] == 200
    for tls in waiting:
        tls.setblocking(True)
        tls.settimeout(60)
        tls.do_handshake()  # its turn comes
        tls.close()
    assert HOST == host
