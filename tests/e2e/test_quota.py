"""Quotas: leases that never pass a limit and reach it to the byte; months, records, events."""

import calendar
import functools
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

import jsonschema
import pytest

import bytestream as bs
from harness import ROOT, wait_until

KIB, MIB = 1 << 10, 1 << 20
ROMEO, JULIET = "romeo@example.org", "juliet@example.net"


def about(first=ROMEO, second=JULIET, component="proxy.example.org", charged=(True, True)):
    parties = [{"user": user, "domain": user.split("@")[1]} for user in (first, second)]
    for party, counts in zip(parties, charged):
        party.update({} if counts else {"charged": False})
    tag = {"component": component, "requester": f"{first}/one", "target": f"{second}/two"}
    return {"parties": parties, "deadline_ms": 5000, "tag": tag}


def limited(stage, redis, name="relay-1", start=True, **keys):
    """A relay that knows limits; bare numbers are MB."""
    return stage.relayd(name, redis, start, verifier="limits", **keys)


def pair(relay, about_it=None, **options):
    """An active stream: (first, second, hash)."""
    name = bs.new_hash()
    first, second = bs.half(relay, name), bs.half(relay, name, **options)
    status, body = bs.activate(relay, name, about_it or about())
    assert (status, body) == (200, {"hash": name, "state": "active"})
    return first, second, name


def denial(relay, about_it=None):
    """A stream that may not be activated: (status, body). A denial resets its halves."""
    name = bs.new_hash()
    halves = bs.half(relay, name), bs.half(relay, name)
    answer = bs.activate(relay, name, about_it or about())
    if answer[0] == 403:
        schema("denied.response.json").validate(answer[1])
        assert [bs.to_end(sock) for sock in halves] == [(b"", "reset")] * 2
        assert reason(relay, name) == "denied"
    for sock in halves:
        sock.close()
    return answer


def reason(relay, name):
    return relay.wait_log(rf"stream-ended id={name} reason=(\S+)").group(1)


def usage(relay, account, kind=None):
    """What counts as used this month; None if there is no such ledger."""
    status, body = relay.call("GET", f"/v1/usage?account={account}")
    assert status == 200
    rows = {row["kind"]: row["bytes"] for row in body["usage"]}
    return rows.get(kind or ("user" if "@" in account else "domain"))


def set_limits(relay, account, **limits):
    status, row = relay.call("PUT", f"/v1/limits/{account}", limits)
    assert status == 200
    assert row == {"account": account, "file": 0, "user": 0, "domain": 0, **limits}


def transfers(relay):
    """All records, page by page."""
    rows, after = [], ""
    while after is not None:
        status, page = relay.call("GET", f"/v1/transfers?limit=7{after and '&after=' + after}")
        assert status == 200
        rows += page["transfers"]
        after = page["next"]
    return rows


def record_of(relay, name):
    def look():
        return [row for row in transfers(relay) if row["hash"] == name]

    (row,) = wait_until(look, what="the transfer's record")
    return row


@functools.cache
def schema(name):
    return jsonschema.Draft202012Validator(json.loads((ROOT / "schemas/relayd" / name).read_text()))


def events(redis, name=None):
    """The events that were written (about the stream NAME), in their order."""
    found = [json.loads(fields[1]) for _, fields in redis.command("XRANGE", "og:events", "-", "+")]
    for event in found:
        schema("event.json").validate(event)
    return [event for event in found if name in (None, event["hash"])]


def metric(relay, name):
    for line in relay.call("GET", "/metrics", token=None)[1].splitlines():
        if line.startswith(f"outrigger_relayd_{name} "):
            return float(line.split()[-1])
    return None


def ended(sender):
    """Why it could not send all, once it is over."""
    sender.join(60)
    assert not sender.is_alive()
    return sender.error


def send_through(first, second, size):
    """Sends SIZE bytes and reads them; nobody closes."""
    sender = bs.Sender(first, os.urandom(size), then=lambda sock: None)
    assert len(bs.exactly(second, size)) == size
    assert ended(sender) is None


@pytest.fixture(scope="module")
def relay(module_stage, redis):
    """One relay without default limits that tests share which make their own accounts."""
    return limited(module_stage, redis, "relay-shared")


count = iter(range(1, 1000000))


def new_user(domain=None):
    return f"user{next(count)}@{domain or f'domain{next(count)}.example'}"


# One stream


def test_a_transfer_is_charged_to_the_byte_and_to_everyone_once(relay):
    one, other = new_user(), new_user()
    before = usage(relay, "global", "global") or 0
    first, second, name = pair(relay, about(one, other))
    send_through(first, second, 3 * MIB + 5)
    send_through(second, first, 1000)
    first.close()
    second.close()
    assert reason(relay, name) == "completed"
    expected = 3 * MIB + 1005
    for account in (one, other, one.split("@")[1], other.split("@")[1]):
        wait_until(lambda: usage(relay, account) == expected, what=f"what {account} has used")
    assert usage(relay, "global", "global") - before == expected
    assert usage(relay, "relay-shared", "instance") == usage(relay, "global", "global")


def test_a_party_that_is_not_charged_is_recorded_and_counted_nowhere(relay, redis):
    one, victim = new_user(), new_user()
    set_limits(relay, victim, user=100, file=-1)
    before = usage(relay, "global", "global") or 0
    first, second, name = pair(relay, about(one, victim, charged=(True, False)))
    send_through(first, second, MIB)
    first.close()
    second.close()
    assert reason(relay, name) == "completed"
    wait_until(lambda: usage(relay, one) == MIB, what=f"what {one} has used")
    assert usage(relay, victim) is usage(relay, victim.split("@")[1]) is None
    assert usage(relay, "global", "global") - before == MIB
    row = record_of(relay, name)
    schema("record.json").validate({key: row[key] for key in row if key != "id"})
    assert [party["user"] for party in row["parties"]] == [one, victim]
    assert [party.get("charged", True) for party in row["parties"]] == [True, False]


def test_strangers_names_leave_no_rows_behind(stage):
    redis = stage.redis()
    relay = limited(stage, redis)
    set_limits(relay, "example.org", user=1 << 40)
    for i in range(20):
        target = f"{'x' * 1000}{i}@{'y' * 1000}{i}.example"
        first, second, _ = pair(relay, about(ROMEO, target, charged=(True, False)))
        first.close()
        second.close()
    relay.wait_log("stream-ended", count=20)
    assert redis.command("ZRANGE", "og:limits", 0, -1) == ["example.org"]
    ledgers = redis.command("ZRANGE", f"og:ledgers:{this_month()}", 0, -1)
    assert ledgers == ["domain:example.org", "global", "instance:relay-1", f"user:{ROMEO}"]


