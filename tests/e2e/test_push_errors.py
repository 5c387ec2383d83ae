"""What providers may answer, row by row: what the caller hears, what becomes of the device and of
the connection, and what is counted. The rows are those of Apple's and Google's error tables."""

import dataclasses
import time

import pytest

from harness import Trouble, wait_until
from notify import (APNS, FCM, apns_token, got, item, known, outcome, publish, register, script)

SUMMARY = {"count": 3, "sender": "juliet@example.org", "body": "hello"}
ANSWER_WITHIN = 1.0
HOUR_MS = 3600000
TYPE = "type.googleapis.com/google."


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """One answer of a provider, and all that has to follow."""

    provider: str
    answer: dict  # as the script of the pretend providers takes it
    outcome: str
    times: int = None  # how many requests are answered so; None: all
    requests: int = 1  # that came for the device by the time its outcome is known
    gone: bool = False
    new_connection: bool = False
    reason: str = None  # as it is counted; default: the answer's
    name: str = None

    @property
    def counted(self):
        return self.reason or self.answer.get("reason")

    def __str__(self):
        said = self.answer.get("reason", self.answer.get("rst", ""))
        words = [self.provider.split("-")[0], str(self.answer.get("status", "")), said]
        words += [self.name or "", f"x{self.times}" if self.times else ""]
        return "-".join(filter(None, words))


def detail(kind, **members):
    return {"@type": TYPE + kind, **members}


def fcm_error(status, code, *details, text="Invalid value"):
    """Google's error body."""
    body = {"code": status, "message": text, "status": code, "details": list(details)}
    return {"status": status, "body": {"error": body}}


def blame(*fields):
    violations = [{"field": field, "description": "bad"} for field in fields]
    return detail("rpc.BadRequest", fieldViolations=violations)


def said(status, reason=None, **more):
    return {"status": status, **({"reason": reason} if reason else {}), **more}


FCM_CODE = detail("firebase.fcm.v1.FcmError", errorCode="INVALID_ARGUMENT")
UNREGISTERED = detail("firebase.fcm.v1.FcmError", errorCode="UNREGISTERED")
INFO = detail("rpc.ErrorInfo", reason="SOMETHING", domain="googleapis.com")
HTML = "<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>"
TOO_BIG = "Android message is too big"
NOT_A_TOKEN = "The registration token is not a valid FCM registration token"

BAD_REQUESTS = [
    "BadCollapseId", "BadExpirationDate", "BadMessageId", "BadPriority", "BadTopic",
    "DuplicateHeaders", "InvalidPushType", "MissingDeviceToken", "MissingTopic", "PayloadEmpty"]

