"""Registrations under stress and over time: two pushds, lost answers, caps, ends of life, tokens
that are dead, and devices that never registered. Each test ends with a look at every index."""

import hashlib
import json
import random
import socket
import subprocess
import threading

import pytest

from harness import TOKEN, free_port, wait_until
from notify import (APNS, COMPONENT, DOMAIN, FCM, apns_token, claim, got, item, known, metric,
                    new_owner, outcome, publish, register, script)
from push_indexes import check_push_indexes

MODULE = "monalProdiOS"
EXPIRED = "outrigger_pushd_devices_expired_total"


def sections(fake):
    """The two providers, of which APNs serves Monal's module and FCM publishes that name none."""
    providers = fake.provider_sections()
    providers[APNS] |= {"push_modules": MODULE, "interval": 0}
    providers[FCM] |= {"push_modules": "default", "interval": 0}
    return providers


@pytest.fixture(scope="module")
def pushes(module_stage, redis, fake):
    """Two pushds on one Redis, which wait for the provider however busy the machine is."""
    keys = {"devices_per_token_max": 3, "devices_per_owner_max": 4, "answer_within": "60s"}
    return [
        module_stage.pushd(name, redis, fake, providers=sections(fake), **keys)
        for name in ("devices-1", "devices-2")
    ]


@pytest.fixture
def push(pushes):
    return pushes[0]


@pytest.fixture(autouse=True)
def indexes(redis):
    yield
    check_push_indexes(redis)


def listed(push, owner):
    status, answer = push.call("GET", f"/v1/devices?owner={owner}")
    assert status == 200
    return answer["devices"]


def at_once(*works):
    """Runs WORKS, each in a thread of its own, begun together; what they gave."""
    barrier, results = threading.Barrier(len(works)), [None] * len(works)

    def run(index, work):
        barrier.wait()
        results[index] = work()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# How many there may be


@pytest.fixture
def capped(stage, fake):
    """Two pushds with a Redis of their own and small caps."""
    redis = stage.redis()
    caps = {"devices_max": 5, "devices_per_domain_max": 3}
    names = ("capped-1", "capped-2")
    yield [stage.pushd(n, redis, fake, providers=sections(fake), **caps) for n in names]
    check_push_indexes(redis)


def of(domain):
    return f"{new_owner().partition('@')[0]}@{domain}"


def refused(push, body, message):
    status, answer = push.call("POST", "/v1/devices", body)
    assert (status, answer["error"], answer["message"]) == (429, "too_many_requests", message)


def test_a_device_too_many_is_refused_and_none_goes_for_it(capped, fake):
    one, two = capped
    devices = [register(push, APNS, owner=of(DOMAIN)) for push in (one, two, one)]
    refused(two, claim(APNS, owner=of(DOMAIN)), "the domain has too many devices")
    others = [register(two, FCM, owner=of("example.net")) for _ in range(2)]
    refused(one, claim(FCM, owner=of("example.com")), "there are too many devices")
    for device in devices:
        assert outcome(one, device) == "sent"
        assert register(two, **{key: device[key] for key in claim(APNS)})["node"] == device["node"]
    limits = "outrigger_pushd_registrations_refused_total"
    assert metric(one, f'{limits}{{limit="devices-max"}}') == 1
    assert metric(two, f'{limits}{{limit="devices-per-domain-max"}}') == 1
    assert one.call("DELETE", f"/v1/devices/{others[0]['node']}")[0] == 204
    register(one, FCM, owner=of("example.com"))


def test_a_publish_makes_no_pin_over_a_cap_and_is_not_told_that_its_device_is_gone(capped, fake):
    one, two = capped
    tokens = [apns_token() for _ in range(4)]
    for push, token in zip((one, two, one), tokens):
        assert outcome(push, {"node": token}, module=MODULE) == "sent"
    (answer,) = publish(two, item({"node": tokens[3]}, module=MODULE))
    assert answer == {"outcome": "unavailable", "reason": "device-limit"}
    assert not got(fake, tokens[3])
    assert [outcome(two, {"node": token}, module=MODULE) for token in tokens[:3]] == ["sent"] * 3


