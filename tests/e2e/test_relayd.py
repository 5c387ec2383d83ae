"""relayd on the wire: SOCKS5 and transfers, what strangers may send, and the control API."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import types

import pytest

import bytestream as bs
from harness import HOST, Trouble, http as call_http, wait_until

MIB = 1 << 20


@pytest.fixture(scope="module")
def relay(module_stage):
    """One relay without Redis that all tests share which don't need their own."""
    return module_stage.relayd("relay-shared", None, handshake_timeout="1s", pending_timeout="4s")


def state(relay, name):
    """The stream as the API shows it, or None."""
    status, body = relay.call("GET", f"/v1/streams/{name}")
    return body if status == 200 else None


def reason(relay, name):
    return relay.wait_log(rf"stream-ended id={name} reason=(\S+)").group(1)


def sha(data):
    return hashlib.sha256(data).hexdigest()


# Transfers


def test_bytes_arrive_unchanged_in_both_directions_at_once(relay):
    first, second, name = bs.pair(relay)
    there, back = os.urandom(24 * MIB + 7), os.urandom(17 * MIB + 1)
    senders = bs.Sender(first, there), bs.Sender(second, back)
    receivers = bs.Receiver(second), bs.Receiver(first)
    assert receivers[0].result() == (len(there), sha(there), "end")
    assert receivers[1].result() == (len(back), sha(back), "end")
    assert not any(sender.error for sender in senders)
    line = relay.wait_log(rf"stream-ended id={name} .*").group(0)
    # Active, where one turn of the loop sees the ends of both directions.
    assert re.search(r"reason=completed state=(closing|active) ", line)
    assert f"first={len(there)} second={len(back)}" in line


def test_many_transfers_at_once_do_not_mix(relay):
    work = []
    for _ in range(30):
        first, second, _ = bs.pair(relay)
        data = os.urandom(MIB + len(work))
        work.append((data, bs.Sender(first, data), bs.Receiver(second), first, second))
    for data, _, receiver, _, second in work:
        assert receiver.result() == (len(data), sha(data), "end")
        second.close()


def test_a_half_close_leaves_the_other_direction_open(relay):
    first, second, name = bs.pair(relay)
    first.sendall(b"question")
    first.shutdown(socket.SHUT_WR)
    assert bs.to_end(second) == (b"question", "end")
    wait_until(lambda: state(relay, name)["state"] == "closing")
    for i in range(5):
        second.sendall(b"answer %d" % i)
        assert bs.exactly(first, 8) == b"answer %d" % i
    second.close()
    assert bs.to_end(first) == (b"", "end")
    assert reason(relay, name) == "completed"


def test_what_is_sent_before_activation_arrives_after_it(relay):
    name = bs.new_hash()
    first, second = bs.half(relay, name), bs.half(relay, name)
    first.sendall(b"early")
    second.settimeout(0.3)
    with pytest.raises(TimeoutError):
        second.recv(1)
    assert [half["received"] for half in state(relay, name)["halves"]] == [0, 0]
    bs.activate(relay, name)
    second.settimeout(60)
    assert bs.exactly(second, 5) == b"early"


@pytest.mark.parametrize("size", [5, 100000])  # the longer one doesn't fit into the window
def test_a_sender_that_leaves_before_activation_still_delivers(relay, size):
    name = bs.new_hash()
    first = bs.half(relay, name)
    first.sendall(b"x" * size)
    first.close()
    time.sleep(0.1)  # for its FIN to be seen, if it came that far
    second = bs.half(relay, name)
    assert state(relay, name)["state"] == "paired"
    bs.activate(relay, name)
    assert bs.to_end(second) == (b"x" * size, "end")


def test_a_half_that_leaves_before_activation_without_a_byte_frees_its_seat(relay):
    name = bs.new_hash()
    first, second = bs.half(relay, name), bs.half(relay, name)
    first.close()
    wait_until(lambda: state(relay, name)["state"] == "waiting")
    third = bs.half(relay, name)
    bs.activate(relay, name)
    third.sendall(b"hello")
    assert bs.exactly(second, 5) == b"hello"
    name = bs.new_hash()
    bs.half(relay, name).close()
    assert reason(relay, name) == "abandoned"
    assert state(relay, name) is None


def test_a_slow_reader_gets_all_that_a_gone_sender_had_queued(relay):
    first, second, name = bs.pair(relay)
    data = os.urandom(12 * MIB)
    sender = bs.Sender(first, data, then=socket.socket.close)
    receiver = bs.Receiver(second, pause=0.002, per_read=20000)
    assert receiver.result() == (len(data), sha(data), "end")
    second.close()
    assert sender.error is None
    assert reason(relay, name) == "completed"


def test_a_stalled_reader_costs_the_relay_no_memory_and_loses_nothing(relay):
    first, second, name = bs.pair(relay)
    data = os.urandom(24 * MIB)
    before = memory(relay)
    sender = bs.Sender(first, data)
    stuck = wait_until(lambda: is_stuck(relay, name), what="a full pipe")
    assert stuck < len(data)
    assert memory(relay) - before < 2 * MIB
    assert bs.Receiver(second).result() == (len(data), sha(data), "end")
    assert sender.error is None