def test_a_name_of_more_than_512_bytes_is_not_charged(relay):
    longest = "x" * (512 - len("@a.example")) + "@a.example"
    send_through(*pair(relay, about(longest, new_user()))[:2], 1000)
    assert relay.call("PUT", f"/v1/limits/{longest}", {"user": 1})[0] == 200
    for wrong in (about("x" + longest), about(new_user(), new_user("b" * 513))):
        status, body = denial(relay, wrong)
        assert (status, body["error"]) == (400, "bad_request")
        assert "1 to 512 bytes" in body["message"]
    for method, path, body in (
        ("PUT", f"/v1/limits/x{longest}", {"user": 1}),
        ("PUT", f"/v1/usage/x{longest}/imported", {"bytes": 1}),
    ):
        status, answer = relay.call(method, path, body)
        assert (status, answer["error"]) == (400, "bad_request")
    assert relay.call("GET", f"/v1/limits/x{longest}")[0] == 404


def test_one_user_with_two_clients_is_charged_once(relay):
    user = new_user()
    first, second, name = pair(relay, about(user, user))
    send_through(first, second, 70000)
    first.close()
    second.close()
    wait_until(lambda: usage(relay, user) == usage(relay, user.split("@")[1]) == 70000)


def test_a_limit_in_the_middle_delivers_what_was_leased_and_ends_the_stream(relay, redis):
    one, other = new_user(), new_user()
    limit = 5 * MIB + 12345
    set_limits(relay, one, user=limit)
    first, second, name = pair(relay, about(one, other))
    sender, receiver = bs.Sender(first, bytes(32 * MIB)), bs.Receiver(second)
    assert receiver.result()[0] == limit
    assert receiver.ended == "reset"  # a FIN would make the file look whole
    assert isinstance(ended(sender), OSError)
    assert reason(relay, name) == "over-limit"
    assert usage(relay, one) == usage(relay, other) == limit
    row = record_of(relay, name)
    assert (row["reason"], row["bytes"]) == ("over-limit", [limit, 0])
    (event,) = events(redis, name)
    text = f"Stream closed due to exceeded transfer quota for user {one}"
    assert event["type"] == "over-limit" and event["reason"] == text
    assert event["explanation"].startswith(f"The transfer quota of {one}, 5.01 MB a month, is used")
    assert (event["component"], event["requester"]) == ("proxy.example.org", f"{one}/one")
    assert event["target"] == f"{other}/two"
    assert abs(event["at_ms"] - time.time() * 1000) < 60000
    assert metric(relay, 'streams_ended_total{reason="over-limit"}') >= 1
    assert metric(relay, 'lease_calls_total{verdict="over-limit"}') >= 1


def test_a_limit_is_met_to_the_byte_at_a_rate_too(stage):
    relay = limited(stage, stage.redis(), stream_rate="8M", user_rate="8M", relay_rate="8M")
    limit = 3 * MIB + 12345
    set_limits(relay, ROMEO, user=limit)
    first, second, name = pair(relay)
    sender, receiver = bs.Sender(first, bytes(16 * MIB)), bs.Receiver(second)
    assert receiver.result()[0] == limit
    assert isinstance(ended(sender), OSError)
    assert reason(relay, name) == "over-limit"
    wait_until(lambda: usage(relay, ROMEO) == usage(relay, JULIET) == limit)


def test_a_transfer_that_is_as_long_as_its_limit_is_complete(relay, redis):
    one, other = new_user(), new_user()
    set_limits(relay, one, user=2 * MIB, file=2 * MIB)
    first, second, name = pair(relay, about(one, other))
    bs.Sender(first, os.urandom(2 * MIB))
    assert bs.Receiver(second).result()[0] == 2 * MIB
    second.close()
    assert reason(relay, name) == "completed"
    assert usage(relay, one) == 2 * MIB
    assert not events(redis, name)


def test_the_file_limit_counts_both_directions_of_one_transfer(relay):
    one, other = new_user(), new_user()
    set_limits(relay, other, file=MIB)
    for _ in range(2):
        first, second, name = pair(relay, about(one, other))
        send_through(second, first, 300000)
        bs.Sender(first, os.urandom(2 * MIB))
        assert bs.Receiver(second).result()[0] == MIB - 300000
        first.close()
        assert reason(relay, name) == "over-limit"
        assert record_of(relay, name)["bytes"] == [MIB - 300000, 300000]
    wait_until(lambda: usage(relay, other) == 2 * MIB)


def test_a_slow_reader_still_gets_all_that_was_leased_when_the_limit_is_reached(relay):
    one, other = new_user(), new_user()
    set_limits(relay, one, user=3 * MIB)
    first, second, name = pair(relay, about(one, other), receive_buffer=65536)
    data = os.urandom(6 * MIB)
    bs.Sender(first, data)
    wait_until(lambda: usage(relay, one) == 3 * MIB, what="the limit to be leased")
    receiver = bs.Receiver(second, pause=0.003, per_read=20000)
    assert receiver.result()[0] == 3 * MIB
    assert receiver.ended == "reset"
    assert reason(relay, name) == "over-limit"


def test_what_was_read_for_a_reader_that_stalls_still_arrives_when_the_limit_is_reached(relay):
    one, other = new_user(), new_user()
    set_limits(relay, one, user=24 * MIB)
    first, second, name = pair(relay, about(one, other), receive_buffer=65536)
    # Enough to fill all buffers up to SECOND, and a pipe; but not the way from FIRST, too: a kernel
    # that has dropped something for want of memory takes no acknowledgements until it is read.
    bs.Sender(first, bytes(5 * MIB), then=lambda sock: None)
    assert wait_until(lambda: is_stuck(relay, name), what="a full pipe") < 24 * MIB
    back = bs.Receiver(first)
    answerer = Flood(second, pause=0.001)
    wait_until(lambda: relay.call("GET", f"/v1/streams/{name}")[1]["state"] == "closing")
    taken = relay.call("GET", f"/v1/streams/{name}")[1]["halves"][0]["received"]
    there = bs.Receiver(second, pause=0.001, per_read=50000)
    assert there.result()[0] + back.result()[0] == 24 * MIB
    assert there.result()[0] == taken  # a kernel that made room late let some more in
    answerer.stop()
    assert there.ended == "reset" or answerer.reset
    second.close()
    assert reason(relay, name) == "over-limit"


