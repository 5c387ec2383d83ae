"""A Redis whose memory is bounded: told before it is full; then what was promised stays, and what
is new is refused."""

import contextlib
import json

import jsonschema
import pytest

import bytestream as bs
from component import ACCEPT, ComponentServer
from harness import ROOT, wait_until
from notify import FCM, claim, got, item, metric, outcome, publish, register, script

ADMIN = "root@example.org"
FILLER = 64 * 1024 * 1024


@pytest.fixture
def redis(stage):
    return stage.redis()


def aside(redis, command):
    """Another database than the daemons', in the same memory."""
    redis.command("EVAL", f"redis.call('SELECT', 1) return redis.call({command})", 0)


def fill(redis, percent):
    """Much more than what the server itself needs is PERCENT of its memory."""
    aside(redis, "'SETRANGE', 'filler', 62999999, 'x'")  # takes FILLER bytes
    redis.command("CONFIG", "SET", "maxmemory", FILLER * 100 // percent)


def told(link):
    while link.read(0.2):
        pass
    return [(m.get("to"), m.findtext(f"{ACCEPT}subject"), m.findtext(f"{ACCEPT}body"))
            for m in link.stanzas]


def test_all_daemons_see_that_redis_fills_and_one_message_tells_each_admin(stage, redis):
    fill(redis, 90)
    daemons = [stage.relayd(redis=redis), stage.pushd("push-1", redis, stage.providers())]
    with contextlib.closing(ComponentServer("push.example.org")) as push, contextlib.closing(
        ComponentServer("proxy.example.org")
    ) as relay:
        components = {push.domain: {**push.section, "role": "push", "admins": ADMIN},
                      relay.domain: {**relay.section, "role": "relay",
                                     "admins": f"{ADMIN}, relays@example.org"}}
        daemons.append(stage.xmppgw(redis, components))
        links = [one.accept().log_in() for one in (push, relay)]
        for daemon in daemons:
            daemon.wait_log(r"storage-filling server=127.0.0.1:\d+ percent=9\d")
            name = "outrigger_redis_memory_percent"
            found = metric(daemon, name, server=redis.url.split("//")[1].split("/")[0])
            assert 90 <= found < 100
        ((_, fields),) = redis.command("XRANGE", "og:events", "-", "+")
        event = json.loads(fields[1])
        schema = json.loads((ROOT / "schemas/storage-event.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(event)
        notes = wait_until(lambda: [all_of for all_of in [[told(link) for link in links]]
                                    if all(all_of)])
        subject = "Redis is nearly full"
        assert notes == [[[(ADMIN, subject, event["text"])],
                          [("relays@example.org", subject, event["text"])]]]
        assert redis.command("TTL", "og:warned:memory") > 80000
        aside(redis, "'DEL', 'filler'")


def test_a_full_redis_serves_the_devices_and_the_notifications_that_it_has(stage, redis):
    fake = stage.providers()
    push = stage.pushd("push-1", redis, fake)
    device, waiting, late = register(push, FCM), register(push), register(push)
    for one in (waiting, late):
        script(fake, one["token"], 503, "ServiceUnavailable")
    assert outcome(push, waiting, summary={"count": 1}) == "queued"
    redis.command("CONFIG", "SET", "maxmemory", "1")
    push.wait_log("storage-full")
    status, answer = push.call("POST", "/v1/devices", claim())
    assert (status, answer["error"]) == (503, "unavailable")
    again = register(push, **{key: device[key] for key in claim()})
    assert (again["node"], again["created"]) == (device["node"], False)
    assert outcome(push, device) == "sent"
    assert publish(push, item(late))[0]["outcome"] == "unavailable"
    redis.command("DEL", "og:registry:push:push-1")
    wait_until(lambda: redis.command("EXISTS", "og:registry:push:push-1"), what="its record")
    fake.reset()
    wait_until(lambda: got(fake, waiting["token"]), what="what had been queued")
    wait_until(lambda: not redis.command("KEYS", "og:push:note:*"), what="an empty queue")
    assert not got(fake, late["token"])


def test_a_full_redis_keeps_streams_and_refuses_new_ones(stage, redis):
    relay = stage.relayd(redis=redis, verifier="limits", transfer_update_quantization="64k")
    name, waiting = bs.new_hash(), bs.new_hash()
    here, there = bs.half(relay, name), bs.half(relay, name)
    assert bs.activate(relay, name)[0] == 200
    half = bs.half(relay, waiting)
    redis.command("CONFIG", "SET", "maxmemory", "1")
    relay.wait_log("storage-full")
    sender = bs.Sender(here, bytes(8 * 1024 * 1024), then=lambda sock: None)
    assert len(bs.exactly(there, 8 * 1024 * 1024)) == 8 * 1024 * 1024
    sender.join(60)
    assert sender.error is None
    sock, reply = bs.ask(relay, bs.new_hash())
    assert reply[:2] == b"\x05\x01"
    second = bs.half(relay, waiting)
    assert bs.activate(relay, waiting)[0] == 503
    redis.command("CONFIG", "SET", "maxmemory", "0")
    wait_until(lambda: bs.activate(relay, waiting)[0] == 200, what="its activation")
    assert half and second and sock