def memory(relay):
    """Resident bytes."""
    with open(f"/proc/{relay.pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def is_stuck(relay, name):
    """The bytes read, once they don't grow any more."""
    before = state(relay, name)["halves"][0]["received"]
    time.sleep(0.2)
    after = state(relay, name)["halves"][0]["received"]
    return after if before == after and after > 0 else None


def test_a_reset_is_passed_on_when_what_came_before_it_has_arrived(relay):
    first, second, name = bs.pair(relay)
    data = os.urandom(2 * MIB)
    first.sendall(data)
    wait_until(lambda: state(relay, name)["halves"][0]["received"] == len(data))
    bs.reset(first)
    got, ended = bs.to_end(second)
    assert got == data
    assert ended == "reset"
    assert reason(relay, name) == "reset"


def test_a_reset_waits_for_a_reader_that_has_megabytes_to_go(relay):
    first, second, name = bs.pair(relay, receive_buffer=65536)
    data = os.urandom(MIB)
    first.sendall(data)
    wait_until(lambda: state(relay, name)["halves"][0]["received"] == len(data))
    bs.reset(first)
    wait_until(lambda: state(relay, name)["state"] == "closing")
    got = b""
    second.settimeout(60)
    while len(got) < len(data):
        got += bs.exactly(second, min(100000, len(data) - len(got)))
        time.sleep(0.02)
    assert got == data
    assert bs.to_end(second) == (b"", "reset")


def test_a_reader_that_has_ended_itself_gets_all_that_came_before_a_reset(relay):
    first, second, name = bs.pair(relay, receive_buffer=8192)
    data = os.urandom(100000)
    bs.Sender(first, data)
    wait_until(lambda: state(relay, name)["halves"][1]["sent"] == len(data))
    second.sendall(b"unread")
    wait_until(lambda: state(relay, name)["halves"][0]["sent"] == 6)
    first.close()  # over unread bytes
    time.sleep(0.2)  # for the reset to be seen
    second.shutdown(socket.SHUT_WR)
    got = b""
    while part := second.recv(2000):
        got += part
        time.sleep(0.005)
    assert got == data
    assert reason(relay, name) == "reset"


def test_a_sender_learns_that_its_receiver_is_gone(relay):
    first, second, name = bs.pair(relay)
    second.sendall(b"last words")
    bs.exactly(first, 10)
    bs.reset(second)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        for _ in range(200):
            first.sendall(b"y" * 65536)
            time.sleep(0.01)
    assert reason(relay, name) == "reset"


@pytest.mark.parametrize("breaking", [0, 1])
def test_a_reset_that_a_write_finds_first_is_no_proper_end(relay, breaking):
    halves = bs.pair(relay)[:2]
    gone, left = halves[breaking], halves[not breaking]
    left.setblocking(False)
    wait_until(lambda: is_full(left), what="a full pipe")
    bs.reset(gone)
    left.settimeout(60)
    assert bs.to_end(left) == (b"", "reset")


def test_halves_that_vanish_with_bytes_on_the_way_to_both_leave_nothing(relay):
    name = bs.new_hash()
    first, second = bs.half(relay, name), bs.half(relay, name, receive_buffer=8192)
    bs.activate(relay, name)
    first.sendall(bytes(100000))
    wait_until(lambda: state(relay, name)["halves"][1]["sent"] == 100000)
    second.setblocking(False)
    wait_until(lambda: is_full(second), what="a full pipe")
    bs.reset(second)
    time.sleep(0.2)  # for the reset to be overlooked, as long as nothing can be read
    bs.reset(first)
    assert reason(relay, name) == "reset"


def is_full(sock):
    """Sends what can be sent; whether that was nothing for a while."""
    for _ in range(20):
        try:
            sock.send(bytes(MIB))
            return False
        except BlockingIOError:
            time.sleep(0.01)
    return True


def test_without_a_pipe_to_be_had_bytes_go_through_memory(stage):
    relay = stage.relayd(redis=None, start=False, connection_max=10000)
    relay.argv = ["prlimit", "--nofile=200:200", "--", *relay.argv]
    relay.start()
    relay.wait_log("descriptor-limit-low")
    first, second, _ = bs.pair(relay)
    data = os.urandom(5 * MIB + 3)
    bs.Sender(first, data)
    wait_until(lambda: metric(relay, 'pipes_lent{kind="memory"}') == 1)
    assert bs.Receiver(second).result() == (len(data), sha(data), "end")
    second.close()
    wait_until(lambda: metric(relay, 'pipes_lent{kind="memory"}') == 0)


def metric(relay, name):
    for line in relay.call("GET", "/metrics", token=None)[1].splitlines():
        if line.startswith(f"outrigger_relayd_{name} "):
            return float(line.split()[-1])
    return None


# The handshake


def test_input_may_come_byte_by_byte_or_all_at_once(relay):
    name = bs.new_hash()
    first = bs.connect(relay)
    for byte in bs.GREETING:
        first.sendall(bytes([byte]))
        time.sleep(0.005)
    assert bs.exactly(first, 2) == b"\x05\x00"
    for byte in bs.request(name):
        first.sendall(bytes([byte]))
        time.sleep(0.002)
    assert bs.exactly(first, 47)[:2] == b"\x05\x00"
    second = bs.connect(relay)
    second.sendall(b"\x05\x03\x02\x00\x01" + bs.request(name) + b"and data behind it")
    assert bs.exactly(second, 49) == b"\x05\x00\x05\x00\x00\x03\x28" + name.encode() + b"\x00\x00"
    bs.activate(relay, name)
    assert bs.exactly(first, 18) == b"and data behind it"


def test_the_case_of_digits_does_not_matter_and_the_echo_is_exact(relay):
    name = bs.new_hash()
    first, second = bs.half(relay, name), bs.connect(relay)
    second.sendall(bs.GREETING + bs.request(name.upper(), port=258))
    echo = b"\x05\x00\x00\x03\x28" + name.upper().encode() + b"\x01\x02"
    assert bs.exactly(second, 49)[2:] == echo
    assert state(relay, name)["state"] == "paired"
    first.close()


HASH = "ab" * 20
REFUSALS = {
    "bind": (bs.request(HASH, command=2), 7),
    "udp": (bs.request(HASH, command=3), 7),
    "no such command": (bs.request(HASH, command=9), 7),
    "ipv4": (b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50", 8),
    "ipv6": (b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x00\x50", 8),
    "a host name": (bs.request("www.example.org", port=80), 4),
    "39 digits": (bs.request(HASH[1:]), 4),
    "41 digits": (bs.request(HASH + "0"), 4),
    "no digit": (bs.request(HASH[:-1] + "g"), 4),
    "an empty name": (bs.request(""), 4),
    "version 4": (b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00", 1),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_request_is_refused_by_its_code(relay, what):
    bytes_sent, code = REFUSALS[what]
    sock = bs.connect(relay)
    sock.sendall(bs.GREETING + bytes_sent)
    refusal = b"\x05" + bytes([code]) + b"\x00\x01" + bytes(6)
    assert bs.to_end(sock) == (b"\x05\x00" + refusal, "end")


@pytest.mark.parametrize(
    "greeting",
    [b"\x05\x01\x02", b"\x05\x00", b"\x04\x01\x00\x50", b"GET / HTTP/1.1\r\n\r\n"],
)
def test_a_greeting_is_refused_with_no_acceptable_method(relay, greeting):
    sock = bs.connect(relay)
    sock.sendall(greeting)
    assert bs.to_end(sock) == (b"\x05\xff", "end")


def test_a_refused_client_cannot_keep_its_connection(relay):
    stays, talks = bs.connect(relay), bs.connect(relay)
    stays.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert bs.to_end(stays) == (b"\x05\xff", "end")
    wait_until(lambda: metric(relay, 'halves{state="refused"}') == 0)
    talks.sendall(bs.GREETING + bs.request(HASH, command=2))
    bs.to_end(talks)
    with pytest.raises(OSError):
        for _ in range(1000):
            talks.sendall(b"z" * 1000)
            time.sleep(0.001)


@pytest.mark.parametrize("active", [False, True])
def test_a_third_half_is_refused_and_harms_nothing(relay, active):
    name = bs.new_hash()
    first, second = bs.half(relay, name), bs.half(relay, name)
    if active:
        bs.activate(relay, name)
    third, reply = bs.ask(relay, name)
    assert reply == b"\x05\x02\x00\x01" + bytes(6)
    bs.activate(relay, name)
    first.sendall(b"still ours")
    assert bs.exactly(second, 10) == b"still ours"


@pytest.mark.parametrize("said", [b"", b"\x05", bs.GREETING, bs.GREETING + bs.request(HASH)[:46]])
def test_silence_in_the_handshake_is_cut_off(relay, said):
    start = time.monotonic()
    sock = bs.connect(relay)
    sock.sendall(said)
    got, _ = bs.to_end(sock)
    assert got == (b"\x05\x00" if said.startswith(bs.GREETING) else b"")
    assert time.monotonic() - start > 0.9
    port = sock.getsockname()[1]
    relay.wait_log(rf"handshake-refused address=127.0.0.1:{port} .*reason=timed-out")


def test_drip_feeding_does_not_extend_the_handshake(relay):
    sock = bs.connect(relay)
    with pytest.raises(OSError):  # before the greeting is whole
        for byte in b"\x05\xff" + b"\x01" * 250:
            sock.sendall(bytes([byte]))
            time.sleep(0.1)
    port = sock.getsockname()[1]
    relay.wait_log(rf"handshake-refused address=127.0.0.1:{port} .*reason=timed-out")


def test_a_greeting_of_megabytes_is_closed_and_held_nowhere(relay):
    before = memory(relay)
    sock = bs.connect(relay)
    with pytest.raises(OSError):
        for _ in range(64):
            sock.sendall(b"\xff" * 65536)
            time.sleep(0.01)
    assert memory(relay) - before < MIB
    greedy = bs.connect(relay)
    with pytest.raises(OSError):
        greedy.sendall(b"\x05\xff" + b"\x01" * (4 * MIB))
        bs.to_end(greedy)
        greedy.sendall(b"more")
        greedy.sendall(b"more")


def test_an_unactivated_half_is_dropped_in_the_end(relay):
    name = bs.new_hash()
    lonely = bs.half(relay, name)
    assert bs.to_end(lonely) == (b"", "reset")
    assert reason(relay, name) == "not-activated"


def test_an_idle_stream_ends_but_a_one_way_transfer_does_not(stage):
    relay = stage.relayd(redis=None, idle_timeout="1s")
    busy, sink, name = bs.pair(relay)
    idle, partner, other = bs.pair(relay)
    for _ in range(10):
        busy.sendall(b"tick")
        time.sleep(0.2)
    assert reason(relay, other) == "idle"
    assert bs.to_end(idle)[1] == bs.to_end(partner)[1] == "reset"
    assert state(relay, name)["state"] == "active"
    assert bs.exactly(sink, 40) == b"tick" * 10


def test_a_reader_that_still_empties_the_kernels_buffers_is_not_idle(stage):
    relay = stage.relayd(redis=None, idle_timeout="1s")
    first, second, name = bs.pair(relay, receive_buffer=65536)
    data = os.urandom(2 * MIB)
    first.sendall(data)
    wait_until(lambda: state(relay, name)["halves"][1]["sent"] == len(data))
    got = b""
    while len(got) < len(data):
        got += bs.exactly(second, min(40000, len(data) - len(got)))
        time.sleep(0.07)
    assert got == data
    assert reason(relay, name) == "idle"


def test_who_ended_and_never_saw_the_others_end_is_reset_after_a_while(stage):
    relay = stage.relayd(redis=None, idle_timeout="1s")
    first, second, name = bs.pair(relay)
    first.sendall(b"all of it")
    first.shutdown(socket.SHUT_WR)
    assert bs.to_end(second) == (b"all of it", "end")
    assert bs.to_end(first) == (b"", "reset")
    assert reason(relay, name) == "linger-timeout"


# The control API


def test_a_stream_is_shown_as_it_goes_through_its_life(relay):
    name = bs.new_hash()
    first = bs.half(relay, name)
    assert state(relay, name)["state"] == "waiting"
    second = bs.half(relay, name)
    seen = state(relay, name)
    assert (seen["state"], seen["tag"], seen["parties"]) == ("paired", None, [])
    addresses = ["%s:%d" % sock.getsockname() for sock in (first, second)]
    assert [half["address"] for half in seen["halves"]] == addresses
    bs.activate(relay, name)
    first.sendall(b"abc")
    bs.exactly(second, 3)
    seen = state(relay, name)
    assert seen["state"] == "active"
    assert (seen["parties"], seen["tag"]) == (bs.ABOUT["parties"], bs.ABOUT["tag"])
    assert [(half["received"], half["sent"]) for half in seen["halves"]] == [(3, 0), (0, 3)]
    status, _ = relay.call("DELETE", f"/v1/streams/{name}")
    assert status == 204
    assert bs.to_end(first)[1] == bs.to_end(second)[1] == "reset"
    assert reason(relay, name) == "killed"
    assert relay.call("DELETE", f"/v1/streams/{name}")[0] == 404


def test_a_stream_may_be_denied_until_it_is_activated(relay):
    name = bs.new_hash()
    first, second = bs.half(relay, name), bs.half(relay, name)
    assert relay.call("DELETE", f"/v1/streams/{name}?denied=yes")[0] == 204
    assert bs.to_end(first)[1] == bs.to_end(second)[1] == "reset"
    assert reason(relay, name) == "denied"
    first, second, name = bs.pair(relay)
    status, body = relay.call("DELETE", f"/v1/streams/{name}?denied=yes")
    assert (status, body["error"]) == (409, "conflict")
    first.sendall(b"abc")
    assert bs.exactly(second, 3) == b"abc"


def test_activation_can_be_repeated_and_changes_nothing(relay):
    first, second, name = bs.pair(relay)
    again = {**bs.ABOUT, "tag": {"other": True}}
    assert bs.activate(relay, name, again) == (200, {"hash": name, "state": "active"})
    assert bs.activate(relay, name.upper()) == (200, {"hash": name, "state": "active"})
    assert state(relay, name)["tag"] == bs.ABOUT["tag"]


def test_activation_says_what_is_missing(relay):
    name = bs.new_hash()
    assert bs.activate(relay, name)[0] == 404
    assert bs.activate(relay, "not-a-hash")[1]["error"] == "not_found"
    first = bs.half(relay, name)
    status, body = bs.activate(relay, name)
    assert (status, body["error"]) == (409, "conflict")
    assert state(relay, name)["state"] == "waiting"
    first.close()


BAD_BODIES = {
    "no parties": {"deadline_ms": 1000},
    "one party": {"parties": bs.ABOUT["parties"][:1]},
    "three parties": {"parties": bs.ABOUT["parties"] * 2},
    "a party without a domain": {"parties": [{"user": "a@b"}] * 2},
    "a number for a user": {"parties": [{"user": 1, "domain": "b"}] * 2},
    "a deadline of zero": {**bs.ABOUT, "deadline_ms": 0},
    "a tag that is no object": {**bs.ABOUT, "tag": "text"},
    "a tag of 5000 bytes": {**bs.ABOUT, "tag": {"long": "x" * 5000}},
    "an unknown member": {**bs.ABOUT, "extra": 1},
    "no object": [1],
}


@pytest.mark.parametrize("what", BAD_BODIES)
def test_a_bad_body_gets_an_error_that_says_so(relay, what):
    name = bs.new_hash()
    halves = bs.half(relay, name), bs.half(relay, name)
    status, body = relay.call("POST", f"/v1/streams/{name}/activate", BAD_BODIES[what])
    assert (status, body["error"]) == (400, "bad_request")
    assert body["message"]
    assert state(relay, name)["state"] == "paired"
    assert len(halves) == 2


def raw_call(relay, text):
    """Status and body of a request that is sent as it stands."""
    host, port = relay.address("control").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=120) as sock:
        sock.sendall(text)
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        return answer.status, answer.read().decode()


def test_the_api_refuses_bad_tokens_bodies_and_methods(relay):
    path = f"/v1/streams/{bs.new_hash()}/activate"
    for token in (None, "wrong", "token-of-the-test"):
        assert relay.call("POST", path, bs.ABOUT, token=token)[0] == 401
        assert relay.call("GET", "/v1/streams", token=token)[0] == 401
    assert relay.call("POST", path, {"tag": {"long": "x" * 40000}})[0] == 413
    head = f"POST {path} HTTP/1.1\r\nHost: r\r\nAuthorization: Bearer {relay.stage.token}\r\n"
    status, body = raw_call(relay, f"{head}Content-Length: 5\r\n\r\n{{not }}".encode())
    assert status == 400 and '"bad_request"' in body
    chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    assert raw_call(relay, chunked.encode())[0] == 411
    assert relay.call("PUT", "/v1/streams")[0] == 405
    assert relay.call("GET", "/v1/nothing")[0] == 404


def test_the_list_comes_in_pages_in_the_order_of_hashes(relay):
    names = sorted(bs.new_hash() for _ in range(7))
    halves = [bs.half(relay, name) for name in names]
    seen, after = [], ""
    while after is not None:
        status, page = relay.call("GET", f"/v1/streams?limit=2{after and '&after=' + after}")
        assert status == 200 and len(page["streams"]) <= 2
        seen += [stream["hash"] for stream in page["streams"]]
        after = page["next"]
    assert seen == sorted(seen)
    assert set(names) <= set(seen)
    for query in ("limit=0", "limit=1001", "limit=-1", "limit=x", "after=zz"):
        assert relay.call("GET", f"/v1/streams?{query}")[0] == 400
    assert len(halves) == 7


def test_metrics_count_what_happened(relay):
    assert metric(relay, 'streams_ended_total{reason="completed"}') > 0
    assert metric(relay, 'handshakes_refused_total{reason="bad-command"}') >= 3
    assert metric(relay, 'bytes_total{direction="first_to_second"}') > 24 * MIB
    wait_until(lambda: metric(relay, 'pipes_lent{kind="1m"}') == 0)
    assert call_http("GET", relay.url("/healthz"))[0] == 200
    assert call_http("GET", relay.url("/readyz"))[0] == 200


# Draining, limits of the machine


def test_draining_serves_what_is_here_and_then_exits(stage):
    relay = stage.relayd(redis=None, drain_timeout="30s")
    first, second, name = bs.pair(relay)
    waiting = bs.new_hash()
    third = bs.half(relay, waiting)
    assert relay.call("POST", "/v1/drain", {}) == (202, {"draining": True, "streams": 2})
    assert relay.call("GET", "/readyz", token=None)[0] == 503
    assert bs.ask(relay, bs.new_hash())[1][:2] == b"\x05\x01"
    time.sleep(0.5)  # it must not have ended by now
    fourth = bs.half(relay, waiting)
    assert bs.activate(relay, waiting)[0] == 200
    third.sendall(b"late but served")
    assert bs.exactly(fourth, 15) == b"late but served"
    for sock in (first, second, third, fourth):
        sock.close()
    assert relay.wait_exit() == 0


def test_draining_ends_at_its_timeout(stage):
    relay = stage.relayd(redis=None, drain_timeout="1s")
    first, second, name = bs.pair(relay)
    os.kill(relay.pid, signal.SIGTERM)
    assert relay.wait_exit() == 0
    assert "reason=relay-stopped" in relay.log_text()
    assert bs.to_end(first)[1] == "reset"


def test_an_idle_relay_drains_at_once(stage):
    relay = stage.relayd(redis=None, drain_timeout="10m")
    bs.connect(relay)
    assert relay.call("POST", "/v1/drain")[0] == 202
    assert relay.wait_exit() == 0  # ten minutes before its timeout


def test_it_is_scheduled_for_throughput_unless_its_owner_chose_otherwise(stage):
    relay = stage.relayd("relay-1", None)
    assert os.sched_getscheduler(relay.pid) == os.SCHED_BATCH
    # On a busy machine a process of SCHED_IDLE may take minutes to start; not all may use SCHED_RR.
    may = subprocess.run(["chrt", "--rr", "1", "true"], capture_output=True).returncode == 0
    policy, chosen = (os.SCHED_RR, ["--rr", "1"]) if may else (os.SCHED_IDLE, ["--idle", "0"])
    relay = stage.relayd("relay-2", None, start=False)
    relay.argv = ["chrt", *chosen, *relay.argv]
    relay.start()
    assert os.sched_getscheduler(relay.pid) == policy


def test_a_full_relay_serves_second_halves_and_says_that_it_is_full(stage):
    redis = stage.redis()
    relay = stage.relayd(redis=redis, connection_max=5, connection_reserve=40)
    wait_until(lambda: relay.call("GET", "/readyz", token=None)[0] == 200, what="the relay")
    names = [bs.new_hash() for _ in range(3)]
    halves = [bs.half(relay, name) for name in names]
    status, _ = relay.call("GET", "/readyz", token=None)
    assert status == 503
    assert wait_until(lambda: record(redis, relay).get("full"))
    refused, reply = bs.ask(relay, bs.new_hash())
    assert reply[:2] == b"\x05\x01"
    relay.wait_log("handshake-refused .*reason=relay-full")
    refused.close()
    second = bs.half(relay, names[0])
    assert bs.activate(relay, names[0])[0] == 200
    halves[0].sendall(b"served")
    assert bs.exactly(second, 6) == b"served"
    for sock in (*halves, second):
        sock.close()
    wait_until(lambda: relay.call("GET", "/readyz", token=None)[0] == 200, what="room again")
    wait_until(lambda: record(redis, relay).get("full") is False)


def record(redis, relay):
    """The relay's record; empty before it is written, or while it has expired."""
    return json.loads(redis.command("GET", f"og:registry:relay:{relay.name}") or "{}")


def test_too_many_connections_are_not_left_waiting(stage):
    relay = stage.relayd(redis=None, connection_max=4, connection_reserve=0)
    first, second, name = bs.pair(relay)
    others = [bs.connect(relay, source=f"127.0.{n}.1") for n in (1, 2)]
    wait_until(lambda: relay.call("GET", "/readyz", token=None)[0] == 503)
    with contextlib.suppress(ConnectionResetError):
        assert bs.to_end(bs.connect(relay, source="127.0.3.1")) == (b"", "reset")
    relay.wait_log("connections-turned-away .*reason=relay-full")
    first.sendall(b"meanwhile")
    assert bs.exactly(second, 9) == b"meanwhile"
    others[0].close()
    assert wait_until(lambda: works(relay, bs.new_hash()), what="a place")


def test_a_user_has_as_many_active_streams_as_he_may(stage):
    relay = stage.relayd(redis=None, streams_per_user_max=None)  # 16
    streams = [bs.pair(relay) for _ in range(16)]
    name = bs.new_hash()
    halves = bs.half(relay, name), bs.half(relay, name)
    status, body = bs.activate(relay, name)
    assert (status, body["error"]) == (403, "too_many")
    assert (body["account"], body["limit"]) == ("romeo@example.org", 16)
    other = [{"user": "a@example.com", "domain": "example.com"}, {**bs.ABOUT["parties"][0]}]
    other[1]["charged"] = False
    about = {**bs.ABOUT, "parties": other}
    name = bs.new_hash()
    more = bs.half(relay, name), bs.half(relay, name)
    assert bs.activate(relay, name, about)[0] == 200
    for sock in streams[0][:2]:
        sock.close()
    relay.wait_log(f"stream-ended id={streams[0][2]}")
    bs.pair(relay)
    assert halves and more


def test_a_domain_has_as_many_active_streams_as_it_may_and_the_cap_is_read_again(stage):
    relay = stage.relayd(redis=None, streams_per_domain_max=1)
    held = bs.pair(relay)
    name = bs.new_hash()
    halves = bs.half(relay, name), bs.half(relay, name)
    status, body = bs.activate(relay, name)
    assert (status, body["error"], body["account"]) == (403, "too_many", "example.org")
    assert body["message"] == "Domain example.org has 1 transfers at this relay already"
    relay.configure({"daemon": {**relay.sections["daemon"], "streams_per_domain_max": 2}})
    os.kill(relay.pid, signal.SIGHUP)
    relay.wait_log("config-reloaded")
    bs.pair(relay)
    assert held and halves


# How many users' streams share a rate of 4 MiB a second.
RATES = {
    "stream_rate": ("romeo@example.org",),
    "user_rate": ("romeo@example.org", "romeo@example.org"),
    "relay_rate": ("romeo@example.org", "juliet@example.net"),
}


@pytest.mark.parametrize("key", RATES)
def test_bytes_go_no_faster_than_a_rate_allows(stage, key):
    relay = stage.relayd(redis=None, **{key: "4M"})
    streams = []
    for user in RATES[key]:
        name = bs.new_hash()
        halves = bs.half(relay, name), bs.half(relay, name)
        parties = [{"user": user, "domain": "example.org"}, bs.ABOUT["parties"][1]]
        parties[1] = {**parties[1], "charged": False}
        assert bs.activate(relay, name, {**bs.ABOUT, "parties": parties})[0] == 200
        streams.append(halves)
    data = os.urandom(8 * MIB // len(streams))
    began = time.monotonic()
    receivers = [bs.Receiver(second) for _, second in streams]
    for first, _ in streams:
        bs.Sender(first, data)
    for receiver in receivers:
        assert receiver.result() == (len(data), sha(data), "end")
    # A bucket is full at first: a quarter of a second.
    assert time.monotonic() - began >= (8 * MIB - 1 * MIB) / (4 * MIB)


def test_both_directions_get_their_share_of_a_rate(stage):
    relay = stage.relayd(redis=None, stream_rate="4M")
    first, second, name = bs.pair(relay)
    data = os.urandom(2 * MIB)
    for half in (first, second):
        bs.Sender(half, data)
    for receiver in [bs.Receiver(half) for half in (first, second)]:
        assert receiver.result() == (len(data), sha(data), "end")


def test_rates_are_read_again_for_streams_that_are_active(stage):
    relay = stage.relayd(redis=None)
    first, second, name = bs.pair(relay)
    first.sendall(b"before")
    assert bs.exactly(second, 6) == b"before"
    keys = relay.sections["daemon"]
    for rate, size in (("1M", 3 * MIB), ("0", 16 * MIB), ("1M", MIB)):
        relay.configure({"daemon": {**keys, "stream_rate": rate}})
        times = relay.log_text().count("config-reloaded")
        os.kill(relay.pid, signal.SIGHUP)
        relay.wait_log("config-reloaded", count=times + 1)
        data, began = os.urandom(size), time.monotonic()
        sender = bs.Sender(first, data, then=lambda sock: None)
        assert bs.exactly(second, size) == data
        sender.join(60)
        assert rate == "0" or time.monotonic() - began >= (size - MIB) / MIB


def test_connections_of_an_address_count_in_whatever_state(stage):
    relay = stage.relayd(redis=None, connections_per_address_max=4)
    active = bs.pair(relay)
    waiting = [bs.half(relay, bs.new_hash()) for _ in range(2)]
    _, reply = bs.ask(relay, bs.new_hash())
    assert reply[:2] == b"\x05\x02"
    assert bs.half(relay, bs.new_hash(), source="127.0.0.2")
    for sock in active[:2]:
        sock.close()
    wait_until(lambda: works(relay, bs.new_hash()), what="a place again")
    assert waiting


def test_running_out_of_descriptors_pauses_and_recovers(stage):
    relay = stage.relayd(redis=None, start=False, handshake_timeout="10m")  # nobody leaves
    relay.argv = ["prlimit", "--nofile=40:40", "--", *relay.argv]
    relay.start()
    first, second, name = bs.pair(relay)
    crowd = [bs.knock(relay) for _ in range(60)]
    relay.wait_log("accept-paused reason=descriptors")
    wait_until(relay.rests, what="the relay to wait and not to spin")
    data = os.urandom(MIB)
    bs.Sender(first, data)
    assert bs.Receiver(second).result() == (len(data), sha(data), "end")
    for sock in filter(None, crowd):
        sock.close()
    name = bs.new_hash()
    wait_until(lambda: works(relay, name), what="a handshake that succeeds again")


def works(relay, name):
    try:
        return bs.half(relay, name)
    except (OSError, AssertionError):
        return None


# The fleet


def claim_of(redis, name):
    return redis.command("GET", f"og:claim:{name}")


def test_a_hash_is_claimed_while_it_waits_and_given_back(stage):
    redis = stage.redis()
    relay = stage.relayd("relay-1", redis)
    name = bs.new_hash()
    first = bs.half(relay, name)
    owner, epoch = claim_of(redis, name).split(" ")
    assert owner == "relay-1" and int(epoch) > 1600000000000
    assert 0 < int(redis.command("PTTL", f"og:claim:{name}")) <= 60000
    second = bs.half(relay, name)
    bs.activate(relay, name)
    first.close()
    second.close()
    wait_until(lambda: claim_of(redis, name) is None)


def test_a_hash_of_another_relay_is_refused(stage):
    redis = stage.redis()
    one, two = stage.relayd("relay-1", redis), stage.relayd("relay-2", redis)
    name = bs.new_hash()
    first = bs.half(one, name)
    stranger, reply = bs.ask(two, name)
    assert reply == b"\x05\x01\x00\x01" + bytes(6)
    two.wait_log("handshake-refused .*reason=owned-elsewhere")
    assert claim_of(redis, name).startswith("relay-1 ")
    assert state(two, name) is None
    first.close()
    wait_until(lambda: claim_of(redis, name) is None)
    bs.half(two, name)


def test_a_claim_that_someone_else_took_over_is_left_alone(stage):
    redis = stage.redis()
    relay = stage.relayd("relay-1", redis)
    name = bs.new_hash()
    first, second = bs.half(relay, name), bs.half(relay, name)
    redis.command("SET", f"og:claim:{name}", "relay-9 1", "PX", "60000")
    first.close()
    second.close()
    reason(relay, name)
    bs.half(relay, bs.new_hash())  # an answer of Redis behind the removal
    assert claim_of(redis, name) == "relay-9 1"


def test_without_redis_new_halves_are_refused_and_active_streams_go_on(stage):
    redis = stage.redis(start=False)
    relay = stage.relayd("relay-1", redis)
    start = time.monotonic()
    # Refused with a reply: the end of the handshake's own time would close it without one.
    assert bs.ask(relay, bs.new_hash())[1][:2] == b"\x05\x01"
    assert time.monotonic() - start > 1.5
    relay.wait_log("handshake-refused .*reason=redis-unavailable")
    assert relay.call("GET", "/readyz", token=None)[0] == 503
    redis.start()
    name = bs.new_hash()
    first = wait_until(lambda: works(relay, name), what="Redis to be found")
    second = bs.half(relay, name)
    assert bs.activate(relay, name)[0] == 200
    waiting = bs.new_hash()
    lonely = bs.half(relay, waiting)
    redis.kill()
    assert bs.ask(relay, bs.new_hash())[1][:2] == b"\x05\x01"
    first.sendall(b"goes on")
    assert bs.exactly(second, 7) == b"goes on"
    partner = bs.half(relay, waiting)  # its hash is ours already
    redis.start()
    redis.command("DEL", f"og:claim:{waiting}")  # as if it had run out meanwhile
    wait_until(lambda: works(relay, bs.new_hash()), what="Redis to be found again")
    assert bs.activate(relay, waiting)[0] == 200
    partner.sendall(b"met")
    assert bs.exactly(lonely, 3) == b"met"


def test_claims_come_back_with_redis_and_a_lost_one_ends_its_stream(stage):
    redis = stage.redis(extra=("--appendonly", "no"))
    relay = stage.relayd("relay-1", redis)
    kept, lost = bs.new_hash(), bs.new_hash()
    halves = bs.half(relay, kept), bs.half(relay, lost)
    redis.kill()
    redis.start()
    redis.command("SET", f"og:claim:{lost}", "relay-9 1", "PX", "60000")
    wait_until(lambda: claim_of(redis, kept), what="the claim to come back")
    assert reason(relay, lost) == "claim-lost"
    assert bs.to_end(halves[1]) == (b"", "reset")
    assert state(relay, kept)["state"] == "waiting"


def test_a_client_that_leaves_while_it_is_claimed_leaves_nothing(stage):
    redis = stage.redis()
    relay = stage.relayd("relay-1", redis)
    name = bs.new_hash()
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        sock = bs.connect(relay)
        sock.sendall(bs.GREETING + bs.request(name))
        assert bs.exactly(sock, 2) == b"\x05\x00"
        wait_until(lambda: state(relay, name))
        assert state(relay, name)["state"] == "claiming"
        assert bs.activate(relay, name)[0] == 409
        sock.close()
        assert reason(relay, name) == "abandoned"
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    wait_until(lambda: works(relay, bs.new_hash()))
    wait_until(lambda: claim_of(redis, name) is None, what="the claim to be gone")


def test_a_relay_is_in_the_registry_while_it_serves(stage):
    redis = stage.redis()
    relay = stage.relayd("relay-1", redis, advertise="relay.example.org:1080, 192.0.2.1:1080")
    record = wait_until(lambda: redis.command("GET", "og:registry:relay:relay-1"))
    assert '"advertise":["relay.example.org:1080","192.0.2.1:1080"]' in record
    assert '"draining":false' in record
    first = bs.half(relay, bs.new_hash())
    wait_until(lambda: '"halves":1' in (redis.command("GET", "og:registry:relay:relay-1") or ""))
    relay.call("POST", "/v1/drain")
    record = "og:registry:relay:relay-1"
    wait_until(lambda: '"draining":true' in (redis.command("GET", record) or ""))
    first.close()
    assert relay.wait_exit() == 0
    wait_until(lambda: redis.command("GET", "og:registry:relay:relay-1") is None)


BAD_CONFIGURATIONS = {
    "a wildcard that can't be advertised": ({"listen": "0.0.0.0:0"}, "advertise"),
    "an id with a space": ({"id": "relay 1"}, "id"),
    "a name to listen on": ({"listen": "localhost:1080"}, "listen"),
    "an advertised address without a port": ({"advertise": "relay.example.org"}, "advertise"),
    "no token": ({"api_token": None}, "api-token"),
    "an unknown key": ({"limits": "yes"}, "limits"),
    "an URL that is none": ({"redis_url": "http://x"}, "redis"),
}


@pytest.mark.parametrize("what", BAD_CONFIGURATIONS)
def test_a_bad_configuration_is_an_error_at_the_start(stage, what):
    keys, word = BAD_CONFIGURATIONS[what]
    redis = types.SimpleNamespace(url=keys.pop("redis_url", "redis://127.0.0.1:1"))
    relay = stage.relayd("relay-1", redis, start=False, **keys)
    relay.clean = (1,)
    relay.start(wait=False)
    assert relay.wait_exit() == 1
    assert word in relay.log_text()


def test_a_port_that_is_taken_is_an_error_at_the_start(stage):
    with socket.create_server((HOST, 0)) as taken:
        relay = stage.relayd(redis=None, start=False, listen="%s:%d" % taken.getsockname())
        relay.clean = (1,)
        with pytest.raises(Trouble):
            relay.start()
    assert "listen-failed" in relay.log_text()
