"""What pushd answers `queued` and `merged`: it is stored, outlives who stored it, and is sent."""

import signal
import time

import pytest

from harness import wait_until
from notify import (APNS, HELD, apns_token, got, item, known, meanwhile, metric, outcome, publish,
                    register, script)

CALL = {"priority": "high", "encrypted": {"iv": "aXY=", "payload": "Y2FsbA==", "voip": True}}
INTERVAL_S = 3  # between two to a device, which is long enough for what a test does in it
INTERVAL = f"{INTERVAL_S}s"


def only_apns(fake, **changes):
    return {APNS: {**fake.provider_sections()[APNS], **changes}}


@pytest.fixture(scope="module")
def push(module_stage, redis, fake):
    """One pushd with an interval, for tests that need no other."""
    return module_stage.pushd("push-shared", redis, providers=only_apns(fake, interval=INTERVAL))


def text(number, priority=None):
    """A message that can be told from others."""
    more = {"summary": {"count": number, "body": f"text {number}"}}
    return {**more, "priority": priority} if priority else more


def words(outcomes):
    return [one["outcome"] for one in outcomes]


def notes(redis):
    """The ids of what is stored."""
    return [key.rsplit(":", 1)[1] for key in redis.command("KEYS", "og:push:note:*")]


def arrived(fake, device, count=1, timeout=120):
    """Waits for COUNT requests for DEVICE; all of them."""
    token = device["token"]
    wait_until(lambda: len(got(fake, token)) >= count, timeout, f"{count} requests for a device")
    return got(fake, token)


def ids(requests):
    return [request["headers"]["apns-id"] for request in requests]


def accepted(fake):
    """The apns-ids of all that APNs accepted."""
    return ids(one for one in fake.received() if one["answered"] == 200
               and one["provider"] == "apns")


# Providers in trouble


def test_what_a_lost_provider_missed_comes_by_priority_once_it_is_back(stage):
    redis, fake = stage.redis(), stage.providers()
    push = stage.pushd("push-outage", redis, providers=only_apns(fake))
    low, high, call = register(push), register(push), register(push, second_token=apns_token())
    fake.kill()
    assert outcome(push, low, summary={"count": 2}) == "queued"
    assert outcome(push, high, **text(1)) == "queued"
    assert outcome(push, call, **CALL) == "queued"
    assert len(notes(redis)) == 3
    fake.start()
    wait_until(lambda: len(accepted(fake)) == 3)
    order = [one["path"].rsplit("/", 1)[1] for one in fake.received() if one["answered"] == 200]
    assert order == [call["second_token"], high["token"], low["token"]]
    wait_until(lambda: not notes(redis))
    assert push.call("GET", "/v1/providers")[1]["providers"][0]["state"] == "ready"
    assert metric(push, "outrigger_pushd_backlog_total", outcome="sent") == 3


