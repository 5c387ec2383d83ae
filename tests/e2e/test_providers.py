"""The pretend providers on the wire: HTTP/2 limits and faults, sign-in, and the controls."""

import base64
import http.client
import json
import os
import socket
import ssl
import subprocess
import time
import urllib.parse

import pytest

import http2
from harness import HOST, free_port, http as call_http, wait_until

DEVICE = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"
ALERT = b'{"aps":{"alert":"x"}}'
ENHANCE_YOUR_CALM = 11
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"

pytestmark = pytest.mark.usefixtures("fresh")


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw_signature(der):
    """R and S, 32 bytes each, out of an ECDSA signature in DER."""
    first = der[4 : 4 + der[3]]
    second = der[6 + der[3] :]
    return b"".join(number.lstrip(b"\0").rjust(32, b"\0") for number in (first, second))


def sign(key, header, claims):
    """A JWT signed with the private key in the file KEY."""
    text = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    command = ["openssl", "dgst", "-sha256", "-sign", key]
    signature = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    if header["alg"] == "ES256":
        signature = raw_signature(signature)
    return f"{text}.{base64url(signature)}"


def provider_token(fake, issued=None):
    issued = issued or int(time.time())
    header = {"alg": "ES256", "kid": "FAKEKEY001"}
    return sign(fake.set / "apns.p8", header, {"iss": "FAKETEAM01", "iat": issued})


@pytest.fixture(scope="module")
def headers(fake):
    """Those of a good push."""
    return [
        ("authorization", f"bearer {provider_token(fake)}"),
        ("apns-topic", fake.topic),
        ("apns-push-type", "alert"),
    ]


@pytest.fixture
def client(fake):
    with http2.Client(fake.address("fake"), fake.ca) as it:
        it.begin()
        yield it


def push(client, headers, token=DEVICE, body=ALERT):
    return client.request(f"/3/device/{token}", headers, body)


def reason(body):
    return json.loads(body)["reason"] if body else None


# Sessions


def test_the_stream_limit_grows_after_a_good_push_and_falls_after_a_rejection(client, headers):
    assert client.limit == 1
    assert client.answer(push(client, headers)) == ""
    client.wait_limit(1000)
    assert reason(client.answer(push(client, headers, token="zz"))) == "BadDeviceToken"
    client.wait_limit(1)


def test_a_stream_over_the_limit_ends_the_connection_as_apple_does(fake, client, headers):
    fake.script({"match": {"token": DEVICE}, "answer": {"silent": True}})
    client.send(http2.frame(http2.PING, 0, 0, bytes(8)))
    client.wait(http2.PING)  # the acknowledgement of its settings has arrived
    push(client, headers)
    push(client, headers)
    last, code, debug = client.goaway()
    assert (last, code) == (1, ENHANCE_YOUR_CALM)
    assert debug == "Maximum active streams violated for this endpoint."
    assert client.read() is None


def test_a_thousand_streams_at_once_are_answered(fake, client, headers):
    client.answer(push(client, headers))
    client.wait_limit(1000)
    fake.script({"match": {"token": DEVICE}, "answer": {"delay_ms": 3600000}})
    streams = [push(client, headers, body=b"") for _ in range(1000)]
    wait_until(lambda: fake.stats()["streams"]["most_per_connection"] == 1000)
    fake.hasten()
    bodies = {stream: b"" for stream in streams}
    while any(not reason(body) for body in bodies.values()):
        kind, _, stream, payload = client.read()
        if kind == http2.DATA:
            bodies[stream] += payload
    assert set(map(reason, bodies.values())) == {"PayloadEmpty"}
    assert fake.stats()["providers"]["apns"]["statuses"] == {"200": 1, "400": 1000}


def test_google_allows_a_hundred_streams_and_no_pings(fake, client):
    client.answer(client.request("/token"))
    client.wait_limit(100)
    for _ in range(3):
        client.ping()
    assert client.goaway()[1:] == (ENHANCE_YOUR_CALM, "too_many_pings")
    assert fake.stats()["pings"] == 3
    assert client.read() is None