# What concerns one notification or one device and leaves the provider usable.
ROWS = [
    Row(APNS, said(200), "sent"),
    *[Row(APNS, said(400, reason), "unavailable") for reason in BAD_REQUESTS],
    Row(APNS, said(400, "SomethingNew"), "unavailable"),
    Row(APNS, said(400, "BadDeviceToken"), "unavailable"),
    Row(APNS, said(400, "DeviceTokenNotForTopic"), "unavailable"),
    Row(APNS, said(400, "TopicDisallowed"), "unavailable"),
    Row(APNS, said(403, "ExpiredProviderToken"), "sent", times=1, requests=2, new_connection=True),
    Row(APNS, said(403, "UnrelatedKeyIdInToken"), "sent", times=1, requests=2,
        new_connection=True),
    Row(APNS, said(404, "BadPath"), "unavailable"),
    Row(APNS, said(405, "MethodNotAllowed"), "unavailable"),
    Row(APNS, said(410, "Unregistered"), "gone", gone=True),
    Row(APNS, said(410, "ExpiredToken"), "gone", gone=True),
    Row(APNS, said(410, "Unregistered", timestamp=1), "unavailable", name="before"),
    Row(APNS, said(410, "ExpiredToken", timestamp=1), "unavailable", name="before"),
    Row(APNS, said(413, "PayloadTooLarge"), "unavailable", requests=2),
    Row(APNS, said(413, "PayloadTooLarge"), "sent", times=1, requests=2),
    Row(APNS, {"rst": "REFUSED_STREAM"}, "sent", times=3, requests=4,
        new_connection=True),
    Row(APNS, {"goaway": {"debug": {"reason": "Shutdown"}}}, "sent", times=1, requests=2,
        new_connection=True, name="goaway"),
    Row(FCM, said(200), "sent"),
    Row(FCM, said(404, "UNREGISTERED"), "gone", gone=True),
    Row(FCM, fcm_error(404, "NOT_FOUND", INFO, blame("message.token"), UNREGISTERED), "gone",
        gone=True, reason="UNREGISTERED", name="among-others"),
    Row(FCM, said(400, "INVALID_ARGUMENT"), "gone", gone=True, reason="INVALID_ARGUMENT-token"),
    Row(FCM, fcm_error(400, "INVALID_ARGUMENT", FCM_CODE, text=NOT_A_TOKEN), "gone", gone=True,
        reason="INVALID_ARGUMENT-token", name="by-text"),
    *[Row(FCM, fcm_error(400, "INVALID_ARGUMENT", blame(field), FCM_CODE), "unavailable",
          reason="INVALID_ARGUMENT", name=field)
      for field in ("message.data[0].value", "message.android.ttl", "message")],
    Row(FCM, fcm_error(400, "INVALID_ARGUMENT", FCM_CODE, text=TOO_BIG), "unavailable",
        requests=2, reason="INVALID_ARGUMENT-size", name="size"),
    Row(FCM, fcm_error(400, "INVALID_ARGUMENT", FCM_CODE, text=TOO_BIG), "sent", times=1,
        requests=2, reason="INVALID_ARGUMENT-size", name="size"),
    Row(FCM, said(403, "SENDER_ID_MISMATCH"), "gone", gone=True),
    Row(FCM, said(401, "UNAUTHENTICATED"), "sent", times=1, requests=2,
        reason="ACCESS_TOKEN_EXPIRED"),
    Row(FCM, said(401, "THIRD_PARTY_AUTH_ERROR"), "unavailable"),
    Row(FCM, {"rst": "REFUSED_STREAM"}, "sent", times=3, requests=4,
        new_connection=True),
    Row(FCM, {"goaway": {"debug": "session_timed_out"}}, "sent", times=1, requests=2,
        new_connection=True, name="goaway"),
]

# What ends by itself: sent again, if need be from the store, and it arrives.
PASSING = [
    Row(APNS, said(400, "IdleTimeout"), "queued", times=1, new_connection=True),
    Row(APNS, said(429, "TooManyProviderTokenUpdates"), "queued", times=1),
    Row(APNS, said(500, "InternalServerError"), "queued", times=1),
    Row(APNS, said(503, "ServiceUnavailable"), "queued", times=1, new_connection=True),
    Row(APNS, said(503, "Shutdown"), "queued", times=1, new_connection=True),
    Row(APNS, {"status": 502, "body": HTML}, "queued", times=1, name="html"),
    Row(APNS, {"rst": "INTERNAL_ERROR"}, "queued", times=1),
    Row(APNS, {"rst": "CANCEL"}, "queued", times=1),
    Row(APNS, {"close": True}, "queued", times=1, new_connection=True, name="close"),
    Row(APNS, {"silent": True}, "queued", times=1, name="silent"),
    Row(FCM, said(500, "INTERNAL"), "queued", times=1),
    Row(FCM, said(503, "UNAVAILABLE"), "queued", times=1),
    Row(FCM, said(503, "UNAVAILABLE", headers={"retry-after": "3"}), "queued", times=1,
        name="retry-after"),
    Row(FCM, {"status": 502, "body": HTML}, "queued", times=1, name="html"),
    Row(FCM, {"status": 504, "body": HTML}, "queued", times=1, name="html"),
    Row(APNS, {"status": 403, "body": HTML}, "queued", times=1, name="html"),
    Row(APNS, {"status": 404, "body": HTML}, "queued", times=1, name="html"),
    Row(FCM, {"status": 403, "body": HTML}, "queued", times=1, name="html"),
    Row(FCM, {"status": 404, "body": HTML}, "queued", times=1, name="html"),
    Row(FCM, {"rst": "INTERNAL_ERROR"}, "queued", times=1),
    Row(FCM, {"close": True}, "queued", times=1, new_connection=True, name="close"),
]

