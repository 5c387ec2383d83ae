"""What every call of every API refuses, as schemas/NAME/index.json documents it."""

import json
import socket
import threading

import pytest

import recorder
from certificates import master_key
from harness import ROOT, wait_until
from notify import HELD, item, register

NAMES = {"hash": "0" * 40, "account": "nobody@example.org", "node": "f" * 32,
         "id": "apns-binary-api", "jid": "push.example.org"}
PUBLIC = "unregister-device"


def rows(daemon, status):
    """(method, path) of the calls for which the index documents STATUS."""
    index = json.loads((ROOT / f"schemas/{daemon}/index.json").read_text())
    return [(row["method"], row["path"].format(**NAMES)) for row in index
            if status in row["responses"]]


@pytest.fixture(scope="module")
def daemons(module_stage, redis, fake, tmp_path_factory):
    """One of each, by name."""
    relay = module_stage.relayd(redis=redis)
    push = module_stage.pushd(redis=redis, fake=fake, trusted_proxies="127.0.0.0/8",
                              master_key_file=master_key(tmp_path_factory.mktemp("key")))
    component = {"server": "127.0.0.1:9", "secret": "s", "role": "push"}  # nobody is there
    gateway = module_stage.xmppgw(redis, {"push.example.org": component})
    return {"relayd": relay, "pushd": push, "xmppgw": gateway}


def ask(daemon, method, path, *headers, body=b"", client="192.0.2.1"):
    """One request on a connection of its own, BODY as it stands: its (status, headers)."""
    what = "public" if PUBLIC in path else daemon.listener
    host, port = daemon.address(what).rsplit(":", 1)
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close",
             f"X-Forwarded-For: {client}", *headers]
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    head, text = answer.split("\r\n\r\n", 1)
    first, *rest = head.split("\r\n")
    status = int(first.split()[1])
    recorder.note(daemon.program, method, path, None, status, json.loads(text))
    return status, dict(line.lower().split(": ", 1) for line in rest)


def authorised(daemon):
    return f"Authorization: Bearer {daemon.stage.token}"


@pytest.mark.parametrize("name", ["relayd", "pushd"])
def test_without_the_token_a_call_is_refused(daemons, name):
    for method, path in rows(name, "401"):
        for token in ((), ("Authorization: Bearer wrong",)):
            status, headers = ask(daemons[name], method, path, *token)
            assert (status, headers["www-authenticate"]) == (401, "bearer"), path


NEXT = "the-next-token-of-the-fleet"


@pytest.mark.parametrize("name", ["relayd", "pushd"])
def test_while_a_fleet_changes_its_token_either_is_taken(stage, redis, fake, name):
    keys = {"redis": redis, "api_token_also": NEXT}
    daemon = stage.relayd(**keys) if name == "relayd" else stage.pushd(fake=fake, **keys)
    path = {"relayd": "/v1/streams", "pushd": "/v1/queue"}[name]
    for token, status in ((stage.token, 200), (NEXT, 200), ("another", 401), ("", 401)):
        assert daemon.call("GET", path, token=token)[0] == status
    daemon.stop()
    daemon.configure({**daemon.sections, "daemon": {**daemon.sections["daemon"],
                                                    "api_token": NEXT, "api_token_also": None}})
    daemon.start()
    assert daemon.call("GET", path)[0] == 401
    assert daemon.call("GET", path, token=NEXT)[0] == 200
    assert NEXT not in daemon.log_text()


@pytest.mark.parametrize("name", ["relayd", "pushd"])
def test_a_body_of_unknown_length_is_refused_before_it_comes(daemons, name):
    for method, path in rows(name, "411"):
        daemon = daemons[name]
        chunked = "Transfer-Encoding: chunked"
        assert ask(daemon, method, path, authorised(daemon), chunked)[0] == 411, path