def test_without_a_configuration_there_are_limits(stage, redis):
    push = stage.pushd("unset", redis, start=False, domain_rate=None, registration_rate=None)
    dump = subprocess.run([*push.argv, "-T"], capture_output=True, text=True, check=True).stdout
    for line in ("devices-max = 1000000", "devices-per-domain-max = 100000",
                 "registration-rate = 20", "registration-burst = 200", "domain-rate = 1000"):
        assert f"\n{line}\n" in dump


def test_new_devices_of_a_domain_have_a_rate_over_both_pushds(stage, fake):
    redis = stage.redis()
    rate = {"registration_rate": 1, "registration_burst": 2}
    one, two = (stage.pushd(n, redis, fake, providers=sections(fake), **rate) for n in "ab")
    first = register(one, owner=of(DOMAIN))
    register(two, owner=of(DOMAIN))
    redis.command("SET", f"og:push:due:{DOMAIN}", "99999999999999", "PX", "600000")
    refused(one, claim(owner=of(DOMAIN)), "the domain registers too many at once")
    answer = outcome(two, {"node": apns_token()}, module=MODULE)
    assert answer == "unavailable"
    assert not register(two, **{key: first[key] for key in claim()})["created"]
    register(one, owner=of("example.net"))
    redis.command("DEL", f"og:push:due:{DOMAIN}")
    register(two, owner=of(DOMAIN))
    check_push_indexes(redis)


# The same again


def test_registering_twice_at_once_from_two_pushds_makes_one_device(pushes):
    for _ in range(20):
        body = claim(FCM, dialect="p2", device_id="phone")
        calls = [lambda push=push: push.call("POST", "/v1/devices", body) for push in pushes * 2]
        answers = at_once(*calls)
        assert [status for status, _ in answers] == [200] * 4
        assert sum(answer.pop("created") for _, answer in answers) == 1
        assert all(answer == answers[0][1] for _, answer in answers)
        assert len(listed(pushes[0], body["owner"])) == 1


def test_a_new_token_from_two_pushds_at_once_leaves_one_of_them(pushes, redis):
    device = register(pushes[0], FCM, dialect="p2", device_id="phone")
    body = {key: device[key] for key in ("component", "owner", "provider", "dialect", "device_id")}
    for _ in range(20):
        bodies = [{**body, "token": claim(FCM)["token"]} for _ in pushes]
        works = zip(pushes, bodies)
        calls = [lambda p=p, b=b: p.call("POST", "/v1/devices", b) for p, b in works]
        assert [answer["node"] for _, answer in at_once(*calls)] == [device["node"]] * 2
        kept = redis.command("HGET", f"og:push:device:{device['node']}", "token")
        assert kept in [one["token"] for one in bodies]


def send_and_leave(push, body):
    """Registers without waiting for the answer."""
    data = json.dumps(body).encode()
    host, port = push.address("api").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        head = f"POST /v1/devices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + data)


def test_a_registration_whose_answer_was_lost_is_the_same_when_it_is_asked_again(push, redis):
    for _ in range(10):
        body = claim()
        send_and_leave(push, body)
        owner = f"og:push:owner:{body['owner']}"
        wait_until(lambda: redis.command("ZCARD", owner) == 1, what="the registration")
        status, answer = push.call("POST", "/v1/devices", body)
        assert (status, answer["created"]) == (200, False)
        assert redis.command("ZRANGE", owner, 0, -1) == [answer["node"]]


def test_a_registration_in_a_pushd_that_was_killed_is_there_once_or_not_at_all(
    stage, push, redis, fake
):
    for _ in range(5):
        victim, body = stage.pushd("devices-killed", redis, fake), claim()
        send_and_leave(victim, body)
        victim.kill()
        before = listed(push, body["owner"])
        status, answer = push.call("POST", "/v1/devices", body)
        assert (status, answer["created"]) == (200, not before)
        assert [device["node"] for device in listed(push, body["owner"])] == [answer["node"]]
        stage.processes.remove(victim)