def test_a_client_that_reads_only_after_it_has_sent_gets_all_that_was_counted(relay):
    one, other = new_user(), new_user()
    limit = 20 * MIB
    set_limits(relay, one, user=limit)
    first, second, name = pair(relay, about(one, other), receive_buffer=65536)
    there = bs.Sender(first, bytes(5 * MIB), then=lambda sock: None)
    assert ended(there) is None
    sent = threading.Event()
    bs.Sender(second, bytes(limit), then=lambda sock: sent.set())
    back = bs.Receiver(first)
    # SECOND could never send all of it if the relay read nothing after the limit.
    assert sent.wait(60)
    count, how = len_of_end(second)
    assert (count + back.result()[0], how, back.ended) == (limit, "reset", "reset")
    assert reason(relay, name) == "over-limit"


def test_a_client_that_ends_after_the_limit_still_gets_all_that_was_counted(relay, redis):
    one, other = new_user(), new_user()
    data = os.urandom(100000)
    set_limits(relay, one, user=len(data) + 7000)
    first, second, name = pair(relay, about(one, other), receive_buffer=8192)
    bs.Sender(first, data)
    path = f"/v1/streams/{name}"
    wait_until(lambda: relay.call("GET", path)[1]["halves"][1]["sent"] == len(data))
    bs.Sender(second, bytes(50000), then=lambda sock: None)
    wait_until(lambda: events(redis, name), what="the limit to be reached")
    second.shutdown(socket.SHUT_WR)  # which is no failure, though the other way has ended, too
    got, _ = slowly(second)
    assert got == data
    assert bs.to_end(first) == (bytes(7000), "reset")
    assert reason(relay, name) == "over-limit"


def slowly(sock):
    """As bs.to_end()."""
    parts = []
    try:
        while part := sock.recv(2000):
            parts.append(part)
            time.sleep(0.005)
    except ConnectionResetError:
        return b"".join(parts), "reset"
    return b"".join(parts), "end"


def len_of_end(sock):
    data, how = bs.to_end(sock)
    return len(data), how


def test_a_denial_resets_both_halves_and_says_who_was_denied_what(relay):
    one, other = new_user(), new_user()
    set_limits(relay, one, user=-1)
    status, body = denial(relay, about(other, one))
    assert (status, body["account"], body["limit"]) == (403, one, -1)
    assert body["explanation"] == f"File transfers are not allowed for {one}."
    relay.wait_log(rf"activation-denied id=\S+ requester={other} target={one} "
                   rf"ledger=user:{one} limit=-1")
    assert not [row for row in transfers(relay) if one in str(row)]


def is_stuck(relay, name):
    """The bytes read from the first half, once they don't grow any more."""
    before = relay.call("GET", f"/v1/streams/{name}")[1]["halves"][0]["received"]
    time.sleep(0.3)
    after = relay.call("GET", f"/v1/streams/{name}")[1]["halves"][0]["received"]
    return after if before == after and after > 0 else None


def test_a_domains_limit_is_shared_by_its_users(relay):
    domain = f"domain{next(count)}.example"
    set_limits(relay, domain, domain=2 * MIB)
    first, second, name = pair(relay, about(new_user(domain), new_user()))
    send_through(first, second, MIB + 1)
    first.close()
    second.close()
    reason(relay, name)
    first, second, name = pair(relay, about(new_user(), new_user(domain)))
    bs.Sender(first, bytes(4 * MIB))
    assert bs.Receiver(second).result()[0] == MIB - 1
    assert reason(relay, name) == "over-limit"
    status, body = denial(relay, about(new_user(domain), new_user()))
    assert (status, body["error"], body["account"]) == (403, "over_limit", domain)
    assert body["limit"] == 2 * MIB
    assert body["message"] == f"Transfer denied due to exceeded transfer quota for domain {domain}"


def test_each_limit_is_the_users_else_the_domains_else_the_default(stage):
    relay = limited(stage, stage.redis(), default_user_limit="3", default_file_limit="100k")
    domain = "example.org"
    set_limits(relay, domain, user=200000, file=150000)
    set_limits(relay, ROMEO, user=290000)
    for user, size, kind in (
        ("mercutio@example.com", 100 * KIB, "single file"),
        (f"benvolio@{domain}", 150000, "single file"),
        (f"benvolio@{domain}", 50000, f"user benvolio@{domain}"),
        (ROMEO, 150000, "single file"),
        (ROMEO, 140000, f"user {ROMEO}"),
    ):
        set_limits(relay, JULIET, user=1 << 40, file=1 << 40)
        first, second, name = pair(relay, about(user, JULIET))
        bs.Sender(first, bytes(4 * MIB))
        assert bs.Receiver(second).result()[0] == size
        assert reason(relay, name) == "over-limit"
        event = wait_until(lambda: events(redis_of(relay), name))[0]
        assert kind in event["reason"]


def redis_of(relay):
    (found,) = [process for process in relay.stage.processes if process.name == "redis"]
    return found


def test_minus_one_forbids_and_zero_is_no_limit(stage):
    redis = stage.redis()
    relay = limited(stage, redis, default_user_limit="-1")
    status, body = denial(relay)
    assert status == 403
    assert (body["error"], body["account"], body["limit"]) == ("forbidden", ROMEO, -1)
    assert body["message"] == f"Transfers are forbidden for user {ROMEO}"
    for user in (ROMEO, JULIET):
        set_limits(relay, user, user=1 << 50)
    send_through(*pair(relay)[:2], 100000)
    set_limits(relay, "example.net", file=-1)
    assert denial(relay)[1]["account"] == JULIET
    set_limits(relay, JULIET, user=1 << 50, file=1 << 50)
    send_through(*pair(relay)[:2], 100000)
    relay.configure({"daemon": {**relay.sections["daemon"], "default_user_limit": "0"}})
    os.kill(relay.pid, signal.SIGHUP)  # limits change in the running daemon
    other = about("anyone@example.com", "else@example.com")
    wait_until(lambda: denial(relay, other)[0] == 200)


SHARED_LIMITS = [("global_limit", "global"), ("instance_limit", "relay-1")]


@pytest.mark.parametrize("key, account", SHARED_LIMITS)
def test_the_limits_of_the_instance_and_of_all(stage, key, account):
    redis = stage.redis()
    relay = limited(stage, redis, **{key: "1500k"})
    first, second, name = pair(relay, about(new_user(), new_user()))
    bs.Sender(first, bytes(8 * MIB))
    assert bs.Receiver(second).result()[0] == 1500 * KIB
    assert reason(relay, name) == "over-limit"
    status, body = denial(relay, about(new_user(), new_user()))
    assert (status, body["account"], body["limit"]) == (403, account, 1500 * KIB)
    if account == "global":
        assert body["message"] == "Transfer denied due to exceeded global transfer quota"
        other = limited(stage, redis, "relay-2", global_limit="1500k")
        assert denial(other, about(new_user(), new_user()))[0] == 403
    else:
        assert body["message"].endswith("transfer quota for instance relay-1")
        other = limited(stage, redis, "relay-2", instance_limit="1500k")
        send_through(*pair(other, about(new_user(), new_user()))[:2], 1500 * KIB)


