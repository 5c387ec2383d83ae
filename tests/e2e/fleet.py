"""Several relays that bridge to each other, a balancer before them, and what relays say.

    owner, other = fleet = Fleet(stage, 2)      # relay-1, relay-2 with one Redis and one secret
    here, there, name = bridged_pair(owner, other)
"""

import hashlib
import hmac
import re
import socket
import struct

import bytestream as bs
from harness import HOST, Process, free_port, wait_until

SECRET = "secret-of-the-fleet"
PEER_GREETING = b"\x05\x01\x81"


class Fleet:
    def __init__(self, stage, count=2, redis=None, **keys):
        self.stage = stage
        self.redis = redis or stage.redis()
        self.relays = []
        for number in range(1, count + 1):
            self.add(f"relay-{number}", **keys)

    def __getitem__(self, index):
        return self.relays[index]

    def add(self, name, **keys):
        keys = {"peer_listen": f"{HOST}:0", "peer_secret": SECRET, **keys}
        relay = self.stage.relayd(name, self.redis, **keys)
        self.relays.append(relay)
        self.wait_registered(relay)
        return relay

    def wait_registered(self, relay):
        """Until the others can find RELAY as it is since its last start."""
        epoch = f'"epoch":{self.epoch(relay)}'
        wait_until(lambda: epoch in self.record(relay), what=f"{relay.name}'s record")

    def epoch(self, relay):
        """When it started, from a claim that it makes."""
        name = bs.new_hash()
        half = wait_until(lambda: granted(relay, name, source="127.9.9.9"), what="a claim")
        epoch = self.claim(name).split()[1]
        half.close()
        return epoch

    def record(self, relay):
        return self.redis.command("GET", f"og:registry:relay:{relay.name}") or ""

    def claim(self, name):
        return self.redis.command("GET", f"og:claim:{name}")


def granted(relay, name, **options):
    """A half, or None if it was refused."""
    sock, reply = bs.ask(relay, name, **options)
    if reply[:2] == b"\x05\x00":
        return sock
    sock.close()
    return None


def bridged_pair(owner, other, owner_first=True, **options):
    """An active stream with a half at each relay: (OWNER's half, OTHER's half, hash)."""
    name = bs.new_hash()
    here = bs.half(owner, name, **({} if owner_first else options))
    there = bs.half(other, name, **options)
    assert bs.activate(owner, name) == (200, {"hash": name, "state": "active"})
    return here, there, name


def metric(relay, name):
    for line in relay.call("GET", "/metrics", token=None)[1].splitlines():
        if line.startswith(f"outrigger_relayd_{name} "):
            return float(line.split()[-1])
    return None


def state(relay, name):
    """The stream as the API shows it, or None."""
    status, body = relay.call("GET", f"/v1/streams/{name}")
    return body if status == 200 else None


def reason(relay, name, what="stream"):
    return relay.wait_log(rf"{what}-ended id={name} .*?reason=(\S+)").group(1)


# What relays say to each other


def dial(relay):
    """A connection to its peer listener."""
    host, port = relay.address("peering").rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=120)


def challenge(sock):
    """Greets an owner: its nonce."""
    sock.sendall(PEER_GREETING)
    answer = bs.exactly(sock, 34)
    assert answer[:2] == b"\x05\x81"
    return answer[2:]


NONCE = b"a nonce that was not drawn by lot"[:32]  # ours, as the relay that bridges


def proof(nonce, name, secret=SECRET, owner="relay-1", who=b"B", ours=NONCE):
    """What OWNER, which has sent NONCE, is to be shown; WHO=b"O": what it shows."""
    message = who + nonce + ours + name.lower().encode() + owner.encode()
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()


def ask(sock, nonce, name, **options):
    """Asks the owner that has sent NONCE for NAME."""
    sock.sendall(NONCE + proof(nonce, name, **options) + bs.request(name))


# A balancer


def proxy_header(source, command=1, family=0x11, rest=b""):
    """A PROXY header of version 2 that names SOURCE, an address and port (FAMILY 0x21: IPv6)."""
    host, port = source
    kind, own = (socket.AF_INET6, "::1") if family == 0x21 else (socket.AF_INET, HOST)
    addresses = socket.inet_pton(kind, host) + socket.inet_pton(kind, own)
    addresses += struct.pack(">HH", port, 1080)
    body = addresses + rest
    head = b"\r\n\r\n\x00\r\nQUIT\n" + bytes([0x20 | command, family])
    return head + struct.pack(">H", len(body)) + body


class Balancer(Process):
    """HAProxy in TCP mode before RELAYS, with a PROXY header and at random."""

    clean = (0, -15)  # it ends by the signal that it was sent

    def __init__(self, stage, relays, name="haproxy", port=None):
        super().__init__(stage, name, [])
        self.port = port or free_port()
        servers = [
            f"    server {relay.name} {relay.address('socks')} send-proxy-v2" for relay in relays
        ]
        config = self.folder / "haproxy.cfg"
        text = ["global", "    maxconn 2000", "defaults", "    mode tcp"]
        text += ["    timeout connect 5s", "    timeout client 60s", "    timeout server 60s"]
        text += ["frontend relay", f"    bind {HOST}:{self.port}", "    default_backend relays"]
        text += ["backend relays", "    balance random", *servers, ""]
        config.write_text("\n".join(text))
        self.argv = ["haproxy", "-db", "-f", config]

    def wait_ready(self):
        wait_until(self.listens, what="HAProxy to listen")

    def listens(self):
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def address(self, what):
        return f"{HOST}:{self.port}"


def sources(relay, name):
    """The hosts from which the halves of a stream came, as its owner sees them."""
    return [re.sub(r":\d+$", "", half["address"]) for half in state(relay, name)["halves"]]
