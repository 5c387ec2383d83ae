"""What passes between the daemons, kept for the contract test: HTTP bodies and Redis keys.

A Recorder is an HTTP/1.1 proxy before one listener of one daemon. A RedisWatch notes every key
that is touched in one Redis, with its type and whether it expires. Both write to lists of this
module, which test_zz_contract.py reads at the end of the session. If OG_RECORDINGS names a folder,
each session leaves there what it recorded, and the contract test reads all of it.
"""

import dataclasses
import http.client
import http.server
import json
import os
import pathlib
import pickle
import socket
import struct
import threading

CALLS = []  # of Call
KEYS = {}  # (key, type) -> Key
NAMES = set()  # of all keys, those too that were gone before their type was asked for


@dataclasses.dataclass
class Call:
    """One request and its answer; status None if no answer came."""

    daemon: str
    method: str
    path: str
    request: bytes
    status: int | None = None
    answer: bytes = b""
    content_type: str = ""


@dataclasses.dataclass
class Key:
    """A Redis key as it was seen: EXPIRES is False if it was ever seen without a TTL."""

    name: str
    type: str
    expires: bool
    value: str = ""  # of registry records


def save():
    """Leaves what this session recorded in the folder OG_RECORDINGS, if that is set."""
    folder = os.environ.get("OG_RECORDINGS")
    if folder and CALLS + list(KEYS):
        path = pathlib.Path(folder, f"{os.getpid()}.pickle")
        path.write_bytes(pickle.dumps((CALLS, KEYS, NAMES)))


def load():
    """Adds what other sessions left there."""
    folder = os.environ.get("OG_RECORDINGS")
    for path in pathlib.Path(folder).glob("*.pickle") if folder else ():
        calls, keys, names = pickle.loads(path.read_bytes())
        CALLS.extend(calls)
        NAMES.update(names)
        for place, key in keys.items():
            known = KEYS.setdefault(place, key)
            known.expires = known.expires and key.expires
            known.value = key.value or known.value


def note(daemon, method, path, request, status, answer):
    """Keeps a call that a test made without a recorder between."""
    call = Call(daemon, method, path, json.dumps(request).encode(), status)
    call.answer, call.content_type = json.dumps(answer).encode(), "application/json"
    CALLS.append(call)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = Call(self.server.daemon, self.command, self.path, body)
        CALLS.append(call)
        try:
            status, headers, answer = self.ask(body)
        except ConnectionRefusedError if self.server.resets else ():
            self.reset()
            return
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # as if the daemon itself were away
            return
        call.status, call.answer = status, answer
        call.content_type = headers.get("Content-Type", "")
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def reset(self):
        """As the kernel of a daemon that was killed: it resets what comes to its connections."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        os.close(self.connection.detach())

    def ask(self, body):
        upstream = http.client.HTTPConnection(self.server.upstream(), timeout=120)
        try:
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("host", "connection", "expect")
            }
            upstream.request(self.command, self.path, body or None, headers)
            answer = upstream.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            upstream.close()

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = pass_on


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    resets = False  # True: callers of a daemon that is away see a reset, not the end

    def handle_error(self, request, client_address):
        pass  # a peer that hung up; the call stays recorded without an answer


class Recorder:
    """A proxy on a free port before a listener of DAEMON; ADDRESS() says where that is just now."""

    def __init__(self, daemon, address):
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon = daemon
        self.server.upstream = address
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        try:
            while True:
                self.server.process_request(*self.server.get_request())
        except OSError:
            pass  # closed

    def close(self):
        """At once: serve_forever would only look twice a second whether it is to end."""
        self.server.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.server.server_close()


class Resp:
    """The little of Redis's protocol that tests need."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.file.close()
        self.socket.close()

    def send(self, *words):
        parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.socket.sendall(
            b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)
        )

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise ValueError(rest.decode())
        if kind == b":":
            return int(rest)
        if int(rest) < 0:
            return None
        if kind == b"$":
            return self.file.read(int(rest) + 2)[:-2].decode(errors="replace")
        return [self.read() for _ in range(int(rest))]

    def command(self, *words):
        self.send(*words)
        return self.read()


class RedisWatch:
    """Notes each key of one Redis as it is touched, from the keyspace's own events."""

    LOOK = "return {redis.call('TYPE', KEYS[1]).ok, redis.call('PTTL', KEYS[1])}"

    def __init__(self, port):
        self.events, self.query = Resp(port), Resp(port)
        self.events.command("PSUBSCRIBE", "__keyspace@*__:*")
        self.events.socket.settimeout(None)
        for key in self.query.command("KEYS", "*"):
            self.look(key)
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        try:
            while True:
                message = self.events.read()
                if message[0] == "pmessage" and message[3] not in ("del", "expired"):
                    self.look(message[2].split(":", 1)[1])
        except (OSError, ValueError):
            pass  # closed, or Redis has gone

    def look(self, name):
        NAMES.add(name)
        kind, ttl = self.query.command("EVAL", self.LOOK, 1, name)
        if kind == "none":
            return  # came and went; a key of this shape is seen another time
        key = KEYS.setdefault((name, kind), Key(name, kind, True))
        key.expires = key.expires and ttl >= 0
        if ":registry:" in name and kind == "string":
            key.value = self.query.command("GET", name) or ""

    def close(self):
        self.events.close()
        self.thread.join(10)
        self.query.close()
