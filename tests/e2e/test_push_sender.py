"""What only wires show of how pushd sends: streams that are refused, connections that end or fall
silent, the ramp of requests, proxies, paces and ways of addressing."""

import base64
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from harness import HOST, free_port, wait_until
from notify import (APNS, COMPONENT, DOMAIN, FCM, HELD, IN_FLIGHT, apns_token, got, item, known,
                    meanwhile, metric, outcome, publish, register, script)

MESSAGE = {"summary": {"count": 1, "sender": f"juliet@{DOMAIN}", "body": "hello"}}
CALL = {"priority": "high", "encrypted": {"iv": "aXY=", "payload": "Y2FsbA==", "voip": True}}
pytestmark = pytest.mark.usefixtures("fresh")


@pytest.fixture(scope="module")
def push(module_stage, redis, fake):
    sections = {id: {**section, "interval": "0"}
                for id, section in fake.provider_sections().items()}
    return module_stage.pushd("push-sender", redis, providers=sections)


def only(fake, provider=APNS, **changes):
    """The section of one provider, changed."""
    return {provider: {**fake.provider_sections()[provider], **changes}}


def header(request, name):
    return request["headers"].get(name)


def ids(fake, device):
    """The apns-id of each request for DEVICE."""
    return [header(request, "apns-id") for request in got(fake, device["token"])]


def arrivals(fake, crowd):
    """
    What was answered with 200 for each of CROWD, once all have got something; and what of it came
    twice. What came on a connection after its GOAWAY may have been above its last stream: it is
    recorded, but was perhaps not answered, so it may come once more.
    """

    def look():
        received = fake.received()
        found = {device["token"]: [] for device in crowd}
        for one in received:
            token = one["path"].rsplit("/", 1)[1]
            if one["answered"] == 200 and token in found:
                found[token].append(one)
        return found if all(found.values()) else None

    found = wait_until(look)
    ends = {}
    for one in fake.received():
        if one["answered"] == "goaway":
            ends.setdefault(one["connection"], one["n"])
    sure = [one for requests in found.values() for one in requests[:-1]
            if one["n"] < ends.get(one["connection"], 1 << 60)]
    return found, sure


def state(push, provider=APNS):
    providers = push.call("GET", "/v1/providers")[1]["providers"]
    return {one["id"]: one["state"] for one in providers}[provider]


def verdicts(push, device):
    """What the provider said of DEVICE lately."""
    return push.call("GET", f"/v1/devices/{device['node']}")[1]["verdicts"]


def devices(push, count, provider=APNS):
    return [register(push, provider) for _ in range(count)]


# Not processed: sent again at once


@pytest.mark.parametrize("fault, times", [
    ({"rst": "REFUSED_STREAM"}, 1), ({"rst": "REFUSED_STREAM"}, 3),
    ({"rst": "REFUSED_STREAM"}, 14), ({"goaway": {}}, 1)])
def test_what_was_refused_unprocessed_is_sent_again_at_once(stage, redis, fake, fault, times):
    """
    More often than attempts are counted, and than libcurl does it by itself. With pauses as after a
    fault, fourteen times would take longer than what is sent within the answer's time.
    """
    push = stage.pushd("push-refused", redis, providers=only(fake), answer_within="6s")
    device = register(push)
    script(fake, device["token"], times=times, **fault)
    assert outcome(push, device, **MESSAGE) == "sent"
    assert len(got(fake, device["token"])) == times + 1
    assert len(set(ids(fake, device))) == 1
    assert state(push) == "ready"


def test_an_answer_counts_however_much_is_said_with_it(push, fake):
    device = register(push)
    script(fake, device["token"], 200, body="x" * 100000)
    assert outcome(push, device, **MESSAGE) == "sent"
    assert len(got(fake, device["token"])) == 1


def test_connections_that_are_ended_at_once_are_not_made_again_and_again(stage, fake):
    """Apple takes rapid connecting for an attack."""
    push = stage.pushd("push-ended", stage.redis(), providers=only(fake))
    device = register(push)
    fake.script({"match": {"provider": "apns"}, "answer": {"goaway": {}}})
    assert outcome(push, device, **MESSAGE) == "queued"
    # Three strikes. libcurl 8 connects for each of its five resends too, 7.88 doesn't.
    assert fake.stats()["connections"]["accepted"] <= 3 * 6
    fake.reset()
    wait_until(lambda: got(fake, device["token"]))