# The device is hot: nothing goes to it for a minute, and everything to others.
THROTTLED = [
    Row(APNS, said(429, "TooManyRequests"), "queued"),
    Row(FCM, said(429, "QUOTA_EXCEEDED"), "queued"),
    Row(FCM, said(429, "QUOTA_EXCEEDED", headers={"retry-after": "1"}), "queued",
        name="retry-after"),
]

# The provider refuses us: nothing is queued, nothing is removed, one probe finds out.
CREDENTIAL = [
    *[Row(APNS, said(403, reason), "unavailable")
      for reason in ("BadCertificate", "BadCertificateEnvironment", "InvalidProviderToken",
                     "MissingProviderToken", "Forbidden", "BadEnvironmentKeyIdInToken",
                     "BadEnvironmentKeyInToken")],
    Row(APNS, said(403, "ExpiredProviderToken"), "unavailable", requests=2),
    Row(APNS, said(403, "UnrelatedKeyIdInToken"), "unavailable", requests=2),
    Row(FCM, said(404, "NOT_FOUND"), "unavailable"),
    Row(FCM, said(403, "PERMISSION_DENIED"), "unavailable", reason="IAM_PERMISSION_DENIED"),
    Row(FCM, said(403, "SERVICE_DISABLED"), "unavailable"),
    Row(FCM, said(401, "UNAUTHENTICATED"), "unavailable", requests=2,
        reason="ACCESS_TOKEN_EXPIRED"),
]


@pytest.fixture(autouse=True)
def afresh(fake):
    """What came in earlier tests is none of this one's business."""
    fake.reset()


def start(stage, redis, fake, name, provider=None, changes=None, **keys):
    """A pushd that sends to a device at any time, with only PROVIDER if that is given."""
    sections = fake.provider_sections()
    sections = {provider: sections[provider]} if provider else sections
    sections = {id: {**keys, "interval": "0", **(changes or {})} for id, keys in sections.items()}
    keys = {"answer_within": f"{ANSWER_WITHIN * 1000:.0f}ms", **keys}
    return stage.pushd(name, redis, providers=sections, **keys)


def prove_good(push, provider, count=40):
    """Sends so much with success that accusations against single tokens are believed."""
    for _ in range(0, count, 10):  # few enough to be sent in the time of an answer
        devices = [register(push, provider) for _ in range(10)]
        assert {one["outcome"] for one in publish(push, *map(item, devices))} == {"sent"}


@pytest.fixture(scope="module")
def push(module_stage, redis, fake):
    """The one that all gentle rows share."""
    push = start(module_stage, redis, fake, "push-rows")
    for provider in (APNS, FCM):
        prove_good(push, provider)
    return push


def statistics(push, provider):
    status, answer = push.call("GET", "/v1/statistics")
    assert status == 200
    return {one["id"]: one for one in answer["providers"]}[provider]


def state(push, provider):
    return {one["id"]: one["state"]
            for one in push.call("GET", "/v1/providers")[1]["providers"]}[provider]


def connection_of(push, fake, provider):
    """Which connection a notification takes now."""
    device = register(push, provider)
    assert outcome(push, device) == "sent"
    return got(fake, device["token"])[-1]["connection"]


def device_for(push, fake, row):
    """A device whose provider answers as ROW says."""
    device = register(push, row.provider)
    answer = dict(row.answer)
    if answer.get("status") == 410:
        answer.setdefault("timestamp", int(time.time() * 1000) + HOUR_MS)
    script(fake, device["token"], times=row.times, **answer)
    return device


def check_requests(fake, row, device, count):
    requests = got(fake, device["token"])
    assert len(requests) == count
    if row.provider == APNS:
        assert len({request["headers"]["apns-id"] for request in requests}) == 1
    if row.new_connection and count > 1:
        assert requests[0]["connection"] != requests[-1]["connection"]


