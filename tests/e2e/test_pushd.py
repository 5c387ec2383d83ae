"""pushd with real Redis and pretend providers: devices, what is sent, and what verdicts do."""

import hashlib
import json
import re
import subprocess
import time

import pytest

from harness import http as call_http, wait_until
from notify import (APNS, COMPONENT, DOMAIN, FCM, apns_token, claim, fcm_token, got, item, known,
                    metric, new_owner, outcome, publish, register, script)

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SUMMARY = {"count": 3, "sender": "juliet@example.org", "body": "hello"}


@pytest.fixture(scope="module")
def push(module_stage, redis, fake):
    """One pushd that all tests here share; it waits for the provider on a busy machine too."""
    keys = {"devices_per_token_max": 3, "devices_per_owner_max": 4, "answer_within": "60s"}
    return module_stage.pushd("push-shared", redis, fake, **keys)


def request_of(fake, token):
    """The only request for TOKEN."""
    requests = got(fake, token)
    assert len(requests) == 1
    return requests[0]


# Devices


def test_registering_again_gives_the_same_node_and_secret(push):
    body = claim()
    first = push.call("POST", "/v1/devices", body)
    again = push.call("POST", "/v1/devices", {**body, "token": body["token"].upper()})
    assert first[0] == again[0] == 200
    assert first[1].pop("created") is True and again[1].pop("created") is False
    assert first[1] == again[1]
    assert re.fullmatch("[0-9a-f]{32}", first[1]["node"])


def test_a_device_with_an_id_keeps_its_node_under_a_new_token(push, fake):
    first = register(push, FCM, dialect="p2", device_id="android-1")
    body = {key: first[key] for key in ("component", "owner", "provider", "dialect", "device_id")}
    token = fcm_token()
    status, again = push.call("POST", "/v1/devices", {**body, "token": token})
    assert (status, again["node"], again["secret"]) == (200, first["node"], first["secret"])
    assert outcome(push, first, secret=first["secret"]) == "sent"
    assert len(got(fake, token)) == 1 and not got(fake, first["token"])


def test_another_owner_component_or_provider_is_another_device(push):
    token = apns_token()
    nodes = {register(push, token=token)["node"] for _ in range(2)}
    owner = new_owner()
    nodes.add(register(push, token=token, owner=owner)["node"])
    nodes.add(register(push, token=token, owner=owner, component="push2.example.org")["node"])
    nodes.add(register(push, FCM, token=token, owner=owner)["node"])
    assert len(nodes) == 5


def test_the_newest_registrations_of_a_token_stay_at_its_cap(push):
    token = apns_token()
    devices = [register(push, token=token) for _ in range(5)]
    assert [known(push, device) for device in devices] == [False, False, True, True, True]


def test_the_newest_registrations_of_an_owner_stay_at_its_cap(push):
    owner = new_owner()
    devices = [register(push, owner=owner) for _ in range(3)]
    register(push, **{key: devices[0][key] for key in ("owner", "token")})
    devices += [register(push, owner=owner) for _ in range(2)]
    assert [known(push, device) for device in devices] == [True, False, True, True, True]
    status, answer = push.call("GET", f"/v1/devices?owner={owner}")
    assert status == 200
    wanted = [devices[i]["node"] for i in (4, 3, 0, 2)]
    assert [device["node"] for device in answer["devices"]] == wanted


def test_what_the_api_shows_of_a_device_has_no_secret_and_no_whole_token(push):
    device = register(push)
    status, shown = push.call("GET", f"/v1/devices/{device['node']}")
    assert status == 200
    assert shown["token_hint"] == device["token"][:6] + "…"
    assert abs(shown.pop("registered_ms") / 1000 - time.time()) < 60
    shown.pop("token_hint")
    assert (shown.pop("waiting"), shown.pop("verdicts")) == (False, [])
    names = ("node", "component", "owner", "provider", "dialect")
    assert shown == {name: device[name] for name in names}


def test_unregistering_takes_the_owners_device_and_no_other(push):
    token = apns_token()
    mine, other = register(push, token=token), register(push, token=token)
    body = {"owner": mine["owner"], "token": token.upper()}
    body.update(component=COMPONENT, provider=APNS)

    def unregister(**change):
        return push.call("POST", "/v1/devices/unregister", {**body, **change})

    assert unregister(provider=FCM)[0] == 404
    assert unregister(component="x.example")[0] == 404
    assert unregister(owner="x@example.org")[0] == 404
    assert known(push, mine)
    assert unregister() == (200, {"removed": 1})
    assert unregister()[0] == 404
    assert not known(push, mine) and known(push, other)


