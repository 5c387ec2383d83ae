"""What changes while a notification is on its way: registrations, storage, the caller itself."""

import json
import os
import signal
import socket

import pytest

from harness import TOKEN, wait_until
from notify import (HELD, IN_FLIGHT, apns_token, claim, got, item, known, meanwhile, metric,
                    publish, register, script)

CALL = {"priority": "high", "encrypted": {"iv": "aXY=", "payload": "Y2FsbA==", "voip": True}}


@pytest.fixture(scope="module")
def push(module_stage, redis, fake):
    return module_stage.pushd("push-meanwhile", redis, fake)


def again(push, device):
    """Registers DEVICE once more, as it was."""
    body = {key: device[key] for key in claim() if key in device}
    status, answer = push.call("POST", "/v1/devices", body)
    assert (status, answer["node"]) == (200, device["node"])


def test_an_account_that_has_gone_takes_its_device_with_it(push):
    device = register(push)
    assert publish(push, item(device, account_removed=True))[0]["outcome"] == "sent"
    assert not known(push, device)


def test_a_device_that_comes_again_outlives_its_old_account(push, fake):
    device = register(push)
    script(fake, device["token"], delay_ms=HELD)
    farewell = item(device, account_removed=True)
    settled = meanwhile(push, lambda: again(push, device), farewell, fake=fake)[0]
    assert settled["outcome"] == "sent"
    assert known(push, device)


def test_a_call_for_a_device_that_was_unregistered_meanwhile_is_gone(push, fake):
    device = register(push, second_token=apns_token())
    script(fake, device["second_token"], 410, "Unregistered", delay_ms=HELD)
    at = f"/v1/devices/{device['node']}"
    settled = meanwhile(push, lambda: push.call("DELETE", at), item(device, **CALL),
                        fake=fake)[0]
    assert settled["outcome"] == "gone"
    assert not got(fake, device["token"])


def test_a_dead_token_that_was_replaced_meanwhile_takes_nothing_with_it(push, fake):
    device = register(push)
    script(fake, device["token"], 410, "Unregistered", delay_ms=HELD)
    settled = meanwhile(push, lambda: again(push, device), item(device), fake=fake)[0]
    assert settled == {"outcome": "unavailable", "reason": "registered-since"}
    assert known(push, device)


def test_the_deadline_may_pass_while_storage_stalls(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-stalled", redis, fake)
    call, dead = register(push, second_token=apns_token()), register(push)
    script(fake, call["second_token"], 410, "Unregistered", delay_ms=HELD)
    script(fake, dead["token"], 410, "Unregistered", delay_ms=HELD)
    items = item(call, **CALL), item(dead)
    outcomes = meanwhile(push, lambda: os.kill(redis.pid, signal.SIGSTOP), *items, fake=fake,
                         deadline_ms=1500)
    os.kill(redis.pid, signal.SIGCONT)
    assert [one["reason"] for one in outcomes] == ["deadline", "deadline"]
    assert not got(fake, call["token"])
    wait_until(lambda: metric(push, "outrigger_pushd_notifications_in_flight") == 0)
    wait_until(lambda: push.call("GET", "/readyz")[0] == 200)
    assert publish(push, item(call))[0]["outcome"] == "sent"


def test_a_caller_may_leave_before_its_answer(push, fake):
    device, dead = register(push), register(push)
    script(fake, device["token"], delay_ms=HELD)
    script(fake, dead["token"], 410, "Unregistered", delay_ms=HELD)
    body = json.dumps({"deadline_ms": 3000, "notifications": [item(device), item(dead)]})
    head = f"POST /v1/notifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    host, port = push.address("api").rsplit(":", 1)
    with socket.create_connection((host, port)) as caller:
        caller.sendall((head + body).encode())
        wait_until(lambda: metric(push, IN_FLIGHT) > 0)

    def taken():
        fake.hasten()
        return not known(push, dead)

    wait_until(taken)
    wait_until(lambda: metric(push, "outrigger_pushd_notifications_in_flight") == 0)
    assert len(got(fake, device["token"])) == 1
