"""relayd among many: caps and who pays for them, balancers, addresses of both families, and a
hundred transfers at once on a fleet whose clients come and go as they like."""

import collections
import hashlib
import os
import random
import socket
import threading
import time
import types

import pytest

import bytestream as bs
import fleet as fl
from chat import transfer
from fleet import Balancer, Fleet, metric, proxy_header, sources, state
from harness import HOST, wait_until
from stack import Stack

MIB = 1 << 20
ADDRESS_FULL = b"\x05\x02\x00\x01" + bytes(6)


def sha(data):
    return hashlib.sha256(data).hexdigest()


def granted(relay, **options):
    """A half of a hash of its own, or None if it was refused in whatever way."""
    name = bs.new_hash()
    try:
        return bs.half(relay, name, **options)
    except (OSError, AssertionError):
        return None


# Caps


def test_an_address_with_too_many_halves_is_refused_and_others_are_not(stage):
    relay = stage.relayd(pending_per_address_max=3)
    held = [granted(relay) for _ in range(3)]
    assert all(held)
    sock, reply = bs.ask(relay, bs.new_hash())
    assert reply == ADDRESS_FULL
    relay.wait_log("handshake-refused address=127.0.0.1:.* reason=address-full")
    assert granted(relay, source="127.0.0.2")
    sock.close()
    held[0].close()
    wait_until(lambda: granted(relay), what="the place that was left")


def test_halves_that_are_active_do_not_count(stage):
    relay = stage.relayd(pending_per_address_max=2)
    pairs = [bs.pair(relay) for _ in range(4)]
    first, second, _ = pairs[0]
    first.sendall(b"all at once")
    assert bs.exactly(second, 11) == b"all at once"
    assert granted(relay)


def test_connections_that_say_nothing_count_too_and_a_flood_of_them_is_cut_short(stage):
    relay = stage.relayd(pending_per_address_max=5, handshake_timeout="2s")
    silent = [bs.knock(relay) for _ in range(60)]
    wait_until(lambda: metric(relay, 'handshakes_refused_total{reason="address-full"}') >= 50)
    relay.wait_log("connections-turned-away address=127.0.0.1:.* reason=address-full")
    assert metric(relay, 'halves{state="greeting"}') <= 9  # 5, and a few to be told
    assert granted(relay, source="127.0.0.2")
    wait_until(lambda: granted(relay), what="the flood to be over")
    assert len(silent) == 60


def test_when_all_places_are_taken_the_greediest_address_loses_its_oldest(stage):
    relay = stage.relayd(pending_max=6, pending_per_address_max=5)
    modest = granted(relay, source="127.0.0.2")
    greedy = [granted(relay, source="127.0.0.3") for _ in range(5)]
    newcomer = granted(relay, source="127.0.0.4")
    assert modest and all(greedy) and newcomer
    assert bs.to_end(greedy[0]) == (b"", "reset")
    relay.wait_log("half-evicted address=127.0.0.3:.* state=waiting")
    assert metric(relay, "halves_evicted_total") == 1
    assert metric(relay, 'streams_ended_total{reason="evicted"}') == 1
    for sock in [modest, *greedy[1:], newcomer]:
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(1)


def test_an_evicted_half_leaves_its_partner_waiting(stage):
    relay = stage.relayd(pending_max=3, pending_per_address_max=2)
    name = bs.new_hash()
    first = bs.half(relay, name, source="127.0.0.2")
    second = bs.half(relay, name, source="127.0.0.3")
    other = granted(relay, source="127.0.0.2")
    newcomer = granted(relay, source="127.0.0.4")
    assert bs.to_end(first) == (b"", "reset")
    assert state(relay, name)["state"] == "waiting"
    again = bs.half(relay, name, source="127.0.0.5")  # the next to pay is 127.0.0.3, 2 or 4
    assert other and newcomer and again and second