def check_history(push, row, device):
    """The last verdict tells who asks about the device why."""
    verdicts = push.call("GET", f"/v1/devices/{device['node']}")[1]["verdicts"]
    assert verdicts, row
    if row.outcome == "unavailable":
        assert verdicts[0]["reason"] == row.counted
        assert verdicts[0]["status"] == row.answer["status"]
    assert verdicts[0]["outcome"] == row.outcome


def failures(row):
    """How many requests of ROW fail."""
    wrong = row.requests if row.times is None else row.times
    return 0 if row.answer.get("status") == 200 else wrong


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_one_answer_means(push, fake, row):
    connection = connection_of(push, fake, row.provider)
    before = statistics(push, row.provider)
    device = device_for(push, fake, row)
    settled = publish(push, item(device, summary=SUMMARY))[0]
    assert settled["outcome"] == row.outcome, settled
    check_requests(fake, row, device, row.requests)
    assert known(push, device) == (not row.gone)
    after = statistics(push, row.provider)
    assert after["outcomes"][row.outcome] == before["outcomes"][row.outcome] + 1
    assert after["removed"] == before["removed"] + row.gone
    if row.counted:
        counted = after["failed"].get(row.counted, 0) - before["failed"].get(row.counted, 0)
        assert counted == failures(row)
    if not row.gone:
        check_history(push, row, device)
    assert state(push, row.provider) == "ready"
    assert (connection_of(push, fake, row.provider) != connection) == row.new_connection


def answered_well(fake, device):
    return [one for one in got(fake, device["token"]) if one["answered"] == 200]


def start_for_passing(stage, redis, fake):
    """By row; what cuts or blocks a connection has one, and a process, of its own."""
    running = {}
    for row in PASSING:
        group = f"{row.provider}-{row.name if row.name in ('close', 'silent') else 'gentle'}"
        if group not in running:
            name = f"push-passing-{group}"
            running[group] = start(stage, redis, fake, name, row.provider, lease="30s")
        yield row, running[group]


def check_passed(push, fake, row, device):
    first, second = got(fake, device["token"])
    assert second["at_ms"] - first["at_ms"] >= least_pause_ms(row), str(row)
    check_requests(fake, row, device, 2)
    assert known(push, device)
    shown = statistics(push, row.provider)
    assert shown["removed"] == 0 and state(push, row.provider) == "ready"
    assert sum(shown["failed"].values()) >= 1


def test_what_ends_by_itself_arrives_once(stage, fake):
    """All rows side by side, since some take their time."""
    redis = stage.redis()
    push = dict(start_for_passing(stage, redis, fake))
    devices = {row: device_for(push[row], fake, row) for row in PASSING}
    words = {str(row): outcome(push[row], devices[row]) for row in PASSING}

    def missing():
        return [str(row) for row in PASSING if not answered_well(fake, devices[row])]

    try:
        wait_until(lambda: not missing())
    except Trouble:
        pass  # more is known below
    assert (missing(), {row: word for row, word in words.items() if word == "unavailable"}) == (
        [], {})
    for row in PASSING:
        check_passed(push[row], fake, row, devices[row])
    wait_until(lambda: not redis.command("KEYS", "og:push:note:*"), what="the store to empty")


def least_pause_ms(row):
    """Google wants ten seconds, or what it says, before a server error is tried again."""
    if "headers" in row.answer:
        return 2900
    if row.provider == FCM and row.answer.get("status", 0) >= 500:
        return 9900
    return 0


@pytest.fixture(scope="module")
def pushes(module_stage, redis, fake, push):
    """Without and with an interval for every device, which is another matter."""
    calm = start(module_stage, redis, fake, "push-calm", changes={"interval": "2s"})
    return {"always": push, "at-intervals": calm}


def stored(redis, device):
    """How many notifications for DEVICE are in the queue, which other tests use, too."""
    nodes = [redis.command("HGET", key, "node") for key in redis.command("KEYS", "og:push:note:*")]
    return nodes.count(device["node"])


