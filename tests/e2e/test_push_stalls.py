"""Redis that stalls or dies while a notification that is on the wire is being stored."""

import signal
import threading

import pytest

from harness import wait_until
from notify import (APNS, HELD, apns_token, got, item, meanwhile, metric, publish, register,
                    script)


def only_apns(fake, **changes):
    return {APNS: {**fake.provider_sections()[APNS], **changes}}


TEXT = {"summary": {"count": 1, "body": "text"}}
AGAIN = "outrigger_pushd_storage_retries_total"
CALL = {"priority": "high", "encrypted": {"iv": "aXY=", "payload": "Y2FsbA==", "voip": True}}


def stall_writes(redis, milliseconds):
    redis.command("CLIENT", "PAUSE", milliseconds, "WRITE")


@pytest.mark.parametrize("away", ["stopped", "killed"])
def test_a_publish_outlives_a_redis_that_is_away(stage, fake, away):
    """Its caller waits longer than Redis is away; answer-within counts from its return."""
    redis = stage.redis()
    push = stage.pushd("push-patient", redis, providers=only_apns(fake), answer_within="500ms")
    device, answers = register(push), []
    if away == "stopped":
        redis.popen.send_signal(signal.SIGSTOP)
    else:
        redis.kill()
    send = lambda: answers.extend(publish(push, item(device, **TEXT), deadline_ms=20000))
    thread = threading.Thread(target=send)
    thread.start()
    wait_until(lambda: metric(push, AGAIN, what="look-up") > 0, what="a look-up to fail")
    assert answers == []
    if away == "stopped":
        redis.popen.send_signal(signal.SIGCONT)
    else:
        redis.start()
    thread.join()
    assert [one["outcome"] for one in answers] == ["sent"]
    assert len(got(fake, device["token"])) == 1


def test_what_cannot_be_stored_yet_is_stored_when_redis_is_back(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-patient", redis, providers=only_apns(fake), answer_within="1m")
    device, answers = register(push), []
    script(fake, device["token"], 429, "TooManyRequests", delay_ms=HELD)
    send = lambda: answers.extend(publish(push, item(device, **TEXT), deadline_ms=20000))
    thread = threading.Thread(target=send)
    thread.start()
    wait_until(lambda: got(fake, device["token"]))
    redis.kill()
    fake.hasten()
    wait_until(lambda: metric(push, AGAIN, what="put") > 0, what="the first try to fail")
    assert answers == []
    redis.start()
    thread.join()
    assert [one["outcome"] for one in answers] == ["queued"]
    assert redis.command("ZCARD", "og:push:notes") == 1


def test_what_is_on_the_wire_is_stored_when_redis_is_back(stage, fake):
    """Its provider says nothing for longer than answer-within, and Redis dies meanwhile."""
    redis = stage.redis()
    push = stage.pushd("push-patient", redis, providers=only_apns(fake), answer_within="1500ms")
    device, answers = register(push), []
    script(fake, device["token"], delay_ms=HELD)
    send = lambda: answers.extend(publish(push, item(device, **TEXT), deadline_ms=20000))
    thread = threading.Thread(target=send)
    thread.start()
    wait_until(lambda: got(fake, device["token"]))
    redis.kill()
    wait_until(lambda: metric(push, AGAIN, what="put") > 0, what="the first try to fail")
    assert answers == []
    redis.start()
    thread.join()
    assert answers == [{"outcome": "queued"}]
    fake.hasten()
    wait_until(lambda: metric(push, "outrigger_pushd_notifications_in_flight") == 0)
    assert redis.command("ZCARD", "og:push:notes") == 0
    assert len(got(fake, device["token"])) == 1


@pytest.mark.parametrize("status, reason, outcome", [
    (503, "ServiceUnavailable", "unavailable"),
    (200, None, "sent"),
])
def test_a_verdict_while_storage_dies_promises_only_what_is_true(stage, fake, status, reason,
                                                                 outcome):
    redis = stage.redis()
    push = stage.pushd("push-perhaps", redis, providers=only_apns(fake), answer_within="1500ms")
    device = register(push)
    script(fake, device["token"], status, reason, delay_ms=2500)
    stop = lambda: redis.popen.send_signal(signal.SIGSTOP)
    (answer,) = meanwhile(push, stop, item(device, **TEXT))
    redis.popen.send_signal(signal.SIGCONT)
    assert answer["outcome"] == outcome
    assert answer.get("reason") in ((None,) if status == 200 else ("storage", "deadline"))
    wait_until(lambda: metric(push, "outrigger_pushd_notifications_in_flight") == 0)


def test_a_drain_does_not_wait_for_what_was_stored_as_it_ended(stage, fake):
    redis = stage.redis()
    keys = {"providers": only_apns(fake), "answer_within": "800ms", "drain_timeout": "10m"}
    push = stage.pushd("push-late", redis, **keys)
    device = register(push)
    script(fake, device["token"], delay_ms=HELD)

    def drain():
        stall_writes(redis, 1500)
        assert push.stop() == 0

    assert meanwhile(push, drain, item(device, **TEXT)) == [{"outcome": "queued"}]


def test_a_call_whose_token_dies_slowly_is_queued_as_an_alert(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-slow-end", redis, providers=only_apns(fake), answer_within="1500ms")
    device = register(push, second_token=apns_token())
    script(fake, device["second_token"], 410, "Unregistered", delay_ms=HELD)
    script(fake, device["token"], silent=True)
    stall = lambda: stall_writes(redis, 1900)
    assert meanwhile(push, stall, item(device, **CALL), fake=fake) == [{"outcome": "queued"}]
    wait_until(lambda: got(fake, device["token"]))


def test_what_was_stored_and_is_too_large_is_cut_next_time_if_not_now(stage, fake):
    redis = stage.redis()
    keys = {"providers": only_apns(fake), "answer_within": "300ms", "lease": "2s"}
    push = stage.pushd("push-large", redis, **keys)
    device = register(push)
    answers = {1: {"status": 503, "reason": "ServiceUnavailable"},
               2: {"status": 413, "reason": "PayloadTooLarge", "delay_ms": 900},
               3: {"status": 413, "reason": "PayloadTooLarge"}}
    fake.script(*({"match": {"token": device["token"], "nth": nth}, "answer": answer}
                  for nth, answer in answers.items()))
    assert publish(push, item(device, **TEXT)) == [{"outcome": "queued"}]
    wait_until(lambda: len(got(fake, device["token"])) == 4)
    assert got(fake, device["token"])[-1]["answered"] == 200