def test_a_credit_lets_a_blocked_user_go_on(relay):
    one, other = new_user(), new_user()
    set_limits(relay, one, user=MIB)
    first, second, name = pair(relay, about(one, other))
    bs.Sender(first, bytes(2 * MIB))
    assert bs.Receiver(second).result()[0] == MIB
    status, body = denial(relay, about(one, other))
    assert (status, body["error"], body["account"]) == (403, "over_limit", one)
    status, body = relay.call("POST", f"/v1/usage/{one}/credit", {"bytes": 70000})
    assert (status, body["account"], body["kind"]) == (200, one, "user")
    assert body["bytes"] == usage(relay, one) == MIB - 70000
    first, second, name = pair(relay, about(one, other))
    bs.Sender(first, bytes(2 * MIB))
    assert bs.Receiver(second).result()[0] == 70000
    domain = other.split("@")[1]
    body = relay.call("POST", f"/v1/usage/{domain}/credit", {"bytes": 1 << 40})[1]
    assert (body["account"], body["kind"], body["bytes"]) == (domain, "domain", 0)
    assert usage(relay, domain) == 0


def test_what_another_proxy_counted_counts_and_importing_it_again_replaces_it(stage):
    redis = stage.redis()
    relay = limited(stage, redis, "relay-1")
    one, other = new_user(), new_user()

    def count(account, bytes_, month=""):
        status, body = relay.call("PUT", f"/v1/usage/{account}/imported{month}", {"bytes": bytes_})
        assert (status, body["account"]) == (200, account)
        return body["bytes"]

    set_limits(relay, one, user=MIB)
    assert count(one, MIB - 5000) == count(one, MIB - 5000) == MIB - 5000
    assert count("global", 7 * MIB) == 7 * MIB
    assert usage(relay, "global", "global") == 7 * MIB
    send_through(*pair(relay, about(one, other))[:2], 5000)
    assert denial(relay, about(one, other))[0] == 403
    assert count(one, 1000) == usage(relay, one) == 6000
    assert count(one, 0) == 5000
    assert count("example.org", 5, "?month=203001") == 5 and not usage(relay, "example.org")
    keys = redis.command("KEYS", "og:usage:*") + redis.command("KEYS", "og:ledgers:*")
    assert len(keys) == 4 and all(redis.command("TTL", key) > 0 for key in keys)


def test_what_a_stream_leaves_of_its_lease_comes_back_when_it_idles(relay):
    one, other = new_user(), new_user()
    set_limits(relay, one, user=MIB)
    start = time.monotonic()
    first, second, name = pair(relay, about(one, other))
    send_through(first, second, 10000)
    assert usage(relay, one) > 10000
    wait_until(lambda: usage(relay, one) == 10000, what="the lease to come back")
    assert time.monotonic() - start > 9
    assert relay.call("GET", f"/v1/streams/{name}")[1]["state"] == "active"
    send_through(first, second, MIB - 10000)  # and it goes on
    first.close()
    second.close()
    assert reason(relay, name) == "completed"
    assert usage(relay, one) == MIB


def test_the_verifier_open_keeps_records_but_counts_nothing(stage):
    redis = stage.redis()
    relay = stage.relayd("relay-1", redis)
    set_limits(relay, ROMEO, user=-1)
    first, second, name = pair(relay)
    send_through(first, second, 5000)
    assert relay.call("DELETE", f"/v1/streams/{name}")[0] == 204
    row = record_of(relay, name)
    assert row.pop("id")
    schema("record.json").validate(row)
    assert (row["reason"], row["bytes"], row["relay"]) == ("killed", [5000, 0], "relay-1")
    assert (row["parties"], row["tag"]) == (about()["parties"], about()["tag"])
    assert 0 <= row["ended_ms"] - row["started_ms"] < 60000
    assert abs(row["started_ms"] - time.time() * 1000) < 60000
    assert relay.call("GET", "/v1/usage")[1]["usage"] == []
    assert redis.command("KEYS", "og:usage:*") == redis.open_leases() == []


def test_without_redis_there_are_no_limits_and_nothing_to_ask(stage):
    relay = stage.relayd("relay-1", None)
    first, second, name = pair(relay)
    send_through(first, second, 5000)
    first.close()
    second.close()
    assert reason(relay, name) == "completed"
    for path in ("/v1/limits", f"/v1/limits/{ROMEO}", "/v1/usage", "/v1/transfers"):
        assert relay.call("GET", path)[0] == 503
    assert relay.call("POST", f"/v1/usage/{ROMEO}/credit", {"bytes": 1})[0] == 503
    assert relay.call("PUT", f"/v1/usage/{ROMEO}/imported", {"bytes": 1})[0] == 503


def test_a_relay_that_stops_gives_leases_back_and_writes_its_records(stage):
    redis = stage.redis()
    relay = limited(stage, redis, drain_timeout="100ms")
    streams = [pair(relay) for _ in range(5)]
    for first, second, _ in streams:
        send_through(first, second, 1000)
    assert redis.command("HGET", f"og:usage:{this_month()}", f"user:{ROMEO}") == str(5 * MIB)
    assert relay.stop() == 0
    wait_until(lambda: redis.command("XLEN", "og:transfers") == 5)
    assert redis.command("HGET", f"og:usage:{this_month()}", f"user:{ROMEO}") == "5000"
    assert redis.open_leases() == []
    for _, fields in redis.command("XRANGE", "og:transfers", "-", "+"):
        assert json.loads(fields[1])["reason"] == "relay-stopped"


def this_month(ahead=0):
    return time.strftime("%Y%m", time.gmtime(time.time() + ahead))


# The fleet


class Flood(threading.Thread):
    """Sends without end until it may not, or is told to stop. A reset is told once, to who sends
    or to who reads."""

    def __init__(self, sock, pause=0, chunk=65536):
        super().__init__(daemon=True)
        self.reset = False
        self.sock, self.pause, self.chunk, self.stopped = sock, pause, bytes(chunk), False
        self.start()

    def run(self):
        try:
            while not self.stopped:
                self.sock.sendall(self.chunk)
                time.sleep(self.pause)
            self.sock.shutdown(socket.SHUT_WR)
        except ConnectionResetError:
            self.reset = True
        except OSError:
            pass

    def stop(self):
        self.stopped = True
        self.join(60)