@pytest.mark.parametrize("when", ["always", "at-intervals"])
@pytest.mark.parametrize("row", THROTTLED, ids=str)
def test_a_hot_device_is_left_in_peace(pushes, redis, fake, row, when):
    push = pushes[when]
    device = device_for(push, fake, row)
    before = statistics(push, row.provider)
    assert outcome(push, device, summary=SUMMARY) == "queued"
    after = statistics(push, row.provider)
    assert after["failed"][row.counted] == before["failed"].get(row.counted, 0) + 1
    assert stored(redis, device) == 1
    connection_of(push, fake, row.provider)  # others go on
    for count in (4, 5, 6):
        assert outcome(push, device, summary={**SUMMARY, "count": count}) in ("queued", "merged")
    assert stored(redis, device) == 1
    assert len(got(fake, device["token"])) == 1
    assert known(push, device) and state(push, row.provider) == "ready"


def test_when_the_whole_project_sends_too_much_nothing_goes_for_a_while(stage, fake):
    # Each process pauses by itself: one of another test must not find what is queued.
    push = start(stage, stage.redis(), fake, "push-exhausted", FCM)
    device, other = register(push, FCM), register(push, FCM)
    script(fake, device["token"], 429, "RESOURCE_EXHAUSTED", times=1, headers={"retry-after": "3"})
    assert outcome(push, device) == "queued"
    assert outcome(push, other) in ("queued", "sent")  # sent: the calls took longer than the while
    wait_until(lambda: answered_well(fake, device) and answered_well(fake, other))
    refused, *later = sorted(one["at_ms"] for one in got(fake, device["token"])
                             + got(fake, other["token"]))
    assert min(later) - refused >= 2900
    assert known(push, device) and known(push, other)


@pytest.mark.parametrize("row", CREDENTIAL, ids=str)
def test_what_is_our_own_fault_is_nobody_elses(stage, fake, row):
    push = start(stage, stage.redis(), fake, "push-credential", row.provider)
    prove_good(push, row.provider)
    device, other = device_for(push, fake, row), register(push, row.provider)
    settled = publish(push, item(device))[0]
    assert settled["outcome"] == "unavailable", settled
    check_requests(fake, row, device, row.requests)
    assert state(push, row.provider) == "credential"
    assert outcome(push, other) == "unavailable"  # at once, and unseen by the provider
    assert not got(fake, other["token"])
    shown = statistics(push, row.provider)
    assert (shown["queued"], shown["outcomes"]["queued"], shown["removed"]) == (0, 0, 0)
    assert shown["failed"][row.counted] == row.requests
    assert known(push, device) and known(push, other)
    wait_until(lambda: outcome(push, other) == "sent", what="the probe")
    assert state(push, row.provider) == "ready"
    assert "provider-open" in push.log_text() and "provider-ready" in push.log_text()


def test_a_page_that_says_200_is_not_fcms_acceptance(stage, redis, fake):
    push = start(stage, redis, fake, "push-page", FCM, answer_within="60s")
    device = register(push, FCM)
    script(fake, device["token"], 200, times=1, body=HTML)
    assert outcome(push, device, deadline_ms=60000) == "sent"
    first, second = got(fake, device["token"])
    assert first["connection"] != second["connection"]
    shown = statistics(push, FCM)
    assert (shown["sent"], shown["failed"]) == (1, {"no-name": 1})


@pytest.mark.parametrize("provider, status", [(FCM, 404), (FCM, 403), (APNS, 403), (APNS, 404)])
def test_refusals_without_a_word_are_our_own_fault_after_three_in_a_row(
    stage, redis, fake, provider, status
):
    push = start(stage, redis, fake, "push-speechless", provider, answer_within="60s")
    device, other = register(push, provider), register(push, provider)
    script(fake, device["token"], status, times=2, body=HTML)
    assert outcome(push, device, deadline_ms=60000) == "sent"
    assert len(got(fake, device["token"])) == 3
    assert "provider-open" not in push.log_text()
    script(fake, other["token"], status, body=HTML)
    assert outcome(push, other, deadline_ms=60000) == "unavailable"
    assert len(got(fake, other["token"])) == 3
    push.wait_log(f"provider-open .*reason=status-{status} fault=credential")
    assert known(push, other)


# Accusations that may be our own fault