def test_a_bridged_half_that_is_evicted_leaves_the_owner_too(stage):
    fleet = Fleet(stage, 1)
    owner = fleet[0]
    other = fleet.add("relay-2", pending_max=1)
    name = bs.new_hash()
    here = bs.half(owner, name)
    there = bs.half(other, name, source="127.0.0.2")
    assert state(owner, name)["state"] == "paired"
    assert granted(other, source="127.0.0.3")
    assert bs.to_end(there) == (b"", "reset")
    wait_until(lambda: state(owner, name)["state"] == "waiting")
    assert fl.reason(other, name, "bridge") == "evicted"
    assert here


def test_peers_count_for_no_address(stage):
    fleet = Fleet(stage, 1, pending_per_address_max=4)
    owner = fleet[0]
    other = fleet.add("relay-2", pending_per_address_max=100)
    names = [bs.new_hash() for _ in range(8)]
    first = [bs.half(owner, name, source=f"127.0.1.{i}") for i, name in enumerate(names, 1)]
    second = [bs.half(other, name) for name in names]
    assert all(bs.activate(owner, name)[0] == 200 for name in names)
    assert len(first) == len(second) == 8
    for sock, partner in zip(first, second):
        sock.sendall(b"!")
        assert bs.exactly(partner, 1) == b"!"


def test_a_full_relay_still_bridges_second_halves(stage):
    fleet = Fleet(stage, 1)
    owner = fleet[0]
    other = fleet.add("relay-2", connection_max=8, connection_reserve=50)
    name = bs.new_hash()
    here = bs.half(owner, name)
    held = [granted(other) for _ in range(4)]
    assert all(held) and granted(other) is None
    there = bs.half(other, name)
    assert bs.activate(owner, name)[0] == 200
    here.sendall(b"over there")
    assert bs.exactly(there, 10) == b"over there"


def test_who_has_a_whole_network_pays_for_itself(stage):
    relay = stage.relayd(pending_max=20, pending_per_address_max=5)
    modest = granted(relay, source="127.0.1.1")
    crowd = [granted(relay, source=f"127.0.2.{n}") for n in range(1, 60)]
    assert all(crowd)
    assert metric(relay, "halves_evicted_total") == 40
    assert "half-evicted address=127.0.1.1" not in relay.log_text()
    modest.settimeout(0.1)
    with pytest.raises(TimeoutError):
        modest.recv(1)


# PROXY headers


@pytest.fixture(scope="module")
def proxied(module_stage):
    """A relay that trusts 127.0.0.1 and takes two halves of an address."""
    return module_stage.relayd(
        "relay-proxied", trusted_proxies="127.0.0.1, 10.0.0.0/8", pending_per_address_max=2,
        handshake_timeout="1s",
    )


def through(relay, header, name):
    """A connection that begins with HEADER; the reply to its request."""
    sock = bs.connect(relay)
    sock.sendall(header)
    sock.sendall(bs.GREETING)
    assert bs.exactly(sock, 2) == b"\x05\x00"
    sock.sendall(bs.request(name))
    return sock, bs.exactly(sock, 47)


@pytest.mark.parametrize("rest", [0, 7, 0xFF00], ids=lambda size: f"{size} bytes of TLVs")
def test_the_client_is_who_the_header_says(proxied, rest):
    name = bs.new_hash()
    sock, reply = through(proxied, proxy_header(("192.0.2.7", 4711), rest=bytes(rest)), name)
    assert reply[:2] == b"\x05\x00"
    assert state(proxied, name)["halves"][0]["address"] == "192.0.2.7:4711"
    sock.close()
    wait_until(lambda: state(proxied, name) is None)


def test_a_header_may_come_byte_by_byte(proxied):
    name, sock = bs.new_hash(), bs.connect(proxied)
    for byte in proxy_header(("192.0.2.8", 4712), rest=b"\x04\x00\x03abc") + bs.GREETING:
        sock.sendall(bytes([byte]))
        time.sleep(0.002)
    assert bs.exactly(sock, 2) == b"\x05\x00"
    sock.sendall(bs.request(name))
    assert bs.exactly(sock, 47)[:2] == b"\x05\x00"
    assert state(proxied, name)["halves"][0]["address"] == "192.0.2.8:4712"