def test_a_removed_device_leaves_nothing_in_redis(push, redis):
    device = register(push)
    before = len(redis.command("KEYS", "og:push:*"))
    assert push.call("DELETE", f"/v1/devices/{device['node']}") == (204, "")
    assert push.call("DELETE", f"/v1/devices/{device['node']}")[0] == 404
    assert len(redis.command("KEYS", "og:push:*")) == before - 4


@pytest.mark.parametrize("change, complaint", [
    ({"provider": "nobody"}, "provider: there is no such provider"),
    ({"token": "xyz"}, "token: is malformed"),
    ({"token": "abc"}, "token: is malformed"),
    ({"second_token": "nothex"}, "second_token: is malformed"),
    ({"owner": "a@example.org/phone"}, "owner: must be a bare JID"),
    ({"owner": "a@" + "b" * 511}, "owner: must be a string of 1 to 512 bytes"),
    ({"provider": FCM, "token": "x" * 1025}, "token: is malformed"),
    ({"dialect": "mine"}, "dialect: must be tigase or p2"),
    ({"device": 1}, "device"),
    ({"component": None}, "component: is missing"),
])
def test_a_registration_that_is_not_right_is_refused(push, change, complaint):
    status, answer = push.call("POST", "/v1/devices", {**claim(), **change})
    assert (status, answer["error"]) == (400, "bad_request")
    assert complaint in answer["message"]


def test_a_device_is_unregistered_by_its_id_or_by_its_room_alone(push):
    account = register(push, FCM, dialect="p2", device_id="android-9")
    same = {key: account[key] for key in ("owner", "token", "dialect", "device_id")}
    room = register(push, FCM, **same, channel="garden@rooms.example.org")
    channel = hashlib.sha1(b"garden@rooms.example.org\0android-9").hexdigest()

    def unregister(**more):
        claim = {"owner": account["owner"], "device_id": "android-9", **more}
        return push.call("POST", "/v1/devices/unregister", claim)

    assert unregister(device_id="android-8")[0] == 404
    assert unregister(channel_id="f" * 40)[0] == 404
    assert unregister(provider=APNS)[0] == 404
    assert unregister(channel_id=channel) == (200, {"removed": 1})
    assert known(push, account) and not known(push, room)
    assert unregister() == (200, {"removed": 1})
    assert not known(push, account)
    status, answer = push.call("POST", "/v1/devices/unregister", {"owner": account["owner"]})
    assert (status, answer["message"]) == (400, "token: is missing")


def test_a_rooms_server_publishes_for_its_channel_and_the_app_is_told_which(push, fake):
    room = register(push, FCM, dialect="p2", device_id="a-1", channel="garden@rooms.example.net")
    body = {**item(room), "secret": room["secret"]}
    assert publish(push, {**body, "domain": "rooms.example.org"})[0]["outcome"] == "gone"
    assert publish(push, {**body, "domain": "rooms.example.net"})[0]["outcome"] == "sent"
    assert publish(push, body)[0]["outcome"] == "sent", "the account's own server may, too"
    hashes = {key: hashlib.sha1(f"{jid}\0a-1".encode()).hexdigest()
              for key, jid in (("account", room["owner"]), ("channel", room["channel"]))}
    assert [request["body"]["message"]["data"] for request in got(fake, room["token"])] == [
        hashes, hashes]


def test_of_two_providers_of_a_kind_one_must_say_which_serves_the_command(stage, redis, fake):
    providers = fake.provider_sections()
    providers["other"] = dict(providers[FCM])
    push = stage.pushd("push-two", redis, providers=providers, start=False)
    stage.processes.remove(push)
    for argv in (push.argv, [*push.argv, "-n"]):
        done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=120)
        assert done.returncode == 1
        assert ("[provider other]: commands: this one or [provider fcm-xmpp-api] must name "
                "register-push-fcm, since both are of kind fcm") in done.stdout + done.stderr
    providers[FCM]["commands"] = "register-push-fcm"
    push = stage.pushd("push-said", redis, providers=providers)
    text = wait_until(lambda: redis.command("GET", "og:registry:push:push-said"))
    assert {one["id"]: one["commands"] for one in json.loads(text)["providers"]} == {
        APNS: ["register-push-apns"], FCM: ["register-push-fcm"], "other": []}


