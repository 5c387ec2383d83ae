"""What operators ask of pushd's API: a test push, the queue, an account forgotten, a drain."""

import pytest

from notify import APNS, got, item, known, metric, new_owner, outcome, publish, register, script


@pytest.fixture(scope="module")
def push(module_stage, redis, fake):
    return module_stage.pushd("push-shared", redis, fake)


def test_a_test_push_is_sent_and_its_outcome_answered(push, fake):
    for dialect in ("tigase", "p2"):
        more = {"device_id": "one"} if dialect == "p2" else {}
        device = register(push, dialect=dialect, **more)
        status, answer = push.call("POST", f"/v1/devices/{device['node']}/test")
        assert (status, answer["outcome"]) == (200, "sent")
        (request,) = got(fake, device["token"])
        assert answer["id"] == request["headers"]["apns-id"]
        assert answer["verdicts"][0]["status"] == 200


def test_a_test_push_says_why_it_failed(push, fake):
    device = register(push)
    script(fake, device["token"], 400, "BadTopic")
    status, answer = push.call("POST", f"/v1/devices/{device['node']}/test")
    assert (status, answer["outcome"]) == (200, "unavailable")
    assert answer["reason"] == "BadTopic"
    script(fake, device["token"], 400, "BadDeviceToken")
    status, answer = push.call("POST", f"/v1/devices/{device['node']}/test")
    assert (status, answer["outcome"]) == (200, "unavailable")
    assert answer["verdicts"][0]["reason"] == "BadDeviceToken"
    dead = register(push)
    script(fake, dead["token"], 410, "Unregistered", timestamp=4102444800000)
    status, answer = push.call("POST", f"/v1/devices/{dead['node']}/test")
    assert (status, answer["outcome"]) == (200, "gone")
    assert not known(push, dead)


def test_a_test_push_needs_a_device(push):
    assert push.call("POST", f"/v1/devices/{'0' * 32}/test")[0] == 404
    assert push.call("POST", f"/v1/devices/{'0' * 32}/test", token=None)[0] == 401


def test_what_waits_is_listed_page_by_page(push, fake):
    devices = [register(push) for _ in range(5)]
    for device in devices:
        script(fake, device["token"], 503, "ServiceUnavailable")
        assert outcome(push, device) == "queued"
    pages, after = [], ""
    while after is not None:
        status, page = push.call("GET", f"/v1/queue?limit=2{after}")
        assert status == 200 and page["count"] == 5
        pages.append(page["queue"])
        after = page["next"] and f"&after={page['next']}"
    assert [len(page) for page in pages] == [2, 2, 1]
    found = [entry for page in pages for entry in page]
    assert {entry["node"] for entry in found} == {device["node"] for device in devices}
    for entry in found:
        assert (entry["provider"], entry["domain"]) == (APNS, "example.org")
        assert entry["created_ms"] <= entry["due_ms"] <= entry["expires_ms"]
    for wrong in ("limit=0", "limit=1001", "limit=x", "after=x", "after=1-x"):
        assert push.call("GET", f"/v1/queue?{wrong}")[0] == 400, wrong


def test_a_forgotten_account_has_no_device_and_no_history(push, fake, redis):
    owner = new_owner()
    devices = [register(push, owner=owner) for _ in range(3)]
    other, left = register(push), register(push)
    assert push.call("DELETE", f"/v1/devices/{left['node']}")[0] == 204
    script(fake, devices[0]["token"], 400, "BadTopic")
    outcome(push, devices[0])
    name = owner.upper().replace("@", "%40")
    assert push.call("DELETE", f"/v1/accounts/{name}") == (200, {"devices": 3, "events": 0})
    # The gateways were told of the three and may have read it by now; the second call ends that.
    assert push.call("DELETE", f"/v1/accounts/{name}") == (200, {"devices": 0, "events": 3})
    assert owner not in str(redis.command("XRANGE", "og:push:gone", "-", "+"))
    assert push.call("GET", f"/v1/devices?owner={owner}")[1] == {"devices": []}
    assert known(push, other)
    for device in devices:
        assert redis.command("KEYS", f"og:push:*{device['node']}*") == []
    assert left["owner"] in str(redis.command("XRANGE", "og:push:gone", "-", "+"))
    assert push.call("DELETE", "/v1/accounts/a%40b%2Fc")[0] == 400


# What is wrong with a publish that is refused.
REFUSED = {
    "unknown-node": {"node": "0" * 32},
    "unknown-module": {"node": "a" * 64, "module": "served-by-nobody"},
    "other-component": {"component": "other.example.org"},
    "other-domain": {"domain": "example.net"},
    "wrong-secret": {"secret": "0" * 32},
}


def refusals(push):
    name = "outrigger_pushd_publishes_refused_total"
    return {reason: metric(push, name, reason=reason) for reason in REFUSED}


@pytest.mark.parametrize("reason, wrong", REFUSED.items(), ids=REFUSED)
def test_why_a_publish_is_refused_is_told_to_the_operator_alone(push, fake, reason, wrong):
    device, before = register(push, dialect="p2", device_id="one"), refusals(push)
    refused = {**item(device, secret=device["secret"]), **wrong}
    assert publish(push, refused) == [{"outcome": "gone"}]
    assert refusals(push) == {**before, reason: before[reason] + 1}
    push.wait_log(f"publish-refused reason={reason} component={refused['component']} "
                  f"domain={refused['domain']} node={refused['node'][:6]} "
                  f"module={refused.get('module', '-')}\n")
    assert refused["node"][:12] not in push.log_text()
    assert device["secret"] not in push.log_text()


def test_storage_that_is_away_is_said(stage, fake):
    redis = stage.redis()
    push = stage.pushd("push-1", redis, fake)
    node = register(push)["node"]
    redis.kill()
    for method, path in (
        ("POST", f"/v1/devices/{node}/test"),
        ("GET", "/v1/queue"),
        ("DELETE", "/v1/accounts/a%40example.org"),
    ):
        assert push.call(method, path)[0] == 503, path
    redis.start()


def test_a_drain_answers_and_ends_the_process(stage, fake, redis):
    push = stage.pushd("push-1", redis, fake)
    assert push.call("POST", "/v1/drain", {}, token=None)[0] == 401
    status, answer = push.call("POST", "/v1/drain", {})
    assert (status, answer["draining"]) == (202, True)
    assert push.wait_exit() == 0