# Caps


def test_of_a_token_and_of_an_owner_the_newest_stay(pushes):
    token, owner = apns_token(), new_owner()
    by_token = [register(pushes[n % 2], token=token) for n in range(6)]
    assert [known(pushes[0], device) for device in by_token] == [False] * 3 + [True] * 3
    by_owner = [register(pushes[n % 2], owner=owner) for n in range(6)]
    assert [known(pushes[0], device) for device in by_owner] == [False] * 2 + [True] * 4


def test_many_at_once_never_exceed_a_cap_nor_leave_anything_stale(pushes, redis):
    tokens, owners = [apns_token() for _ in range(4)], [new_owner() for _ in range(4)]

    def churn(push):
        chance = random.Random()
        for _ in range(60):
            body = claim(token=chance.choice(tokens), owner=chance.choice(owners))
            if chance.random() < 0.2:
                left = {key: body[key] for key in ("owner", "token")}
                assert push.call("POST", "/v1/devices/unregister", left)[0] in (200, 404)
            else:
                assert push.call("POST", "/v1/devices", body)[0] == 200

    at_once(*[lambda push=push: churn(push) for push in pushes * 2])
    for token in tokens:
        name = hashlib.sha256(token.encode()).hexdigest()
        assert redis.command("ZCARD", f"og:push:token:{name}") <= 3
    assert all(len(listed(pushes[0], owner)) <= 4 for owner in owners)


# p2


def test_a_p2_device_is_told_its_account_by_a_hash_and_nothing_readable(push, fake):
    owner = new_owner()
    device = register(push, FCM, owner=owner, dialect="p2", device_id="android-17")
    summary = {"count": 1, "sender": "juliet@capulet.example/balcony", "body": "it is the east"}
    assert outcome(push, device, secret=device["secret"], summary=summary) == "sent"
    (request,) = got(fake, device["token"])
    text = json.dumps(request["body"])
    account = hashlib.sha1(f"{owner}\0android-17".encode()).hexdigest()
    assert request["body"]["message"]["data"]["account"] == account
    assert not any(word in text for word in (owner, "capulet", "east", device["node"]))


def test_a_p2_device_needs_an_id(push):
    status, answer = push.call("POST", "/v1/devices", claim(FCM, dialect="p2"))
    assert (status, answer["message"]) == (400, "device_id: is missing")


def test_without_its_secret_a_p2_device_gets_the_answer_of_an_unknown_one(push, fake):
    device = register(push, FCM, dialect="p2", device_id="android-17")
    assert outcome(push, device) == "gone"
    assert outcome(push, device, secret="0" * 32) == "gone"
    assert known(push, device) and not got(fake, device["token"])


# Life


@pytest.fixture
def mortal(stage, redis, fake):
    """A pushd whose renewing devices live for two seconds."""
    return stage.pushd("mortal", redis, fake, providers=sections(fake), device_ttl="2s")


def test_who_does_not_come_again_goes_after_its_time_and_the_others_stay(mortal):
    lasting = register(mortal)
    left = [register(mortal, FCM, dialect="p2", device_id=str(n)) for n in range(3)]
    kept = register(mortal, FCM, dialect="p2", device_id="kept")
    body = {key: kept[key] for key in claim() | {"device_id": 0} if key in kept}

    def gone():
        assert mortal.call("POST", "/v1/devices", body)[1]["node"] == kept["node"]
        return not any(known(mortal, device) for device in left)

    wait_until(gone, what="the end of what isn't renewed")
    assert known(mortal, kept) and known(mortal, lasting)
    assert metric(mortal, EXPIRED) == 3
    assert outcome(mortal, left[0], secret=left[0]["secret"]) == "gone"


def test_publishing_renews_a_device_that_never_registers(mortal):
    domain = "renewed.example"
    busy, quiet = ({"node": apns_token()} for _ in range(2))
    assert outcome(mortal, quiet, module=MODULE, domain=domain) == "sent"
    (device,) = listed(mortal, domain)

    def over():
        assert outcome(mortal, busy, module=MODULE, domain=domain) == "sent"
        return not known(mortal, device)

    wait_until(over, what="the end of the quiet one")
    (device,) = listed(mortal, domain)
    assert device["token_hint"].startswith(busy["node"][:6])


