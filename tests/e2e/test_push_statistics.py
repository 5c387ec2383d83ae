"""What pushd says of itself: statistics by provider, a device's last verdicts, domains' limits."""

import time

import pytest

from harness import wait_until
from notify import (APNS, DOMAIN, FCM, item, metric, outcome, publish, register, script)


@pytest.fixture
def redis(stage):
    return stage.redis()


@pytest.fixture
def fake(stage):
    return stage.providers()


@pytest.fixture
def push(stage, redis, fake):
    return stage.pushd("push-counted", redis, fake, answer_within="1s")


began = time.time()  # before any of these tests


def statistics(push, provider):
    status, answer = push.call("GET", "/v1/statistics")
    assert status == 200
    assert began <= answer["since_ms"] / 1000 <= time.time()
    return next(one for one in answer["providers"] if one["id"] == provider)


def shown(push, device):
    status, answer = push.call("GET", f"/v1/devices/{device['node']}")
    assert status == 200, answer
    return answer


def verdicts(push, device, count):
    """Its last verdicts, once there are COUNT, without their times; the newest first."""
    wait_until(lambda: len(shown(push, device)["verdicts"]) >= count, what="verdicts")
    found = shown(push, device)["verdicts"]
    times = [one.pop("at_ms") for one in found]
    assert times == sorted(times, reverse=True)
    assert not times or began <= times[0] / 1000 <= time.time()
    return found


# Statistics


def test_each_provider_has_its_numbers(push, fake):
    devices = [register(push) for _ in range(5)] + [register(push, FCM)]
    script(fake, devices[1]["token"], 410, "Unregistered")
    script(fake, devices[2]["token"], 400, "BadDeviceToken")
    script(fake, devices[3]["token"], 400, "PayloadEmpty")
    script(fake, devices[4]["token"], 400, "PayloadEmpty")
    outcomes = [one["outcome"] for one in publish(push, *(item(device) for device in devices))]
    assert outcomes == ["sent", "gone"] + 3 * ["unavailable"] + ["sent"]
    apns, fcm = statistics(push, APNS), statistics(push, FCM)
    counts = {"sent": 1, "queued": 0, "merged": 0, "gone": 1, "unavailable": 3}
    assert apns["outcomes"] == counts
    assert apns["failed"] == {"Unregistered": 1, "BadDeviceToken": 1, "PayloadEmpty": 2}
    assert (apns["sent"], apns["removed"], apns["queued"]) == (1, 1, 0)
    assert apns["latency"]["count"] == apns["latency"]["buckets"][-1]["count"] == 5
    assert 0 < apns["latency"]["sum_us"] < 5 * 16e6
    assert (fcm["sent"], fcm["failed"], fcm["removed"]) == (1, {}, 0)
    name = "outrigger_pushd_provider"
    assert metric(push, f"{name}_outcomes_total", provider=APNS, outcome="unavailable") == 3
    assert metric(push, f"{name}_failures_total", provider=APNS, reason="PayloadEmpty") == 2
    assert metric(push, f"{name}_failures_total", provider=FCM, reason="PayloadEmpty") == 0
    assert metric(push, f"{name}_sent_total", provider=FCM) == 1
    assert metric(push, f"{name}_devices_removed_total", provider=APNS) == 1
    assert metric(push, f"{name}_seconds_count", provider=APNS) == 5
    assert metric(push, f"{name}_seconds_bucket", provider=APNS, le="+Inf") == 5


def test_what_waits_is_counted_while_it_waits(push, fake):
    device = register(push)
    script(fake, device["token"], 429, "TooManyRequests", times=1)
    assert outcome(push, device) == "queued"
    apns = statistics(push, APNS)
    assert (apns["outcomes"]["queued"], apns["queued"], apns["sent"]) == (1, 1, 0)
    assert apns["failed"] == {"TooManyRequests": 1}
    assert shown(push, device)["waiting"] is True