def test_a_provider_that_refuses_everything_is_left_alone(stage, fake):
    push = stage.pushd("push-refuser", stage.redis(), providers=only(fake))
    crowd = devices(push, 20)
    fake.script({"match": {"provider": "apns"}, "answer": {"rst": "REFUSED_STREAM"}})
    settled = publish(push, *(item(device, **MESSAGE) for device in crowd))
    assert {one["outcome"] for one in settled} == {"queued"}
    wait_until(lambda: state(push) == "unreachable")
    assert len(fake.received()) < 200
    fake.reset()
    for device in crowd:
        wait_until(lambda: got(fake, device["token"]))


@pytest.mark.parametrize("last", ["before", "all"])
def test_a_connection_that_ends_by_goaway_loses_and_doubles_nothing(stage, redis, fake, last):
    push = stage.pushd("push-goaway", redis, providers=only(fake))
    crowd = devices(push, 200)
    publish(push, *(item(device) for device in crowd[:20]))  # opens the window
    goaway = {"debug": {"reason": "Shutdown"}}
    ends = crowd.pop(120)
    if last == "all":  # that one is answered too
        script(fake, ends["token"], 200, times=1, goaway={**goaway, "last": 0x7FFFFFFF})
    else:
        script(fake, ends["token"], times=1, goaway=goaway)
    more = [*crowd[100:120], ends, *crowd[120:]]
    settled = publish(push, *(item(device, **MESSAGE) for device in more))
    assert {one["outcome"] for one in settled} <= {"sent", "queued"}
    found, twice = arrivals(fake, crowd[100:])
    assert twice == []
    wait_until(lambda: len(got(fake, ends["token"])) == (1 if last == "all" else 2))
    assert all(len({header(one, "apns-id") for one in found[token]}) == 1 for token in found)


@pytest.mark.parametrize("provider", [APNS, FCM])
def test_what_a_goaway_leaves_unanswered_holds_nothing_up(stage, redis, fake, provider):
    """
    Streams up to the last may still be answered (RFC 9113 section 6.8), and the connection stays
    open for them. What came while the only request that a new connection may have was under way
    goes over another one, in its order; all before that request is given up and sent again.
    """
    push = stage.pushd("push-left", redis, providers=only(fake, provider), answer_within="5s")
    stuck, high, low = devices(push, 3, provider)
    script(fake, stuck["token"], times=1, goaway={"last": 1, "silent": True})
    settled = publish(push, item(stuck, **MESSAGE), item(low, priority="low"),
                      item(high, **MESSAGE))
    assert [one["outcome"] for one in settled] == ["queued", "sent", "sent"]
    wait_until(lambda: len(got(fake, stuck["token"])) == 2)
    last = [got(fake, device["token"])[-1] for device in (high, low, stuck)]
    assert last == sorted(last, key=lambda one: one["n"])
    assert last[0]["connection"] != got(fake, stuck["token"])[0]["connection"]


def test_a_call_is_the_first_after_a_goaway(stage, redis, fake):
    push = stage.pushd("push-first-call", redis, providers=only(fake), answer_within="5s")
    calls = [register(push, second_token=apns_token()) for _ in range(2)]
    stuck, call = [device["second_token"] for device in calls]
    crowd = devices(push, 3)
    script(fake, stuck, times=1, goaway={"last": 1, "silent": True})
    settled = publish(push, item(calls[0], **CALL), *map(item, crowd), item(calls[1], **CALL))
    assert [one["outcome"] for one in settled] == ["queued"] + ["sent"] * 4
    first, second, *_ = fake.received()
    assert [one["path"].rsplit("/", 1)[1] for one in (first, second)] == [stuck, call]