def test_header_handshake_and_data_may_come_in_one_piece(proxied):
    name = bs.new_hash()
    first, second = bs.connect(proxied), bs.connect(proxied)
    for number, sock in enumerate((first, second)):
        header = proxy_header((f"192.0.2.{20 + number}", 1), rest=b"\x04\x00\x01x")
        sock.sendall(header + bs.GREETING + bs.request(name) + b"data")
        assert len(bs.exactly(sock, 49)) == 49
    assert bs.activate(proxied, name)[0] == 200
    assert bs.exactly(first, 4) == bs.exactly(second, 4) == b"data"


def test_caps_see_the_client_behind_the_balancer(proxied):
    held = [through(proxied, proxy_header(("192.0.2.50", i)), bs.new_hash()) for i in range(3)]
    assert [reply[:2] for _, reply in held] == [b"\x05\x00", b"\x05\x00", b"\x05\x02"]
    other, reply = through(proxied, proxy_header(("192.0.2.51", 1)), bs.new_hash())
    assert reply[:2] == b"\x05\x00"
    assert other


def test_an_ipv6_client_behind_the_balancer_counts_by_its_64(proxied):
    def header(host):
        addresses = socket.inet_pton(socket.AF_INET6, host) + bytes(15) + b"\x01\x12\x34\x04\x38"
        return b"\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24" + addresses

    name = bs.new_hash()
    hosts = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"]
    held = [through(proxied, header(host), name if host[-1] == "1" else bs.new_hash())
            for host in hosts]
    assert [reply[1] for _, reply in held] == [0, 0, 2, 0]
    seen = [half["address"] for half in state(proxied, name)["halves"]]
    assert seen == ["[2001:db8::1]:4660", "[2001:db8:0:1::1]:4660"]


def test_a_balancers_own_connection_needs_no_client(proxied):
    name = bs.new_hash()
    local = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
    held = [through(proxied, local, bs.new_hash()) for _ in range(4)]  # and has no cap
    assert all(reply[:2] == b"\x05\x00" for _, reply in held)
    sock, _ = through(proxied, local, name)
    assert state(proxied, name)["halves"][0]["address"] == "%s:%d" % sock.getsockname()


NO_HEADERS = {
    "no header": bs.GREETING,
    "version 1": b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 1080\r\n",
    "no such command": proxy_header(("192.0.2.7", 1), command=2),
    "a datagram": proxy_header(("192.0.2.7", 1), family=0x12),
    "too short for its family": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0b" + bytes(11),
    "garbage": b"\xff" * 4096,
}


@pytest.mark.parametrize("what", NO_HEADERS)
def test_a_trusted_proxy_has_to_send_a_header(proxied, what):
    refused = 'handshakes_refused_total{reason="bad-proxy-header"}'
    before = metric(proxied, refused)
    sock = bs.connect(proxied)
    sock.sendall(NO_HEADERS[what])
    assert bs.to_end(sock)[0] == b""
    wait_until(lambda: metric(proxied, refused) == before + 1)
    port = sock.getsockname()[1] if sock.fileno() >= 0 else ""
    proxied.wait_log(rf"handshake-refused address=127.0.0.1:{port} .*reason=bad-proxy-header")


def test_the_handshakes_deadline_covers_the_header(proxied):
    sock = bs.connect(proxied)
    with pytest.raises(OSError):  # long before its end, and although something comes all the time
        for byte in proxy_header(("192.0.2.8", 1), rest=bytes(1000)):
            sock.sendall(bytes([byte]))
            time.sleep(0.05)
    port = sock.getsockname()[1]
    proxied.wait_log(rf"handshake-refused address=127.0.0.1:{port} .*reason=timed-out")