# fpush: the node is the token


def pinned(redis, token):
    name = hashlib.sha256(token.lower().encode()).hexdigest()
    return redis.command("ZRANGE", f"og:push:token:{name}", 0, -1)


def test_a_first_publish_pins_the_token_to_its_domain(pushes, fake, redis):
    token = apns_token()
    calls = [lambda p=p: outcome(p, {"node": token}, module=MODULE) for p in pushes * 2]
    assert at_once(*calls) == ["sent"] * 4
    (node,) = pinned(redis, token)
    status, device = pushes[0].call("GET", f"/v1/devices/{node}")
    assert (status, device["owner"], device["dialect"]) == (200, DOMAIN, "fpush")
    assert device["provider"] == APNS and device["component"] == COMPONENT
    assert len(got(fake, token)) == 4


def test_each_domain_has_its_own_pin_up_to_the_cap(push, redis):
    token = apns_token()
    for n in range(5):
        assert outcome(push, {"node": token}, module=MODULE, domain=f"d{n}.example") == "sent"
        assert len(pinned(redis, token)) == min(n + 1, 3)
    owners = {push.call("GET", f"/v1/devices/{node}")[1]["owner"] for node in pinned(redis, token)}
    assert owners == {"d2.example", "d3.example", "d4.example"}


def test_a_publish_without_a_module_means_the_default_one(push, fake):
    token = claim(FCM)["token"] + "x" * 64
    assert outcome(push, {"node": token}) == "sent"
    assert len(got(fake, token)) == 1


@pytest.mark.parametrize(
    "node, more",
    [
        (apns_token(), {"module": "nobody's"}),
        (apns_token()[:62], {"module": MODULE}),
        (apns_token() + "0", {"module": MODULE}),
        ("z" * 64, {"module": MODULE}),
        (apns_token()[:32], {"module": MODULE}),
    ],
)
def test_what_is_no_token_of_a_module_is_an_unknown_node(push, fake, redis, node, more):
    keys = redis.command("DBSIZE")
    assert outcome(push, {"node": node}, **more) == "gone"
    assert redis.command("DBSIZE") == keys and not got(fake, node)


def test_only_registrants_domains_have_pins(stage, redis, fake):
    push = stage.pushd("strict", redis, fake, providers=sections(fake), registrants="example.net")
    assert outcome(push, {"node": apns_token()}, module=MODULE) == "gone"
    token = {"node": apns_token()}
    assert outcome(push, token, module=MODULE, domain="example.net") == "sent"


def test_a_pin_whose_provider_is_away_is_queued_and_sent_later(stage, redis, fake):
    providers = sections(fake)
    away = f"https://127.0.0.1:{free_port()}"
    broken = {**providers, APNS: {**providers[APNS], "endpoint": away}}
    push, token = stage.pushd("away", redis, providers=broken), apns_token()
    assert outcome(push, {"node": token}, module=MODULE) == "queued"
    check_push_indexes(redis)
    push.stop()
    push.configure({**push.sections, f"provider {APNS}": providers[APNS]})
    push.start()
    wait_until(lambda: len(got(fake, token)) == 1, what="what had been queued")
    wait_until(lambda: not redis.command("EXISTS", "og:push:notes"), what="an empty store")


def test_a_module_of_two_providers_is_refused(stage, redis, fake):
    providers = sections(fake)
    providers[FCM]["push_modules"] = f"default, {MODULE}"
    push = stage.pushd("twice", redis, providers=providers, start=False)
    done = subprocess.run(list(map(str, push.argv)), capture_output=True, text=True, timeout=120)
    stage.processes.remove(push)
    assert done.returncode == 1
    assert f"push-modules: {MODULE} is named twice" in done.stdout + done.stderr


# Dead and doubtful tokens