@pytest.mark.parametrize("provider", [APNS, FCM])
def test_what_a_goaway_refuses_is_not_held_up_either(stage, redis, fake, provider):
    """Their streams are above the last one: libcurl sends them again by itself."""
    push = stage.pushd("push-raced", redis, providers=only(fake, provider), answer_within="9s")
    warm = devices(push, 20, provider)
    publish(push, *map(item, warm))  # opens the window
    stuck, *crowd = devices(push, 30, provider)
    last = 2 * len(warm) + 1  # the number of its stream
    fake.script({"match": {"provider": provider.split("-")[0], "times": len(crowd)},
                 "answer": {"silent": True}})
    script(fake, stuck["token"], times=1, delay_ms=HELD, goaway={"last": last, "silent": True})
    with ThreadPoolExecutor() as pool:
        silent = pool.submit(outcome, push, stuck, deadline_ms=30000)
        wait_until(lambda: got(fake, stuck["token"]))
        work = pool.submit(publish, push, *map(item, crowd), deadline_ms=30000)
        wait_until(lambda: all(got(fake, device["token"]) for device in crowd))
        fake.hasten()
        assert {one["outcome"] for one in work.result()} == {"sent"}
        assert silent.result() in ("queued", "sent")
    again = [both for device in crowd if len(both := got(fake, device["token"])) == 2]
    assert again and all(one["connection"] != other["connection"] for one, other in again)


# No answer: sent again with the same id


def test_after_silence_the_same_notification_comes_with_the_same_id(stage, redis, fake):
    push = stage.pushd("push-silent", redis, providers=only(fake))
    device = register(push)
    script(fake, device["token"], times=1, silent=True)
    assert outcome(push, device, **MESSAGE) == "queued"
    wait_until(lambda: len(got(fake, device["token"])) == 2)
    first, second = got(fake, device["token"])
    assert header(first, "apns-id") == header(second, "apns-id")
    assert header(first, "apns-expiration") == header(second, "apns-expiration")
    assert first["connection"] != second["connection"]
    assert (first["body"], second["answered"]) == (second["body"], 200)


def test_a_broken_connection_sends_the_same_id_again_in_time(stage, redis, fake):
    push = stage.pushd("push-broken", redis, providers=only(fake))
    device = register(push)
    script(fake, device["token"], times=1, close=True)
    assert outcome(push, device, **MESSAGE) == "sent"
    assert len(ids(fake, device)) == 2 and len(set(ids(fake, device))) == 1


def test_what_was_accepted_is_never_sent_twice(stage, redis, fake):
    """Answers arrive while connections end, of which libcurl 7.88 makes errors."""
    push = stage.pushd("push-once", redis, providers=only(fake))
    crowd = devices(push, 600)
    publish(push, *(item(device) for device in crowd[:30]))
    fake.script({"match": {"provider": "apns", "every": 97}, "answer": {"goaway": {}}})
    for begin in range(30, 600, 190):
        publish(push, *(item(device, **MESSAGE) for device in crowd[begin:begin + 190]))
    _, twice = arrivals(fake, crowd)
    assert twice == []


# The ramp


def test_a_connection_begins_with_one_request_and_after_a_rejection_again(stage, redis, fake):
    """The fake ends a connection with more streams than it allows, as Apple does."""
    push = stage.pushd("push-ramp", redis, providers=only(fake), answer_within="60s")
    crowd = devices(push, 250)
    bad = crowd[100]
    script(fake, bad["token"], 400, "BadDeviceToken")
    settled = publish(push, *(item(device) for device in crowd), deadline_ms=60000)
    assert settled.pop(100)["outcome"] == "unavailable"
    assert {one["outcome"] for one in settled} == {"sent"}
    assert known(push, bad)
    stats = fake.stats()
    assert stats["streams"]["most_per_connection"] > 1
    assert len({one["connection"] for one in fake.received() if one["provider"] == "apns"}) == 1


def test_tokens_that_were_made_up_hold_up_no_device_that_something_was_sent_to(stage, redis, fake):
    """They are rejected on connections of their own, where each is followed by one request."""
    push = stage.pushd("push-made-up", redis, providers=only(fake), answer_within="60s")
    proven, made_up = devices(push, 10), devices(push, 10)
    publish(push, *map(item, proven))
    recorded = lambda device: redis.command("HEXISTS", f"og:push:device:{device['node']}", "proven")
    wait_until(lambda: all(map(recorded, proven)), what="the successes to be recorded")
    publish(push, *map(item, proven))
    for device in made_up:
        script(fake, device["token"], 400, "BadDeviceToken")
    settled = publish(push, *map(item, made_up))
    assert {one["outcome"] for one in settled} == {"unavailable"}
    fake.script({"match": {"provider": "apns"}, "answer": {"delay_ms": HELD}})
    look = lambda: wait_until(lambda: metric(push, IN_FLIGHT) == len(proven))
    settled = meanwhile(push, look, *map(item, proven), fake=fake, deadline_ms=60000)
    assert {one["outcome"] for one in settled} == {"sent"}
    last = lambda device: got(fake, device["token"])[-1]["connection"]
    assert set(map(last, proven)).isdisjoint(map(last, made_up))


