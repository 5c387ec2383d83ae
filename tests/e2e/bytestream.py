"""A client of the relay's SOCKS5 side, byte by byte: what a party of a XEP-0065 transfer does."""

import hashlib
import os
import socket
import struct
import threading
import time

GREETING = b"\x05\x01\x00"


def new_hash():
    return hashlib.sha1(os.urandom(16)).hexdigest()


def request(name, port=0, command=1):
    name = name.encode() if isinstance(name, str) else name
    head = b"\x05" + bytes([command]) + b"\x00\x03" + bytes([len(name)])
    return head + name + struct.pack(">H", port)


def connect(relay, receive_buffer=None, timeout=120, source=None, address=None):
    """A connection to RELAY (or to ADDRESS, "host:port"), perhaps from the host SOURCE."""
    host, port = (address or relay.address("socks")).rsplit(":", 1)
    host = host.strip("[]")
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if source:
        sock.bind((source, 0))
    sock.settimeout(timeout)
    sock.connect((host, int(port)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def knock(relay):
    """A connection, or None if the relay has reset it by now."""
    try:
        return connect(relay)
    except ConnectionResetError:
        return None


def exactly(sock, size):
    """SIZE bytes, or fewer if the stream ends before."""
    parts = []
    while size > 0:
        part = sock.recv(min(size, 1 << 20))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def to_end(sock):
    """All bytes up to the end of the stream; how it ended: "end" or "reset"."""
    parts = []
    try:
        while part := sock.recv(1 << 20):
            parts.append(part)
    except ConnectionResetError:
        return b"".join(parts), "reset"
    return b"".join(parts), "end"


def ask(relay, name, **options):
    """A connection that has made its request: (socket, the relay's reply to it)."""
    sock = connect(relay, **options)
    sock.sendall(GREETING)
    assert exactly(sock, 2) == b"\x05\x00"
    sock.sendall(request(name))
    return sock, exactly(sock, 47)


def half(relay, name, **options):
    """A granted half."""
    sock, reply = ask(relay, name, **options)
    assert reply == b"\x05\x00\x00\x03\x28" + name.encode() + b"\x00\x00"
    return sock


ABOUT = {
    "parties": [
        {"user": "romeo@example.org", "domain": "example.org"},
        {"user": "juliet@example.net", "domain": "example.net"},
    ],
    "deadline_ms": 3000,
    "tag": {"component": "proxy.example.org", "n": [1, {"deep": "ü"}]},
}


def activate(relay, name, about=None):
    return relay.call("POST", f"/v1/streams/{name}/activate", about or ABOUT)


def pair(relay, **options):
    """Two halves of a new stream that is active: (first, second, hash)."""
    name = new_hash()
    first, second = half(relay, name), half(relay, name, **options)
    assert activate(relay, name) == (200, {"hash": name, "state": "active"})
    return first, second, name


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Sender(threading.Thread):
    """Sends DATA in the background, then does THEN with the socket."""

    def __init__(self, sock, data, then=lambda sock: sock.shutdown(socket.SHUT_WR)):
        super().__init__(daemon=True)
        self.sock, self.data, self.then, self.error = sock, data, then, None
        self.start()

    def run(self):
        try:
            self.sock.sendall(self.data)
            self.then(self.sock)
        except OSError as error:
            self.error = error

    def result(self, timeout=120):
        """What kept it from sending all, or None."""
        self.join(timeout)
        return self.error


class Receiver(threading.Thread):
    """Reads to the end in the background, at most PER_READ bytes every PAUSE seconds."""

    def __init__(self, sock, pause=0, per_read=1 << 20):
        super().__init__(daemon=True)
        self.sock, self.pause, self.per_read = sock, pause, per_read
        self.digest, self.count, self.ended = hashlib.sha256(), 0, None
        self.start()

    def run(self):
        try:
            while part := self.sock.recv(self.per_read):
                self.digest.update(part)
                self.count += len(part)
                if self.pause:
                    time.sleep(self.pause)
            self.ended = "end"
        except OSError as error:
            self.ended = "reset" if isinstance(error, ConnectionResetError) else str(error)

    def result(self, timeout=120):
        self.join(timeout)
        return self.count, self.digest.hexdigest(), self.ended