def test_a_dead_token_is_not_pinned_nor_tried_again_until_it_is_registered(pushes, fake, redis):
    token = apns_token()
    script(fake, token, 410, "Unregistered", times=1)
    assert outcome(pushes[0], {"node": token}, module=MODULE) == "gone"
    assert not pinned(redis, token)
    for push in pushes:
        assert outcome(push, {"node": token}, module=MODULE) == "gone"
        assert outcome(push, {"node": token}, module=MODULE, domain="other.example") == "gone"
    assert len(got(fake, token)) == 1
    (dead,) = [key for key in redis.command("KEYS", "og:push:dead:*") if is_of(key, APNS, token)]
    assert 23 * 3600 * 1000 < redis.command("PTTL", dead) <= 24 * 3600 * 1000
    register(pushes[1], token=token)
    assert not redis.command("EXISTS", dead)
    assert outcome(pushes[0], {"node": token}, module=MODULE) == "sent"


def test_a_token_that_died_before_its_first_publish_is_gone_too(push, fake, redis):
    token = apns_token()
    script(fake, token, 410, "Unregistered", timestamp=1500000000000)
    assert outcome(push, {"node": token}, module=MODULE) == "gone"
    assert not pinned(redis, token)


def is_of(key, provider, token):
    name = hashlib.sha256(token.encode()).hexdigest()
    return key.endswith(hashlib.sha1(f"{provider}:{name}".encode()).hexdigest())


def test_a_dead_token_takes_all_of_its_registrations_along(push, fake):
    token = apns_token()
    devices = [register(push, token=token) for _ in range(3)]
    script(fake, token, 410, "Unregistered", times=1)
    assert outcome(push, devices[2]) == "gone"
    assert not any(known(push, device) for device in devices)
    assert outcome(push, devices[0]) == "gone"
    assert len(got(fake, token)) == 1


def test_a_token_to_which_nothing_was_sent_is_dead_when_it_was_doubted_three_times(push, fake):
    device = register(push)
    publish(push, *[item(register(push))] * 100)  # are good, so the credential is
    script(fake, device["token"], 400, "BadDeviceToken")
    assert [outcome(push, device) for _ in range(3)] == ["unavailable"] * 2 + ["gone"]
    assert not known(push, device)


def test_tokens_that_were_made_up_keep_no_other_from_being_believed(stage, fake, redis):
    """Most of what is sent is bad, but not to devices that something was sent to."""
    push = stage.pushd("devices-made-up", redis, fake, providers=sections(fake))
    device, dead, *made_up = [register(push) for _ in range(42)]
    for one in device, dead:
        prove(push, redis, one)
    for one in made_up:
        script(fake, one["token"], 400, "BadDeviceToken")
    script(fake, dead["token"], 410, "Unregistered")
    publish(push, *map(item, made_up))
    publish(push, *[item(device)] * 10)
    assert outcome(push, dead) == "gone"
    assert [outcome(push, made_up[0]) for _ in range(2)] == ["unavailable", "gone"]


def prove(push, redis, device):
    """Sends something to DEVICE."""
    key = f"og:push:device:{device['node']}"
    assert outcome(push, device) == "sent"
    wait_until(lambda: redis.command("HEXISTS", key, "proven"), what="the success to be recorded")


def test_a_token_that_is_doubted_on_three_days_is_dead(push, fake, redis):
    device = register(push)
    key = f"og:push:device:{device['node']}"
    prove(push, redis, device)
    others = publish(push, *[item(register(push))] * 100)  # are good, so the credential is
    assert {other["outcome"] for other in others} == {"sent"}
    script(fake, device["token"], 400, "BadDeviceToken")
    for day in range(2):
        assert [outcome(push, device) for _ in range(2)] == ["unavailable"] * 2
        assert redis.command("HGET", key, "suspect_days") == str(day + 1)
        redis.command("HSET", key, "suspect_day", 20000 + day)
    assert outcome(push, device) == "gone"
    assert not known(push, device)


