"""The REST call with which apps unregister a device, as their authors and strangers make it."""

import contextlib
import json
import os
import resource
import shutil
import socket
import ssl
import subprocess
import time

import pytest

from harness import wait_until
from notify import APNS, COMPONENT, apns_token, known, metric, outcome, register
from test_xmppgw import DOMAIN, GONE, Push

PATHS = ("/unregister-device/", "/rest/push/unregister-device/")
SUCCESS = {"result": "success"}


@pytest.fixture
def push(stage, redis, fake):
    """A pushd of the test's own, since an address may only ask so often."""
    return stage.pushd("push-rest", redis, fake, trusted_proxies="127.0.0.0/8")


def body_of(device, **change):
    body = {"account": device["owner"], "provider": APNS, "device-token": device["token"]}
    return {**body, **change}


def ask(push, body, path=PATHS[0], headers=(), component=COMPONENT, method="POST"):
    """One request on a connection of its own: (status, headers, text); BODY: JSON or bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path}{component} HTTP/1.1", "Host: push.example.org", "Connection: close"]
    if not any(line.startswith(("Transfer-Encoding", "Content-Length")) for line in headers):
        lines.append(f"Content-Length: {len(data)}")
    head = "\r\n".join([*lines, *headers]).encode() + b"\r\n\r\n"
    host, port = push.address("public").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=120) as client:
        client.sendall(head + data)
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    head, text = answer.split("\r\n\r\n", 1)
    status, *rest = head.split("\r\n")
    names = dict(line.split(": ", 1) for line in rest)
    return int(status.split()[1]), {name.lower(): names[name] for name in names}, text


# What is answered


@pytest.mark.parametrize("path", PATHS)
def test_the_answer_is_the_one_that_siskin_reads(push, path):
    device = register(push)
    kind = ["Content-Type: application/json", "Accept: */*"]
    status, headers, text = ask(push, body_of(device), path, kind)
    assert (status, json.loads(text)) == (200, SUCCESS)
    assert headers["content-type"] == "application/json"
    assert not known(push, device)
    assert push.call_public("POST", path + COMPONENT, body_of(device)) == (200, SUCCESS)


def test_what_is_there_and_what_is_not_get_the_same_answer(push):
    device = register(push)
    strangers = [{"device-token": apns_token()}, {"account": "x@example.org"}, {}]
    answers = [ask(push, body_of(device, **change)) for change in strangers]
    answers.append(ask(push, body_of(device)))
    for _, headers, _ in answers:
        headers.pop("date", None)
    assert all(answer == answers[0] for answer in answers)
    name = "outrigger_pushd_rest_requests_total"
    assert (metric(push, name, result="removed"), metric(push, name, result="unknown")) == (1, 3)


def test_an_account_is_compared_as_the_gateway_prepares_it(push):
    device = register(push, owner="j\u00f6rg@ex\u00e4mple.org")
    body = body_of(device, account="J\u00d6RG@EX\u00c4mple.org")
    assert ask(push, body)[0] == 200
    assert not known(push, device)


def test_account_and_token_count_not_the_provider_nor_upper_and_lower_case(push):
    device = register(push)
    body = body_of(device, provider="tigase:messenger:apns:1")
    body = {**body, "account": device["owner"].upper(), "device-token": device["token"].upper()}
    assert ask(push, body, component=COMPONENT.upper())[0] == 200
    assert not known(push, device)


@pytest.mark.parametrize("body", [
    b"", b"malformed", b"[]", b"null", b'"x"', b"{}", b"<root><account>a@b</account></root>",
    b'{"account":"a@b","provider":"p"}', b'{"account":"a@b","device-token":"t"}',
    b'{"provider":"p","device-token":"t"}', b'{"account":1,"provider":"p","device-token":"t"}',
    b'{"account":"a@b/c","provider":"p","device-token":"t"}',
    b'{"account":"","provider":"p","device-token":"t"}',
    b'{"account":"a@b","provider":"p","device-token":"\\u0000"}',
    b'{"account":"a@b","provider":"p","device-token":"\xff"}', b"[" * 8192,
])
def test_a_body_that_is_not_right_is_404_and_says_no_result(push, body):
    status, _, text = ask(push, body)
    assert status == 404
    assert set(json.loads(text)) == {"error", "message"}


def test_a_component_that_is_not_ours_is_404_where_ours_are_named(stage, redis, fake):
    push = stage.pushd("push-named", redis, fake, components=f"{COMPONENT}, push2.example.org")
    device = register(push)
    status, _, text = ask(push, body_of(device), component="push3.example.org")
    assert status == 404 and "result" not in json.loads(text)
    assert ask(push, body_of(device), component="Push2.example.org")[0] == 200
    assert known(push, device)
    assert ask(push, body_of(device))[0] == 200
    assert not known(push, device)


@pytest.mark.parametrize("component", ["", "a/b", "%00", "%zz"])
def test_a_path_that_names_no_component_is_not_served(push, component):
    status, _, text = ask(push, body_of(register(push)), component=component)
    assert status in (400, 404) and "result" not in json.loads(text)


def test_other_methods_are_405_and_name_the_one_that_is_served(push):
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
        status, headers, text = ask(push, b"", method=method)
        assert (status, headers["allow"]) == (405, "POST")
        assert json.loads(text)["error"] == "method_not_allowed"


def test_a_body_without_a_length_is_411_and_a_long_one_413(push):
    chunked = ask(push, b"2\r\n{}\r\n0\r\n\r\n", headers=["Transfer-Encoding: chunked"])
    long = ask(push, b"", headers=["Content-Length: 8193"])
    assert (chunked[0], long[0]) == (411, 413)
    assert ask(push, b" " * 8192)[0] == 404


def test_nothing_else_is_served_there(push):
    for path in ("/metrics", "/healthz", "/v1/devices?owner=a@b", "/"):
        assert ask(push, b"", path, component="", method="GET")[0] == 404


# How often


def statuses(push, count, *addresses):
    """What COUNT calls are answered that come from ADDRESSES by turns."""
    found = []
    for number in range(count):
        header = f"X-Forwarded-For: {addresses[number % len(addresses)]}"
        found.append(ask(push, {"account": "a@b"}, headers=[header]))
    return found


def test_who_asks_too_often_is_told_when_to_come_again(push):
    found = statuses(push, 30, "192.0.2.7")
    assert [status for status, _, _ in found[:20]] == [404] * 20
    refused = [headers for status, headers, _ in found if status == 429]
    assert refused and all(1 <= int(headers["retry-after"]) <= 4 for headers in refused)
    assert statuses(push, 1, "192.0.2.8")[0][0] == 404
    wait = int(refused[-1]["retry-after"])
    time.sleep(wait)  # as it was told to
    assert statuses(push, 1, "192.0.2.7")[0][0] == 404


def test_an_ipv6_site_is_one_address(push):
    found = statuses(push, 26, "2001:db8:0:1::1", "[2001:db8:0:1:ffff::2]:4711")
    assert 429 in {status for status, _, _ in found[20:]}
    assert statuses(push, 1, "2001:db8:0:2::1")[0][0] == 404


def test_what_a_stranger_says_of_his_address_is_not_believed(stage, redis, fake):
    push = stage.pushd("push-direct", redis, fake)
    found = statuses(push, 30, *(f"192.0.2.{n}" for n in range(30)))
    assert 429 in {status for status, _, _ in found}


# TLS


class Tls:
    """pushd with a certificate in files of the test's own, and what its clients see."""

    def __init__(self, stage, redis, fake):
        self.fake = fake
        self.cert, self.key = stage.folder / "cert.pem", stage.folder / "key.pem"
        self.use("server.pem", "server.key")
        files = {"cert_file": self.cert, "key_file": self.key}
        self.push = stage.pushd("push-tls", redis, fake, **files)

    @property
    def where(self):
        return tuple(self.push.address("public").rsplit(":", 1))

    def use(self, cert, key):
        shutil.copy(self.fake.set / cert, self.cert)
        shutil.copy(self.fake.set / key, self.key)

    def new_certificate(self):
        """Another one, signed by itself."""
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        made += ["-nodes", "-subj", "/CN=renewed", "-keyout", self.key, "-out", self.cert]
        subprocess.run(made, check=True, capture_output=True)

    def connect(self, **versions):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        for name, version in versions.items():
            setattr(context, name, version)
        plain = socket.create_connection(self.where, timeout=120)
        return context.wrap_socket(plain)

    def shown(self):
        """The certificate that new connections see."""
        with self.connect() as client:
            return ssl.DER_cert_to_PEM_cert(client.getpeercert(True)).strip()

    def reload(self):
        self.push.popen.send_signal(1)