def test_health_checks_leave_no_line_in_the_log(proxied):
    left = 'handshakes_refused_total{reason="client-left"}'
    before, lines = metric(proxied, left), proxied.log_text().count("client-left")
    for said in (b"", b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"):
        sock = bs.connect(proxied)
        sock.sendall(said)
        sock.close()
    wait_until(lambda: metric(proxied, left) == before + 2)
    assert proxied.log_text().count("client-left") == lines


def test_a_header_from_anyone_else_is_no_greeting(proxied):
    sock = bs.connect(proxied, source="127.0.0.9")
    sock.sendall(proxy_header(("192.0.2.7", 4711)))
    assert bs.to_end(sock)[0] == b"\x05\xff"
    assert granted(proxied, source="127.0.0.9")


# Addresses


def test_a_relay_listens_on_all_its_addresses_of_both_families(stage):
    relay = stage.relayd(listen="127.0.0.1:0, [::1]:0, 127.0.0.7:0")
    addresses = [relay.wait_log(r"listening what=socks address=(\S+)", count=n).group(1)
                 for n in (1, 2, 3)]
    assert [address.rsplit(":", 1)[0] for address in addresses] == ["127.0.0.1", "[::1]",
                                                                    "127.0.0.7"]
    for address in addresses:
        name = bs.new_hash()
        first, second = bs.half(relay, name), bs.half(relay, name, address=address)
        assert bs.activate(relay, name)[0] == 200
        first.sendall(b"either family")
        assert bs.exactly(second, 13) == b"either family"
        host = sources(relay, name)[1]
        assert host == ("[::1]" if ":" in address.rsplit(":", 1)[0] else "127.0.0.1")


def test_one_wildcard_takes_both_families(stage):
    relay = stage.relayd(listen="[::]:0", advertise="relay.example.org:1080")
    port = relay.address("socks").rsplit(":", 1)[1]
    name = bs.new_hash()
    first = bs.half(relay, name, address=f"127.0.0.1:{port}")
    second = bs.half(relay, name, address=f"[::1]:{port}")
    assert bs.activate(relay, name)[0] == 200
    second.sendall(b"six to four")
    assert bs.exactly(first, 11) == b"six to four"
    assert sources(relay, name) == ["127.0.0.1", "[::1]"]


def test_an_ipv4_address_is_the_same_through_either_listener(stage):
    relay = stage.relayd(listen="[::]:0", advertise="r.example.org:1", pending_per_address_max=1)
    port = relay.address("socks").rsplit(":", 1)[1]
    held = []
    for address in (f"127.0.0.1:{port}", f"[::1]:{port}"):
        held.append(bs.half(relay, bs.new_hash(), address=address))
        assert bs.ask(relay, bs.new_hash(), address=address)[1] == ADDRESS_FULL


def test_peers_may_meet_over_ipv6_and_by_name(stage):
    fleet = Fleet(stage, 1, peer_listen="[::1]:0")
    owner = fleet[0]
    other = fleet.add("relay-2")
    here, there, _ = fl.bridged_pair(owner, other)
    here.sendall(b"over six")
    assert bs.exactly(there, 8) == b"over six"
    port = fl.free_port()
    named = fleet.add("relay-3", peer_listen=f"127.0.0.1:{port}", peer_address=f"localhost:{port}")
    here, there, _ = fl.bridged_pair(named, other)
    here.sendall(b"by name")
    assert bs.exactly(there, 7) == b"by name"


def test_an_advertised_name_that_nobody_has_is_warned_of(stage):
    redis = stage.redis()
    relay = stage.relayd(
        "relay-1", redis, advertise="relay.invalid:1080, localhost:1080, 192.0.2.1:1080"
    )
    relay.wait_log('advertised-name-unresolved address=relay.invalid:1080 why=".+"')
    assert relay.log_text().count("advertised-name-unresolved") == 1
    assert granted(relay)


NO_REDIS = "peers without Redis"
BAD_CONFIGURATIONS = {
    "a peer listener without a secret": ({"peer_listen": f"{HOST}:0"}, "peer-secret"),
    "a peer listener that is a name": (
        {"peer_listen": "localhost:1081", "peer_secret": "secret-of-the-fleet"}, "peer-listen"),
    "a peer address without a port": (
        {"peer_listen": f"{HOST}:0", "peer_secret": "secret-of-the-fleet",
         "peer_address": "relay-1"},
        "peer-address"),
    NO_REDIS: ({"peer_listen": f"{HOST}:0", "peer_secret": "secret-of-the-fleet"}, "peer-listen"),
    "a proxy that is a name": ({"trusted_proxies": "10.0.0.1, balancer"}, "balancer"),
    "no places": ({"pending_max": "0"}, "pending-max"),
}


@pytest.mark.parametrize("what", BAD_CONFIGURATIONS)
def test_a_bad_configuration_is_an_error_at_the_start(stage, what):
    keys, word = BAD_CONFIGURATIONS[what]
    redis = types.SimpleNamespace(url="redis://127.0.0.1:1") if what != NO_REDIS else None
    relay = stage.relayd("relay-1", redis, start=False, **keys)
    relay.clean = (1,)
    relay.start(wait=False)
    assert relay.wait_exit() == 1
    assert word in relay.log_text()


# Many at once


class Client(threading.Thread):
    """One transfer of SIZE bytes through RELAYS, of which each half takes one at random, that does
    what its KIND says: its OUTCOME is "good" if that is what became of it, else what was wrong."""

    def __init__(self, relays, kind, size, activate, **options):
        super().__init__(daemon=True)
        self.relays, self.kind, self.size, self.options = relays, kind, size, options
        self.activate, self.outcome = activate, "unfinished"
        self.start()

    def half(self, name):
        return bs.half(random.choice(self.relays), name, timeout=120, **self.options)

    def run(self):
        try:
            self.outcome = getattr(self, self.kind)()
        except (OSError, AssertionError) as error:
            self.outcome = f"{self.kind}: {error!r}"

    def pair(self):
        name = bs.new_hash()
        first, second = self.half(name), self.half(name)
        if random.random() < 0.5:
            first, second = second, first
        self.activate(name)
        return first, second

    def whole(self, pause=0):
        """All bytes arrive, whatever the reader's pace."""
        first, second = self.pair()
        data = os.urandom(self.size)
        sender = bs.Sender(first, data, random.choice([shut, socket.socket.close]))
        got = bs.Receiver(second, pause, 1 << random.randrange(12, 20)).result(120)
        second.close()
        if sender.result() is not None or got != (len(data), sha(data), "end"):
            return f"got {got[0]} of {len(data)}, {got[2]}, sender {sender.error!r}"
        return "good"

    def stalls(self):
        """The reader pauses for a second in the middle."""
        first, second = self.pair()
        data = os.urandom(self.size)
        sender = bs.Sender(first, data)
        got = bs.exactly(second, self.size // 3)
        time.sleep(1)
        got += bs.to_end(second)[0]
        second.close()
        return "good" if got == data and sender.result() is None else "content differs"

    def both(self):
        """Both directions at once."""
        first, second = self.pair()
        data, back = os.urandom(self.size), os.urandom(self.size // 2 + 1)
        senders = bs.Sender(first, data), bs.Sender(second, back)
        got = bs.Receiver(second), bs.Receiver(first)
        fine = got[0].result(120) == (len(data), sha(data), "end")
        fine = fine and got[1].result(120) == (len(back), sha(back), "end")
        return "good" if fine and not any(s.result() for s in senders) else "content differs"

    def resets(self):
        """The sender breaks off: what arrives is what was sent, and no proper end follows."""
        first, second = self.pair()
        data = os.urandom(self.size)
        first.sendall(data[: self.size // 2])
        bs.reset(first)
        got, ended = bs.to_end(second)
        if not data.startswith(got):
            return "content differs"
        return "good" if ended == "reset" else f"{ended} at {len(got)}"

    def breaks(self):
        """The same through a balancer, which may turn the reset into an end."""
        outcome = self.resets()
        return "good" if outcome.startswith("end at ") else outcome

    def leaves(self):
        """Both halves come and go without an activation."""
        name = bs.new_hash()
        first, second = self.half(name), self.half(name)
        first.close()
        time.sleep(random.random())
        second.close()
        return "good"

    def knocks(self):
        """No half at all."""
        sock = bs.connect(random.choice(self.relays), **self.options)
        sock.sendall(os.urandom(random.randrange(1, 300)))
        sock.close()
        return "good"


def shut(sock):
    sock.shutdown(socket.SHUT_WR)


def activate_at_owner(fleet):
    """A function that activates a stream where its claim says that it is, as gateways do."""
    relays = {relay.name: relay for relay in fleet}

    def activate(name):
        owner = fleet.claim(name).split()[0]
        status, body = bs.activate(relays[owner], name)
        assert status == 200, body

    return activate


def all_quiet(fleet):
    """No stream, no bridge, no connection and no pipe is left anywhere."""
    states = ("waiting", "paired", "active", "closing")
    names = ["bridges", *(f'streams{{state="{state}"}}' for state in states)]
    names += [f'halves{{state="{state}"}}' for state in ("waiting", "active", "dialled")]
    names += [f'pipes_lent{{kind="{kind}"}}' for kind in ("1m", "256k", "64k", "memory")]
    return all(metric(relay, name) == 0 for relay in fleet for name in names)


def check_all(clients):
    for client in clients:
        client.join(180)
    outcomes = collections.Counter(client.outcome for client in clients)
    assert outcomes == {"good": len(clients)}


def test_a_hundred_transfers_among_clients_that_leave_reset_and_stall(stage):
    fleet = Fleet(stage, 3, pending_per_address_max=1000)
    activate = activate_at_owner(fleet)
    kinds = ["whole"] * 60 + ["both"] * 20 + ["stalls"] * 20
    kinds += ["resets"] * 15 + ["leaves"] * 15 + ["knocks"] * 10
    random.shuffle(kinds)
    clients = [Client(fleet.relays, kind, int(10 ** random.uniform(0, 7)) + 2, activate)
               for kind in kinds]
    check_all(clients)
    assert sum(metric(relay, 'bridge_dials_total{outcome="granted"}') for relay in fleet) > 30
    wait_until(lambda: all_quiet(fleet), what="nothing to be left")


def test_three_relays_behind_a_balancer_that_sends_halves_anywhere(stage):
    fleet = Fleet(stage, 3, trusted_proxies=HOST, pending_per_address_max=4)
    balancer = stage.run(Balancer(stage, fleet.relays))
    activate = activate_at_owner(fleet)
    clients = []
    for number in range(40):
        kind = random.choice(["whole", "whole", "both", "stalls", "breaks", "leaves", "knocks"])
        size = int(10 ** random.uniform(2, 6.5)) + 2
        source = f"127.1.0.{number + 1}"
        clients.append(Client([balancer], kind, size, activate, source=source))
    check_all(clients)
    owned = [metric(relay, 'streams_ended_total{reason="completed"}') for relay in fleet]
    assert all(owned)
    assert sum(metric(relay, 'bridge_dials_total{outcome="granted"}') for relay in fleet) > 10
    wait_until(lambda: all_quiet(fleet), what="nothing to be left")


def test_a_balancer_does_not_hide_who_is_greedy(stage):
    fleet = Fleet(stage, 3, trusted_proxies=HOST, pending_per_address_max=2)
    balancer = stage.run(Balancer(stage, fleet.relays))
    held = []
    for _ in range(40):
        sock, reply = bs.ask(balancer, bs.new_hash(), source="127.1.0.1")
        assert reply[:2] in (b"\x05\x00", b"\x05\x02")
        if reply[:2] == b"\x05\x00":
            held.append(sock)
        sock = None  # one that was refused is closed
    assert len(held) == 6  # two at each relay
    for number in range(2, 12):
        name, source = bs.new_hash(), f"127.1.0.{number}"
        first, second = (bs.half(balancer, name, source=source) for _ in range(2))
        activate_at_owner(fleet)(name)
        owner = next(relay for relay in fleet if state(relay, name))
        assert source in sources(owner, name)
        first.sendall(b"unhindered")
        assert bs.exactly(second, 10) == b"unhindered"


def test_xmpp_clients_transfer_through_relays_behind_a_balancer(stage, run):
    port = fl.free_port()
    keys = {"advertise": f"{HOST}:{port}", "trusted_proxies": HOST}
    stack = Stack(stage, relay_keys=keys).start()
    stage.run(Balancer(stage, stack.relays, port=port))
    dials = 'bridge_dials_total{outcome="granted"}'
    for number in range(20):
        there, back = os.urandom(3 * MIB + number), os.urandom(2 * MIB)
        theirs, ours = run(exchange(stack, there, back))
        assert (theirs.received, theirs.sha.hexdigest()) == (len(there), sha(there))
        assert (ours.received, ours.sha.hexdigest()) == (len(back), sha(back))
        if number >= 3 and sum(metric(relay, dials) for relay in stack.relays) >= 2:
            break
    else:
        pytest.fail("no transfer crossed two relays")
    wait_until(lambda: all_quiet(stack.relays), what="nothing to be left")


async def exchange(stack, there, back):
    """A transfer both ways between users' new sessions: target's half and requester's."""
    async with stack.client(stack.user1) as one, stack.client(stack.user2) as two:
        theirs, ours, _ = await transfer(one, two, there, back)
    return theirs, ours


# Descriptors


def short_of_descriptors(fleet, name, limit):
    """A relay that may have no more than LIMIT, started anew."""
    relay = fleet.add(name)
    relay.stop()
    relay.argv = ["prlimit", f"--nofile={limit}:{limit}", "--", *relay.argv]
    relay.start()
    fleet.wait_registered(relay)
    return relay


def descriptors(relay):
    return len(os.listdir(f"/proc/{relay.pid}/fd"))


def test_a_client_for_whom_no_descriptor_is_left_is_told_at_once(stage):
    relay = stage.relayd(redis=None, start=False, pending_per_address_max=1000)
    relay.argv = ["prlimit", "--nofile=60:60", "--", *relay.argv]
    relay.start()
    crowd = [bs.knock(relay) for _ in range(70)]
    relay.wait_log("accept-paused reason=descriptors")
    turned_away = wait_until(lambda: [sock for sock in crowd if is_closed(sock)])
    assert len(turned_away) < 40  # the others have their connection
    assert descriptors(relay) <= 60
    for sock in filter(None, crowd):
        sock.close()
    wait_until(lambda: granted(relay), what="a handshake that succeeds again")


def is_closed(sock):
    """The relay has closed it, in whatever way."""
    if sock is None:
        return True
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_without_a_descriptor_for_the_bridge_the_half_is_refused(stage):
    fleet = Fleet(stage, 1, pending_per_address_max=1000)
    owner, limit = fleet[0], 60
    other = short_of_descriptors(fleet, "relay-2", limit)
    name = bs.new_hash()
    here = bs.half(owner, name)
    waiting = bs.connect(other, source="127.0.0.2")  # has its descriptor, and will ask
    others = [bs.connect(other, source=f"127.0.3.{i}") for i in range(limit - descriptors(other))]
    wait_until(lambda: descriptors(other) == limit, what="the last descriptor to be taken")
    waiting.sendall(bs.GREETING + bs.request(name))
    assert bs.exactly(waiting, 12) == b"\x05\x00\x05\x01\x00\x01" + bytes(6)
    other.wait_log(f"bridge-failed id={name} owner=relay-1 outcome=unreachable")
    for sock in others:
        sock.close()
    there = wait_until(lambda: fl.granted(other, name), what="a descriptor")
    assert here and there