def test_only_the_first_goes_until_it_is_answered(stage, redis, fake):
    """Whatever the provider allows: it shows whether the others would be rejected."""
    push = stage.pushd("push-first", redis, providers=only(fake), answer_within="60s")
    crowd = devices(push, 30)
    fake.script({"match": {"provider": "apns", "times": 1}, "answer": {"delay_ms": HELD}})

    def look():
        wait_until(fake.received)
        assert metric(push, IN_FLIGHT) == 1

    meanwhile(push, look, *map(item, crowd), fake=fake, deadline_ms=60000)
    assert len(fake.received()) == 30


def test_pool_size_connections_share_the_load(stage, redis, fake):
    push = stage.pushd("push-pool", redis, providers=only(fake, pool_size=3))
    fake.script({"match": {"provider": "apns"}, "answer": {"delay_ms": 20}})
    publish(push, *(item(device) for device in devices(push, 60)))
    assert len({one["connection"] for one in fake.received()}) == 3


# Proxies


class ConnectProxy:
    """An HTTP proxy that does CONNECT and nothing else; what it was asked for is in self.asked."""

    def __init__(self, credentials=None):
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        self.wanted = credentials and base64.b64encode(credentials.encode()).decode()
        self.asked = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.tunnel, args=(near,), daemon=True).start()

    def tunnel(self, near):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += near.recv(1)
        text = head.decode()
        self.asked.append(text.split()[1])
        if self.wanted and f"Proxy-Authorization: Basic {self.wanted}\r\n" not in text:
            near.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n"
                         b"Proxy-Authenticate: Basic realm=x\r\n\r\n")
            near.close()
            return
        host, port = text.split()[1].rsplit(":", 1)
        far = socket.create_connection((host, int(port)))
        near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        for pair in ((near, far), (far, near)):
            threading.Thread(target=pass_on, args=pair, daemon=True).start()

    def close(self):
        self.listener.close()


def pass_on(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@contextmanager
def proxied(credentials=None):
    proxy = ConnectProxy(credentials)
    try:
        yield proxy
    finally:
        proxy.close()


def test_all_that_goes_to_a_provider_goes_through_its_proxy(stage, redis, fake):
    with proxied("push:s3cret") as proxy:
        via = f"http://push:s3cret@{HOST}:{proxy.port}"
        sections = {**only(fake, http_proxy=via), **only(fake, FCM, http_proxy=via)}
        push = stage.pushd("push-proxied", redis, providers=sections)
        for provider in (APNS, FCM):
            assert outcome(push, register(push, provider), **MESSAGE) == "sent"
        here = fake.url.removeprefix("https://")
        # a connection for each provider, and one for the access token
        assert proxy.asked == [here] * 3
        assert "s3cret" not in push.log_text()


def test_a_proxy_that_refuses_us_makes_the_provider_unreachable(stage, fake):
    with proxied("push:right") as proxy:
        via = f"http://push:wrong-one@{HOST}:{proxy.port}"
        push = stage.pushd("push-407", stage.redis(), providers=only(fake, http_proxy=via))
        device = register(push)
        assert outcome(push, device) == "queued"
        wait_until(lambda: state(push) == "unreachable")
        assert got(fake, device["token"]) == []
        assert "407" in push.log_text() and "wrong-one" not in push.log_text()


def test_a_proxy_of_a_usual_make_serves(stage, redis, fake, tmp_path):
    """HAProxy in TCP mode stands for whatever forwards to the provider under another address."""
    port = free_port()
    here = fake.url.removeprefix("https://")
    config = tmp_path / "haproxy.cfg"
    config.write_text(f"""defaults
 mode tcp
 timeout connect 2s
 timeout client 60s
 timeout server 60s
listen fake
 bind {HOST}:{port}
 server one {here}
""")
    haproxy = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(config)])
    try:
        sections = only(fake, endpoint=f"https://{HOST}:{port}")
        push = stage.pushd("push-haproxy", redis, providers=sections)
        wait_until(lambda: outcome(push, register(push)) == "sent")
    finally:
        haproxy.terminate()
        haproxy.wait()


