"""pushd in trouble: storage, providers, credentials, bad requests, the end, configuration."""

import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from harness import HOST, TOKEN, free_port, http as call_http, wait_until
from notify import (APNS, COMPONENT, FCM, HELD, apns_token, claim, got, item, known, meanwhile,
                    outcome, publish, register, script, sooner)


@pytest.fixture(scope="module")
def push(module_stage, fake):
    """One pushd that the tests share which don't need their own."""
    return module_stage.pushd("push-shared", module_stage.redis(), fake)


@pytest.fixture
def redis(stage):
    """A Redis for one test: what it leaves queued is nobody else's to send."""
    return stage.redis()


def only(fake, provider=APNS, **changes):
    """The section of one provider, changed."""
    return {provider: {**fake.provider_sections()[provider], **changes}}


def both(fake, **changes):
    """The sections of both providers, APNS changed."""
    return {**only(fake, FCM), **only(fake, **changes)}


# Storage


def test_without_redis_it_starts_and_says_unavailable_until_redis_comes(stage, fake):
    redis = stage.redis(start=False)
    push = stage.pushd("push-early", redis, fake)
    assert push.call("GET", "/readyz")[0] == 503 and push.call("GET", "/healthz")[0] == 200
    status, answer = push.call("POST", "/v1/devices", claim())
    assert (status, answer["error"]) == (503, "unavailable")
    nobody = {"node": "0" * 32}
    assert publish(push, item(nobody)) == [{"outcome": "unavailable", "reason": "storage"}]
    redis.start()
    wait_until(lambda: push.call("GET", "/readyz")[0] == 200)
    assert outcome(push, register(push)) == "sent"
    assert outcome(push, nobody) == "gone"