def test_one_that_is_sent_ends_the_doubt(push, fake, redis):
    device = register(push)
    key = f"og:push:device:{device['node']}"
    script(fake, device["token"], 400, "BadDeviceToken", times=1)
    assert outcome(push, device) == "unavailable"
    redis.command("HSET", key, "suspect_day", 20000)
    assert outcome(push, device) == "sent"
    wait_until(lambda: not redis.command("HEXISTS", key, "suspect_days"), what="the doubt's end")


def test_what_a_renewed_device_was_is_forgotten(push, fake, redis):
    device = register(push)
    script(fake, device["token"], 400, "BadDeviceToken", times=1)
    assert outcome(push, device) == "unavailable"
    again = claim(owner=device["owner"], token=device["token"])
    assert push.call("POST", "/v1/devices", again)[1]["node"] == device["node"]
    assert not redis.command("HEXISTS", f"og:push:device:{device['node']}", "suspect_days")


# Devices that came from another push service, several of them under one name

OLD_NODE = "01#" + "0123456789ABCDEF" * 4


@pytest.fixture
def alias():
    return f"01#{random.getrandbits(192):048X}"


def moved(push, alias, count, provider=APNS):
    """COUNT devices of one user that share ALIAS."""
    owner = new_owner()
    return [register(push, provider, owner=owner, alias=alias) for _ in range(count)]


def alias_of(push, device):
    return push.call("GET", f"/v1/devices/{device['node']}")[1].get("alias")


def test_a_publish_to_an_alias_reaches_each_of_its_devices_as_if_it_were_for_that(
    pushes, fake, alias
):
    phones = moved(pushes[0], alias, 3) + moved(pushes[1], alias, 1, FCM)
    sent = publish(pushes[1], item({"node": alias}, summary={"count": 1, "body": "hi"}))
    assert [one["outcome"] for one in sent] == ["sent"]
    for phone in phones:
        (request,) = got(fake, phone["token"])
        assert phone["owner"] in json.dumps(request["body"])
    assert {alias_of(pushes[0], phone) for phone in phones} == {alias}


def test_an_alias_is_gone_with_the_last_of_its_devices(push, fake, redis, alias):
    one, two = moved(push, alias, 2)
    script(fake, one["token"], 410, "Unregistered")
    assert outcome(push, {"node": alias}) == "sent"
    assert not known(push, one) and known(push, two)
    assert outcome(push, {"node": alias}) == "sent"
    assert len(got(fake, one["token"])) == 1
    script(fake, two["token"], 410, "Unregistered")
    assert outcome(push, {"node": alias}) == "gone"
    assert not redis.command("EXISTS", f"og:push:alias:{alias}")
    assert outcome(push, {"node": alias}) == "gone"


def test_one_device_that_is_refused_does_not_cost_the_others_their_alias(push, fake, alias):
    one, two = moved(push, alias, 2)
    script(fake, one["token"], 400, "DeviceTokenNotForTopic")
    assert outcome(push, {"node": alias}) == "sent"
    script(fake, two["token"], 400, "DeviceTokenNotForTopic")
    assert outcome(push, {"node": alias}) == "unavailable"
    assert known(push, one) and known(push, two)


def test_a_stranger_reaches_nobody_by_an_alias(push, fake, alias):
    (phone,) = moved(push, alias, 1)
    assert outcome(push, {"node": alias}, domain="example.net") == "gone"
    assert outcome(push, {"node": alias}, component="push.example.net") == "gone"
    assert outcome(push, {"node": alias.lower() + "x"}) == "gone"
    assert not got(fake, phone["token"]) and known(push, phone)


def test_an_alias_that_could_be_a_token_is_no_token(push, fake):
    """FCM's tokens are any text, and here a publish to an unknown one registers it."""
    alias = OLD_NODE + "-token"
    (phone,) = moved(push, alias, 1, FCM)
    assert outcome(push, {"node": alias}) == "sent"
    assert not got(fake, alias) and len(got(fake, phone["token"])) == 1