def test_a_transient_fault_that_outlasts_the_answer_is_tried_again_under_its_id(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-transient", redis, providers=only_apns(fake), answer_within="300ms")
    device = register(push)
    wait = {"retry-after": "3"}
    script(fake, device["token"], 503, "ServiceUnavailable", times=2, headers=wait)
    assert outcome(push, device, **text(1)) == "queued"
    requests = arrived(fake, device, 3)
    assert len(set(ids(requests))) == 1
    assert requests[-1]["body"]["body"] == "text 1"
    # The queue keeps it by Redis's clock, so it may move by what a call to Redis takes.
    expirations = [int(request["headers"]["apns-expiration"]) for request in requests]
    assert max(expirations) - min(expirations) < 6, "it counts from the publish"
    wait_until(lambda: not notes(redis))


def test_a_verdict_that_comes_after_the_answer_deletes_what_was_stored(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-late", redis, providers=only_apns(fake), answer_within="200ms")
    device, dead = register(push), register(push)
    # By default, the verdict would still be the answer; nobody takes it meanwhile.
    script(fake, device["token"], delay_ms=1900)
    assert outcome(push, device, **text(1)) == "queued"
    assert len(notes(redis)) == 1
    wait_until(lambda: not notes(redis))
    script(fake, dead["token"], 410, "Unregistered", delay_ms=900)
    assert outcome(push, dead, **text(1)) == "queued"
    wait_until(lambda: not known(push, dead))
    wait_until(lambda: not notes(redis))
    assert len(got(fake, device["token"])) == len(got(fake, dead["token"])) == 1


def test_what_has_a_permanent_fault_is_not_stored(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-fault", redis, providers=only_apns(fake))
    for reason in ("PayloadEmpty", "BadDeviceToken"):
        device = register(push)
        script(fake, device["token"], 400, reason)
        assert publish(push, item(device)) == [{"outcome": "unavailable", "reason": reason}]
    assert not notes(redis)


def test_what_was_answered_queued_is_not_given_up_for_a_fault_that_may_be_ours(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-doubt", redis, providers=only_apns(fake), answer_within="300ms")
    for reason in ("BadTopic", "BadDeviceToken"):
        device = register(push)
        answers = {1: {"status": 503, "reason": "ServiceUnavailable", "delay_ms": 600},
                   2: {"status": 400, "reason": reason}}
        fake.script(*({"match": {"token": device["token"], "nth": nth}, "answer": answer}
                      for nth, answer in answers.items()))
        before = len(notes(redis))
        assert outcome(push, device, **text(1)) == "queued"
        push.wait_log(rf"notification-failed .*node={device['node'][:6]} .*status=400 "
                      rf"reason={reason} outcome=queued")
        assert len(notes(redis)) == before + 1


def test_a_credential_fault_is_never_queued_but_keeps_what_was_stored(stage):
    redis, fake = stage.redis(), stage.providers()
    push = stage.pushd("push-credential", redis, providers=only_apns(fake), answer_within="300ms")
    device, other = register(push), register(push)
    answers = {1: {"status": 503, "reason": "ServiceUnavailable", "delay_ms": 600},
               2: {"status": 403, "reason": "InvalidProviderToken"}}
    fake.script(*({"match": {"token": device["token"], "nth": nth}, "answer": answer}
                  for nth, answer in answers.items()))
    assert outcome(push, device, **text(1)) == "queued"
    push.wait_log(r"provider-open .*reason=InvalidProviderToken")
    answers = publish(push, item(other), item(other))
    assert {one["outcome"] for one in answers} <= {"unavailable", "sent"}
    assert len(notes(redis)) <= 1
    assert arrived(fake, device, 3, 30)[-1]["answered"] == 200
    wait_until(lambda: not notes(redis))


def test_what_has_expired_is_dropped(stage):
    redis, fake = stage.redis(), stage.providers()
    push = stage.pushd("push-expiry", redis, providers=only_apns(fake, expiry="2s"))
    stale, fresh = register(push), register(push)
    fake.kill()
    assert outcome(push, stale, **text(1)) == "queued"
    time.sleep(2.1)  # it is this long that makes it stale
    assert outcome(push, fresh, **text(2)) == "queued"
    fake.start()
    wait_until(lambda: not notes(redis))
    assert not got(fake, stale["token"])


def test_a_full_queue_is_unavailable(stage):
    redis, fake = stage.redis(), stage.providers()
    push = stage.pushd("push-full", redis, providers=only_apns(fake), queue_max=3)
    devices = [register(push) for _ in range(5)]
    fake.kill()
    outcomes = publish(push, *(item(device, **text(1)) for device in devices))
    assert sorted(words(outcomes)) == ["queued"] * 3 + ["unavailable"] * 2
    assert {one["reason"] for one in outcomes if "reason" in one} == {"full"}
    fake.start()
    wait_until(lambda: len(accepted(fake)) == 3)
    wait_until(lambda: not notes(redis))
    assert outcome(push, devices[4]) == "sent"


def calls(redis):
    """How often each command has run."""
    lines = redis.command("INFO", "commandstats").splitlines()
    found = [line.split(":", 1) for line in lines if line.startswith("cmdstat_")]
    return {name[8:]: int(rest.split(",")[0].removeprefix("calls=")) for name, rest in found}


def test_what_is_sent_at_once_writes_nothing_to_redis(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-at-once", redis, providers=only_apns(fake), answer_within="60s")
    items = [item(register(push), **text(1)) for _ in range(256)]
    before = calls(redis)
    assert set(words(publish(push, *items, deadline_ms=60000))) == {"sent"}
    after = calls(redis)
    often = {name for name in after if after[name] - before.get(name, 0) > 100}
    assert often <= {"hmget", "exists", "get"}


# Processes that die


def test_what_a_killed_pushd_had_stored_is_sent_by_another(stage, fake):
    redis, down = stage.redis(), stage.providers("down")
    first = stage.pushd("push-first", redis, providers=only_apns(down), lease="3s")
    devices = [register(first) for _ in range(20)]
    down.kill()
    assert words(publish(first, *(item(one, **text(1)) for one in devices))) == ["queued"] * 20
    stored = notes(redis)
    assert len(stored) == 20
    first.kill()
    stage.pushd("push-second", redis, providers=only_apns(fake), lease="3s")
    requests = [arrived(fake, device) for device in devices]
    assert all(len(one) == 1 for one in requests)
    assert sorted(ids(one[0] for one in requests)) == sorted(stored)
    wait_until(lambda: not notes(redis))


def test_what_a_killed_pushd_held_is_sent_by_another_when_the_lease_ends(stage, fake):
    redis = stage.redis()
    keys = {"answer_within": "200ms", "lease": "3s"}
    first = stage.pushd("push-first", redis, providers=only_apns(fake), **keys)
    device = register(first)
    script(fake, device["token"], silent=True, times=1)
    assert outcome(first, device, **text(1)) == "queued"
    first.kill()
    (note,) = notes(redis)
    due = float(redis.command("ZSCORE", f"og:push:queue:{APNS}:high:example.org", note))
    assert due / 1000 < time.time() + 3
    stage.pushd("push-second", redis, providers=only_apns(fake), **keys)
    lost, sent = ids(arrived(fake, device, 2))
    assert lost == sent
    wait_until(lambda: not notes(redis))


def test_what_was_queued_survives_redis_too(stage):
    redis, fake = stage.redis(), stage.providers()
    push = stage.pushd("push-redis", redis, providers=only_apns(fake))
    device = register(push)
    fake.kill()
    assert outcome(push, device, **text(1)) == "queued"
    redis.kill()
    assert outcome(push, device, **text(2)) == "unavailable"
    redis.start()
    fake.start()
    assert arrived(fake, device)[0]["body"]["body"] == "text 1"
    wait_until(lambda: not notes(redis))


def test_what_cannot_be_stored_is_unavailable_and_not_gone(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-unstored", redis, providers=only_apns(fake))
    device = register(push)
    script(fake, device["token"], delay_ms=HELD)
    answer, = meanwhile(push, redis.kill, item(device))
    assert answer["outcome"] == "unavailable" and answer["reason"] in ("storage", "deadline")
    redis.start()
    wait_until(lambda: push.call("GET", "/readyz")[0] == 200)
    assert known(push, device)


def test_two_that_share_a_queue_send_nothing_twice(stage):
    redis, fake = stage.redis(), stage.providers()
    pair = [stage.pushd(f"push-{i}", redis, providers=only_apns(fake)) for i in (1, 2)]
    devices = [register(pair[i % 2]) for i in range(200)]
    fake.kill()
    for push, half in zip(pair, (devices[:100], devices[100:])):
        assert set(words(publish(push, *(item(one, **text(1)) for one in half)))) == {"queued"}
    fake.start()
    wait_until(lambda: not notes(redis))
    sent = accepted(fake)
    assert len(sent) == len(set(sent)) == 200
    done = [metric(push, "outrigger_pushd_backlog_total", outcome="sent") for push in pair]
    assert sum(done) == 200


def test_sigterm_sends_or_stores_everything(stage):
    redis, fake = stage.redis(), stage.providers()
    keys = {"providers": only_apns(fake), "drain_timeout": "10m"}
    push = stage.pushd("push-drain", redis, **keys)
    devices = [register(push) for _ in range(30)]
    fake.script({"match": {"provider": "apns"}, "answer": {"delay_ms": 300}})

    # It ends when all is done, and not with the drain's time.
    answers = meanwhile(push, push.stop, *(item(device, **text(1)) for device in devices))
    assert push.status == 0
    assert set(words(answers)) == {"sent", "queued"}
    assert len(notes(redis)) == words(answers).count("queued")
    stage.pushd("push-heir", redis, **keys)
    wait_until(lambda: not notes(redis))
    assert len(accepted(fake)) == len(set(accepted(fake))) == 30


def test_a_stop_that_cannot_wait_leaves_what_was_stored(stage, fake):
    redis = stage.redis()
    keys = {"answer_within": "300ms", "lease": "3s", "providers": only_apns(fake, interval="5s")}
    push = stage.pushd("push-short", redis, drain_timeout="0s", **keys)
    silent, waiting = register(push), register(push)
    script(fake, silent["token"], silent=True, times=1)
    assert outcome(push, waiting, **text(1)) == "sent"
    assert outcome(push, waiting, **text(2)) == "queued"
    assert outcome(push, silent, **text(1)) == "queued"
    assert push.stop() == 0
    assert len(notes(redis)) == 2
    stage.pushd("push-heir", redis, **keys)
    lost, sent = ids(arrived(fake, silent, 2))
    assert lost == sent
    assert arrived(fake, waiting, 2)[1]["body"]["body"] == "text 2"


def test_what_cannot_be_stored_but_is_on_the_wire_is_still_heeded(stage, fake):
    redis = stage.redis()
    keys = {"answer_within": "200ms", "queue_max": 1}
    push = stage.pushd("push-brim", redis, providers=only_apns(fake, pool_size=4), **keys)
    first, dead, moody = register(push), register(push), register(push)
    for warm in range(8):
        outcome(push, register(push))
    script(fake, first["token"], silent=True)
    script(fake, dead["token"], 410, "Unregistered", delay_ms=700)
    script(fake, moody["token"], 503, "ServiceUnavailable", delay_ms=700)
    items = (item(one, **text(1)) for one in (first, dead, moody))
    outcomes = publish(push, *items)
    assert sorted(words(outcomes)) == ["queued", "unavailable", "unavailable"]
    wait_until(lambda: not known(push, dead))
    assert known(push, moody)


# One device


def test_within_the_interval_the_newest_waits_and_arrives(push, fake):
    device = register(push)
    outcomes = [outcome(push, device, **text(number)) for number in range(1, 5)]
    assert outcomes == ["sent", "queued", "queued", "queued"]
    first, last = arrived(fake, device, 2)
    assert (first["body"]["body"], last["body"]["body"]) == ("text 1", "text 4")
    wait_until(lambda: metric(push, "outrigger_pushd_notifications_in_flight") == 0)
    assert outcome(push, device, **text(5)) == "queued"
    assert arrived(fake, device, 3)[2]["body"]["body"] == "text 5"


def test_of_many_in_one_call_the_first_is_sent_and_the_newest_waits(push, fake):
    device = register(push)
    outcomes = words(publish(push, *(item(device, **text(number)) for number in range(50))))
    assert outcomes[0] == "sent" and outcomes[1] == "queued" and outcomes[-1] == "queued"
    assert set(outcomes[2:-1]) == {"merged"}
    requests = arrived(fake, device, 2)
    assert [one["body"]["body"] for one in requests] == ["text 0", "text 49"]


def test_the_interval_lies_between_two_and_no_more(push, redis, fake):
    device = register(push)
    began = time.time()
    assert outcome(push, device, **text(1)) == "sent"
    sent = time.time()
    assert outcome(push, device, **text(2)) == "queued"
    # pushd's clock says how long it waits, Redis' clock from when.
    called = time.time() - sent
    slot = redis.command("GET", f"og:push:slot:{device['node']}")
    due = float(redis.command("ZSCORE", f"og:push:queue:{APNS}:high:example.org", slot)) / 1000
    assert began + INTERVAL_S <= due + 0.001 and due <= sent + INTERVAL_S + called + 0.002
    arrived(fake, device, 2)
    assert time.time() >= due


def test_what_waits_does_not_fall_in_priority_but_learns_the_count(push, fake):
    device = register(push)
    assert outcome(push, device, **text(1)) == "sent"
    assert outcome(push, device, **text(2)) == "queued"
    assert outcome(push, device, summary={"count": 7}) == "merged"
    request = arrived(fake, device, 2)[1]
    assert request["headers"]["apns-priority"] == "10"
    assert (request["body"]["body"], request["body"]["unread-messages"]) == ("text 2", 7)


def test_of_those_that_wait_for_storage_too_none_falls_in_priority(push, fake):
    device = register(push)
    items = [text(1), text(2), text(3), {"summary": {"count": 9}}, {"summary": {"count": 8}}]
    outcomes = words(publish(push, *(item(device, **one) for one in items)))
    assert outcomes == ["sent", "queued", "queued", "merged", "merged"]
    request = arrived(fake, device, 2)[1]
    assert (request["body"]["body"], request["body"]["unread-messages"]) == ("text 3", 8)


def test_a_low_one_that_waits_gives_way_to_a_high_one(push, fake):
    device = register(push)
    assert outcome(push, device, **text(1)) == "sent"
    assert outcome(push, device, summary={"count": 2}) == "queued"
    assert outcome(push, device, **text(3)) == "queued"
    assert arrived(fake, device, 2)[1]["body"]["body"] == "text 3"


def test_a_dismissal_replaces_what_waits(push, fake):
    device = register(push)
    assert outcome(push, device, **text(1)) == "sent"
    assert outcome(push, device, **text(2)) == "queued"
    assert outcome(push, device, summary={"count": 0}) == "queued"
    request = arrived(fake, device, 2)[1]
    assert request["headers"]["apns-push-type"] == "background"
    assert "body" not in request["body"] and request["body"]["unread-messages"] == 0


def test_a_call_waits_for_nothing_and_replaces_nothing(push, fake):
    device = register(push, second_token=apns_token())
    assert outcome(push, device, **text(1)) == "sent"
    assert outcome(push, device, **text(2)) == "queued"
    assert outcome(push, device, **CALL) == "sent"
    assert outcome(push, device, **CALL) == "sent"
    calls = got(fake, device["second_token"])
    assert [one["headers"]["apns-push-type"] for one in calls] == ["voip", "voip"]
    assert arrived(fake, device, 2)[1]["body"]["body"] == "text 2"


def test_devices_do_not_wait_for_each_other(push, fake):
    devices = [register(push) for _ in range(20)]
    assert words(publish(push, *(item(one, **text(1)) for one in devices))) == ["sent"] * 20


def test_one_is_on_its_way_at_once(push, fake):
    device = register(push)
    script(fake, device["token"], delay_ms=800, times=1)
    outcomes = words(publish(push, item(device, **text(1)), item(device, **text(2))))
    assert outcomes == ["sent", "queued"]
    first, second = arrived(fake, device, 2)
    assert (first["body"]["body"], second["body"]["body"]) == ("text 1", "text 2")


def test_what_another_pushd_stored_for_a_device_is_not_overtaken(stage, redis, fake, push):
    device = register(push)
    assert outcome(push, device, **text(1)) == "sent"
    assert outcome(push, device, **text(2)) == "queued"
    other = stage.pushd("push-other", redis, providers=only_apns(fake, interval=INTERVAL))
    assert outcome(other, device, **text(3)) == "queued"
    assert arrived(fake, device, 2)[1]["body"]["body"] == "text 3"


def test_a_device_that_gets_too_many_is_left_alone_and_its_newest_waits(push, redis, fake):
    device, other, began = register(push), register(push), time.time()
    script(fake, device["token"], 429, "TooManyRequests")
    assert outcome(push, device, **text(1)) == "queued"
    assert outcome(push, device, **text(2)) == "queued"
    assert outcome(push, device, summary={"count": 5}) == "merged"
    slot = redis.command("GET", f"og:push:slot:{device['node']}")
    assert notes(redis).count(slot) == 1
    due = float(redis.command("ZSCORE", f"og:push:queue:{APNS}:high:example.org", slot))
    assert began + 25 < due / 1000 < time.time() + 65
    assert outcome(push, other, **text(1)) == "sent"
    assert len(got(fake, device["token"])) == 1


def test_a_call_that_expires_before_its_device_may_have_more_is_unavailable(push, fake):
    device = register(push, second_token=apns_token())
    script(fake, device["second_token"], 429, "TooManyRequests")
    answers = publish(push, item(device, **CALL))
    assert answers == [{"outcome": "unavailable", "reason": "expired"}]


def test_what_is_stored_for_a_device_that_has_gone_goes_with_it(stage):
    redis, fake = stage.redis(), stage.providers()
    push = stage.pushd("push-gone", redis, providers=only_apns(fake))
    device = register(push)
    fake.kill()
    assert outcome(push, device, **text(1)) == "queued"
    assert push.call("DELETE", f"/v1/devices/{device['node']}")[0] == 204
    fake.start()
    wait_until(lambda: not notes(redis))
    assert not got(fake, device["token"])


def test_a_call_that_hangs_up_while_storage_stalls_leaves_nothing_behind(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-stall", redis, providers=only_apns(fake, interval="5s"))
    device = register(push)
    assert outcome(push, device, **text(1)) == "sent"
    redis.popen.send_signal(signal.SIGSTOP)
    answers = publish(push, *[item(device, **text(2))] * 3, deadline_ms=700)
    redis.popen.send_signal(signal.SIGCONT)
    assert {one["outcome"] for one in answers} == {"unavailable"}
    wait_until(lambda: push.call("GET", "/readyz")[0] == 200)
    wait_until(lambda: metric(push, "outrigger_pushd_notifications_in_flight") == 0)