@pytest.mark.parametrize("name", ["relayd", "pushd"])
def test_a_body_that_is_too_large_is_refused_before_it_comes(daemons, name):
    for method, path in rows(name, "413"):
        daemon = daemons[name]
        large = "Content-Length: 1000000000"
        assert ask(daemon, method, path, authorised(daemon), large)[0] == 413, path


@pytest.mark.parametrize("name", ["relayd", "pushd", "xmppgw"])
def test_another_method_is_told_which_are_served(daemons, name):
    for method, path in rows(name, "200") + rows(name, "204"):
        status, headers = ask(daemons[name], "PATCH", path)
        assert status == 405 and method.lower() in headers["allow"], path


@pytest.mark.parametrize("name", ["relayd", "pushd", "xmppgw"])
def test_whether_it_lives_and_serves_needs_no_token(daemons, name):
    for path in ("/healthz", "/metrics"):
        assert daemons[name].call("GET", path, token=None)[0] == 200


def test_accounts_and_owners_must_be_addresses(daemons):
    assert daemons["relayd"].call("DELETE", "/v1/limits/" + "a" * 3000)[0] == 400
    assert daemons["pushd"].call("GET", "/v1/devices")[0] == 400
    assert daemons["pushd"].call("POST", "/v1/devices/unregister", {"owner": 1})[0] == 400


def test_removing_the_credential_of_an_unknown_provider_is_refused(daemons):
    assert daemons["pushd"].call("DELETE", "/v1/providers/nobody/credential")[0] == 404


def test_without_a_master_key_no_credential_is_removed(stage, redis, fake):
    push = stage.pushd("push-keyless", redis, fake)
    assert push.call("DELETE", f"/v1/providers/{NAMES['id']}/credential")[0] == 409


@pytest.mark.parametrize("path", ["/unregister-device/", "/rest/push/unregister-device/"])
def test_the_public_call_knows_its_limits(daemons, path):
    push, path = daemons["pushd"], path + NAMES["jid"]
    stranger = json.dumps({"account": "a@b"}).encode()
    length = f"Content-Length: {len(stranger)}"
    client = "192.0.2.2" if path.startswith("/u") else "192.0.2.3"
    answers = [ask(push, "POST", path, length, body=stranger, client=client)[0] for _ in range(30)]
    assert answers[0] == 404 and answers[-1] == 429


def test_a_pushd_that_drains_takes_no_more_notifications(stage, redis, fake):
    push = stage.pushd("push-draining", redis, fake, drain_timeout="60s")
    device = register(push)
    fake.script({"match": {"token": device["token"]}, "answer": {"delay_ms": HELD}})
    calls = {"deadline_ms": 8000, "notifications": [item(device)]}
    held = threading.Thread(target=push.call, args=("POST", "/v1/notifications", calls))
    before = fake.stats()
    held.start()
    wait_until(lambda: fake.stats() != before, what="the request at the provider")
    push.popen.terminate()
    push.wait_log("draining")
    assert push.call("POST", "/v1/notifications", calls)[0] == 503
    fake.hasten()
    held.join()
    push.wait_exit()


def test_without_redis_what_needs_it_is_unavailable(stage, fake, tmp_path):
    redis = stage.redis()
    relay = stage.relayd(redis=redis)
    push = stage.pushd(redis=redis, fake=fake, master_key_file=master_key(tmp_path))
    redis.kill()
    row, credential = f"/v1/limits/{NAMES['account']}", f"/v1/providers/{NAMES['id']}/credential"
    assert relay.call("PUT", row, {"file": 1})[0] == relay.call("DELETE", row)[0] == 503
    assert push.call("DELETE", credential)[0] == 503
    words = {"account": "a@b", "provider": NAMES["id"], "device-token": "0" * 64}
    body = json.dumps(words).encode()
    for path in ("/unregister-device/", "/rest/push/unregister-device/"):
        length = f"Content-Length: {len(body)}"
        assert ask(push, "POST", path + NAMES["jid"], length, body=body)[0] == 503
    redis.start()