def check(stage, redis, providers):
    """Status and complaints of -n on the configuration of a pushd that isn't started."""
    push = stage.pushd("push-check", redis, providers=providers, start=False)
    push.log.touch()
    command = [stage.binary("pushd"), "-n", "-c", push.config]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize("change, complaint", [
    ({"http_proxy": "socks5://127.0.0.1:1080"}, "http-proxy must be"),
    ({"http_proxy": "http://127.0.0.1"}, "http-proxy must be"),
    ({"http_proxy": "http://push:1080@127.0.0.1:65536"}, "http-proxy must be"),
    ({"http_proxy": "http://push:10#1080@127.0.0.1:3128"}, "http-proxy must be"),
    ({"other_endpoint": "http://127.0.0.1"}, "other-endpoint must be https"),
    ({"try_other_environment": "yes"}, "needs other-endpoint"),
    ({"environment": "staging"}, "environment"),
    ({"address": "fid"}, "address is for kind fcm"),
])
def test_what_cannot_be_meant_is_refused_at_the_start(stage, redis, fake, change, complaint):
    status, text = check(stage, redis, only(fake, **change))
    assert status == 1 and complaint in text and "1080" not in text


def test_environments_are_apples_alone(stage, redis, fake):
    status, text = check(stage, redis, only(fake, FCM, environment="sandbox"))
    assert status == 1 and "for kind apns" in text


# Environments


def test_a_connection_is_never_shared_between_the_two_environments(stage, redis, fake):
    sections = only(fake, try_other_environment="yes", other_endpoint=fake.sandbox_url)
    push = stage.pushd("push-worlds", redis, providers=sections)
    store, development = devices(push, 2)
    fake.environments(production=[store["token"]], sandbox=[development["token"]])
    settled = publish(push, item(store), item(development))
    assert [one["outcome"] for one in settled] == ["sent", "sent"]
    answers = [one["answered"] for one in got(fake, development["token"])]
    assert answers == [400, 200] and len(set(ids(fake, development))) == 1
    away, = {one["connection"] for one in got(fake, development["token"])
             if one["answered"] == 200}
    assert away not in {one["connection"] for one in got(fake, store["token"])}


def test_a_token_that_is_bad_in_both_environments_is_suspect_and_kept(stage, redis, fake):
    sections = only(fake, try_other_environment="yes", other_endpoint=fake.sandbox_url)
    push = stage.pushd("push-nowhere", redis, providers=sections)
    device = register(push)
    script(fake, device["token"], 400, "BadDeviceToken")
    settled = publish(push, item(device))
    assert settled == [{"outcome": "unavailable", "reason": "BadDeviceToken"}]
    assert len(got(fake, device["token"])) == 2 and known(push, device)


def test_a_key_that_is_closed_to_the_other_environment_closes_nothing_here(stage, redis, fake):
    sections = only(fake, try_other_environment="yes", other_endpoint=fake.sandbox_url)
    push = stage.pushd("push-scoped", redis, providers=sections)
    device, second, other = devices(push, 3)
    fake.environments(sandbox=[device["token"], second["token"]])
    fake.script({"match": {"environment": "sandbox"},
                 "answer": {"status": 403, "reason": "BadEnvironmentKeyIdInToken"}})
    for bad in (device, second):  # the second one isn't even tried there
        assert publish(push, item(bad)) == [{"outcome": "unavailable", "reason": "BadDeviceToken"}]
        wait_until(lambda: [verdict["reason"] for verdict in verdicts(push, bad)]
                   == ["BadDeviceToken"], what="it to be told of the device")
    assert state(push) == "ready" and outcome(push, other) == "sent"


def test_at_a_pace_neither_environment_waits_for_the_other(stage, fake):
    """Both are sent to with one credential, which rate-max is for."""
    sections = only(fake, try_other_environment="yes", other_endpoint=fake.sandbox_url,
                    rate_max="10")
    push = stage.pushd("push-fair", stage.redis(), providers=sections)
    development, *crowd = devices(push, 161)
    fake.environments(sandbox=[development["token"]])

    def flood():
        for at in range(0, len(crowd), 5):
            publish(push, *(item(device) for device in crowd[at:at + 5]), deadline_ms=200)

    with ThreadPoolExecutor() as pool:
        work = pool.submit(flood)
        wait_until(lambda: len(fake.received()) > 10, what="more than can be sent")
        publish(push, item(development))
        wait_until(lambda: "sandbox" in [one["environment"] for one in fake.received()],
                   what="the development build's push")
        assert len(fake.received()) < len(crowd)
        work.result()