def send_some(socks):
    """To each a piece of which the limit has 64 for each of them, if it takes any."""
    for sock in socks:
        try:
            sock.send(bytes(MIB // 64))
        except OSError:
            pass


def test_sixty_streams_on_three_relays_reach_one_users_limit_and_never_pass_it(stage):
    redis = stage.redis()
    limit = 60 * MIB + 4321
    keys = {"transfer_update_quantization": "128k", "default_user_limit": f"{limit}B"}
    relays = [limited(stage, redis, f"relay-{i}", **keys) for i in (1, 2, 3)]
    streams = [
        pair(relays[i % 3], about(ROMEO, f"partner{i}@example.net")) for i in range(60)
    ]
    names = [name for *_, name in streams]
    receivers = [bs.Receiver(second) for _, second, _ in streams]
    for first, _, _ in streams:
        first.setblocking(False)
    key, field = f"og:usage:{this_month()}", f"user:{ROMEO}"
    samples = 0
    while any(receiver.is_alive() for receiver in receivers):
        send_some([first for first, _, _ in streams])
        received = sum(receiver.count for receiver in receivers)
        denied = redis.command("XLEN", "og:events")
        leased = int(redis.command("HGET", key, field))
        assert received <= leased <= limit
        if denied:  # what is in flight and what was relayed make up the limit
            assert leased == limit
        samples += 1
    assert samples > 50
    assert sum(receiver.count for receiver in receivers) == limit
    assert int(redis.command("HGET", key, field)) == limit
    assert {receiver.ended for receiver in receivers} == {"reset"}
    wait_until(lambda: redis.command("XLEN", "og:transfers") == 60)
    rows = transfers(relays[0])
    assert sorted(row["hash"] for row in rows) == sorted(names)
    assert {row["reason"] for row in rows} == {"over-limit"}
    assert {row["relay"] for row in rows} == {"relay-1", "relay-2", "relay-3"}
    assert sum(row["bytes"][0] for row in rows) == limit
    assert sorted(event["hash"] for event in events(redis)) == sorted(names)
    shares = [usage(relays[0], f"relay-{i}", "instance") for i in (1, 2, 3)]
    assert sum(shares) == usage(relays[0], "global", "global") == limit
    assert min(shares) > 0


def test_a_relay_that_is_killed_forfeits_its_leases_and_no_more(stage):
    redis = stage.redis()
    limit = 10 * MIB
    one = limited(stage, redis, "relay-1", default_user_limit=f"{limit}B")
    two = limited(stage, redis, "relay-2", default_user_limit=f"{limit}B")
    first, second, _ = pair(one)
    send_through(first, second, 100000)
    leased = usage(two, ROMEO)
    assert leased == MIB
    one.kill()
    assert bs.to_end(second)[0] == b""
    other, sink, name = pair(two)
    bs.Sender(other, bytes(2 * limit))
    assert bs.Receiver(sink).result()[0] == limit - leased
    assert reason(two, name) == "over-limit"
    assert usage(two, ROMEO) == limit
    one.start()
    assert denial(one)[0] == 403


# Redis in trouble


def test_without_redis_an_activation_is_unavailable_and_takes_nothing(stage):
    redis = stage.redis()
    relay = limited(stage, redis)
    name, other = bs.new_hash(), bs.new_hash()
    first, second = bs.half(relay, name), bs.half(relay, name)
    halves = bs.half(relay, other), bs.half(relay, other)
    answers = []  # in their order

    def ask(name, deadline_ms):
        status, body = bs.activate(relay, name, {**about(), "deadline_ms": deadline_ms})
        answers.append((deadline_ms, status, body["error"]))

    patient = threading.Thread(target=ask, args=(other, 20000))
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        start = time.monotonic()
        patient.start()
        ask(name, 400)
        assert time.monotonic() - start > 0.3
        ask(name, 3000)
        patient.join()
        assert time.monotonic() - start > 1.5
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    assert answers[0] == (400, 503, "unavailable")
    assert sorted(answers[1:]) == [(3000, 503, "unavailable"), (20000, 503, "unavailable")]
    # What Redis did once it was back is taken back.
    wait_until(lambda: redis.open_leases() == [] and not outbox(relay))
    assert (usage_when_back(relay, ROMEO) or 0) == 0
    assert bs.activate(relay, name, about())[0] == 200
    send_through(first, second, 5000)
    assert halves


def outbox(relay):
    return metric(relay, "outbox_items")


def usage_when_back(relay, account):
    wait_until(lambda: relay.call("GET", "/v1/usage")[0] == 200)
    return usage(relay, account)


def test_two_requests_for_one_activation_get_the_same_answer_and_one_lease(stage):
    redis = stage.redis()
    relay = limited(stage, redis)
    name = bs.new_hash()
    halves = bs.half(relay, name), bs.half(relay, name)
    answers = []
    asking = [
        threading.Thread(target=lambda: answers.append(bs.activate(relay, name, about())))
        for _ in range(2)
    ]
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        for thread in asking:
            thread.start()
        time.sleep(0.3)  # both wait now
        assert answers == []
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    for thread in asking:
        thread.join()
    assert answers == [(200, {"hash": name, "state": "active"})] * 2
    assert usage(relay, ROMEO) == MIB
    halves[0].close()


def test_a_half_that_leaves_while_it_is_judged_is_missed(stage):
    redis = stage.redis()
    relay = limited(stage, redis)
    left, gone = bs.new_hash(), bs.new_hash()
    stays, leaves = bs.half(relay, left), bs.half(relay, left)
    both = bs.half(relay, gone), bs.half(relay, gone)
    answers = {}
    asking = [
        threading.Thread(
            target=lambda name=name: answers.update({name: bs.activate(relay, name, about())[0]})
        )
        for name in (left, gone)
    ]
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        for thread in asking:
            thread.start()
        time.sleep(0.3)
        leaves.close()
        for sock in both:
            sock.close()
        reason(relay, gone)
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    for thread in asking:
        thread.join()
    assert answers == {left: 409, gone: 404}
    wait_until(lambda: usage(relay, ROMEO) == 0)
    stays.close()


def test_while_redis_is_away_leased_bytes_flow_then_the_stream_pauses_and_goes_on(stage):
    redis = stage.redis()
    relay = limited(stage, redis, idle_timeout="1s")
    first, second, name = pair(relay)
    flood, receiver = Flood(first), bs.Receiver(second)
    wait_until(lambda: receiver.count > 3 * MIB)
    redis.kill()
    wait_until(lambda: still(receiver), what="the stream to pause")
    waits = metric(relay, "lease_waits_total")
    assert waits >= 1
    time.sleep(2.5)  # a pause that isn't its clients' fault doesn't count as idleness
    assert still(receiver)
    paused_at = receiver.count
    assert relay.call("GET", f"/v1/streams/{name}")[1]["state"] == "active"
    redis.start()
    wait_until(lambda: receiver.count > paused_at + 10 * MIB, what="the stream to go on")
    flood.stop()
    assert receiver.result()[2] == "end"
    second.close()
    assert reason(relay, name) == "completed"
    wait_until(lambda: usage(relay, ROMEO) == receiver.count, what="the usage to be what came")
    assert record_of(relay, name)["bytes"] == [receiver.count, 0]


def still(receiver):
    before = receiver.count
    time.sleep(0.3)
    return receiver.count == before


def test_a_redis_that_sleeps_longer_than_its_timeout_charges_nothing_twice(stage):
    redis = stage.redis(extra=("--enable-debug-command", "yes"))
    relay = limited(stage, redis, transfer_update_quantization="100k")
    streams = [pair(relay, about(ROMEO, f"partner{i}@example.net")) for i in range(10)]
    floods = [Flood(first, pause=0.002) for first, _, _ in streams]
    receivers = [bs.Receiver(second) for _, second, _ in streams]
    wait_until(lambda: all(receiver.count > MIB for receiver in receivers))
    sleeping = threading.Thread(target=lambda: redis.command("DEBUG", "SLEEP", "3.5"))
    sleeping.start()
    relay.wait_log("redis-away .*no answer in time")
    sleeping.join()
    before = [receiver.count for receiver in receivers]
    wait_until(lambda: all(r.count > b + MIB for r, b in zip(receivers, before)))
    for flood in floods:
        flood.stop()
    assert {receiver.result()[2] for receiver in receivers} == {"end"}
    for _, second, _ in streams:
        second.close()
    total = sum(receiver.count for receiver in receivers)
    wait_until(lambda: redis.command("XLEN", "og:transfers") == 10 and not outbox(relay))
    assert usage(relay, ROMEO) == total
    assert redis.open_leases() == []
    assert sum(row["bytes"][0] for row in transfers(relay)) == total


@pytest.mark.parametrize("verifier", ["open", "limits"])
def test_records_and_events_wait_for_redis_and_are_written_once(stage, verifier):
    redis = stage.redis()
    relay = stage.relayd("relay-1", redis, verifier=verifier)
    set_limits(relay, ROMEO, file=700000)
    streams = [pair(relay) for _ in range(20)]
    for first, second, _ in streams:
        send_through(first, second, 3000)
    redis.kill()
    for first, second, _ in streams[1:]:
        first.close()
        second.close()
    relay.wait_log("stream-ended", count=19)
    first, second, _ = streams[0]
    bs.Sender(first, bytes(MIB))
    got, _ = bs.to_end(second)
    first.close()
    second.close()
    relay.wait_log("stream-ended", count=20)
    assert len(got) == (MIB if verifier == "open" else 697000)
    time.sleep(2.5)  # longer than a command waits for Redis
    assert outbox(relay) >= 20
    redis.start()
    wait_until(lambda: outbox(relay) == 0, what="the outbox to be empty")
    found = sorted(row["hash"] for row in transfers(relay))
    assert found == sorted(name for *_, name in streams)
    told = [] if verifier == "open" else [streams[0][2]]
    assert [event["hash"] for event in events(redis)] == told
    if verifier == "limits":
        assert usage(relay, ROMEO) == 19 * 3000 + 700000


# Months


def later_redis(stage, tmp_path, seconds_left):
    """A Redis whose month has SECONDS_LEFT to go by its clock, and by how much that is ahead."""
    library = tmp_path / "clock.so"
    source = ROOT / "tests/e2e/clock.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    now = time.time()
    date = time.gmtime(now)
    turn = calendar.timegm((date.tm_year, date.tm_mon + 1, 1, 0, 0, 0))
    ahead = int(turn - now) - seconds_left
    redis = stage.redis(start=False)
    redis.env = {"LD_PRELOAD": str(library), "OG_CLOCK_OFFSET": str(ahead)}
    redis.start()
    return redis, ahead


def test_at_the_turn_of_the_month_bytes_count_for_the_month_that_they_flow_in(stage, tmp_path):
    redis, ahead = later_redis(stage, tmp_path, 6)
    old, new = this_month(ahead), this_month(ahead + 86400)
    assert old != new
    relay = limited(stage, redis, default_user_limit="20")
    field = f"user:{ROMEO}"
    first, second, name = pair(relay)  # uses up the old month's limit
    bs.Sender(first, bytes(16 * MIB))
    assert bs.Receiver(second).result()[0] == 16 * MIB
    second.close()
    flows, idle = pair(relay), pair(relay)
    send_through(*idle[:2], 50000)
    flood, receiver = Flood(flows[0], pause=0.05, chunk=10000), bs.Receiver(flows[1])
    assert relay.call("GET", "/v1/usage")[1]["month"] == old
    before = int(redis.command("HGET", f"og:usage:{old}", field))
    assert 16 * MIB + 50000 < before <= 20 * MIB
    wait_until(lambda: int(redis.command("HGET", f"og:usage:{new}", field) or 0))
    counted = int(redis.command("HGET", f"og:usage:{old}", field))
    in_old = wait_until(lambda: settled(redis, f"og:usage:{old}", field)) - 16 * MIB - 50000
    assert relay.call("GET", "/v1/usage")[1]["month"] == new
    flow_until = receiver.count
    wait_until(lambda: receiver.count > flow_until + 200000)
    flood.stop()
    send_through(*idle[:2], 70000)
    total = receiver.result()[0]
    for sock in flows[:2] + idle[:2]:
        sock.close()
    wait_until(lambda: redis.open_leases() == [])
    assert counted >= in_old + 16 * MIB + 50000
    assert 0 < in_old < total
    assert int(redis.command("HGET", f"og:usage:{old}", field)) == in_old + 16 * MIB + 50000
    assert int(redis.command("HGET", f"og:usage:{new}", field)) == total - in_old + 70000
    assert 399 * 86400 < int(redis.command("TTL", f"og:usage:{new}")) <= 400 * 86400
    status, page = relay.call("GET", f"/v1/usage?month={old}&account={ROMEO}")
    assert page["month"] == old
    assert page["usage"][0]["bytes"] == in_old + 16 * MIB + 50000


def settled(redis, key, field):
    """The number there, once it stays."""
    before = redis.command("HGET", key, field)
    time.sleep(0.5)
    return int(before) if redis.command("HGET", key, field) == before else None


# The control API


def test_limits_come_and_go_and_are_listed_in_pages(stage):
    redis = stage.redis()
    relay = limited(stage, redis)
    assert relay.call("GET", "/v1/limits") == (200, {"limits": [], "next": None})
    assert relay.call("GET", f"/v1/limits/{ROMEO}")[0] == 404
    set_limits(relay, "example.org", domain=5, user=-1)
    assert relay.call("GET", "/v1/limits/example.org")[1]["user"] == -1
    set_limits(relay, "example.org", file=7)  # the whole row
    row = {"account": "example.org", "file": 7, "user": 0, "domain": 0}
    assert relay.call("GET", "/v1/limits/example.org") == (200, row)
    assert redis.command("HGETALL", "og:limit:example.org") == ["file", "7"]
    odd = "j%C3%BCliet@ex%20ample.org"
    status, row = relay.call("PUT", f"/v1/limits/{odd}", {"file": 9007199254740991})
    assert (status, row["account"], row["file"]) == (200, "jüliet@ex ample.org", 9007199254740991)
    for i in range(25):
        set_limits(relay, f"user{i:02}@example.org", user=i)
    pair(relay)  # a transfer makes no row
    rows, after = [], ""
    while after is not None:
        status, page = relay.call("GET", f"/v1/limits?limit=10{after and '&after=' + after}")
        assert status == 200 and len(page["limits"]) <= 10
        rows += page["limits"]
        after = page["next"] and urllib.parse.quote(page["next"])
    accounts = [row["account"] for row in rows]
    assert accounts == sorted(accounts, key=str.encode)
    expected = {"example.org", "jüliet@ex ample.org"}
    assert set(accounts) == expected | {f"user{i:02}@example.org" for i in range(25)}
    assert {"account": "user07@example.org", "file": 0, "user": 7, "domain": 0} in rows
    assert relay.call("DELETE", "/v1/limits/example.org")[0] == 204
    assert relay.call("DELETE", "/v1/limits/example.org")[0] == 404
    assert relay.call("GET", "/v1/limits/example.org")[0] == 404


def test_what_redis_refuses_is_set_aside_and_can_be_put_back(stage):
    redis = stage.redis()
    relay = stage.relayd(redis=redis)
    watched = redis.command("CONFIG", "GET", "notify-keyspace-events")[1]
    redis.command("CONFIG", "SET", "notify-keyspace-events", "")  # the contract knows no such key
    redis.command("SET", "og:transfers", "nonsense")
    redis.command("CONFIG", "SET", "notify-keyspace-events", watched)
    first, second, name = pair(relay)
    send_through(first, second, 1000)
    first.close()
    second.close()
    relay.wait_log("outbox-item-set-aside items=1")
    ((_, fields),) = redis.command("XRANGE", "og:outbox-aside", "-", "+")
    aside = dict(zip(fields[::2], fields[1::2]))
    assert aside["kind"] == "record" and "WRONGTYPE" in aside["why"]
    redis.command("DEL", "og:transfers")
    redis.command("XADD", "og:transfers", "*", "record", aside["item"])
    assert record_of(relay, name)["bytes"]


def test_records_that_are_too_old_are_deleted(stage):
    redis = stage.redis()
    for age in (8, 6):
        at = int(time.time() - age * 86400) * 1000
        redis.command("XADD", "og:transfers", f"{at}-0", "record", "{}")
    relay = stage.relayd(redis=redis, transfers_keep="7d")
    relay.wait_log("records-deleted count=1")
    assert redis.command("XLEN", "og:transfers") == 1


FORGOTTEN = {"limits": False, "months": 0, "transfers": 0, "events": 0}


def stored(key):
    return ("ZRANGE", key, 0, -1) if "ledgers" in key else ("HGETALL", key)


def test_a_forgotten_account_is_named_nowhere(stage):
    redis = stage.redis()
    relay = limited(stage, redis)
    path = f"/v1/accounts/{ROMEO}"
    assert relay.call("DELETE", path) == (200, FORGOTTEN)
    others = "romeo@example.org.net", "xromeo@example.org"
    for parties in ((ROMEO, JULIET), (JULIET, ROMEO), others):
        first, second, name = pair(relay, about(*parties))
        send_through(first, second, 1000)
        first.close()
        second.close()
        reason(relay, name)
    for user in (ROMEO, others[0]):
        set_limits(relay, user, user=1500)
        for month in ("201911", "202001"):
            bytes_of = {"bytes": 7}
            call = f"/v1/usage/{user}/imported?month={month}"
            assert relay.call("PUT", call, bytes_of)[0] == 200
        tag = about(user, others[1])["tag"]
        redis.command("XADD", "og:events", "*", "event", json.dumps({"type": "over-limit", **tag}))
    redis.command("XADD", "og:events", "*", "event", '{"type": "credential-expires"}')
    for text in ("no JSON", "[1]", '"x"', "null", '{"parties": 1}', '{"parties": [3]}'):
        redis.command("XADD", "og:events", "*", "event", text)
    wait_until(lambda: len(transfers(relay)) == 3)
    wait_until(lambda: redis.open_leases() == [])
    counts = {"limits": True, "months": 3, "transfers": 2, "events": 1}
    assert relay.call("DELETE", path) == (200, counts)
    assert relay.call("DELETE", path) == (200, FORGOTTEN)
    content = [transfers(relay), redis.command("XRANGE", "og:events", "-", "+")]
    for key in redis.command("KEYS", "og:usage:*") + redis.command("KEYS", "og:ledgers:*"):
        content.append(redis.command(*stored(key)))
    content.append(redis.command("KEYS", "*"))
    content.append(redis.command("ZRANGE", "og:limits", 0, -1))
    assert not re.search(rf"['\":]{re.escape(ROMEO)}(?![.\w])", str(content))
    assert str(content).count(others[0]) > 5
    assert usage(relay, others[0]) and usage(relay, JULIET) and usage(relay, "example.org")
    assert len(transfers(relay)) == 1
    for wrong in ("example.org", f"{ROMEO}%2Fone", "a" * 3000 + "@b"):
        assert relay.call("DELETE", f"/v1/accounts/{wrong}")[0] == 400
    assert relay.call("DELETE", path, token=None)[0] == 401


def test_records_beyond_one_look_are_forgotten(stage):
    redis = stage.redis()
    relay = limited(stage, redis)
    fill = """for i = 1, 12001 do
        local user = i % 2 == 1 and ARGV[1] or ARGV[2]
        local record = '{"parties":[{"user":"' .. user .. '","domain":"d"}]}'
        redis.call('XADD', KEYS[1], '*', 'record', record)
    end"""
    redis.command("EVAL", fill, 1, "og:transfers", ROMEO, JULIET)
    assert relay.call("DELETE", f"/v1/accounts/{ROMEO}")[1]["transfers"] == 6001
    assert redis.command("XLEN", "og:transfers") == 6000
    redis.kill()
    assert relay.call("DELETE", f"/v1/accounts/{ROMEO}")[0] == 503
    redis.start()


def test_usage_and_transfers_are_listed_in_pages(stage):
    relay = limited(stage, stage.redis())
    for i in range(12):
        first, second, name = pair(relay, about(f"user{i:02}@example.org", JULIET))
        send_through(first, second, 1000 + i)
        first.close()
        second.close()
        reason(relay, name)
    wait_until(lambda: len(transfers(relay)) == 12)
    rows, after = [], ""
    while after is not None:
        page = relay.call("GET", f"/v1/usage?limit=4{after and '&after=' + after}")[1]
        assert len(page["usage"]) <= 4
        assert page["month"] == this_month()
        rows += page["usage"]
        after = page["next"]
    total = sum(range(1000, 1012))
    found = {(row["kind"], row["account"]): row["bytes"] for row in rows}
    assert len(rows) == len(found) == 17
    assert found["user", "user03@example.org"] == 1003
    assert found["global", "global"] == found["instance", "relay-1"] == total
    assert found["user", JULIET] == found["domain", "example.net"] == total
    sizes = [row["bytes"][0] for row in transfers(relay)]
    assert sizes == list(range(1000, 1012))  # oldest first
    assert relay.call("GET", "/v1/usage?month=200001")[1] == {
        "month": "200001",
        "usage": [],
        "next": None,
    }


BAD_QUERIES = [
    "/v1/limits?limit=0",
    "/v1/limits?limit=1001",
    "/v1/limits?limit=x",
    "/v1/limits?after=" + 3000 * "a",
    "/v1/limits/%ff",
    "/v1/usage?month=2026",
    "/v1/usage?month=202613",
    "/v1/usage?month=20261a",
    "/v1/usage?limit=-1",
    "/v1/usage?account=",
    "/v1/transfers?after=x",
    "/v1/transfers?after=1-",
    "/v1/transfers?after=1-1-1",
    "/v1/transfers?limit=0",
    "/v1/transfers?order=best",
    "/v1/transfers?from_ms=x",
    "/v1/transfers?to_ms=-1",
    "/v1/transfers?to_ms=",
    "/v1/transfers?user=",
]


def test_transfers_are_searched_by_user_domain_and_time_the_newest_first(stage):
    redis = stage.redis()
    relay = stage.relayd("relay-1", redis)
    base = int(time.time()) * 1000 - 3600000  # not so long ago that they would be deleted
    for i in range(1200):
        parties = [{"user": f"u{i % 100}@a.example", "domain": "a.example"}]
        parties.append({"user": "x@b.example" if i % 3 else "y@c.example"})
        parties[1]["domain"] = parties[1]["user"][2:]
        record = {"hash": f"{i:040x}", "parties": parties, "tag": None, "bytes": [1, 2]}
        record.update(started_ms=base, ended_ms=base + i, relay="relay-1", reason="completed")
        redis.command("XADD", "og:transfers", f"{base + i}-1", "record", json.dumps(record))

    def search(**arguments):
        """The numbers of the transfers, over all pages."""
        found, after = [], None
        while True:
            query = "&".join(f"{key}={value}" for key, value in arguments.items())
            query += f"&after={after}" if after else ""
            status, page = relay.call("GET", f"/v1/transfers?limit=9&{query}")
            assert status == 200 and len(page["transfers"]) <= 9
            found += [int(row["hash"], 16) for row in page["transfers"]]
            after = page["next"]
            if not after:
                return found

    everything = list(range(1200))
    assert search() == search(order="oldest") == everything
    assert search(order="newest") == everything[::-1]
    assert search(order="newest", user="u7@a.example") == everything[7::100][::-1]
    assert search(domain="c.example") == everything[::3]
    within = {"from_ms": base + 100, "to_ms": base + 109}
    assert search(user="y@c.example", domain="c.example", **within) == [102, 105, 108]
    assert search(user="y@c.example", domain="a.example") == []
    assert search(order="newest", from_ms=base + 1190) == list(range(1190, 1200))[::-1]
    assert search(user="nobody@a.example") == []


@pytest.mark.parametrize("path", BAD_QUERIES)
def test_a_query_that_makes_no_sense_is_a_bad_request(relay, path):
    status, body = relay.call("GET", path)
    assert (status, body["error"]) == (400, "bad_request")


BAD_BODIES = {
    "a limit below -1": ("PUT", "/v1/limits/a@b", {"user": -2}),
    "a limit that is a text": ("PUT", "/v1/limits/a@b", {"user": "10M"}),
    "a limit beyond what counts": ("PUT", "/v1/limits/a@b", {"file": 1 << 53}),
    "an unknown limit": ("PUT", "/v1/limits/a@b", {"month": 1}),
    "no object": ("PUT", "/v1/limits/a@b", [1]),
    "no import": ("PUT", "/v1/usage/a@b/imported", {}),
    "an import that takes": ("PUT", "/v1/usage/a@b/imported", {"bytes": -1}),
    "an import in no month": ("PUT", "/v1/usage/a@b/imported?month=1", {"bytes": 1}),
    "no credit": ("POST", "/v1/usage/a@b/credit", {}),
    "a credit of nothing": ("POST", "/v1/usage/a@b/credit", {"bytes": 0}),
    "a credit that takes": ("POST", "/v1/usage/a@b/credit", {"bytes": -5}),
    "an account that is no text": ("POST", "/v1/usage/%ff/credit", {"bytes": 5}),
}


@pytest.mark.parametrize("what", BAD_BODIES)
def test_a_body_that_makes_no_sense_is_a_bad_request(relay, what):
    method, path, body = BAD_BODIES[what]
    status, answer = relay.call(method, path, body)
    assert (status, answer["error"]) == (400, "bad_request")


BAD_CONFIGURATIONS = {
    "limits without Redis": ({"verifier": "limits"}, None, "verifier = limits needs redis"),
    "a verifier that is a class": ({"verifier": "tigase.LimitsVerifier"}, None, "verifier"),
    "Tigase's verifier": ({"verifier_class": "x"}, None, "verifier-class is retired: verifier"),
    "Tigase's addresses": ({"remote_addresses": "1.2.3.4"}, None, "retired: advertise"),
    "Tigase's ports": ({"connections/ports": "1080"}, None, "retired: listen"),
    "a limit that is no number": ({"default_user_limit": "much"}, None, "is not a limit"),
}


@pytest.mark.parametrize("what", BAD_CONFIGURATIONS)
def test_a_configuration_that_makes_no_sense_is_an_error(stage, what):
    keys, redis, words = BAD_CONFIGURATIONS[what]
    relay = stage.relayd("relay-1", redis, start=False, **keys)
    relay.clean = (1,)
    relay.start(wait=False)
    assert relay.wait_exit() == 1
    assert words in relay.log_text()