@pytest.fixture
def tls(stage, redis, fake):
    return Tls(stage, redis, fake)


REQUEST = "POST /unregister-device/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


def answered(client):
    client.sendall(REQUEST.encode())
    answer = b""
    while not answer.endswith(b"}"):
        more = client.recv(65536)
        assert more, answer
        answer += more
    return answer


def test_a_new_certificate_is_taken_on_sighup_without_losing_a_connection(tls):
    with tls.connect() as before:
        assert answered(before).startswith(b"HTTP/1.1 404")
        first = tls.shown()
        tls.new_certificate()
        assert tls.shown() == first
        tls.reload()
        tls.push.wait_log("certificate-renewed")
        assert tls.shown() == tls.cert.read_text().strip() != first
        answer = answered(before)
        assert answer.startswith(b"HTTP/1.1 404") and answer.count(b"Connection: close") == 1
        assert before.recv(1) == b""


def test_a_certificate_that_is_not_right_is_not_taken(tls):
    first = tls.shown()
    key = tls.key.read_bytes()
    tls.new_certificate()
    tls.key.write_bytes(key)
    tls.reload()
    tls.push.wait_log(r"certificate-kept .*reason=")
    assert tls.shown() == first
    tls.cert.write_text("rubbish")
    tls.reload()
    tls.push.wait_log(r"certificate-kept .*reason=", count=2)
    assert tls.shown() == first
    tls.use("server.pem", "server.key")
    tls.reload()
    tls.push.wait_log("certificate-renewed")


