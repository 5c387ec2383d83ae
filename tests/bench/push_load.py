"""Load on pushd's internal API: registrations and notifications over a few connections that always
have a call under way each, and what came of them.
"""

import dataclasses
import json
import re
import selectors
import socket
import time

import notify
from harness import Trouble

CALLS = 16  # as many as a gateway has under way
DEADLINE_MS = 25000
PATIENCE_S = 60
OUTCOMES = re.compile(rb'"outcome":"(\w+)"')
SUMMARY = {"count": 1, "sender": "juliet@example.org/balcony"}
SUMMARY["body"] = "Wherefore art thou, Romeo? Deny thy father and refuse thy name."


@dataclasses.dataclass
class Device:
    provider: str
    token: str
    node: str = ""


class Connection:
    """One connection with at most one call under way."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data, self.what, self.began = b"", None, 0.0

    def send(self, request, what=None):
        self.what, self.began = what, time.monotonic()
        self.socket.sendall(request)

    def receive(self):
        """Reads once: the body if the answer is whole, else None. Raises OSError at the end."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionResetError("pushd closed the connection")
        self.data += data
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = int(re.search(rb"(?i)content-length: *(\d+)", self.data[:end]).group(1))
        if len(self.data) < end + 4 + length:
            return None
        body, status, self.data = self.data[end + 4 :], self.data[9:12], b""
        if status != b"200":
            raise Trouble(f"pushd answered {status.decode()}: {body[:200]!r}")
        return body


class Api:
    """Calls of one pushd's API."""

    def __init__(self, push):
        self.address, self.token = push.address("api"), push.stage.token

    def request(self, path, body):
        head = f"POST {path} HTTP/1.1\r\nHost: {self.address}\r\n"
        head += f"Authorization: Bearer {self.token}\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def exchange(self, requests, at_once=CALLS):
        """Makes the calls of REQUESTS, (bytes, what) each: yields (what, body, seconds).

        Where a connection ends, its call's body is None, and it takes no more of them."""
        requests = iter(requests)
        with selectors.DefaultSelector() as selector:
            for _ in range(at_once):
                self.next_call(selector, Connection(self.address), requests)
            while selector.get_map():
                ready = selector.select(PATIENCE_S)
                if not ready:
                    raise Trouble(f"pushd gave no answer within {PATIENCE_S} s")
                for key, _ in ready:
                    connection = key.data
                    body, done = self.take(selector, connection)
                    if not done:
                        continue
                    yield connection.what, body, time.monotonic() - connection.began
                    if body is not None:
                        self.next_call(selector, connection, requests)

    @staticmethod
    def take(selector, connection):
        """(body, whether the call has ended)."""
        try:
            body = connection.receive()
        except OSError:
            selector.unregister(connection.socket)
            connection.socket.close()
            return None, True
        return body, body is not None

    @staticmethod
    def next_call(selector, connection, requests):
        request, what = next(requests, (None, None))
        known = connection.socket in selector.get_map()
        if request is None:
            if known:
                selector.unregister(connection.socket)
            connection.socket.close()
            return
        if not known:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        try:
            connection.send(request, what)
        except OSError:
            pass  # what comes of it is seen when it is read

    def register(self, provider, count):
        """COUNT new devices."""
        claims = [notify.claim(provider) for _ in range(count)]
        devices = [Device(provider, claim["token"]) for claim in claims]
        bodies = (json.dumps(claim).encode() for claim in claims)
        requests = ((self.request("/v1/devices", b), d) for b, d in zip(bodies, devices))
        for device, body, _ in self.exchange(requests):
            device.node = json.loads(body)["node"]
        return devices

    def publish(self, items):
        """The request that publishes ITEMS, which are JSON already."""
        head = b'{"deadline_ms":%d,"notifications":[' % DEADLINE_MS
        return self.request("/v1/notifications", head + b",".join(items) + b"]}")

    def outcomes(self, items):
        """The outcomes of one call with ITEMS."""
        _, body, _ = next(iter(self.exchange([(self.publish(items), None)], 1)))
        return OUTCOMES.findall(body or b"")


def item(device, **more):
    """A notification for DEVICE as JSON."""
    wanted = notify.item({"node": device.node}, summary={**SUMMARY, **more})
    return json.dumps(wanted, separators=(",", ":")).encode()


class Publisher:
    """Publishes to DEVICES in turn, so many with each call, by one pushd's API."""

    def __init__(self, push, devices):
        self.pid, self.api = push.pid, Api(push)
        self.items = [item(device) for device in devices]
        self.at = 0

    def some(self, count):
        """The next COUNT items."""
        if self.at + count > len(self.items):
            self.at = 0
        self.at += count
        return self.items[self.at - count : self.at]

    def run(self, seconds, each):
        """Calls with EACH for SECONDS: (outcomes by name, seconds of each call)."""
        end, counts, took = time.monotonic() + seconds, {}, []

        def requests():
            while time.monotonic() < end:
                yield self.api.publish(self.some(each)), None

        for _, body, seconds in self.api.exchange(requests()):
            if body is None:
                raise Trouble("pushd closed a connection")
            took.append(seconds)
            for outcome in OUTCOMES.findall(body):
                counts[outcome.decode()] = counts.get(outcome.decode(), 0) + 1
        return counts, took