@pytest.mark.parametrize("content, told", [
    ("full", {"sender", "body", "unread-messages"}),
    ("sender", {"sender", "unread-messages"}),
    ("none", set()),
])
def test_a_provider_says_how_much_goes_in_clear(stage, redis, content, told):
    fake = stage.providers()
    providers = {APNS: {**fake.provider_sections()[APNS], "content": content}}
    push = stage.pushd(f"push-{content}", redis, providers=providers)
    for dialect in ({"dialect": "tigase"}, {"dialect": "p2", "device_id": "i"}):
        device = register(push, **dialect)
        summary = {"count": 1, "sender": "j@capulet.example/b", "body": "it is the east"}
        assert outcome(push, device, secret=device["secret"], summary=summary) == "sent"
        sealed = {"iv": "aXY=", "payload": "c2VjcmV0"}
        assert outcome(push, device, secret=device["secret"], encrypted=sealed) == "sent"
        read = outcome(push, device, secret=device["secret"], summary={"count": 0})
        assert read == "sent"
        bodies = [request["body"] for request in got(fake, device["token"])]
        assert [set(body) - {"aps", "account"} for body in bodies] == [
            told, {"encrypted", "iv"}, {"unread-messages"}]


def test_only_registrants_may_register(stage, redis, fake):
    push = stage.pushd("push-closed", redis, fake, registrants="example.org, example.net")
    assert register(push, owner="a@example.net")["created"]
    status, answer = push.call("POST", "/v1/devices", claim(owner="a@example.com"))
    assert (status, answer["error"]) == (403, "forbidden")


# What is sent


def test_an_alert_reaches_apns_as_siskin_reads_it(push, fake):
    device = register(push)
    settled = publish(push, item(device, summary=SUMMARY))[0]
    request = request_of(fake, device["token"])
    headers = request["headers"]
    assert settled == {"outcome": "sent", "id": headers["apns-id"]}
    assert UUID.fullmatch(headers["apns-id"])
    assert headers["authorization"].startswith("bearer ey")
    assert (headers["apns-topic"], headers["apns-push-type"]) == ("org.example.chat", "alert")
    assert headers["apns-priority"] == "10"
    assert abs(int(headers["apns-expiration"]) - time.time() - 28 * 86400) < 60
    assert request["body"] == {
        "aps": {"alert": {"title": "New message!", "action-loc-key": "Show"}, "mutable-content": 1,
                "content-available": 1, "sound": "default"},
        "account": device["owner"], "unread-messages": 3,
        "sender": "juliet@example.org", "body": "hello"}


def test_a_dismissal_reaches_apns_in_the_background(push, fake):
    device = register(push)
    assert outcome(push, device, summary={"count": 0}) == "sent"
    request = request_of(fake, device["token"])
    assert request["headers"]["apns-push-type"] == "background"
    assert request["headers"]["apns-priority"] == "5"
    assert request["body"] == {
        "aps": {"content-available": 1}, "account": device["owner"], "unread-messages": 0}


def test_an_encrypted_message_reaches_apns_untouched(push, fake):
    device = register(push, second_token=apns_token())
    assert outcome(push, device, encrypted={"iv": "aXY=", "payload": "c2VjcmV0"}) == "sent"
    request = request_of(fake, device["token"])
    assert request["headers"]["apns-push-type"] == "alert"
    assert request["body"] == {"aps": {"alert": {"body": "New message!"}, "mutable-content": 1},
                               "account": device["owner"], "encrypted": "c2VjcmV0", "iv": "aXY="}


CALL = {"encrypted": {"iv": "aXY=", "payload": "Y2FsbA==", "voip": True}}


def test_a_call_reaches_the_second_token_as_voip(push, fake):
    device = register(push, second_token=apns_token())
    assert outcome(push, device, priority="high", **CALL) == "sent"
    assert not got(fake, device["token"])
    request = request_of(fake, device["second_token"])
    headers = request["headers"]
    assert (headers["apns-push-type"], headers["apns-topic"]) == ("voip", "org.example.chat.voip")
    assert abs(int(headers["apns-expiration"]) - time.time() - 30) < 20
    assert request["body"] == {
        "aps": {}, "account": device["owner"], "encrypted": "Y2FsbA==", "iv": "aXY="}


