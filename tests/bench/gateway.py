"""What xmppgw costs: publish stanzas that are read, passed on in arrays and answered, per CPU
second of the gateway. Prints one line per run.

The XMPP server and the push daemon are played here, by the least that does it, so that both cores
have room: the server sends a recorded stanza of Prosody's or ejabberd's with a window of
unanswered ones, the push daemon answers "sent" to everything. CPU time is that of /proc/PID/stat.
"""

import asyncio
import json
import multiprocessing
import os
import pathlib
import re
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from component import ComponentServer  # noqa: E402
from harness import HOST, TOKEN, Stage, wait_until  # noqa: E402

BUILD = os.environ.get("OG_BUILD", ROOT / "build")
COUNT = int(os.environ.get("COUNT", "400000"))
WINDOW = int(os.environ.get("WINDOW", "4000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
STANZAS = {"prosody": "prosody-body", "ejabberd": "ejabberd-message"}
TICKS = os.sysconf("SC_CLK_TCK")


class PushDaemon(asyncio.Protocol):
    """One connection of a server that takes arrays of notifications."""

    answers = {}  # by how many notifications

    def connection_made(self, transport):
        self.transport, self.data = transport, b""

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            length = int(re.search(rb"(?i)content-length: (\d+)", self.data[:end]).group(1))
            if len(self.data) < end + 4 + length:
                return
            body = self.data[end + 4 : end + 4 + length]
            self.data = self.data[end + 4 + length :]
            self.transport.write(self.answer(body.count(b'"component":')))

    def answer(self, count):
        if count not in self.answers:
            outcome = {"outcome": "sent", "id": "00000000-0000-0000-0000-000000000000"}
            body = json.dumps({"outcomes": [outcome] * count}, separators=(",", ":")).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
            self.answers[count] = head.encode() + body
        return self.answers[count]


def serve_pushes(port):
    async def serve():
        server = await asyncio.get_running_loop().create_server(PushDaemon, HOST, 0)
        port.value = server.sockets[0].getsockname()[1]
        await server.serve_forever()

    asyncio.run(serve())


def keep_record(redis, port):
    """The push daemon's record in the registry, for as long as the bench may take."""
    record = {"id": "bench", "epoch": 1, "api": f"http://{HOST}:{port}", "public": None}
    record.update(providers=[{"id": "bench", "kind": "apns"}], draining=False)
    redis.command("SET", "og:registry:push:bench", json.dumps(record))
    redis.command("ZADD", "og:registry:push", "9e15", "bench")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def stanzas(name, domain, count):
    """COUNT times the recorded publish, each with an id of its own and one of 1000 nodes."""
    text = (ROOT / "tests/data/publish" / f"{name}.xml").read_text().strip()
    text = re.sub(r"\bto='[^']*'", f"to='{domain}'", text)
    text = re.sub(r"\bid='([^']*)'", lambda m: f"id='{m.group(1)[:-8]}@ID@'", text)
    text = re.sub(r"node='[^']*'", "node='0123456789abcdef01234567@NODE@'", text)
    return [
        text.replace("@ID@", f"{n:08x}").replace("@NODE@", f"{n % 1000:08x}").encode()
        for n in range(count)
    ]


def load(link, texts):
    """Sends all with at most WINDOW unanswered; returns how many results came."""
    sent = answered = 0
    link.socket.setblocking(True)
    tail = b""
    while answered < len(texts):
        if sent < len(texts) and sent - answered <= WINDOW - 500:
            link.socket.sendall(b"".join(texts[sent : sent + 500]))
            sent = min(sent + 500, len(texts))
            continue
        data = tail + link.socket.recv(1 << 20)
        cut = data.rfind(b">") + 1
        answered += data[:cut].count(b"<iq type='result'")
        assert b"<error" not in data, data[:500]
        tail = data[cut:]
    return answered


def measure(name, stanza):
    port = multiprocessing.Value("i", 0)
    pushes = multiprocessing.Process(target=serve_pushes, args=(port,), daemon=True)
    pushes.start()
    texts = stanzas(stanza, "push.example.org", COUNT)
    with tempfile.TemporaryDirectory() as folder:
        with Stage(folder, build=BUILD, record=False, token=TOKEN) as stage:
            redis = stage.redis()
            wait_until(lambda: port.value)
            keep_record(redis, port.value)
            server = ComponentServer("push.example.org")
            section = {**server.section, "role": "push"}
            gateway = stage.xmppgw(redis, {"push.example.org": section})
            link = server.accept().log_in()
            gateway.wait_log("backend-found")
            load(link, texts[: COUNT // 20])
            for _ in range(ROUNDS):
                before, began = cpu_seconds(gateway.pid), time.monotonic()
                count = load(link, texts)
                cpu, wall = cpu_seconds(gateway.pid) - before, time.monotonic() - began
                print(
                    f"gateway {name}: {count / cpu:.0f} publishes per CPU second "
                    f"({len(texts[0])} bytes each, {count / wall:.0f} per second of wall time)"
                )
            link.close()
    pushes.terminate()


if __name__ == "__main__":
    for server_name, case in STANZAS.items():
        measure(server_name, case)