# Ways of addressing, and what is told


def test_installation_ids_are_sent_as_such(stage, redis, fake):
    push = stage.pushd("push-fid", redis, providers=only(fake, FCM, address="fid"))
    device = register(push, FCM, token="cT0kenOf22Characters_-")
    assert outcome(push, device, **MESSAGE) == "sent"
    request, = [one for one in fake.received() if one["provider"] == "fcm"]
    message = request["body"]["message"]
    assert message["fid"] == device["token"] and "token" not in message


def test_an_app_that_is_only_woken_is_told_its_account_and_nothing_else(stage, redis, fake):
    push = stage.pushd("push-p2", redis, providers=only(fake, FCM))
    device = register(push, FCM, dialect="p2", device_id="92afd7a91cdba9a0")
    secret = {"secret": device["secret"]}
    settled = publish(push, item(device, **MESSAGE, **secret))
    assert settled[0]["outcome"] == "sent"
    request, = [one for one in got(fake, device["token"])]
    data = request["body"]["message"]["data"]
    assert list(data) == ["account"] and len(data["account"]) == 40
    assert device["owner"] not in str(request["body"])


def test_a_dismissal_replaces_what_the_device_has_not_got_and_a_message_does_not(push, fake):
    apple, android = register(push), register(push, FCM)
    for device in (apple, android):
        publish(push, item(device, **MESSAGE))
        wait_until(lambda: outcome(push, device, summary={"count": 0}) == "sent")
    first, second = got(fake, apple["token"])
    assert header(first, "apns-collapse-id") is None
    assert 0 < len(header(second, "apns-collapse-id")) <= 64
    assert apple["node"] not in header(second, "apns-collapse-id")
    first, second = (one["body"]["message"]["android"] for one in got(fake, android["token"]))
    assert "collapse_key" not in first and second["collapse_key"]


# Paces


def test_no_more_than_rate_max_go_in_a_second(stage, fake):
    push = stage.pushd("push-paced", stage.redis(), providers=only(fake, rate_max=20))
    crowd = devices(push, 60)
    begin = time.monotonic()
    settled = publish(push, *(item(device) for device in crowd))
    assert {one["outcome"] for one in settled} <= {"sent", "queued"}
    for device in crowd:
        wait_until(lambda: got(fake, device["token"]))
    assert time.monotonic() - begin > (60 - 6) / 20 - 0.2
    assert len(fake.received()) == 60


def test_a_rejected_credential_is_not_hammered_and_nothing_new_is_queued(stage, redis, fake):
    push = stage.pushd("push-403", redis, providers=only(fake))
    crowd = devices(push, 40)
    fake.script({"match": {"provider": "apns"},
                 "answer": {"status": 403, "reason": "InvalidProviderToken"}})
    settled = publish(push, *(item(device) for device in crowd))
    assert {one["outcome"] for one in settled} == {"unavailable"}
    assert state(push) == "credential" and len(fake.received()) <= 2
    removed = "outrigger_pushd_provider_devices_removed_total"
    assert metric(push, removed, provider=APNS) == 0
    fake.reset()
    wait_until(lambda: outcome(push, crowd[0]) == "sent")
    assert state(push) == "ready"


def test_each_failed_notification_has_its_line_without_token_or_text(stage, redis, fake):
    push = stage.pushd("push-lines", redis, providers=only(fake))
    device = register(push, token=apns_token())
    script(fake, device["token"], 400, "BadTopic")
    publish(push, item(device, **MESSAGE))
    found = push.wait_log(r"notification-failed provider=(\S+) node=(\S+) id=(\S+) status=(\S+) "
                          r"reason=(\S+) outcome=(\S+)")
    assert found.groups() == (APNS, device["node"][:6], ids(fake, device)[0], "400", "BadTopic",
                              "unavailable")
    assert device["token"] not in push.log_text() and "hello" not in push.log_text()
    assert COMPONENT not in found.group(0)
