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

import namespace  # noqa: E402
import report  # noqa: E402
import usage  # noqa: E402
from component import ComponentServer  # noqa: E402
from harness import HOST, TOKEN, Stage, wait_until  # noqa: E402
from report import Samples, Target  # noqa: E402

BUILD = os.environ.get("OG_BUILD", ROOT / "build")
COUNT = int(os.environ.get("COUNT", "400000"))
WINDOW = int(os.environ.get("WINDOW", "4000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
STANZAS = {"Prosody": "prosody-body", "ejabberd": "ejabberd-message"}


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


def run(name, gateway, link, texts):
    """One round: publishes per CPU second and per second."""
    before, began = usage.cpu_seconds(gateway.pid), time.monotonic()
    count = load(link, texts)
    cpu, wall = usage.cpu_seconds(gateway.pid) - before, time.monotonic() - began
    figures = {"per_cpu_second": count / cpu, "per_second": count / wall}
    print(f"  {name}: {figures['per_cpu_second']:.0f} per CPU second")
    return {**figures, "memory_mib": usage.private_bytes(gateway.pid) / (1 << 20)}


def measure(name, stanza):
    """All rounds with one server's stanza."""
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
            runs = [run(name, gateway, link, texts) for _ in range(ROUNDS)]
            link.close()
    pushes.terminate()
    return {"stanza_bytes": len(texts[0]), "runs": runs}


def samples(found, server, figure):
    return Samples(run[figure] for run in found[server]["runs"])


def main():
    namespace.enter()
    found = {server: measure(server, stanza) for server, stanza in STANZAS.items()}
    head = ["stanzas of", "bytes each", "per CPU second", "per second", "MiB"]
    rows, targets = [], []
    for server, figures in found.items():
        speed = samples(found, server, "per_cpu_second")
        cells = [speed.text(0), samples(found, server, "per_second").text(0)]
        memory = samples(found, server, "memory_mib").text(1)
        rows.append([server, figures["stanza_bytes"], *cells, memory])
        what = f"xmppgw: publishes as {server} sends them, per CPU second"
        targets.append(Target(what, speed.median, 40000, digits=0))
    title = f"{report.machine()}\n{ROUNDS} rounds of {COUNT} publishes"
    text = "\n\n".join([title, report.table(head, rows), report.targets_table(targets)])
    data = {"machine": report.machine(), "rounds": ROUNDS, "count": COUNT, "found": found}
    data.update(targets=[target.record() for target in targets])
    print("\n" + text)
    report.write("gateway", text, data)


if __name__ == "__main__":
    main()
