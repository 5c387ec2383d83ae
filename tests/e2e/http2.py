"""A raw HTTP/2 client over TLS: frames as they are, so that tests see what libraries hide.

Header blocks are sent as plain literals; those of answers are not decoded: the body and the
record of the pretend providers say what was answered.
"""

import socket
import ssl
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM = ACK = 1
END_HEADERS = 4
MAX_CONCURRENT_STREAMS = 3
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def integer(value, bits):
    """RFC 7541 section 5.1, with the bits before the prefix zero."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([value])
    out, value = [most], value - most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out + [value])


def block(fields):
    """Literal fields without indexing (RFC 7541 section 6.2.2), without Huffman."""
    out = b""
    for name, value in fields:
        name, value = name.encode(), value.encode()
        out += b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value
    return out


class Client:
    """One connection. Frames that came are kept in self.seen as (kind, flags, stream, payload)."""

    def __init__(self, address, ca, alpn=("h2",), chunk=None, certificate=None):
        host, port = address.rsplit(":", 1)
        context = ssl.create_default_context(cafile=ca)
        if certificate:
            context.load_cert_chain(certificate)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        plain = socket.create_connection((host, int(port)), timeout=120)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.chunk = chunk
        self.socket = context.wrap_socket(plain, server_hostname=host)
        self.next, self.seen, self.taken, self.bytes = 1, [], 0, b""
        self.closed = False
        self.limit = None  # MAX_CONCURRENT_STREAMS as announced last

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        size = self.chunk or len(data)
        for start in range(0, len(data), size):
            self.socket.sendall(data[start : start + size])

    def begin(self):
        """The preface and our settings; waits for the server's."""
        self.send(PREFACE + frame(SETTINGS))
        self.wait(SETTINGS)

    def request(self, path, headers=(), body=b"", method="POST", scheme="https"):
        """Opens a stream with a whole request; its number."""
        fields = [(":method", method), (":scheme", scheme), (":path", path)]
        return self.open([*fields, (":authority", "127.0.0.1"), *headers], body)

    def open(self, fields, body=b""):
        """The same with all header fields as they are given."""
        stream, self.next = self.next, self.next + 2
        head = frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), stream, block(fields))
        body = [body[at : at + 16384] for at in range(0, len(body), 16384)]
        for number, piece in enumerate(body):
            head += frame(DATA, END_STREAM if number == len(body) - 1 else 0, stream, piece)
        self.send(head)
        return stream

    def read(self):
        """The next frame that nobody has taken, or None when the server closed."""
        while self.taken == len(self.seen):
            if len(self.bytes) >= 9:
                length = int.from_bytes(self.bytes[:3], "big")
                if len(self.bytes) >= 9 + length:
                    self.keep(length)
                    continue
            try:
                data = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLEOFError):
                data = b""
            if not data:
                self.closed = True
                return None
            self.bytes += data
        self.taken += 1
        return self.seen[self.taken - 1]

    def keep(self, length):
        kind, flags, stream = struct.unpack(">BBI", self.bytes[3:9])
        payload = self.bytes[9 : 9 + length]
        self.seen.append((kind, flags, stream, payload))
        self.bytes = self.bytes[9 + length :]
        for at in range(0, length if kind == SETTINGS else 0, 6):
            key, value = struct.unpack(">HI", payload[at : at + 6])
            if key == MAX_CONCURRENT_STREAMS:
                self.limit = value
        if kind == SETTINGS and not flags & ACK:
            self.send(frame(SETTINGS, ACK))

    def wait(self, kind, stream=None):
        """The payload of the next frame of KIND (on STREAM); None when the server closed."""
        while True:
            got = self.read()
            if got is None:
                return None
            if got[0] == kind and stream in (None, got[2]) and not (kind == SETTINGS and got[1]):
                return got[3]

    def wait_limit(self, streams):
        """Reads until that many streams are allowed."""
        while self.limit != streams:
            assert self.read() is not None, f"closed at {self.limit} streams"

    def answer(self, stream):
        """Waits for the end of STREAM: its body, or the name of what else ended it."""
        body = b""
        while True:
            got = self.read()
            if got is None:
                return "closed"
            kind, flags, of, payload = got
            if of != stream:
                continue
            if kind == RST_STREAM:
                return "reset"
            body += payload if kind == DATA else b""
            if flags & END_STREAM:
                return body.decode()

    def goaway(self):
        """(last stream, error code, debug data) of the next GOAWAY."""
        payload = self.wait(GOAWAY)
        return (*struct.unpack(">II", payload[:8]), payload[8:].decode())

    def reset(self, stream, code):
        self.send(frame(RST_STREAM, 0, stream, struct.pack(">I", code)))

    def ping(self):
        self.send(frame(PING, 0, 0, bytes(8)))