def test_a_call_of_low_priority_or_without_a_second_token_is_no_voip(push, fake):
    low = register(push, second_token=apns_token())
    assert outcome(push, low, priority="low", **CALL) == "sent"
    assert request_of(fake, low["token"])["headers"]["apns-push-type"] == "background"
    single = register(push)
    assert outcome(push, single, priority="high", **CALL) == "sent"
    assert request_of(fake, single["token"])["headers"]["apns-push-type"] == "alert"


def test_a_dead_second_token_goes_alone_and_the_call_arrives_as_an_alert(push, fake):
    device = register(push, second_token=apns_token())
    script(fake, device["second_token"], 410, "Unregistered")
    for _ in range(2):
        assert outcome(push, device, priority="high", **CALL) == "sent"
    assert len(got(fake, device["second_token"])) == 1
    alerts = [request["headers"]["apns-push-type"] for request in got(fake, device["token"])]
    assert alerts == ["alert", "alert"]
    assert known(push, device)


def test_a_message_reaches_fcm_as_data_of_strings(push, fake):
    device = register(push, FCM)
    settled = publish(push, item(device, summary=SUMMARY, nickname="jules"))[0]
    assert settled["outcome"] == "sent"
    assert settled["id"].startswith("projects/fake-project/messages/")
    request = request_of(fake, device["token"])
    assert request["path"] == "/v1/projects/fake-project/messages:send"
    ttl = request["body"]["message"]["android"].pop("ttl")
    assert 0 <= 28 * 86400 - int(ttl.removesuffix("s")) < 60, "what is left of 28 days"
    assert request["body"] == {"message": {
        "token": device["token"], "android": {"priority": "HIGH"},
        "data": {"account": device["owner"], "unread-messages": "3", "sender": "juliet@example.org",
                 "body": "hello", "nickname": "jules"}}}


def test_a_p2_app_is_told_the_account_by_its_hash(push, fake):
    owner, phone = "juliet@example.org", "92afd7a91cdba9a0"
    device = register(push, FCM, owner=owner, dialect="p2", device_id=phone)
    assert outcome(push, device, secret=device["secret"]) == "sent"
    data = request_of(fake, device["token"])["body"]["message"]["data"]
    assert data == {"account": hashlib.sha1(f"{owner}\0{phone}".encode()).hexdigest()}


def test_an_array_is_answered_in_its_order(push, fake):
    alive, dead, suspect = register(push), register(push), register(push)
    android = register(push, FCM)
    script(fake, dead["token"], 410, "Unregistered", timestamp=int(time.time() * 1000) + 60000)
    script(fake, suspect["token"], 400, "BadDeviceToken")
    script(fake, alive["token"], delay_ms=300)
    wanted = [("sent", alive), ("gone", dead), ("unavailable", suspect), ("sent", android),
              ("gone", {"node": "0" * 32})]
    outcomes = publish(push, *(item(device, summary=SUMMARY) for _, device in wanted))
    assert [one["outcome"] for one in outcomes] == [word for word, _ in wanted]
    assert outcomes[2]["reason"] == "BadDeviceToken"
    assert "reason" not in outcomes[1] and "reason" not in outcomes[4]


def test_256_at_once_are_sent_each_once(push, fake):
    device = register(push)
    items = [item(device, summary={"count": i}) for i in range(256)]
    outcomes = publish(push, *items, deadline_ms=60000)
    assert [one["outcome"] for one in outcomes] == ["sent"] * 256
    ids = [request["headers"]["apns-id"] for request in got(fake, device["token"])]
    assert len(ids) == len(set(ids)) == 256
    assert sorted(ids) == sorted(one["id"] for one in outcomes)


# Who may publish


def test_a_stranger_is_answered_as_if_there_were_no_device(push, fake):
    device = register(push)
    phone = register(push, FCM, dialect="p2", device_id="x")
    strangers = [
        {**item(device), "domain": "example.com"},
        {**item(device), "component": "push.example.com"},
        {**item(device), "node": "f" * 32},
        {**item(device), "node": device["node"][:-1]},
        item(phone),
        item(phone, secret="0" * 32),
        item(phone, secret=phone["secret"][:-1]),
        {**item(phone, secret=phone["secret"]), "domain": "example.com"},
    ]
    assert publish(push, *strangers) == [{"outcome": "gone"}] * len(strangers)
    assert not got(fake, device["token"]) and not got(fake, phone["token"])
    assert known(push, device) and known(push, phone)
    assert outcome(push, phone, secret=phone["secret"]) == "sent"
    assert publish(push, {**item(device), "domain": DOMAIN.upper()})[0]["outcome"] == "sent"