def test_resetting_every_stream_is_no_offence(fake, client, headers):
    """libcurl 7.88 does that; nghttp2 alone would end the connection after a thousand."""
    for _ in range(3000):
        stream = push(client, headers)
        assert client.answer(stream) == ""
        client.reset(stream, 5)
    assert fake.stats()["connections"]["accepted"] == 1


def test_bytes_one_by_one_make_the_same_requests(fake, headers):
    with http2.Client(fake.address("fake"), fake.ca, chunk=1) as client:
        client.begin()
        assert client.answer(push(client, headers)) == ""
    [entry] = fake.received()
    assert (entry["answered"], entry["body"]) == (200, {"aps": {"alert": "x"}})


def test_what_is_no_http2_ends_the_connection_and_nothing_else(fake, headers):
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(5000), bytes(5000)):
        with http2.Client(fake.address("fake"), fake.ca) as client:
            client.send(garbage)
            while client.read():
                pass
            assert client.closed
    with http2.Client(fake.address("fake"), fake.ca) as client:
        client.begin()
        assert client.answer(push(client, headers)) == ""


def test_headers_and_bodies_have_caps(client, headers):
    many = [(f"x-{number}", "v" * 400) for number in range(30)]
    assert client.answer(push(client, headers + many)) == "reset"
    body = json.dumps({"aps": {"alert": "x" * 60000}}).encode()
    assert reason(client.answer(push(client, headers, body=body))) == "PayloadTooLarge"