def test_a_provider_that_makes_up_reasons_makes_no_metric_for_each(push, fake):
    for number in range(80):
        device = register(push)
        script(fake, device["token"], 400, f"Reason{number}")
        outcome(push, device)
    failed = statistics(push, APNS)["failed"]
    assert len(failed) == 64 and failed["other"] == 80 - 63


def test_statistics_need_the_token_and_no_redis(push, redis):
    assert push.call("GET", "/v1/statistics", token="wrong")[0] == 401
    redis.kill()
    assert statistics(push, APNS)["queued"] is None
    redis.start()
    wait_until(lambda: statistics(push, APNS)["queued"] == 0)


# The last verdicts of a device


def test_a_device_shows_what_became_of_its_notifications(push, fake):
    device = register(push)
    assert shown(push, device)["verdicts"] == [] and shown(push, device)["waiting"] is False
    assert outcome(push, device) == "sent"
    sent = {"provider": APNS, "status": 200, "outcome": "sent"}
    assert verdicts(push, device, 1) == [sent]
    script(fake, device["token"], 400, "PayloadEmpty", times=1)
    assert outcome(push, device) == "unavailable"
    refused = {"provider": APNS, "status": 400, "reason": "PayloadEmpty",
               "outcome": "unavailable"}
    assert verdicts(push, device, 2) == [refused, sent]
    lists = push.call("GET", f"/v1/devices?owner={device['owner']}")[1]["devices"]
    assert "verdicts" not in lists[0]


def test_failures_are_seen_by_other_processes_and_end_by_themselves(stage, redis, fake, push):
    other = stage.pushd("push-other", redis, fake)
    device = register(push)
    script(fake, device["token"], 400, "PayloadEmpty")
    for _ in range(11):
        assert outcome(push, device) == "unavailable"
    mine = verdicts(push, device, 8)
    assert len(mine) == 8 and mine == verdicts(other, device, 8)
    key = f"og:push:history:{device['node']}"
    assert redis.command("LLEN", key) == 8
    assert 6 * 86400 < redis.command("TTL", key) <= 7 * 86400


def test_verdicts_and_the_log_tell_no_token_and_no_text(push, redis, fake):
    device = register(push)
    script(fake, device["token"], 400, "PayloadEmpty")
    publish(push, item(device, summary={"body": "private words"}))
    push.wait_log(r"notification-failed provider=\S+ node=\S{6} .*reason=PayloadEmpty")
    wait_until(lambda: verdicts(push, device, 1))
    texts = redis.command("LRANGE", f"og:push:history:{device['node']}", 0, -1)
    for text in (*texts, push.log_text()):
        assert device["token"] not in text and "private" not in text


def test_with_redis_away_a_device_is_503_not_half(push, redis):
    device = register(push)
    assert outcome(push, device) == "sent"
    redis.kill()
    assert push.call("GET", f"/v1/devices/{device['node']}")[0] == 503
    redis.start()
    wait_until(lambda: push.call("GET", "/readyz")[0] == 200)
    assert verdicts(push, device, 1)[0]["outcome"] == "sent"


# Domains


def test_a_domain_over_its_rate_is_unavailable_and_others_are_not(stage, redis, fake):
    push = stage.pushd("push-limited", redis, fake, domain_rate="1", domain_burst="5")
    devices = [register(push) for _ in range(12)]
    other = register(push, owner="a@example.net")
    items = [item(device) for device in devices[:11]]
    items[0]["domain"] = DOMAIN.upper()
    answers = publish(push, *items, item(other, domain="example.net"))
    assert [one["outcome"] for one in answers] == ["sent"] * 5 + ["unavailable"] * 6 + ["sent"]
    assert answers[5]["reason"] == "domain-limit"
    assert metric(push, "outrigger_pushd_domain_refusals_total") == 6
    wait_until(lambda: outcome(push, devices[11]) == "sent")


def test_by_default_a_domain_may_publish_at_any_rate(push):
    device = {"node": "0" * 32}
    answers = publish(push, *(item(device) for _ in range(256)))
    assert {one["outcome"] for one in answers} == {"gone"}
    assert metric(push, "outrigger_pushd_domain_refusals_total") == 0