# Verdicts


def test_410_removes_a_device_only_if_it_was_registered_before(push, fake):
    device = register(push)
    old = int(time.time() * 1000) - 3600000
    script(fake, device["token"], 410, "Unregistered", times=1, timestamp=old)
    settled = publish(push, item(device))[0]
    assert settled == {"outcome": "unavailable", "reason": "registered-since"}
    assert known(push, device)
    assert outcome(push, device) == "sent"
    script(fake, device["token"], 410, "Unregistered", timestamp=old + 7200000)
    assert publish(push, item(device))[0] == {"outcome": "gone"}
    assert not known(push, device)
    again = register(push, owner=device["owner"], token=device["token"])
    assert again["created"] and again["node"] != device["node"]


@pytest.mark.parametrize("status, reason", [
    (404, "UNREGISTERED"), (403, "SENDER_ID_MISMATCH"), (400, "INVALID_ARGUMENT")])
def test_fcm_says_that_a_token_is_dead(push, fake, status, reason):
    device = register(push, FCM)
    others = [register(push, FCM) for _ in range(30)]
    publish(push, *map(item, others))  # it is seen that the credential and our payloads are good
    script(fake, device["token"], status, reason)
    assert outcome(push, device) == "gone"
    assert not known(push, device)


def test_fcm_that_blames_the_payload_keeps_the_token(push, fake):
    device = register(push, FCM)
    blame = {"@type": "type.googleapis.com/google.rpc.BadRequest",
             "fieldViolations": [{"field": "message.data[0].value", "description": "bad"}]}
    code = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
            "errorCode": "INVALID_ARGUMENT"}
    body = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Invalid value",
                      "details": [blame, code]}}
    script(fake, device["token"], status=400, body=body)
    assert outcome(push, device) == "unavailable"
    assert known(push, device)


@pytest.mark.parametrize("provider, status, reason", [
    (APNS, 400, "BadDeviceToken"), (APNS, 400, "DeviceTokenNotForTopic"),
    (APNS, 400, "PayloadEmpty")])
def test_other_refusals_remove_nothing(push, fake, provider, status, reason):
    device = register(push, provider)
    script(fake, device["token"], status, reason, times=1)
    assert publish(push, item(device))[0] == {"outcome": "unavailable", "reason": reason}
    assert known(push, device)
    assert outcome(push, device) == "sent"


def test_what_is_too_large_is_sent_once_more_without_its_text(push, fake):
    device = register(push)
    script(fake, device["token"], 413, "PayloadTooLarge", times=1)
    assert outcome(push, device, summary=SUMMARY) == "sent"
    first, second = got(fake, device["token"])
    assert first["body"]["body"] == "hello" and "body" not in second["body"]
    assert second["body"]["sender"] == "juliet@example.org"
    assert first["headers"]["apns-id"] == second["headers"]["apns-id"]
    script(fake, device["token"], 413, "PayloadTooLarge")
    assert publish(push, item(device, summary=SUMMARY))[0]["reason"] == "PayloadTooLarge"
    assert len(got(fake, device["token"])) == 4


def test_a_long_body_is_cut_and_never_too_large(push, fake):
    device = register(push)
    for body in ("é" * 600, "\u0001" * 600, "x" * 60000):
        summary = {"body": body, "sender": "a@" + "b" * 1000}
        assert outcome(push, device, summary=summary) == "sent"
    cut, dropped, last = [request["body"] for request in got(fake, device["token"])]
    assert cut["body"] == "é" * 500 + "..."
    assert "body" not in dropped and dropped["sender"] and last["body"] == "x" * 500 + "..."
    assert outcome(push, device, encrypted={"iv": "aXY=", "payload": "A" * 5000}) == "sent"
    assert set(got(fake, device["token"])[3]["body"]) == {"aps", "account"}


def test_transient_trouble_is_tried_again_within_the_deadline(push, fake):
    device, hopeless = register(push), register(push)
    script(fake, device["token"], 503, "ServiceUnavailable", times=2)
    script(fake, hopeless["token"], 500, "InternalServerError")
    assert outcome(push, device) == "sent"
    requests = got(fake, device["token"])
    assert len(requests) == 3
    assert len({request["headers"]["apns-id"] for request in requests}) == 1
    assert publish(push, item(hopeless), deadline_ms=400)[0]["outcome"] == "queued"


