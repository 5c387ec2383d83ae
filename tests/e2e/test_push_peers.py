"""Bugs that were found in other push gateways, as tests of pushd."""

import os
import threading
import time

import pytest

from harness import wait_until
from notify import (APNS, FCM, got, item, known, metric, outcome, publish, register, script)

SUMMARY = {"count": 1, "sender": "juliet@example.org", "body": "hello"}
DAY_S = 86400


@pytest.fixture(autouse=True)
def afresh(fake):
    """What came in earlier tests is none of this one's business."""
    fake.reset()


def start(stage, redis, fake, name, changes=None, **keys):
    """A pushd whose providers are changed by CHANGES."""
    sections = fake.provider_sections()
    sections = {id: {**keys, "interval": "0", **(changes or {})} for id, keys in sections.items()}
    return stage.pushd(name, redis, providers=sections, **keys)


@pytest.fixture(scope="module")
def push(module_stage, redis, fake):
    return start(module_stage, redis, fake, "push-peers", {"pool_size": "2"})


def in_parallel(*work):
    """What each of WORK returns, all at the same time."""
    results = [None] * len(work)

    def run(index):
        results[index] = work[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def queued(push, provider=APNS):
    """How many of PROVIDER's wait in Redis."""
    answer = push.call("GET", "/v1/statistics")[1]
    return {one["id"]: one["queued"] for one in answer["providers"]}[provider]


# gorush


def test_a_full_process_answers_the_rest_of_the_batch_and_lives(stage, redis, fake):
    """gorush: a full queue is a panic, and the rest of the batch is dropped."""
    push = start(stage, redis, fake, "push-full", in_flight_max=5)
    devices = [register(push) for _ in range(20)]
    for device in devices[:5]:
        script(fake, device["token"], delay_ms=300)
    for _ in range(3):
        words = [one["outcome"] for one in publish(push, *map(item, devices))]
        taken = 20 - words.count("unavailable")
        assert 0 < taken <= 5 and set(words[:taken]) <= {"sent", "queued"}
        assert words[taken:] == ["unavailable"] * (20 - taken)
        wait_until(lambda: metric(push, "outrigger_pushd_notifications_in_flight") == 0)
    assert outcome(push, devices[19]) == "sent"


def test_a_full_queue_is_an_answer(stage, fake):
    """gorush: a queue that takes nothing more leaves the caller waiting for ever."""
    redis = stage.redis()
    push = start(stage, redis, fake, "push-stuffed", queue_max=2, answer_within="300ms")
    devices = [register(push) for _ in range(6)]
    for device in devices:
        script(fake, device["token"], 429, "TooManyRequests")
    words = [one["outcome"] for one in publish(push, *map(item, devices))]
    assert sorted(words) == ["queued"] * 2 + ["unavailable"] * 4
    assert queued(push) == 2 and all(known(push, device) for device in devices)


def test_callers_at_once_get_each_their_own_answers(push, fake):
    """gorush: answers of a batch are appended from many threads without a lock."""
    batches = []
    for _ in range(8):
        alive, dead, suspect = register(push), register(push), register(push)
        script(fake, dead["token"], 410, "Unregistered",
               timestamp=int(time.time() * 1000) + 60000)
        script(fake, suspect["token"], 400, "BadDeviceToken")
        batches.append([alive, dead, suspect, {"node": "0" * 32}, register(push, FCM)])
    wanted = ["sent", "gone", "unavailable", "gone", "sent"]
    answers = in_parallel(*[lambda b=batch: publish(push, *map(item, b)) for batch in batches])
    for batch, outcomes in zip(batches, answers):
        assert [one["outcome"] for one in outcomes] == wanted
        assert outcomes[0]["id"] == got(fake, batch[0]["token"])[0]["headers"]["apns-id"]
        assert outcomes[2]["reason"] == "BadDeviceToken"


def test_an_idle_connection_is_left_alone(stage, redis):
    """gorush: a PING each idle second, and a third of a core for doing nothing."""
    fake = stage.providers("idle")
    push = start(stage, redis, fake, "push-idle")
    send = lambda: publish(push, item(register(push)), item(register(push, FCM)))
    assert {one["outcome"] for one in send()} == {"sent"}
    connections = fake.stats()["connections"]
    wait_until(lambda: push.rests(3), what="three seconds of rest")
    assert fake.stats()["pings"] == 0
    assert {one["outcome"] for one in send()} == {"sent"}
    assert fake.stats()["connections"]["accepted"] == connections["accepted"]
    assert fake.stats()["connections"]["open"] == connections["open"]


@pytest.mark.parametrize("change", [{"pool_size": "0"}, {"in_flight_max": "0"}])
def test_a_limit_of_none_is_refused_at_the_start(stage, redis, fake, change):
    """gorush: max_concurrent_pushes = 0 hangs every push."""
    of_provider = {key: value for key, value in change.items() if key == "pool_size"}
    keys = {key: value for key, value in change.items() if key != "pool_size"}
    push = start(stage, redis, fake, "push-none", of_provider, start=False, **keys)
    push.clean = (1,)
    push.start(wait=False)
    assert push.wait_exit() == 1
    assert next(iter(change)).replace("_", "-") in push.log_text()


def test_a_dead_token_is_asked_about_once(push, fake):
    """gorush: everything is tried again at once, also what is unregistered."""
    device = register(push, FCM)
    script(fake, device["token"], 404, "UNREGISTERED")
    assert outcome(push, device) == "gone"
    assert outcome(push, device) == "gone"
    assert len(got(fake, device["token"])) == 1


# fpush


def test_a_push_expires_in_the_future(push, fake):
    """fpush: 28 days after 1970."""
    device, phone = register(push), register(push, FCM)
    assert outcome(push, device) == outcome(push, phone) == "sent"
    expires = int(got(fake, device["token"])[0]["headers"]["apns-expiration"])
    assert 27 * DAY_S < expires - time.time() < 29 * DAY_S
    ttl = got(fake, phone["token"])[0]["body"]["message"]["android"]["ttl"]
    assert 27 * DAY_S < int(ttl.rstrip("s")) <= 28 * DAY_S


def test_a_hot_device_isnt_forgotten_when_many_others_come(push, fake):
    """fpush: its table of limits forgets the recent ones and keeps the old ones for ever."""
    device = register(push)
    script(fake, device["token"], 429, "TooManyRequests")
    assert outcome(push, device) == "queued"
    others = [register(push) for _ in range(200)]
    for _ in range(3):
        answers = publish(push, *map(item, others))
        assert {one["outcome"] for one in answers} <= {"sent", "queued"}
        assert outcome(push, device) in ("queued", "merged")
    assert len(got(fake, device["token"])) == 1


def test_tokens_of_unusual_length_are_sent_to(push, fake):
    """fpush: tokens under 64 or over 512 characters are acknowledged and never sent to."""
    tokens = [(FCM, "f1"), (FCM, "f" * 22), (FCM, "f" * 1024), (APNS, "ab"), (APNS, "ab" * 80)]
    for provider, token in tokens:
        device = register(push, provider, token=token)
        assert outcome(push, device) == "sent"
        assert len(got(fake, token)) == 1


# p2, MongoosePush, rpush


def test_type_and_priority_fit_what_is_sent(push, fake):
    """p2: background payloads as alerts of priority 10, no priority on Android; MongoosePush:
    alerts without a type."""
    for summary, wanted in ((SUMMARY, ("alert", "10", "HIGH")),
                            ({"count": 0}, ("background", "5", "NORMAL"))):
        device, phone = register(push), register(push, FCM)
        assert outcome(push, device, summary=summary) == "sent"
        assert outcome(push, phone, summary=summary) == "sent"
        headers = got(fake, device["token"])[0]["headers"]
        android = got(fake, phone["token"])[0]["body"]["message"]["android"]
        assert wanted == (headers["apns-push-type"], headers["apns-priority"], android["priority"])
        body = got(fake, device["token"])[0]["body"]
        assert ("alert" in body["aps"]) == (wanted[0] == "alert")


def test_a_token_that_changes_too_often_changes_no_more(stage, redis):
    """MongoosePush: every connection signs for itself, and Apple refuses them all."""
    fake = stage.providers("signing")
    push = start(stage, redis, fake, "push-signing", {"pool_size": "4"})
    devices = [register(push) for _ in range(60)]
    fake.script({"match": {"provider": "apns", "nth": 1, "times": 2},
                 "answer": {"status": 429, "reason": "TooManyProviderTokenUpdates"}})
    for _ in range(3):
        words = {one["outcome"] for one in publish(push, *map(item, devices))}
        assert words <= {"sent", "queued"}
    wait_until(lambda: all(any(one["answered"] == 200 for one in got(fake, device["token"]))
                           for device in devices[:5]))
    sent = [one for one in fake.received() if one["provider"] == "apns"]
    assert len({one["headers"]["authorization"] for one in sent}) == 1
    assert len({one["connection"] for one in sent}) > 1


def test_two_processes_carry_one_token(stage, redis, fake, tmp_path):
    """The same over a fleet: a shared secret makes one token of all."""
    key = tmp_path / "master.key"
    key.write_text(os.urandom(32).hex() + "\n")
    key.chmod(0o600)
    pushes = [start(stage, redis, fake, name, master_key_file=key) for name in ("one", "two")]
    devices = [register(push) for push in pushes]
    bearers = set()
    for push, device in zip(pushes, devices):
        assert outcome(push, device) == "sent"
        bearers.add(got(fake, device["token"])[0]["headers"]["authorization"])
    assert len(bearers) == 1


def test_a_silent_device_holds_up_nobody_else(stage, redis, fake):
    """MongoosePush: a worker waits until Apple has answered."""
    push = start(stage, redis, fake, "push-silent", {"pool_size": "2"}, answer_within="6s")
    silent = [register(push) for _ in range(5)]
    others = [register(push) for _ in range(20)]
    publish(push, *map(item, others))  # the window is open
    for device in silent:
        script(fake, device["token"], times=1, silent=True)

    answered = []  # in this order

    def go(devices):
        answered.append({one["outcome"] for one in publish(push, *map(item, devices))})

    in_parallel(lambda: go(silent), lambda: go(others))
    assert answered == [{"sent"}, {"queued"}]
    wait_until(lambda: all(len(got(fake, device["token"])) == 2 for device in silent))


def test_what_google_has_no_room_for_now_is_sent_later(stage, redis, fake):
    """rpush: 429 is final."""
    push = start(stage, redis, fake, "push-room")
    device = register(push, FCM)
    script(fake, device["token"], 429, "RESOURCE_EXHAUSTED", times=1, headers={"retry-after": "1"})
    assert outcome(push, device) in ("queued", "sent")
    wait_until(lambda: [one["answered"] for one in got(fake, device["token"])] == [429, 200])
    wait_until(lambda: queued(push, FCM) == 0)


def test_health_is_about_more_than_being_there(stage, fake):
    """gorush: /healthz is always good."""
    redis = stage.redis()
    push = start(stage, redis, fake, "push-healthy")
    wait_until(lambda: push.call("GET", "/readyz")[0] == 200)
    redis.kill()
    wait_until(lambda: push.call("GET", "/readyz")[0] == 503)
    assert push.call("GET", "/healthz")[0] == 200


def test_the_api_wants_a_token(push):
    """gorush, MongoosePush, Sygnal and uniqush ask for none."""
    for method, path in (("POST", "/v1/notifications"), ("GET", "/v1/statistics"),
                         ("GET", "/v1/providers"), ("POST", "/v1/devices")):
        for token in (None, "wrong"):
            body = {} if method == "POST" else None
            assert push.call(method, path, body, token=token)[0] == 401


def test_no_slow_upstream_of_one_kind_delays_the_other(stage, redis, fake):
    """Sygnal: FCM's trouble holds up APNs."""
    push = start(stage, redis, fake, "push-apart", answer_within="6s")
    devices = [register(push) for _ in range(10)]
    phones = [register(push, FCM) for _ in range(10)]
    publish(push, *map(item, devices))
    fake.script({"match": {"provider": "fcm", "for_ms": 9000}, "answer": {"silent": True}})
    answered = []  # in this order

    def go(those):
        answered.append([one["outcome"] for one in publish(push, *map(item, those))])

    in_parallel(lambda: go(phones + devices), lambda: go(devices))
    assert answered == [["sent"] * 10, ["queued"] * 10 + ["sent"] * 10]
    wait_until(lambda: queued(push, FCM) == 0)
