"""Several relays: halves that land on different ones, and what becomes of them in trouble."""

import hashlib
import os
import signal
import socket
import time

import pytest

import bytestream as bs
import fleet as fl
from fleet import Fleet, bridged_pair, metric, reason, state
from harness import HOST, wait_until

MIB = 1 << 20


def sha(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def pair(module_stage):
    """Two relays that tests share which don't harm them."""
    return Fleet(module_stage, 2, drain_timeout="5s")


# Transfers over a bridge


@pytest.mark.parametrize("owner_first", [True, False])
def test_halves_on_two_relays_exchange_bytes_unchanged(pair, owner_first):
    owner, other = pair
    name = bs.new_hash()
    if owner_first:
        here, there = bs.half(owner, name), bs.half(other, name)
    else:  # two on the bridging relay: the owner's half came, went, and came again
        probe = bs.half(owner, name)
        there = bs.half(other, name)
        probe.close()
        wait_until(lambda: len(state(owner, name)["halves"]) == 1)
        here = bs.half(owner, name)
    assert bs.activate(other, name)[0] == 404
    assert bs.activate(owner, name) == (200, {"hash": name, "state": "active"})
    data, back = os.urandom(24 * MIB + 7), os.urandom(17 * MIB + 1)
    senders = bs.Sender(here, data), bs.Sender(there, back)
    receivers = bs.Receiver(there), bs.Receiver(here)
    assert receivers[0].result() == (len(data), sha(data), "end")
    assert receivers[1].result() == (len(back), sha(back), "end")
    assert not any(sender.result() for sender in senders)
    assert reason(owner, name) == "completed"
    line = other.wait_log(rf"bridge-ended id={name} .*").group(0)
    assert f"owner={owner.name} reason=completed" in line
    assert f"sent={len(back)} received={len(data)}" in line


def test_either_relay_may_own_a_hash(pair):
    for owner, other in (pair, reversed(pair.relays)):
        here, there, name = bridged_pair(owner, other)
        assert pair.claim(name).startswith(f"{owner.name} ")
        here.sendall(b"to the other")
        assert bs.exactly(there, 12) == b"to the other"
        there.sendall(b"and back")
        assert bs.exactly(here, 8) == b"and back"
        assert state(other, name) is None
        here.close()
        there.close()
        assert reason(owner, name) == "completed"


def test_both_halves_may_be_bridged(pair):
    owner, other = pair
    name = bs.new_hash()
    probe = bs.half(owner, name)
    first = bs.half(other, name)
    probe.close()
    wait_until(lambda: len(state(owner, name)["halves"]) == 1)
    second = bs.half(other, name)
    assert metric(other, "bridges") >= 2
    assert bs.activate(owner, name)[0] == 200
    first.sendall(b"twice over")
    assert bs.exactly(second, 10) == b"twice over"
    third, reply = bs.ask(other, name)
    assert reply == b"\x05\x02\x00\x01" + bytes(6)
    assert metric(other, 'bridge_dials_total{outcome="third-half"}') == 1
    assert metric(other, 'handshakes_refused_total{reason="third-half"}') == 1


def test_what_is_sent_before_activation_waits_and_arrives(pair):
    owner, other = pair
    name = bs.new_hash()
    here, there = bs.half(owner, name), bs.half(other, name)
    there.sendall(b"early")
    here.sendall(b"early too")
    for sock in (here, there):
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.settimeout(60)
    assert [half["received"] for half in state(owner, name)["halves"]] == [0, 0]
    assert metric(other, 'bridge_bytes_total{direction="to_owner"}') is not None
    assert bs.activate(owner, name)[0] == 200
    assert bs.exactly(here, 5) == b"early"
    assert bs.exactly(there, 9) == b"early too"


@pytest.mark.parametrize("size", [5, 100000])
def test_a_sender_that_leaves_before_activation_still_delivers(pair, size):
    owner, other = pair
    name = bs.new_hash()
    there = bs.half(other, name)  # the first: OTHER owns it
    here = bs.half(owner, name)
    here.sendall(b"x" * size)
    here.close()
    time.sleep(0.1)  # for its FIN to be seen, if it came that far
    assert bs.activate(other, name)[0] == 200
    assert bs.to_end(there) == (b"x" * size, "end")


def test_a_client_that_leaves_its_bridge_frees_its_seat(pair):
    owner, other = pair
    name = bs.new_hash()
    here, there = bs.half(owner, name), bs.half(other, name)
    assert state(owner, name)["state"] == "paired"
    there.close()
    wait_until(lambda: state(owner, name)["state"] == "waiting")
    assert reason(other, name, "bridge") == "abandoned"
    again = bs.half(other, name)
    assert bs.activate(owner, name)[0] == 200
    again.sendall(b"at last")
    assert bs.exactly(here, 7) == b"at last"


def test_an_owner_that_gives_up_ends_the_bridge(stage):
    owner, other = Fleet(stage, 2, pending_timeout="1s")
    name = bs.new_hash()
    here, there = bs.half(owner, name), bs.half(other, name)
    assert bs.to_end(there) == (b"", "reset")
    assert reason(other, name, "bridge") == "owner-left"
    assert bs.to_end(here) == (b"", "reset")


@pytest.mark.parametrize("at_owner", [True, False])
def test_a_half_close_passes_and_leaves_the_other_direction_open(pair, at_owner):
    here, there, name = bridged_pair(*pair)
    asks, answers = (here, there) if at_owner else (there, here)
    asks.sendall(b"question")
    asks.shutdown(socket.SHUT_WR)
    assert bs.to_end(answers) == (b"question", "end")
    for i in range(5):
        answers.sendall(b"answer %d" % i)
        assert bs.exactly(asks, 8) == b"answer %d" % i
    answers.close()
    assert bs.to_end(asks) == (b"", "end")
    assert reason(pair[0], name) == "completed"
    assert reason(pair[1], name, "bridge") == "completed"


@pytest.mark.parametrize("at_owner", [True, False])
def test_a_reset_passes_when_what_came_before_it_has_arrived(pair, at_owner):
    here, there, name = bridged_pair(*pair, receive_buffer=65536)
    breaks, reads = (here, there) if at_owner else (there, here)
    data = os.urandom(2 * MIB)
    sender = bs.Sender(breaks, data, then=lambda sock: None)
    assert bs.exactly(reads, 1000) == data[:1000]
    assert sender.result() is None
    time.sleep(0.2)  # what its own kernel still holds dies with the reset
    bs.reset(breaks)
    got = data[:1000]
    while len(got) < len(data):
        part = bs.exactly(reads, min(100000, len(data) - len(got)))
        if not part:
            break
        got += part
        time.sleep(0.01)
    assert got == data[: len(got)]
    assert bs.to_end(reads) == (b"", "reset")
    assert reason(pair[0], name) == "reset"
    assert reason(pair[1], name, "bridge") == "reset"


def test_a_slow_reader_behind_a_bridge_holds_the_sender_back_and_gets_all(pair):
    here, there, name = bridged_pair(*pair, receive_buffer=65536)
    before = [memory(relay) for relay in pair]
    count, digest = fill(here)
    assert all(memory(relay) - was < 2 * MIB for relay, was in zip(pair, before))
    here.close()
    assert bs.Receiver(there).result() == (count, digest, "end")
    there.close()
    assert reason(pair[0], name) == "completed"


def fill(sock):
    """Sends until nothing has been taken for a second: how many bytes, and their digest."""
    piece, digest, count, quiet = os.urandom(MIB), hashlib.sha256(), 0, 0
    sock.setblocking(False)
    while quiet < 50:
        try:
            taken = sock.send(piece)
        except BlockingIOError:
            time.sleep(0.02)
            quiet += 1
            continue
        digest.update(piece[:taken])
        count, quiet = count + taken, 0
        assert count < 1000 * MIB, "nobody holds the sender back"
    return count, digest.hexdigest()


def memory(relay):
    """Resident bytes."""
    with open(f"/proc/{relay.pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def test_cutting_a_stream_cuts_its_bridge(pair):
    owner, other = pair
    here, there, name = bridged_pair(owner, other)
    assert owner.call("DELETE", f"/v1/streams/{name}")[0] == 204
    assert bs.to_end(here)[1] == bs.to_end(there)[1] == "reset"
    assert reason(other, name, "bridge") == "reset"


def test_only_the_owner_decides_when_a_stream_is_idle(stage):
    fleet = Fleet(stage, 1, idle_timeout="1m")
    owner, other = fleet[0], fleet.add("relay-2", idle_timeout="500ms", pending_timeout="500ms")
    name = bs.new_hash()
    here, there = bs.half(owner, name), bs.half(other, name)
    time.sleep(1.5)
    assert bs.activate(owner, name)[0] == 200
    time.sleep(1.5)
    there.sendall(b"after a pause")
    assert bs.exactly(here, 13) == b"after a pause"
    here.shutdown(socket.SHUT_WR)
    assert bs.to_end(there) == (b"", "end")
    time.sleep(1.5)
    there.sendall(b"and another")
    assert bs.exactly(here, 11) == b"and another"


def test_the_connection_between_relays_is_asked_for_life(pair):
    owner, other = pair
    here, there, name = bridged_pair(owner, other)
    port = int(owner.address("peering").rsplit(":", 1)[1])

    def both_wait():
        timers = keepalive_timers(port)
        return timers if len(timers) == 2 and None not in timers.values() else None

    seconds = wait_until(both_wait, what="nothing to be unacknowledged").values()
    assert all(second <= 20 for second in seconds)


def keepalive_timers(port):
    """Of each end of the connections with PORT: seconds to its next probe; None: not armed now."""
    timers = {}
    with open("/proc/net/tcp") as table:
        for line in list(table)[1:]:
            fields = line.split()
            ends = [int(fields[i].split(":")[1], 16) for i in (1, 2)]
            if port in ends and fields[3] == "01":  # established
                kind, ticks = fields[5].split(":")
                timers[ends[0] == port] = int(ticks, 16) / 100 if kind == "02" else None
    return timers


# Relays and Redis that die


def test_an_owner_that_is_killed_ends_the_bridge_like_a_reset(stage):
    fleet = Fleet(stage, 2)
    owner, other = fleet
    here, there, name = bridged_pair(owner, other)
    waiting = bs.new_hash()
    alone, partner = bs.half(owner, waiting), bs.half(other, waiting)
    sender = bs.Sender(here, bytes(64 * MIB))
    assert len(bs.exactly(there, MIB)) == MIB
    owner.kill()
    assert bs.to_end(there)[1] == "reset"
    assert isinstance(sender.result(), OSError)
    assert bs.to_end(partner)[1] == "reset"
    assert reason(other, name, "bridge") == "reset"
    wait_until(lambda: metric(other, "bridges") == 0)
    assert bs.half(other, bs.new_hash())
    assert alone


def test_a_crash_does_not_look_like_the_end_of_the_data(stage):
    relay = stage.relayd()
    first, second, _ = bs.pair(relay)
    first.sendall(b"half of a file")
    assert bs.exactly(second, 14) == b"half of a file"
    relay.kill()
    assert bs.to_end(second) == (b"", "reset")


def test_a_bridging_relay_that_is_killed_ends_the_stream_like_a_reset(stage):
    owner, other = Fleet(stage, 2)
    here, there, name = bridged_pair(owner, other)
    sender = bs.Sender(there, bytes(64 * MIB))
    assert len(bs.exactly(here, MIB)) == MIB
    other.kill()
    assert bs.to_end(here)[1] == "reset"
    assert reason(owner, name) == "reset"
    assert isinstance(sender.result(), OSError)
    wait_until(lambda: metric(owner, 'streams{state="closing"}') == 0)


def test_transfers_go_on_while_redis_is_dead_and_new_ones_when_it_is_back(stage):
    fleet = Fleet(stage, 2)
    owner, other = fleet
    here, there, name = bridged_pair(owner, other)
    data = os.urandom(24 * MIB)
    sender = bs.Sender(here, data)
    got = bs.exactly(there, MIB)
    fleet.redis.kill()
    assert fl.granted(other, bs.new_hash()) is None
    got += bs.to_end(there)[0]
    assert sha(got) == sha(data)
    there.sendall(b"still here")
    assert bs.exactly(here, 10) == b"still here"
    there.close()
    assert reason(owner, name) == "completed"
    assert sender.result() is None
    fleet.redis.start()
    for relay in fleet:
        wait_until(lambda: fl.granted(relay, bs.new_hash()), what="Redis to be found")
        fleet.wait_registered(relay)
    here, there, _ = bridged_pair(owner, other)
    here.sendall(b"anew")
    assert bs.exactly(there, 4) == b"anew"


def test_a_relay_that_starts_again_does_not_inherit_its_claims(stage):
    fleet = Fleet(stage, 2)
    owner, other = fleet
    names = [bs.new_hash() for _ in range(3)]
    halves = [bs.half(owner, name) for name in names]
    old = fleet.claim(names[0])
    owner.kill()
    owner.start()
    assert fleet.claim(names[0]) == old  # of itself before: "relay-1 EPOCH"
    mine = bs.half(owner, names[0])
    assert fleet.claim(names[0]).startswith("relay-1 ") and fleet.claim(names[0]) != old
    fleet.wait_registered(owner)
    theirs = bs.half(other, names[1])
    assert fleet.claim(names[1]).startswith("relay-2 ")
    partner = bs.half(owner, names[1])  # bridged, the other way now
    assert bs.activate(other, names[1])[0] == 200
    theirs.sendall(b"taken over")
    assert bs.exactly(partner, 10) == b"taken over"
    assert fleet.claim(names[2]) == old
    assert mine and halves


def test_an_earlier_self_is_no_other_relay_even_if_its_record_is_still_there(stage):
    fleet = Fleet(stage, 1)
    relay = fleet[0]
    name = bs.new_hash()
    old = fleet.record(relay).replace(f'"epoch":{fleet.epoch(relay)}', '"epoch":123')
    fleet.redis.command("SET", f"og:claim:{name}", "relay-1 123", "PX", "60000")
    fleet.redis.command("SET", "og:registry:relay:relay-1", old, "PX", "5000")
    half = bs.half(relay, name)
    assert fleet.claim(name) == f"relay-1 {fleet.epoch(relay)}"
    assert half


def test_a_second_relay_with_the_same_id_ends_and_the_first_goes_on(stage):
    fleet = Fleet(stage, 1)
    twin = stage.relayd("twin", fleet.redis, start=False, id="relay-1")
    twin.clean = (1,)
    assert twin.start(wait=False).wait_exit() == 1
    assert "registry-id-taken kind=relay id=relay-1 host=" in twin.log_text()
    epoch = fleet.epoch(fleet[0])
    assert f'"epoch":{epoch}' in fleet.record(fleet[0])


def test_claims_of_a_relay_that_is_gone_are_left_until_a_renewal_was_missed(stage):
    fleet = Fleet(stage, 1)
    relay = fleet[0]
    name = bs.new_hash()
    fleet.redis.command("SET", f"og:claim:{name}", "relay-9 123", "PX", "55000")
    sock, reply = bs.ask(relay, name)
    assert reply == b"\x05\x01\x00\x01" + bytes(6)
    relay.wait_log("handshake-refused .*reason=owned-elsewhere")
    fleet.redis.command("PEXPIRE", f"og:claim:{name}", "25000")
    half = bs.half(relay, name)
    assert fleet.claim(name).startswith("relay-1 ")
    assert int(fleet.redis.command("PTTL", f"og:claim:{name}")) > 50000
    assert half


# Owners that can't be bridged to


def refused_by(relay, name):
    """The relay's refusal of a half."""
    sock, reply = bs.ask(relay, name)
    assert bs.to_end(sock) == (b"", "end")
    return reply


def test_an_owner_without_a_peer_address_is_not_bridged_to(stage):
    fleet = Fleet(stage, 1, peer_listen=None, peer_secret=None)
    owner, other = fleet[0], fleet.add("relay-2")
    assert '"peer":null' in fleet.record(owner)
    assert f'"peer":"{other.address("peering")}"' in fleet.record(other)
    name, back = bs.new_hash(), bs.new_hash()
    halves = bs.half(owner, name), bs.half(other, back)
    assert refused_by(other, name) == b"\x05\x01\x00\x01" + bytes(6)
    assert refused_by(owner, back) == b"\x05\x01\x00\x01" + bytes(6)
    assert metric(other, 'handshakes_refused_total{reason="owned-elsewhere"}') == 1
    assert halves


UNREACHABLE = {
    "nobody listens there": (lambda: f"{HOST}:1", "unreachable"),
    "a name that nobody has": (lambda: "relay.invalid:1081", "no-address"),
    "it never answers": (lambda: silent_address(), "timed-out"),
}


def silent_address():
    server = socket.create_server((HOST, 0), backlog=5)
    SILENT.append(server)
    return "%s:%d" % server.getsockname()


SILENT = []


@pytest.mark.parametrize("what", UNREACHABLE)
def test_a_peer_that_cannot_be_dialled_refuses_the_half(stage, what):
    address, outcome = UNREACHABLE[what]
    fleet = Fleet(stage, 1, peer_address=address())
    owner, other = fleet[0], fleet.add("relay-2")
    name = bs.new_hash()
    half = bs.half(owner, name)
    start = time.monotonic()
    # With a reply, so before the handshake's own time is over, which would end it without one.
    assert refused_by(other, name) == b"\x05\x01\x00\x01" + bytes(6)
    took = time.monotonic() - start
    found = other.wait_log(rf"bridge-failed id={name} owner=relay-1 outcome=(\S+)").group(1)
    if what == "a name that nobody has":  # a resolver may also be silent
        assert found in (outcome, "timed-out")
    else:
        assert found == outcome
    assert took > 1.8 or found != "timed-out"
    assert metric(other, f'bridge_dials_total{{outcome="{found}"}}') == 1
    assert metric(other, "bridges") == 0
    assert state(owner, name)["state"] == "waiting"
    assert half


def test_a_client_that_leaves_while_the_owner_is_dialled_leaves_nothing(stage):
    fleet = Fleet(stage, 1, peer_address=silent_address())
    owner, other = fleet[0], fleet.add("relay-2")
    name = bs.new_hash()
    half = bs.half(owner, name)
    sock = bs.connect(other)
    sock.sendall(bs.GREETING + bs.request(name))
    assert bs.exactly(sock, 2) == b"\x05\x00"
    wait_until(lambda: metric(other, "bridges") == 1)
    sock.close()
    assert reason(other, name, "bridge") == "abandoned"
    assert metric(other, "bridges") == 0
    assert half


def test_another_secret_is_refused_and_told_on_both_ends(stage):
    fleet = Fleet(stage, 1)
    owner, other = fleet[0], fleet.add("relay-2", peer_secret="another-secret-of-another-fleet")
    name = bs.new_hash()
    half = bs.half(owner, name)
    assert refused_by(other, name) == b"\x05\x01\x00\x01" + bytes(6)
    owner.wait_log("handshake-refused .*peering=yes .*reason=bad-proof")
    other.wait_log(f"bridge-failed id={name} owner=relay-1 outcome=refused")
    assert state(owner, name)["state"] == "waiting"
    log = owner.log_text() + other.log_text()
    assert fl.SECRET not in log and "another-secret-of-another-fleet" not in log
    assert half


def test_the_secret_is_changed_relay_by_relay_without_a_gap(stage):
    fleet, new = Fleet(stage, 2), "the-next-secret-of-the-fleet"
    one, other = fleet

    def check():
        for owner, bridging in ((one, other), (other, one)):
            here, there, _ = fl.bridged_pair(owner, bridging)
            here.sendall(b"over")
            assert bs.exactly(there, 4) == b"over"

    for keys in ({"peer_secret": fl.SECRET, "peer_secret_also": new},
                 {"peer_secret": new, "peer_secret_also": fl.SECRET},
                 {"peer_secret": new, "peer_secret_also": None}):
        for relay in fleet:
            relay.stop()
            relay.configure({"daemon": {**relay.sections["daemon"], **keys}})
            relay.start()
            fleet.wait_registered(relay)
            check()
    old = fleet.add("old")
    name = bs.new_hash()
    half = bs.half(one, name)
    assert refused_by(old, name) == b"\x05\x01\x00\x01" + bytes(6)
    assert half


# What peers, and who pretends to be one, may say


def peer_half(relay, name):
    """A half of NAME, bridged by hand."""
    sock = fl.dial(relay)
    nonce = fl.challenge(sock)
    fl.ask(sock, nonce, name, owner=relay.name)
    assert bs.exactly(sock, 47) == b"\x05\x00\x00\x03\x28" + name.encode() + b"\x00\x00"
    assert bs.exactly(sock, 32) == fl.proof(nonce, name, owner=relay.name, who=b"O")
    return sock


def test_a_peer_is_told_of_the_activation_before_any_byte(pair):
    owner, name = pair[0], bs.new_hash()
    client = bs.half(owner, name)
    client.sendall(b"already there")
    peer = peer_half(owner, name)
    peer.settimeout(0.3)
    with pytest.raises(TimeoutError):
        peer.recv(1)
    peer.settimeout(60)
    assert bs.activate(owner, name)[0] == 200
    assert bs.exactly(peer, 14) == b"\x00already there"
    peer.sendall(b"\x00\x01")
    assert bs.exactly(client, 2) == b"\x00\x01"
    seen = state(owner, name)["halves"]
    assert [(half["received"], half["sent"]) for half in seen] == [(13, 2), (2, 13)]


def test_a_peer_may_speak_byte_by_byte(pair):
    owner, name = pair[0], bs.new_hash()
    client, peer = bs.half(owner, name), fl.dial(owner)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in fl.PEER_GREETING:
        peer.sendall(bytes([byte]))
        time.sleep(0.005)
    nonce = bs.exactly(peer, 34)[2:]
    for byte in fl.NONCE + fl.proof(nonce, name) + bs.request(name.upper()):
        peer.sendall(bytes([byte]))
        time.sleep(0.002)
    assert bs.exactly(peer, 79)[:2] == b"\x05\x00"
    assert state(owner, name)["state"] == "paired"
    assert client


def test_nonces_differ_and_a_proof_is_good_for_one(pair):
    owner, name = pair[0], bs.new_hash()
    client, first, second = bs.half(owner, name), fl.dial(owner), fl.dial(owner)
    nonces = fl.challenge(first), fl.challenge(second)
    assert nonces[0] != nonces[1]
    fl.ask(second, nonces[0], name)
    assert bs.to_end(second) == (b"\x05\x01\x00\x01" + bytes(6), "end")
    assert state(owner, name)["state"] == "waiting"
    assert client


def test_a_proof_for_another_relay_proves_nothing(pair):
    """A stranger between two relays can't pass on to one what was said to the other."""
    owner, name = pair[0], bs.new_hash()
    client, sock = bs.half(owner, name), fl.dial(owner)
    fl.ask(sock, fl.challenge(sock), name, owner="relay-2")
    assert bs.to_end(sock) == (b"\x05\x01\x00\x01" + bytes(6), "end")
    assert state(owner, name)["state"] == "waiting"
    assert client


def test_an_owner_that_cannot_prove_itself_gets_no_byte(stage):
    with socket.create_server((HOST, 0)) as server:
        fleet = Fleet(stage, 1, peer_address="%s:%d" % server.getsockname())
        owner, other = fleet[0], fleet.add("relay-2")
        name = bs.new_hash()
        half, sock = bs.half(owner, name), bs.connect(other)
        sock.sendall(bs.GREETING + bs.request(name))
        caller, _ = server.accept()
        assert bs.exactly(caller, 3) == fl.PEER_GREETING
        caller.sendall(b"\x05\x81" + bytes(32))
        assert len(bs.exactly(caller, 111)) == 111
        grant = b"\x05\x00\x00\x03\x28" + name.encode() + b"\x00\x00"
        caller.sendall(grant + bytes(32))
        assert bs.to_end(sock) == (b"\x05\x00" + b"\x05\x01\x00\x01" + bytes(6), "end")
        other.wait_log(f"bridge-failed id={name} owner=relay-1 outcome=no-relay")
        caller.close()
    assert half


def test_a_peer_asks_in_vain_for_a_hash_that_is_not_here(pair):
    owner, name = pair[0], bs.new_hash()
    sock = fl.dial(owner)
    nonce = fl.challenge(sock)
    fl.ask(sock, nonce, name)
    assert bs.to_end(sock) == (b"\x05\x01\x00\x01" + bytes(6), "end")
    assert pair.claim(name) is None
    owner.wait_log("handshake-refused .*peering=yes .*reason=not-owned")


def test_a_peers_half_is_not_bridged_again(pair):
    owner, other, name = *pair, bs.new_hash()
    client = bs.half(owner, name)
    before = metric(owner, 'bridge_dials_total{outcome="granted"}')
    sock = fl.dial(other)
    nonce = fl.challenge(sock)
    fl.ask(sock, nonce, name, owner="relay-2")
    assert bs.to_end(sock) == (b"\x05\x01\x00\x01" + bytes(6), "end")
    assert metric(owner, 'bridge_dials_total{outcome="granted"}') == before
    assert client


STRANGERS = {
    "no authentication": (bs.GREETING, b"\x05\xff"),
    "both methods": (b"\x05\x02\x00\x81", b"\x05\xff"),
    "no method": (b"\x05\x00", b"\x05\xff"),
    "a web client": (b"GET / HTTP/1.1\r\n\r\n", b"\x05\xff"),
    "megabytes": (b"\x05" * (2 * MIB), b"\x05\xff"),
}


@pytest.mark.parametrize("what", STRANGERS)
def test_strangers_get_nowhere_on_the_peer_listener(pair, what):
    said, answer = STRANGERS[what]
    sock = fl.dial(pair[0])
    try:
        sock.sendall(said)
    except OSError:
        pass  # it hung up on us
    got = bs.to_end(sock)[0]
    assert got == answer or (what == "megabytes" and got == b"")


@pytest.mark.parametrize("junk", [b"\xff" * 111, b"\x05" * 111, os.urandom(64) + b"\x05\x02\x00"])
def test_garbage_behind_the_challenge_is_refused(pair, junk):
    sock = fl.dial(pair[0])
    fl.challenge(sock)
    sock.sendall(junk)
    got = bs.to_end(sock)[0]
    assert len(got) == 10 and got[0] == 5 and got[1] != 0


def test_a_silent_peer_is_cut_off(stage):
    relay = Fleet(stage, 1, handshake_timeout="1s")[0]
    silent, slow = fl.dial(relay), fl.dial(relay)
    fl.challenge(slow)
    slow.sendall(bytes(32))
    assert bs.to_end(silent) == (b"", "end")
    assert bs.to_end(slow) == (b"", "end")
    relay.wait_log("handshake-refused .*peering=yes .*reason=timed-out", count=2)


def test_strangers_who_stay_silent_keep_no_relay_from_the_peer_listener(pair):
    owner, other = pair
    strangers = [fl.dial(owner) for _ in range(300)]
    here, there, _ = fl.bridged_pair(owner, other)
    here.sendall(b"through")
    assert bs.exactly(there, 7) == b"through"
    assert bs.to_end(strangers[0]) == (b"\x05\xff", "end")
    status, text = owner.call("GET", "/metrics", token=None)
    assert status == 200
    full = 'outrigger_relayd_handshakes_refused_total{reason="unproved-full"} '
    assert int(text.split(full)[1].split()[0]) >= 300 - 256
    for sock in (*strangers, here, there):
        sock.close()


def test_the_method_of_peers_is_none_for_clients(pair):
    sock = bs.connect(pair[0])
    sock.sendall(fl.PEER_GREETING)
    assert bs.to_end(sock) == (b"\x05\xff", "end")


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400\r\n", b"\x05\xff", b"\x05\x81" + bytes(31), b""])
def test_an_owner_that_is_no_relay_is_found_out(stage, reply):
    with socket.create_server((HOST, 0)) as server:
        address = "%s:%d" % server.getsockname()
        fleet = Fleet(stage, 1, peer_address=address)
        owner, other = fleet[0], fleet.add("relay-2")
        name = bs.new_hash()
        half = bs.half(owner, name)
        sock = bs.connect(other)
        sock.sendall(bs.GREETING + bs.request(name))
        caller, _ = server.accept()
        assert bs.exactly(caller, 3) == fl.PEER_GREETING
        caller.sendall(reply)
        if len(reply) in (0, 33):  # else it has hung up on us by now
            caller.shutdown(socket.SHUT_WR)
        assert bs.exactly(sock, 12) == b"\x05\x00\x05\x01\x00\x01" + bytes(6)
        found = other.wait_log(rf"bridge-failed id={name} .*outcome=(\S+)").group(1)
        assert found == ("cut-off" if len(reply) in (0, 33) else "no-relay")
        assert half


# Draining


def test_a_draining_relay_serves_its_bridges_to_their_end(stage):
    fleet = Fleet(stage, 2, drain_timeout="30s")
    owner, other = fleet
    here, there, name = bridged_pair(owner, other)
    waiting = bs.new_hash()
    first = bs.half(owner, waiting)
    assert other.call("POST", "/v1/drain")[0] == 202
    assert fl.granted(other, waiting) is None
    time.sleep(0.5)  # it must not have ended by now
    there.sendall(b"to the end")
    assert bs.exactly(here, 10) == b"to the end"
    here.close()
    there.close()
    assert other.wait_exit() == 0
    assert reason(other, name, "bridge") == "completed"
    assert first


def test_a_draining_owner_takes_the_second_half_of_its_streams_from_a_peer(stage):
    fleet = Fleet(stage, 2, drain_timeout="30s")
    owner, other = fleet
    name = bs.new_hash()
    first = bs.half(owner, name)
    assert owner.call("POST", "/v1/drain")[0] == 202
    second = bs.half(other, name)
    assert bs.activate(owner, name)[0] == 200
    second.sendall(b"served")
    assert bs.exactly(first, 6) == b"served"
    first.close()
    second.close()
    assert owner.wait_exit() == 0


def test_draining_ends_bridges_at_its_timeout(stage):
    owner, other = Fleet(stage, 2, drain_timeout="1s")
    here, there, name = bridged_pair(owner, other)
    os.kill(other.pid, signal.SIGTERM)
    assert other.wait_exit() == 0
    assert reason(other, name, "bridge") == "relay-stopped"
    assert bs.to_end(there)[1] == bs.to_end(here)[1] == "reset"


# What the owner counts


ROMEO, JULIET = (party["user"] for party in bs.ABOUT["parties"])


def used(relay, account):
    """This month's bytes of ACCOUNT by kind."""
    status, body = relay.call("GET", f"/v1/usage?account={account}")
    assert status == 200
    return {row["kind"]: row["bytes"] for row in body["usage"]}


def test_only_the_owner_counts_and_records_what_crosses_a_bridge(stage):
    owner, other = Fleet(stage, 2, verifier="limits")
    here, there, name = bridged_pair(owner, other)
    bs.Sender(there, bytes(5 * MIB), then=socket.socket.close)
    assert len(bs.to_end(here)[0]) == 5 * MIB
    here.close()
    assert reason(owner, name) == "completed"
    assert reason(other, name, "bridge") == "completed"
    wait_until(lambda: used(owner, "relay-1").get("instance") == 5 * MIB)
    assert used(owner, ROMEO) == used(owner, JULIET) == {"user": 5 * MIB}
    assert used(owner, "relay-2") == {}
    records = [row for row in owner.call("GET", "/v1/transfers")[1]["transfers"]
               if row["hash"] == name]
    assert [(row["relay"], row["bytes"]) for row in records] == [("relay-1", [0, 5 * MIB])]
    assert metric(other, 'bridge_bytes_total{direction="to_owner"}') == 5 * MIB


@pytest.mark.parametrize("at_owner", [True, False])
def test_a_limit_that_is_reached_in_mid_transfer_ends_both_halves(stage, at_owner):
    fleet = Fleet(stage, 2, verifier="limits", default_user_limit="4")  # MB
    owner, other = fleet
    here, there, name = bridged_pair(owner, other)
    sends, reads = (here, there) if at_owner else (there, here)
    sender = bs.Sender(sends, bytes(64 * MIB))
    assert bs.to_end(reads) == (bytes(4 * MIB), "reset")
    assert isinstance(sender.result(), OSError)
    reads.close()
    assert reason(owner, name) == "over-limit"
    wait_until(lambda: metric(other, "bridges") == 0)


def test_a_denied_activation_resets_a_bridged_half_too(stage):
    owner, other = Fleet(stage, 2, verifier="limits", default_user_limit="-1")
    name = bs.new_hash()
    here, there = bs.half(owner, name), bs.half(other, name)
    assert bs.activate(owner, name)[0] == 403
    assert bs.to_end(here) == bs.to_end(there) == (b"", "reset")
    assert reason(owner, name) == "denied"
    assert reason(other, name, "bridge") == "owner-left"