def test_redis_lost_and_back_forgets_no_device(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-lost", redis, fake)
    device = register(push)
    redis.kill()
    assert outcome(push, device) == "unavailable"
    assert outcome(push, {"node": "0" * 32}) == "unavailable"
    at = f"/v1/devices/{device['node']}"
    body = {"owner": device["owner"], "token": device["token"]}
    assert push.call("GET", at)[0] == push.call("DELETE", at)[0] == 503
    assert push.call("GET", f"/v1/devices?owner={device['owner']}")[0] == 503
    assert push.call("POST", "/v1/devices/unregister", body)[0] == 503
    public = f"http://{push.address('public')}/unregister-device/{COMPONENT}"
    body = {"account": device["owner"], "provider": APNS, "device-token": device["token"]}
    status, answer = call_http("POST", public, body)
    assert status == 503 and "result" not in answer
    redis.start()
    wait_until(lambda: push.call("GET", "/readyz")[0] == 200)
    assert outcome(push, device) == "sent"


def test_a_dead_token_is_not_called_gone_while_redis_is_away(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-half", redis, fake)
    device = register(push)
    script(fake, device["token"], 410, "Unregistered", delay_ms=HELD)
    answers = meanwhile(push, redis.kill, item(device), fake=fake)
    assert answers == [{"outcome": "unavailable", "reason": "storage"}]
    redis.start()
    wait_until(lambda: push.call("GET", "/readyz")[0] == 200)
    assert known(push, device)


def test_a_second_pushd_with_the_same_id_ends_and_names_both_hosts(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-1", redis, fake)
    record = wait_until(lambda: redis.command("GET", "og:registry:push:push-1"))
    twin = stage.pushd("push-twin", redis, fake, start=False, id="push-1")
    twin.clean = (1,)
    assert twin.start(wait=False).wait_exit() == 1
    host = json.loads(record)["host"]
    assert (f"registry-id-taken kind=push id=push-1 host={host} other_host={host} "
            in twin.log_text())
    assert "registry-id" not in push.log_text()
    assert outcome(push, register(push)) == "sent"


# Providers


def state_of(push, provider):
    found = push.call("GET", "/v1/providers")[1]["providers"]
    return {one["id"]: one["state"] for one in found}[provider]


def findings_of(push, provider):
    found = push.call("GET", "/v1/providers")[1]["providers"]
    return {one["id"]: one["findings"] for one in found}[provider]


def test_what_is_for_a_provider_that_refuses_connections_is_queued_quickly(stage, fake):
    port = free_port()
    sections = both(fake, endpoint=f"https://{HOST}:{port}")
    push = stage.pushd("push-refused", stage.redis(), providers=sections, answer_within="8s")
    device = register(push)
    several = lambda: publish(push, *[item(device)] * 50, deadline_ms=20000)
    outcomes, word = sooner(push, fake, FCM, lambda: (several(), outcome(push, device)))
    assert {one["outcome"] for one in outcomes} == {"queued"} and word in ("queued", "merged")
    # Between the end of a pause and the next probe it is "ready".
    wait_until(lambda: state_of(push, APNS) == "unreachable")
    unreachable = r"The provider can't be reached since \d{4}-\d\d-\d\d \(.+\)\."
    assert re.fullmatch(unreachable, findings_of(push, APNS)[-1])
    assert known(push, device)
    with socket.create_server((HOST, port)) as listener:
        relay_to(listener, fake)
        wait_until(lambda: outcome(push, device) == "sent")
    assert push.wait_log(r"provider-ready provider=apns-binary-api")


def relay_to(listener, fake):
    """Passes the bytes of each connection that LISTENER gets on to the fake."""

    def pass_on(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve():
        try:
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(fake.url.removeprefix("https://").split(":"))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pass_on, args=pair, daemon=True).start()
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()


def test_a_provider_without_h2_gets_nothing(stage, fake):
    plain = stage.providers("plain", args=["--no-alpn"])
    sections = both(fake, endpoint=plain.url, ca_file=plain.ca)
    push = stage.pushd("push-noh2", stage.redis(), providers=sections, answer_within="6s")
    device = register(push)
    outcomes = sooner(push, fake, FCM, lambda: publish(push, *[item(device)] * 20))
    assert {one["outcome"] for one in outcomes} == {"queued"}
    assert push.wait_log(r"provider-open provider=apns-binary-api .*reason=not-h2")


def test_a_provider_with_another_certificate_gets_nothing(stage, fake):
    other = stage.providers("other", fresh=True)
    push = stage.pushd("push-untrusted", stage.redis(), providers=only(fake, ca_file=other.ca))
    device = register(push)
    assert publish(push, item(device)) == [{"outcome": "queued"}]
    assert push.wait_log(r"provider-open provider=apns-binary-api .*reason=untrusted")
    assert not got(fake, device["token"])


def test_what_a_silent_provider_has_is_stored_before_the_deadline(stage, redis, fake):
    push = stage.pushd("push-deadline", redis, fake, answer_within="6s")
    silent, alive = register(push), register(push, FCM)
    script(fake, silent["token"], silent=True)
    items = item(silent), item(alive), item(silent)
    began = time.monotonic()
    outcomes = sooner(push, fake, APNS, lambda: publish(push, *items, deadline_ms=1200))
    assert [one["outcome"] for one in outcomes] == ["queued", "sent", "queued"]
    assert time.monotonic() - began > 0.5
    assert known(push, silent)


def test_a_verdict_after_the_deadline_is_still_heeded(stage, redis, fake):
    push = stage.pushd("push-late", redis, fake)
    device = register(push)
    script(fake, device["token"], 410, "Unregistered", delay_ms=1500)
    assert outcome(push, device, deadline_ms=300) == "queued"
    wait_until(lambda: not known(push, device))


def test_a_connection_cut_in_mid_request_is_not_taken_for_a_verdict(push, fake):
    device = register(push)
    script(fake, device["token"], times=1, close=True)
    assert outcome(push, device) in ("queued", "sent")
    assert known(push, device)
    wait_until(lambda: outcome(push, device) == "sent")


def test_a_call_overtakes_what_waits(stage, redis, fake):
    push = stage.pushd("push-order", redis, fake)
    first, low, call = register(push), register(push), register(push, second_token=apns_token())
    script(fake, first["token"], delay_ms=500)
    voip = {"encrypted": {"iv": "aXY=", "payload": "Y2FsbA==", "voip": True}}
    waiting = [item(low, priority="low")] * 3 + [item(call, priority="high", **voip)]
    outcomes = publish(push, item(first), *waiting)
    assert [one["outcome"] for one in outcomes] == ["sent"] * 5
    order = [request["path"] for request in fake.received()]
    call_path, low_path = (f"/3/device/{token}" for token in (call["second_token"], low["token"]))
    assert order.index(call_path) < order.index(low_path)


@pytest.mark.parametrize("answer", [{"status": 503, "reason": "Shutdown"}, {"close": True}])
def test_a_provider_that_wants_new_connections_is_not_stormed_with_them(stage, redis, answer):
    fake = stage.providers("busy")
    push = stage.pushd("push-busy", redis, fake)
    devices = [register(push) for _ in range(60)]
    fake.script({"match": {"provider": "apns"}, "answer": answer})
    outcomes = publish(push, *map(item, devices), deadline_ms=3000)
    assert {one["outcome"] for one in outcomes} == {"queued"}
    requests = [request for request in fake.received() if request["provider"] == "apns"]
    assert 3 <= len(requests) < 12
    assert all(known(push, device) for device in devices[:3])


def test_an_expired_jwt_costs_two_attempts_and_not_two_for_each(stage, redis):
    fake = stage.providers("expired")
    push = stage.pushd("push-expired", redis, fake, answer_within="4s")
    devices = [register(push) for _ in range(40)]
    fake.script({"match": {"provider": "apns"},
                 "answer": {"status": 403, "reason": "ExpiredProviderToken"}})
    outcomes = sooner(push, fake, FCM, lambda: publish(push, *map(item, devices), deadline_ms=5000))
    assert {one["outcome"] for one in outcomes} == {"unavailable"}
    assert len([one for one in fake.received() if one["provider"] == "apns"]) == 2


# Credentials


@pytest.mark.parametrize("reason", ["InvalidProviderToken", "ExpiredProviderToken", "Forbidden"])
def test_a_credential_fault_opens_the_provider_and_removes_nothing(stage, redis, fake, reason):
    push = stage.pushd("push-credential", redis, fake)
    device, android = register(push), register(push, FCM)
    times = 2 if reason == "ExpiredProviderToken" else 1
    script(fake, device["token"], 403, reason, times=times)
    outcomes = publish(push, item(device), item(android), deadline_ms=5000)
    assert [one["outcome"] for one in outcomes] == ["unavailable", "sent"]
    assert outcomes[0]["reason"] == reason
    assert len(got(fake, device["token"])) == times
    states = {one["id"]: one["state"] for one in push.call("GET", "/v1/providers")[1]["providers"]}
    assert states == {APNS: "credential", FCM: "ready"}
    assert known(push, device)
    wait_until(lambda: outcome(push, device) == "sent")


def test_a_service_account_that_google_refuses_is_unavailable_until_it_is_taken(stage, redis, fake):
    fake.script({"match": {"provider": "oauth"},
                 "answer": {"status": 400, "reason": "invalid_grant"}})
    push = stage.pushd("push-oauth", redis, fake, answer_within="6s")
    device = register(push, FCM)
    push.wait_log(rf"oauth-failed provider={FCM} account=\S+ status=400 error=invalid_grant "
                  r'description="\w[^"]+"')
    refused = "The token endpoint gives no access token for it."
    wait_until(lambda: refused in findings_of(push, FCM))
    assert sooner(push, fake, APNS, lambda: outcome(push, device)) in ("sent", "unavailable")
    fake.reset()
    wait_until(lambda: outcome(push, device) == "sent")
    assert refused not in findings_of(push, FCM)


def test_a_wrong_project_removes_nothing(stage, redis, fake):
    push = stage.pushd("push-project", redis, providers=only(fake, FCM, project_id="another"))
    device = register(push, FCM)
    assert outcome(push, device) == "unavailable"
    assert known(push, device)


# The API


def raw(push, what, head, body=b""):
    """The status and the JSON that answer bytes no HTTP client would send."""
    host, port = push.address(what).rsplit(":", 1)
    with socket.create_connection((host, port), timeout=120) as client:
        client.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        client.shutdown(socket.SHUT_WR)
        text = b"".join(iter(lambda: client.recv(65536), b""))
    status, rest = text.split(b"\r\n", 1)
    return int(status.split()[1]), json.loads(rest.split(b"\r\n\r\n", 1)[1])


def test_requests_that_are_not_right_get_json_errors(push):
    head = "POST /v1/notifications HTTP/1.1\nHost: x\nConnection: close\n"
    head += f"Authorization: Bearer {TOKEN}\n"
    cases = [
        (head + "Content-Length: 9", b'{"oops": ', 400, "bad_request"),
        (head + "Content-Length: 2", b"[]", 400, "bad_request"),
        (head + "Transfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n", 411, "length_required"),
        (head + "Content-Length: 1048577", b"", 413, "too_large"),
        (head.replace(TOKEN, "wrong") + "Content-Length: 2", b"{}", 401, "unauthorized"),
        (head.replace("POST", "PUT") + "Content-Length: 2", b"{}", 405, "method_not_allowed"),
    ]
    for text, body, status, code in cases:
        got_status, answer = raw(push, "api", text, body)
        assert (got_status, answer["error"]) == (status, code), (text, answer)
        assert answer["message"]
    assert push.call("GET", "/v1/nothing")[0] == 404


@pytest.mark.parametrize("change, complaint", [
    ({"deadline_ms": None}, "deadline_ms: is missing"),
    ({"deadline_ms": 0}, "deadline_ms"),
    ({"notifications": "x"}, "notifications"),
    ({"notifications": [{}] * 257}, "notifications"),
    ({"more": 1}, "more"),
])
def test_a_batch_that_is_not_right_is_refused_whole(push, change, complaint):
    body = {"deadline_ms": 1000, "notifications": [], **change}
    status, answer = push.call("POST", "/v1/notifications", body)
    assert (status, answer["error"]) == (400, "bad_request")
    assert complaint in answer["message"]


def test_one_wrong_item_names_its_place_and_nothing_is_sent(push, fake):
    device = register(push)
    items = [item(device), item(device, priority="urgent")]
    body = {"deadline_ms": 1000, "notifications": items}
    status, answer = push.call("POST", "/v1/notifications", body)
    assert (status, answer["message"]) == (400, "notifications[1].priority: must be high or low")
    assert not got(fake, device["token"])


def test_an_empty_batch_has_no_outcomes(push):
    assert publish(push) == []


def test_too_many_in_flight_are_unavailable(stage, redis, fake):
    push = stage.pushd("push-small", redis, fake, in_flight_max=5)
    device = register(push)
    script(fake, device["token"], delay_ms=300)
    outcomes = publish(push, *[item(device)] * 20)
    words = [one["outcome"] for one in outcomes]
    assert words.count("unavailable") >= 15 and words.count("sent") >= 1
    assert {one["reason"] for one in outcomes if one["outcome"] == "unavailable"} == {"full"}
    assert outcome(push, device) == "sent"


# The REST call of apps


@pytest.mark.parametrize("path", ["/unregister-device/", "/rest/push/unregister-device/"])
def test_an_app_unregisters_by_rest_whatever_provider_it_names(push, path):
    device = register(push)
    url = f"http://{push.address('public')}{path}{COMPONENT}"
    body = {"account": device["owner"].upper(), "provider": "snikket:apns:1"}
    body["device-token"] = device["token"].upper()
    for other in ({"account": "x@example.org"}, {"device-token": apns_token()}):
        assert call_http("POST", url, {**body, **other}) == (200, {"result": "success"})
    elsewhere = url.replace(COMPONENT, "other.example")
    assert call_http("POST", elsewhere, body) == (200, {"result": "success"})
    assert known(push, device)
    for _ in range(2):
        assert call_http("POST", url, body) == (200, {"result": "success"})
        assert not known(push, device)


def test_a_rest_call_that_is_not_right_gets_no_result(push):
    url = f"http://{push.address('public')}/unregister-device/{COMPONENT}"
    full = {"account": "a@b/c", "provider": "p", "device-token": "x"}
    for body in ([], {}, {"account": "a@b", "provider": "p"}, full):
        status, answer = call_http("POST", url, body)
        assert (status, answer["error"]) == (404, "not_found")
    assert call_http("GET", url)[0] == 405
    head = "POST /unregister-device/x HTTP/1.1\nHost: x\nConnection: close\n"
    assert raw(push, "public", head + "Content-Length: 9", b"malformed")[0] == 404
    assert raw(push, "public", head + "Content-Length: 8193")[0] == 413
    assert call_http("GET", f"http://{push.address('public')}/metrics")[0] == 404


def test_one_address_is_limited_and_others_are_not(stage, redis, fake):
    push = stage.pushd("push-rest", redis, fake, trusted_proxies="127.0.0.0/8")
    body = b'{"account":"a@b","provider":"p","device-token":"t"}'
    head = "POST /unregister-device/x HTTP/1.1\nHost: x\nConnection: close\n"
    head += f"Content-Length: {len(body)}\nX-Forwarded-For: "

    def ask(forwarded):
        return raw(push, "public", head + forwarded, body)[0]

    # What a client says of itself comes first, in a line of its own behind some proxies.
    statuses = [ask(f"192.0.2.{n}\nX-Forwarded-For: 198.51.100.7") for n in range(25)]
    assert statuses[:20] == [200] * 20 and 429 in statuses[20:]
    assert ask("198.51.100.8") == 200


def test_the_public_listener_does_tls(stage, redis, fake):
    files = {"cert_file": fake.set / "server.pem", "key_file": fake.set / "server.key"}
    push = stage.pushd("push-tls", redis, fake, **files)
    device = register(push)
    body = {"account": device["owner"], "provider": APNS, "device-token": device["token"]}
    url = f"https://{push.address('public')}/unregister-device/{COMPONENT}"
    curl = ["curl", "-sS", "--cacert", fake.ca, "-d", json.dumps(body), url]
    done = subprocess.run(curl, capture_output=True, text=True)
    assert json.loads(done.stdout) == {"result": "success"}, done.stderr
    assert not known(push, device)


# The process


def test_sigterm_finishes_what_is_under_way(stage, redis, fake):
    push = stage.pushd("push-drain", redis, fake, drain_timeout="10s")
    device = register(push)
    script(fake, device["token"], delay_ms=1000)
    (answer,) = meanwhile(push, push.stop, item(device))
    assert answer["outcome"] == "sent"
    assert push.status == 0
    assert redis.command("GET", "og:registry:push:push-drain") is None


def check(stage, *args, env=None, **keys):
    """Status and complaints of -n on the configuration of a pushd that isn't started."""
    push = stage.pushd("push-check", *args, start=False, **keys)
    push.log.touch()
    command = [stage.binary("pushd"), "-n", "-c", push.config]
    env = {**os.environ, **(env or {})}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def other_key(module_stage):
    """A private key on another curve."""
    path = module_stage.folder / "other.key"
    curve = ["-pkeyopt", "ec_paramgen_curve:P-384"]
    make = ["openssl", "genpkey", "-algorithm", "EC", *curve, "-out", path]
    subprocess.run(make, check=True, capture_output=True)
    return path


@pytest.mark.parametrize("provider, change, complaint", [
    (APNS, {"key_file": "/nowhere.p8"}, "key-file /nowhere.p8: No such file"),
    (APNS, {"key_file": "OTHER"}, "is no key on the curve P-256"),
    (APNS, {"key_file": "CA"}, "has no private key"),
    (APNS, {"key_id": None}, "key-file, key-id and team-id are needed"),
    (APNS, {"topic": None}, "topic is needed"),
    (APNS, {"topic": "a b"}, "topic and project-id are made of"),
    (APNS, {"endpoint": "http://127.0.0.1"}, "endpoint must be https"),
    (APNS, {"ca_file": "/nowhere.pem"}, "ca-file /nowhere.pem: No such file"),
    (FCM, {"service_account_file": "CA"}, "is no JSON object"),
    (FCM, {"service_account_file": None}, "service-account-file is needed"),
    (FCM, {"server_key": "AAAA"}, "use service-account-file"),
    (FCM, {"sender_id": "1"}, "use service-account-file and project-id"),
    (FCM, {"pool_size": "0"}, "pool-size"),
])
def test_the_check_tries_credentials(stage, redis, fake, other_key, provider, change, complaint):
    files = {"OTHER": other_key, "CA": fake.ca}
    change = {key: files.get(value, value) for key, value in change.items()}
    status, text = check(stage, redis, providers=only(fake, provider, **change))
    assert status == 1 and complaint in text
    assert "[provider" in text or "pushd.conf:" in text


def test_a_right_configuration_passes_the_check(stage, redis, fake):
    assert check(stage, redis, fake) == (0, "")


@pytest.mark.parametrize("keys, complaint", [
    ({"public_listen": "0.0.0.0:0"}, "behind-proxy"),
    ({"public_listen": "0.0.0.0:0", "behind_proxy": "yes"}, None),
    ({"cert_file": "/nowhere"}, "belong together"),
    ({"cert_file": "/nowhere", "key_file": "/nowhere"}, "cert-file /nowhere: No such file"),
    ({"trusted_proxies": "10.0.0.0/8, 10.0.0.0/33"}, "trusted-proxies: 10.0.0.0/33"),
    ({"id": "a b"}, "id: 1 to 64"),
    ({"api_listen": "localhost:7660"}, "api-listen: localhost:7660"),
    ({"api_listen": ""}, "api-listen: must not be empty"),
    ({"api_listen": "[::]:7660", "api_url": ""}, None),
])
def test_the_check_looks_at_the_listeners_too(stage, redis, fake, keys, complaint):
    status, text = check(stage, redis, fake, **keys)
    assert (status, text) == (0, "") if complaint is None else status == 1 and complaint in text


@pytest.mark.parametrize("cert, key, complaint", [
    ("server.pem", "server.key", ""),
    ("server.key", "server.key", "cert-file .*: no start line"),
    ("server.pem", "apns.p8", "key-file .*, with cert-file .*: key (values|type) mismatch"),
    ("server.pem", "server.pem", "key-file .*, with cert-file .*: "),
])
def test_the_check_reads_the_public_certificate(stage, redis, fake, cert, key, complaint):
    files = {"cert_file": fake.set / cert, "key_file": fake.set / key}
    status, text = check(stage, redis, fake, **files)
    assert status == (complaint != "") and re.match(complaint, text), text


@pytest.mark.parametrize("url, complaint", [
    ("none", "redis: devices are kept there"),
    ("localhost:6379", "OG_PUSHD_REDIS: redis: it must begin with redis://"),
    ("redis://open-sesame@localhost", "redis: before the @ there must be user:password"),
    ("", "OG_PUSHD_REDIS: redis: must not be empty"),
])
def test_the_check_wants_a_redis(stage, redis, fake, url, complaint):
    status, text = check(stage, redis, fake, env={"OG_PUSHD_REDIS": url})
    assert status == 1 and complaint in text and "sesame" not in text