def test_a_device_that_registers_again_is_reached_by_its_alias_until_its_server_has_its_node(
    push, fake, alias
):
    one, two = moved(push, alias, 2)
    body = {key: one[key] for key in ("component", "owner", "provider", "token", "dialect")}
    assert push.call("POST", "/v1/devices", body)[1]["node"] == one["node"]
    assert outcome(push, {"node": alias}) == "sent"
    assert len(got(fake, one["token"])) == 1
    assert outcome(push, one) == "sent"
    wait_until(lambda: alias_of(push, one) is None, what="the device to leave its alias")
    assert outcome(push, {"node": alias}) == "sent"
    assert len(got(fake, one["token"])) == 2 and len(got(fake, two["token"])) == 2


def test_what_waits_for_the_devices_of_an_alias_is_sent_to_each(stage, redis, fake, alias):
    push = stage.pushd("moved", redis, fake, providers=sections(fake))
    one, two = moved(push, alias, 2)
    script(fake, one["token"], 503, times=4)
    assert outcome(push, {"node": alias}) in ("queued", "sent")
    for phone in (one, two):
        wait_until(lambda: any(r["answered"] == 200 for r in got(fake, phone["token"])))
    assert alias_of(push, one) == alias == alias_of(push, two)


def test_an_alias_has_at_most_16_devices(stage, redis, fake, alias):
    push = stage.pushd("many", redis, fake, providers=sections(fake))
    phones = moved(push, alias, 16)
    status, answer = push.call("POST", "/v1/devices", claim(alias=alias))
    assert (status, answer["error"]) == (409, "conflict")
    assert outcome(push, {"node": alias}) == "sent"
    assert all(len(got(fake, phone["token"])) == 1 for phone in phones)


def test_what_can_be_no_alias_is_refused(push):
    for body in (claim(alias="0" * 32), claim(alias="x" * 513), claim(alias=""),
                 claim(FCM, dialect="p2", device_id="x", alias="01#AB")):
        status, answer = push.call("POST", "/v1/devices", body)
        assert status == 400 and answer["message"].startswith("alias"), answer


# The look at the indexes itself


def damages(device):
    """Commands that make the indexes of DEVICE wrong, one at a time."""
    node, owner = device["node"], f"og:push:owner:{device['owner']}"
    hash_of_token = hashlib.sha256(device["token"].lower().encode()).hexdigest()
    parts = (COMPONENT, device["owner"], FCM, "id", "x")
    key = hashlib.sha256("".join(part + "\0" for part in parts).encode()).hexdigest()
    yield "DEL", owner
    yield "ZADD", owner, 1, "0" * 32
    yield "ZINCRBY", owner, 1, node
    yield "DEL", f"og:push:token:{hash_of_token}"
    yield "DEL", f"og:push:key:{key}"
    yield "SET", f"og:push:key:{key}", "0" * 32
    yield "ZREM", "og:push:expiry", node
    yield "ZADD", "og:push:expiry", 1, "0" * 32
    yield "DEL", f"og:push:device:{node}"
    yield "HDEL", f"og:push:device:{node}", "expires"
    yield "HSET", f"og:push:device:{node}", "account", device["owner"]
    yield "SADD", "og:push:alias:01#AB", "0" * 32
    yield "HSET", f"og:push:device:{node}", "alias", "01#AB"
    yield "SET", f"og:push:slot:{node}", "no-note"
    yield "ZADD", "og:push:notes", 1, "no-note"
    yield "HSET", "og:push:stored", FCM, 1


def test_whatever_is_wrong_in_an_index_is_seen(stage, fake):
    redis = stage.redis()
    push = stage.pushd("broken", redis, providers=sections(fake))
    owner, token = new_owner(), claim(FCM)["token"]
    body = claim(FCM, owner=owner, token=token, dialect="p2", device_id="x")
    for n in range(len(list(damages({**body, "node": "any"})))):
        device = register(push, **body)
        check_push_indexes(redis)
        redis.command(*list(damages(device))[n])
        with pytest.raises(AssertionError):
            check_push_indexes(redis, timeout=0)
        redis.command("FLUSHALL")