def test_a_refused_stream_is_sent_again(push, fake):
    device = register(push)
    script(fake, device["token"], times=1, rst="REFUSED_STREAM")
    assert outcome(push, device) == "sent"


def test_a_goaway_loses_nothing(push, fake):
    device = register(push)
    fake.script({"match": {"token": device["token"], "nth": 3, "times": 1},
                 "answer": {"goaway": {"last": 0, "debug": '{"reason":"Shutdown"}'}}})
    outcomes = publish(push, *[item(device, summary={"count": i}) for i in range(20)])
    assert [one["outcome"] for one in outcomes] == ["sent"] * 20
    answered = [one for one in got(fake, device["token"]) if one["answered"] == 200]
    assert {one["body"]["unread-messages"] for one in answered} == set(range(20))


def test_an_expired_access_token_is_fetched_anew_and_the_message_sent_again(push, fake):
    device = register(push, FCM)
    script(fake, device["token"], 401, "UNAUTHENTICATED", times=1)
    before = sum(request["provider"] == "oauth" for request in fake.received())
    assert outcome(push, device) == "sent"
    assert sum(request["provider"] == "oauth" for request in fake.received()) == before + 1
    assert len(got(fake, device["token"])) == 2


def test_all_apns_requests_carry_one_jwt(push, fake):
    for _ in range(3):
        assert outcome(push, register(push)) == "sent"
    sent = [r for r in fake.received() if r["provider"] == "apns" and r["answered"] == 200]
    assert len({request["headers"]["authorization"] for request in sent}) == 1


def test_outcomes_and_verdicts_are_counted(push):
    outcomes = "outrigger_pushd_provider_outcomes_total"
    sent = metric(push, outcomes, provider=APNS, outcome="sent")
    gone = metric(push, outcomes, provider="-", outcome="gone")
    answered = metric(push, "outrigger_pushd_provider_sent_total", provider=APNS)
    publish(push, item(register(push)), item({"node": "0" * 32}))
    assert metric(push, outcomes, provider=APNS, outcome="sent") == sent + 1
    assert metric(push, outcomes, provider="-", outcome="gone") == gone + 1
    assert metric(push, "outrigger_pushd_provider_sent_total", provider=APNS) == answered + 1
    wait_until(lambda: metric(push, "outrigger_pushd_notifications_in_flight") == 0)
    assert metric(push, "outrigger_pushd_requests_in_flight") == 0
    assert metric(push, "outrigger_pushd_queue_length") == 0


# Who else reads


def test_it_is_in_the_registry_with_its_providers(push, redis):
    text = wait_until(lambda: redis.command("GET", "og:registry:push:push-shared"))
    assert json.loads(text)["providers"] == [
        {"id": APNS, "kind": "apns", "commands": ["register-push-apns"]},
        {"id": FCM, "kind": "fcm", "commands": ["register-push-fcm"]}]
    assert push.call("GET", "/v1/providers") == (200, {"providers": [
        {"id": APNS, "kind": "apns", "topic": "org.example.chat", "state": "ready",
         "credential": {"kind": "key", "source": "file"},
         "findings": ["Requests are signed as key FAKEKEY001 of team FAKETEAM01."]},
        {"id": FCM, "kind": "fcm", "state": "ready",
         "credential": {"kind": "service-account", "source": "file"},
         "findings": ["Access tokens are asked for as fake@fake-project.iam.gserviceaccount.com."]}
    ]})


def test_the_log_has_no_tokens_secrets_or_texts(stage, redis, fake):
    push = stage.pushd("push-debug", redis, fake, log_level="debug")
    device = register(push, second_token=apns_token())
    phone = register(push, FCM, dialect="p2", device_id="android-77")
    script(fake, device["token"], 400, "BadDeviceToken", times=1)
    for _ in range(2):
        publish(push, item(device, summary={"body": "a very private text"}),
                item(phone, secret=phone["secret"], summary={"sender": "private@example.org"}))
    call_http("POST", f"http://{push.address('public')}/unregister-device/{COMPONENT}",
              {"account": device["owner"], "provider": APNS, "device-token": device["token"]})
    push.stop()
    text = push.log_text()
    assert "outcome=sent" in text
    secrets = [one[name] for one in (device, phone) for name in ("token", "secret", "node")]
    secrets += [device["second_token"], push.stage.token, "private", "ya29", "bearer ey"]
    assert not [secret for secret in secrets if secret in text]