WHOLE = [(":method", "POST"), (":scheme", "https"), (":path", "/token"), (":authority", "x")]
MALFORMED = {
    "no method": WHOLE[1:],
    "no path": [*WHOLE[:2], WHOLE[3]],
    "two paths": [*WHOLE, WHOLE[2]],
    "a path behind a field": [*WHOLE[:2], ("a", "b"), *WHOLE[2:]],
    "another scheme": [WHOLE[0], (":scheme", "http"), *WHOLE[2:]],
    "an unknown pseudo-header": [*WHOLE, (":host", "x")],
    "a name in upper case": [*WHOLE, ("Accept", "b")],
    "an end of line in a value": [*WHOLE, ("a", "b\nc")],
    "a field of a connection": [*WHOLE, ("connection", "close")],
    "another length than the body's": [*WHOLE, ("content-length", "3")],
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_request_resets_its_stream(fake, client, what):
    assert client.answer(client.open(MALFORMED[what], b"body")) == "reset"
    assert "error" in client.answer(client.open([*WHOLE, ("content-length", "4")], b"body"))
    assert [entry["path"] for entry in fake.received()] == ["/token"]


def test_the_scheme_may_be_as_firebase_admin_sends_it(client):
    assert "error" in client.answer(client.request("/token", scheme="https:"))


# TLS


@pytest.mark.parametrize("alpn", [("http/1.1",), None])
def test_apns_serves_no_client_without_h2(fake, alpn):
    with http2.Client(fake.address("fake"), fake.ca, alpn=alpn) as client:
        head = f"POST /3/device/{DEVICE} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
        client.send(head.encode() + b"{}")
        assert client.read() is None and client.bytes == b""
    connections = fake.stats()["connections"]
    assert connections["http1"] == 1 and connections["bytes_without_h2"] > 0
    assert fake.received() == []


def test_a_client_of_another_protocol_is_refused_in_the_handshake(fake):
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        http2.Client(fake.address("fake"), fake.ca, alpn=("h3",))
    assert fake.stats()["connections"]["failed"] == 1


def test_a_server_without_alpn_tells_whether_anything_was_sent(stage):
    fake = stage.providers(args=("--no-alpn",))
    with http2.Client(fake.address("fake"), fake.ca) as client:
        assert client.socket.selected_alpn_protocol() is None
        assert fake.stats()["connections"]["bytes_without_h2"] == 0
        client.send(http2.PREFACE)
        assert client.read() is None
    assert fake.stats()["connections"]["bytes_without_h2"] == len(http2.PREFACE)


def test_a_client_that_only_connects_is_left_alone_and_forgotten(fake, headers):
    with socket.create_connection(fake.address("fake").rsplit(":", 1)):
        with http2.Client(fake.address("fake"), fake.ca) as client:
            client.begin()
            assert client.answer(push(client, headers)) == ""
        assert fake.stats()["connections"]["most"] == 2


# Faults by script


def test_a_scripted_goaway_names_its_last_stream_and_answers_up_to_it(fake, client, headers):
    fake.script(
        {"match": {"token": "aa"}, "answer": {"delay_ms": 200}},
        {"match": {"token": "bb"}, "answer": {"goaway": {"debug": {"reason": "Shutdown"}}}},
    )
    client.answer(push(client, headers))
    client.wait_limit(1000)
    waiting, refused = push(client, headers, "aa"), push(client, headers, "bb")
    assert client.goaway() == (waiting, 0, '{"reason":"Shutdown"}')
    assert client.answer(waiting) == ""
    assert refused == waiting + 2
    assert [entry["answered"] for entry in fake.received()] == [200, 200, "goaway"]


def test_a_scripted_goaway_may_answer_its_own_stream(fake, client, headers):
    goaway = {"last": 1, "debug": "bye", "code": "INTERNAL_ERROR"}
    fake.script({"answer": {"status": 503, "reason": "Shutdown", "goaway": goaway}})
    stream = push(client, headers)
    assert client.goaway() == (1, 2, "bye")
    assert reason(client.answer(stream)) == "Shutdown"


def test_a_scripted_goaway_may_leave_all_that_is_open_unanswered(fake, client, headers):
    fake.script(
        {"match": {"token": "aa"}, "answer": {"delay_ms": 3600000}},
        {"match": {"token": "bb"},
         "answer": {"status": 200, "goaway": {"last": 1000, "silent": True}}},
    )
    client.answer(push(client, headers))
    client.wait_limit(1000)
    waiting, last = push(client, headers, "aa"), push(client, headers, "bb")
    assert client.goaway() == (last, 0, "")
    fake.hasten()
    client.ping()
    client.wait(http2.PING)
    assert not [one for one in client.seen if one[0] == http2.HEADERS and one[2] in (waiting, last)]
    assert not client.closed


def test_streams_are_reset_cut_or_left_without_an_answer(fake, client, headers):
    fake.script(
        {"match": {"token": "aa"}, "answer": {"rst": "REFUSED_STREAM"}},
        {"match": {"token": "bb"}, "answer": {"silent": True}},
        {"match": {"token": "cc"}, "answer": {"close": True}},
    )
    client.answer(push(client, headers))
    client.wait_limit(1000)
    refused = push(client, headers, "aa")
    assert client.wait(http2.RST_STREAM, refused) == bytes([0, 0, 0, 7])
    push(client, headers, "bb")
    assert client.answer(push(client, headers)) == ""
    assert client.answer(push(client, headers, "cc")) == "closed"
    assert not any(kind == http2.GOAWAY for kind, *_ in client.seen)
    answered = [entry["answered"] for entry in fake.received()]
    assert answered == [200, "rst", "silent", 200, "close"]


def test_an_answer_can_be_late_and_a_connection_can_end_before_it(fake, client, headers):
    fake.script({"match": {"nth": 1}, "answer": {"delay_ms": 300}})
    began = time.monotonic()
    assert client.answer(push(client, headers)) == ""
    assert time.monotonic() - began >= 0.3
    fake.script({"match": {"nth": 1}, "answer": {"delay_ms": 100}})
    push(client, headers)
    client.socket.close()
    assert call_http("GET", f"{fake.control_url}/stats")[0] == 200


def test_faults_come_each_so_often_or_by_chance(fake, client, headers):
    fake.script({"match": {"every": 3}, "answer": {"status": 503}},
                {"match": {"share": 0.5, "seed": 5, "token": "aa"}, "answer": {"status": 429}})
    for _ in range(9):
        client.answer(push(client, headers, "bb"))
    assert [entry["answered"] for entry in fake.received()] == [200, 200, 503] * 3
    for _ in range(40):
        client.answer(push(client, headers, "aa"))
    answered = [entry["answered"] for entry in fake.received(10)]
    assert 5 < answered.count(429) < 35 and 503 in answered


def test_a_goaway_comes_at_every_so_manieth_request_of_all(fake, headers):
    fake.script({"match": {"provider": "apns", "every": 5}, "answer": {"goaway": {}}})
    for _ in range(3):
        with http2.Client(fake.address("fake"), fake.ca) as client:
            client.begin()
            for _ in range(4):
                assert client.answer(push(client, headers)) == ""
            push(client, headers)
            assert client.goaway() == (7, 0, "")
    assert fake.stats()["connections"]["accepted"] == 3


def test_silence_for_all_ends_by_itself(fake, client, headers):
    began = time.monotonic()
    fake.script({"match": {"for_ms": 400}, "answer": {"silent": True}})
    push(client, headers)  # a client that has sent nothing good may only have one on its way
    while True:
        with http2.Client(fake.address("fake"), fake.ca) as other:
            other.begin()
            push(other, headers)
            other.ping()
            other.wait(http2.PING)
            if fake.received()[-1]["answered"] == 200:
                break
    assert time.monotonic() - began > 0.3
    answered = [entry["answered"] for entry in fake.received()]
    assert answered == ["silent"] * (len(answered) - 1) + [200]


def test_a_scripted_status_has_its_reason_its_headers_and_its_body(fake, client, headers):
    fake.script(
        {"match": {"token": "aa"}, "answer": {"status": 410, "timestamp": 7}},
        {"match": {"token": "bb"}, "answer": {"reason": "TooManyRequests"}},
        {"match": {"token": "cc"}, "answer": {"status": 500, "body": "<html>"}},
    )
    aa, bb, cc = [client.answer(push(client, headers, token)) for token in ("aa", "bb", "cc")]
    assert json.loads(aa) == {"reason": "Unregistered", "timestamp": 7}
    assert json.loads(bb) == {"reason": "TooManyRequests"}
    assert cc == "<html>"
    assert [entry["answered"] for entry in fake.received()] == [410, 429, 500]


# Signing in


def test_a_provider_token_may_not_change_at_will_and_must_be_young(fake, client, headers):
    client.answer(push(client, headers))
    for issued, wanted in (
        (time.time() - 60, "TooManyProviderTokenUpdates"),
        (time.time() - 3700, "ExpiredProviderToken"),
        (time.time() + 3700, "InvalidProviderToken"),
    ):
        other = [("authorization", f"bearer {provider_token(fake, int(issued))}"), *headers[1:]]
        assert reason(client.answer(push(client, other))) == wanted
    assert reason(client.answer(push(client, headers[1:]))) == "MissingProviderToken"
    assert client.answer(push(client, headers)) == ""


def grant(fake, account, **changes):
    now = int(time.time())
    claims = {"iss": account["client_email"], "aud": account["token_uri"], "scope": SCOPE}
    claims.update({"iat": now, "exp": now + 3600}, **changes)
    key = fake.folder / "account.key"
    key.write_text(account["private_key"])
    assertion = sign(key, {"alg": "RS256", "typ": "JWT"}, claims)
    kind = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    return urllib.parse.urlencode({"grant_type": kind, "assertion": assertion}).encode()


FORM = [("content-type", "application/x-www-form-urlencoded")]


def test_a_grant_gives_a_token_that_sends_messages(fake, client):
    account = json.loads((fake.set / "service-account.json").read_text())
    got = json.loads(client.answer(client.request("/token", FORM, grant(fake, account))))
    assert (got["token_type"], got["expires_in"]) == ("Bearer", 3599)
    path = f"/v1/projects/{account['project_id']}/messages:send"
    message = json.dumps({"message": {"token": "t1", "data": {"a": "b"}}}).encode()
    bearer = [("authorization", f"Bearer {got['access_token']}")]
    sent = json.loads(client.answer(client.request(path, bearer, message)))
    assert sent["name"].startswith(f"projects/{account['project_id']}/messages/")
    for wrong in ([], [("authorization", "Bearer ya29.x")]):
        refused = json.loads(client.answer(client.request(path, wrong, message)))["error"]
        assert (refused["code"], refused["status"]) == (401, "UNAUTHENTICATED")
    assert [entry["provider"] for entry in fake.received()] == ["oauth", "fcm", "fcm", "fcm"]


@pytest.mark.parametrize("chunk", [None, 1])
def test_google_serves_http1_too(fake, chunk):
    """Requests one after another on a connection; one with a body in chunks and trailers."""
    account = json.loads((fake.set / "service-account.json").read_text())
    form, path = grant(fake, account), f"/v1/projects/{account['project_id']}/messages:send"
    message = json.dumps({"message": {"token": "abc", "data": {"a": "b"}}}).encode()
    with http2.Client(fake.address("fake"), fake.ca, alpn=("http/1.1",), chunk=chunk) as client:
        client.send(b"POST /token HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                    b"Content-Type: application/x-www-form-urlencoded\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(form))
        assert read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(form)
        token = json.loads(read_answer(client, 200))["access_token"]
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n".encode()
        client.send(head + b"Transfer-Encoding: chunked\r\n\r\n3\r\n" + message[:3]
                    + b"\r\n%x;x=y\r\n" % len(message[3:]) + message[3:]
                    + b"\r\n0\r\nTrailer: x\r\n\r\n")
        assert json.loads(read_answer(client, 200))["name"].startswith("projects/")
        client.send(head + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
        assert json.loads(read_answer(client, 400))["error"]["status"] == "INVALID_ARGUMENT"
        assert client.socket.recv(1) == b""
    assert [entry["answered"] for entry in fake.received()] == [200, 200, 400]


def test_what_is_no_http1_ends_the_connection_and_nothing_else(fake, headers):
    for bad in (b"\r\n\r\n", b"POST /token\r\n\r\n", b"POST /token HTTP/1.1\r\nx\r\n\r\n",
                b"x" * 90000, b"POST /token HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
                b"POST /token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 300):
        with http2.Client(fake.address("fake"), fake.ca, alpn=("http/1.1",)) as client:
            client.send(bad)
            assert client.read() is None and client.bytes == b""
    with http2.Client(fake.address("fake"), fake.ca) as client:
        client.begin()
        assert client.answer(push(client, headers)) == ""


def test_faults_over_http1_are_late_silent_or_end_the_connection(fake):
    for answer in ({"rst": "REFUSED_STREAM"}, {"goaway": {}}, {"close": True}):
        fake.script({"match": {"provider": "oauth"}, "answer": answer})
        with http2.Client(fake.address("fake"), fake.ca, alpn=("http/1.1",)) as client:
            client.send(b"GET /token HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.read() is None and client.bytes == b""
    fake.script({"match": {"provider": "oauth"},
                 "answer": {"status": 503, "delay_ms": 3600000, "headers": {"retry-after": "9"}}})
    with http2.Client(fake.address("fake"), fake.ca, alpn=("http/1.1",)) as client:
        client.send(b"GET /token HTTP/1.1\r\nHost: x\r\n\r\n" * 2)  # the second one waits
        wait_until(lambda: len(fake.received()) == 4)
        fake.hasten()
        head = read_until(client, b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ") and b"\r\nretry-after: 9\r\n" in head
        wait_until(lambda: len(fake.received()) == 5)


def read_until(client, end):
    """What the server of a plain CLIENT sends, END included."""
    got = b""
    while not got.endswith(end):
        byte = client.socket.recv(1)
        assert byte, got
        got += byte
    return got


def read_answer(client, status):
    """The body of the next answer over HTTP/1.1, which has STATUS."""
    head = read_until(client, b"\r\n\r\n").decode()
    assert head.startswith(f"HTTP/1.1 {status} "), head
    length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
    body = b""
    while len(body) < length:
        body += client.socket.recv(length - len(body))
    return body


def test_a_grant_that_is_not_right_is_invalid(fake, client):
    account = json.loads((fake.set / "service-account.json").read_text())
    for change in ({"iss": "x"}, {"aud": "https://x/token"}, {"exp": int(time.time()) - 1}):
        got = client.answer(client.request("/token", FORM, grant(fake, account, **change)))
        assert json.loads(got)["error"] == "invalid_grant"
    got = client.answer(client.request("/token", FORM, grant(fake, account, scope="email")))
    assert json.loads(got)["error"] == "invalid_scope"


def test_an_access_token_ends_when_its_script_says(fake, client):
    fake.script({"match": {"provider": "oauth", "nth": 1},
                 "answer": {"status": 200, "expires_in": 1}},
                {"match": {"provider": "oauth", "nth": 2},
                 "answer": {"status": 400, "reason": "invalid_grant"}},
                {"match": {"provider": "oauth", "nth": 3},
                 "answer": {"status": 503, "body": "<html>busy", "headers": {"retry-after": "7"}}})
    first, second, third = (client.answer(client.request("/token", FORM)) for _ in range(3))
    assert json.loads(first)["expires_in"] == 1
    assert (json.loads(second)["error"], third) == ("invalid_grant", "<html>busy")
    bearer = [("authorization", f"Bearer {json.loads(first)['access_token']}")]
    message = b'{"message":{"token":"t1"}}'
    path = "/v1/projects/fake-project/messages:send"
    assert "name" in json.loads(client.answer(client.request(path, bearer, message)))
    wait_until(lambda: "error" in json.loads(client.answer(client.request(path, bearer, message))))


def test_fcm_takes_an_installation_id_in_place_of_a_token(fake, client):
    fake.script({"match": {"provider": "oauth"}, "answer": {"status": 200}},
                {"match": {"token": "f" * 22}, "answer": {"reason": "UNREGISTERED"}})
    access = json.loads(client.answer(client.request("/token", FORM)))["access_token"]
    bearer = [("authorization", f"Bearer {access}")]

    def send(**message):
        body = json.dumps({"message": message}).encode()
        path = "/v1/projects/fake-project/messages:send"
        return json.loads(client.answer(client.request(path, bearer, body)))

    assert "name" in send(fid="e" * 22)
    assert send(fid="f" * 22)["error"]["code"] == 404
    assert send(fid="e" * 22, token="t")["error"]["code"] == 400
    assert send()["error"]["code"] == 400


# Certificates and environments


@pytest.fixture
def certified(fake):
    """A client that signs in with the set's certificate."""
    certificate = fake.set / "apns-certificate.pem"
    with http2.Client(fake.address("fake"), fake.ca, certificate=certificate) as it:
        it.begin()
        yield it


def test_a_certificate_stands_for_the_token_and_the_topic(fake, certified, headers):
    assert certified.limit == 1000
    assert certified.answer(push(certified, headers[2:])) == ""
    assert certified.answer(push(certified, headers[1:])) == ""
    assert reason(certified.answer(push(certified, headers))) == "InvalidProviderToken"
    other = [("apns-topic", "org.example.other"), headers[2]]
    assert reason(certified.answer(push(certified, other))) == "TopicDisallowed"
    assert [entry["certificate"] for entry in fake.received()] == [True] * 4


def test_a_certificate_of_another_ca_is_bad(fake, tmp_path, headers):
    pair = tmp_path / "pair.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", pair, "-out",
               tmp_path / "certificate.pem", "-days", "1", "-subj", f"/UID={fake.topic}/CN=x"]
    subprocess.run(command, check=True, capture_output=True)
    pair.write_text(pair.read_text() + (tmp_path / "certificate.pem").read_text())
    with http2.Client(fake.address("fake"), fake.ca, certificate=pair) as client:
        client.begin()
        assert reason(client.answer(push(client, headers[1:]))) == "BadCertificate"


def test_a_token_of_one_environment_is_bad_in_the_other(fake, client, headers):
    fake.environments(sandbox=["aa", "bb"], production=["cc", "bb"])
    fake.script({"match": {"environment": "sandbox", "token": "dd"}, "answer": {"status": 500}})
    with http2.Client(fake.address("sandbox"), fake.ca) as sandbox:
        sandbox.begin()
        for token, here, there in (("aa", "BadDeviceToken", None), ("cc", None, "BadDeviceToken"),
                                   ("dd", None, "InternalServerError")):
            assert reason(client.answer(push(client, headers, token))) == here
            assert reason(sandbox.answer(push(sandbox, headers, token))) == there
        fake.reset()
        assert client.answer(push(client, headers, "aa")) == ""
        sandbox.answer(push(sandbox, headers, "aa"))
    assert [entry["environment"] for entry in fake.received()] == ["production", "sandbox"]


# Controls


def test_the_record_is_read_page_by_page_and_forgotten_at_a_reset(fake, client, headers):
    for _ in range(5):
        client.answer(push(client, headers))
    page = call_http("GET", f"{fake.control_url}/received?from=2&limit=3")[1]
    assert [entry["n"] for entry in page] == [2, 3, 4]
    assert page[0]["path"] == f"/3/device/{DEVICE}"
    assert page[0]["headers"]["apns-topic"] == fake.topic
    assert len({entry["connection"] for entry in page}) == 1
    fake.reset()
    assert fake.received() == []
    assert fake.stats()["providers"]["apns"]["requests"] == 0


@pytest.mark.parametrize(
    "method, path, body, status, says",
    [
        ("POST", "/script", b"[", 400, "JSON"),
        ("POST", "/script", b"{}", 400, "array"),
        ("POST", "/script", b'[{"answer":{"rst":"X"}}]', 400, "rules[0].answer.rst"),
        ("POST", "/environments", b'{"sandbox":["aa",1]}', 400, "sandbox[1]"),
        ("POST", "/environments", b'{"staging":[]}', 400, "staging"),
        ("GET", "/received?from=-1", None, 400, "from"),
        ("GET", "/received?from=99999999999999999999", None, 400, "from"),
        ("GET", "/script", None, 405, ""),
        ("GET", "/nothing", None, 404, ""),
    ],
)
def test_a_wrong_control_is_refused_with_a_reason(fake, method, path, body, status, says):
    connection = http.client.HTTPConnection(*fake.address("control").rsplit(":", 1))
    connection.request(method, path, body)
    answer = connection.getresponse()
    text = json.loads(answer.read())
    assert answer.status == status
    assert says in text["message"]
    connection.close()


def run_providers(stage, *args):
    argv = [stage.binary("providers"), *map(str, args)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120)


def test_a_start_that_cannot_work_says_why(stage, fake, tmp_path):
    wrong = {
        ("--set", tmp_path / "none"): "No such file",
        ("--set", fake.set, "--listen", fake.address("fake")): "Address already in use",
        ("--set", fake.set, "--listen", f"localhost:{free_port()}"): "numeric",
        ("--set", fake.set, "--control", "0.0.0.0:0"): "loopback",
        ("--set", fake.set, "--sandbox-listen", "sandbox"): "numeric",
        ("--set", fake.set, "--client-ca", fake.set / "apns.p8"): "apns.p8",
        ("--set", fake.set, "--cert", fake.set / "apns.p8"): "apns.p8",
        ("--set", fake.set, "--apns-key", fake.set / "oauth.pub.pem"): "EC P-256",
        ("--generate", fake.set, "--token-uri", f"https://{HOST}/token"): "File exists",
        ("--generate", tmp_path / "new"): "--token-uri",
        (): "--set",
    }
    for args, says in wrong.items():
        done = run_providers(stage, *args)
        assert done.returncode == 1, args
        assert says in done.stderr, (args, done.stderr)


def test_help_names_every_option(stage):
    done = run_providers(stage, "--help")
    assert done.returncode == 0
    for option in ("--generate", "--set", "--sandbox-listen", "--no-alpn", "POST /environments"):
        assert option in done.stdout