def test_many_renewals_leave_no_descriptors(tls):
    def descriptors():
        return len(os.listdir(f"/proc/{tls.push.pid}/fd"))

    tls.shown()
    before = descriptors()
    for count in range(1, 11):
        tls.reload()
        tls.push.wait_log("certificate-renewed", count=count)
        tls.shown()
    wait_until(lambda: descriptors() <= before, what="old listeners to go")


@pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")
def test_tls_is_1_2_at_least(tls):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with tls.connect(minimum_version=version, maximum_version=version) as client:
            assert answered(client).startswith(b"HTTP/1.1 404")
    old = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="closed|EOF|protocol version"):
        tls.connect(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=old)


# Crowds


HELLO = b"\x16\x03\x01\x02\x00\x01"  # the beginning of one
FILES = 8000
ALL_FILES = pytest.param(resource.getrlimit(resource.RLIMIT_NOFILE)[1], marks=pytest.mark.matrix)


def room_with(files, push):
    """Starts PUSH anew with at most FILES open; how many clients it has room for."""
    push.stop()
    push.argv = ["prlimit", f"--nofile={files}:{files}", "--", *push.argv]
    push.start()
    return min(files // 4 + 1, 10000)


@contextlib.contextmanager
def crowd_of(where, count, said):
    """COUNT connections to the address WHERE that have SAID something and then nothing more."""
    with contextlib.ExitStack() as crowd:
        clients = []
        for _ in range(count):
            client = crowd.enter_context(socket.socket())
            client.connect((where[0], int(where[1])))
            client.sendall(said)
            clients.append(client)
        yield clients


def cut(clients):
    """How many of them the server has closed."""
    count = 0
    for client in clients:
        client.setblocking(False)
        try:
            count += client.recv(1) == b""
        except BlockingIOError:
            pass
        except OSError:
            count += 1
    return count


@pytest.mark.parametrize("files", [FILES, ALL_FILES])
@pytest.mark.parametrize("more", [-200, 300])
def test_thousands_of_slow_clients_do_not_stop_a_normal_one(push, files, more):
    """It is answered while they are there, of whom only those go for whom there is no room."""
    device = register(push)
    room = room_with(files, push)
    where = push.address("public").rsplit(":", 1)
    with crowd_of(where, room + more, REQUEST[:40].encode()) as clients:
        assert ask(push, body_of(device))[0] == 200
        assert cut(clients) <= (more + 2 if more > 0 else 0)  # the last place is the normal one's
    assert not known(push, device)


@pytest.mark.parametrize("files", [FILES, ALL_FILES])
def test_thousands_who_begin_a_handshake_do_not_stop_a_normal_client(tls, files):
    room = room_with(files, tls.push)
    with crowd_of(tls.where, room - 200, HELLO) as clients:
        with tls.connect() as normal:
            assert answered(normal).startswith(b"HTTP/1.1 404")
        assert cut(clients) == 0
        # Nor do they cost anything while nothing comes of them.
        wait_until(tls.push.rests, what="pushd to rest")
        assert cut(clients) < len(clients)


# The whole way


def test_after_it_the_servers_next_publish_is_item_not_found(stage):
    push = Push(stage)
    token = apns_token()
    node = push.node(token)
    assert push.publish(node) is None
    body = {"account": f"alice@{DOMAIN}", "provider": "snikket:apns:1", "device-token": token}
    url = PATHS[0] + push.server.domain
    assert push.pushd.call_public("POST", url, body) == (200, SUCCESS)
    assert push.publish(node)[:2] == GONE
    assert push.node(token) != node


def test_redis_away_is_no_success(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-away", redis, fake)
    device = register(push)
    redis.kill()
    status, _, text = ask(push, body_of(device))
    assert status == 503 and "result" not in json.loads(text)
    redis.start()
    wait_until(lambda: push.call("GET", "/readyz")[0] == 200)
    assert known(push, device) and outcome(push, device) == "sent"