@pytest.mark.parametrize("answer", [said(403, "SENDER_ID_MISMATCH"), said(400, "INVALID_ARGUMENT")],
                         ids=lambda answer: answer["reason"])
def test_tokens_are_not_believed_to_be_dead_when_nothing_else_arrives(stage, redis, fake, answer):
    push = start(stage, redis, fake, "push-mismatch", FCM, answer_within="60s")
    devices = [register(push, FCM) for _ in range(60)]
    fake.script(*[{"match": {"token": device["token"]}, "answer": answer} for device in devices])
    assert outcome(push, devices[0]) == "unavailable"
    prove_good(push, FCM, 10)
    outcomes = [one["outcome"] for one in publish(push, *map(item, devices[1:]))]
    assert set(outcomes) <= {"gone", "unavailable"}
    # Of the few that were sent before a tenth is none or a handful, never the herd.
    assert outcomes.count("gone") <= 10
    assert sum(known(push, device) for device in devices) >= 50


def test_a_herd_of_bad_tokens_is_kept(stage, redis, fake):
    """A whole app behind the wrong environment looks just like this."""
    push = start(stage, redis, fake, "push-herd", APNS, answer_within="60s")
    devices = [register(push) for _ in range(30)]
    fake.environments(sandbox=[device["token"] for device in devices])
    for _ in range(3):
        outcomes = publish(push, *map(item, devices))
        assert {one["outcome"] for one in outcomes} == {"unavailable"}
        assert {one["reason"] for one in outcomes} == {"BadDeviceToken"}
    assert all(known(push, device) for device in devices)
    fake.environments(production=[device["token"] for device in devices])
    assert {one["outcome"] for one in publish(push, *map(item, devices))} == {"sent"}


def test_a_token_of_the_other_environment_is_tried_there_once_and_remembered(stage, redis, fake):
    changes = {"try_other_environment": "yes", "other_endpoint": fake.sandbox_url}
    push = start(stage, redis, fake, "push-environment", APNS, changes)
    device, lost = register(push), register(push)
    fake.environments(sandbox=[device["token"]])
    script(fake, lost["token"], 400, "BadDeviceToken")
    for _ in range(2):
        assert outcome(push, device) == "sent"
    tried = [(one["environment"], one["answered"]) for one in got(fake, device["token"])]
    assert tried == [("production", 400), ("sandbox", 200), ("sandbox", 200)]
    assert outcome(push, lost) == "unavailable"
    tried = [one["environment"] for one in got(fake, lost["token"])]
    assert tried == ["production", "sandbox"]
    assert known(push, device) and known(push, lost)
    ids = {one["headers"]["apns-id"] for one in got(fake, lost["token"])}
    assert len(ids) == 1


def test_410_counts_from_when_the_token_came_last(push, fake):
    device = register(push)
    registered = push.call("GET", f"/v1/devices/{device['node']}")[1]["registered_ms"]
    script(fake, device["token"], 410, "Unregistered", times=1, timestamp=registered - 1)
    assert outcome(push, device) == "unavailable" and known(push, device)
    script(fake, device["token"], 410, "Unregistered", times=1, timestamp=registered)
    assert outcome(push, device) == "gone" and not known(push, device)


def test_a_call_whose_second_token_is_bad_goes_as_an_alert_to_the_first(push, fake):
    device = register(push, second_token=apns_token())
    script(fake, device["second_token"], 400, "BadDeviceToken")
    call = {"encrypted": {"iv": "aXY=", "payload": "Y2FsbA==", "voip": True}, "priority": "high"}
    for times in (1, 2):
        assert outcome(push, device, **call) == "sent"
        types = [one["headers"]["apns-push-type"] for one in got(fake, device["token"])]
        assert types == ["alert"] * times
    assert known(push, device)


def test_a_dead_second_token_is_no_dead_device(push, fake):
    device = register(push, second_token=apns_token())
    script(fake, device["second_token"], 410, "Unregistered",
           timestamp=int(time.time() * 1000) + HOUR_MS)
    call = {"encrypted": {"iv": "aXY=", "payload": "Y2FsbA==", "voip": True}, "priority": "high"}
    assert outcome(push, device, **call) == "sent"
    assert known(push, device)
