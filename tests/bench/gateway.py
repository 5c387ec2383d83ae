"""What xmppgw costs: publish stanzas that are read, passed on in arrays and answered, per second
and per CPU second of the gateways, and how long an answer takes. Prints one line per run.

The pretend XMPP server sends Prosody's or ejabberd's publishes with so many unanswered at a time,
to one gateway or two; the push daemon is played here by the least that does it, so that there is
room on two cores, and answers "sent" to everything. Then a real Prosody and a real ejabberd publish
for what users write, as fast as they can. Times are from a publish to its answer, at the pretend
server.
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

import gateway_real  # noqa: E402
import namespace  # noqa: E402
import report  # noqa: E402
import usage  # noqa: E402
from harness import HOST, TOKEN, Stage, sign, wait_until  # noqa: E402
from pretend import PretendServer  # noqa: E402
from report import Samples, Target  # noqa: E402

BUILD = os.environ.get("OG_BUILD", ROOT / "build")
ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = float(os.environ.get("SECONDS", "2"))
COMPONENT = "push.example.org"
NODES = 1000
IN_FLIGHT = (1, 10, 100, 1000)
# What is played, by how many gateways: Prosody allows one.
PLAYED = (("prosody", 1), ("ejabberd", 1), ("ejabberd", 2))
NAMES = {"prosody": "Prosody", "ejabberd": "ejabberd"}


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
    sign(record, "push:bench")
    redis.command("SET", "og:registry:push:bench", json.dumps(record))
    redis.command("ZADD", "og:registry:push", "9e15", "bench")


class Scene:
    """The registry, the push daemon and as many gateways as the pretend server KIND is to have."""

    def __init__(self, stage, kind, gateways, port):
        self.server = stage.run(PretendServer(stage, kind, [COMPONENT]))
        redis = stage.redis()
        keep_record(redis, port)
        components = {COMPONENT: self.server.section(COMPONENT)}
        self.gateways = [
            stage.xmppgw(redis, components, name=f"gateway-{n}") for n in range(gateways)
        ]
        self.server.wait_links(COMPONENT, gateways)
        for gateway in self.gateways:
            gateway.wait_log("backend-found")
        nodes = [(COMPONENT, f"0123456789abcdef01234567{n:08x}", "5" * 32) for n in range(NODES)]
        self.server.register_all(nodes)

    def cpu(self):
        return sum(usage.cpu_seconds(gateway.pid) for gateway in self.gateways)

    def load(self, count, in_flight):
        """One load: publishes per second and CPU second, microseconds to an answer."""
        before = self.cpu()
        self.server.load(count=count, in_flight=in_flight)
        report = self.server.wait_load()
        assert report["result"] == count, report
        memory = max(usage.private_bytes(gateway.pid) for gateway in self.gateways)
        return {
            "per_second": report["per_second"],
            "per_cpu_second": count / (self.cpu() - before),
            "p50_us": report["p50_us"],
            "p99_us": report["p99_us"],
            "memory_mib": memory / (1 << 20),
        }


def measure(kind, gateways, port):
    """All rounds: runs by how many are in flight."""
    found = {in_flight: [] for in_flight in IN_FLIGHT}
    with tempfile.TemporaryDirectory() as folder:
        with Stage(folder, build=BUILD, record=False, token=TOKEN) as stage:
            scene = Scene(stage, kind, gateways, port)
            warm = {n: scene.load(200 * n, n)["per_second"] for n in IN_FLIGHT}
            for _ in range(ROUNDS):
                for n in IN_FLIGHT:
                    run = scene.load(max(1000, int(warm[n] * SECONDS)), n)
                    found[n].append(run)
                    print(f"  {kind}, {gateways} gateway(s), {n} in flight: {run}")
    return found


def columns(runs):
    cells = []
    for figure in ("per_second", "per_cpu_second", "p50_us", "p99_us"):
        cells.append(Samples(run[figure] for run in runs).text(0))
    return [*cells, Samples(run["memory_mib"] for run in runs).text(1)]


def played_table(found):
    head = ["publishes of", "gateways", "in flight", "per second", "per CPU second", "p50 us"]
    rows = [
        [NAMES[kind], gateways, n, *columns(runs)]
        for (kind, gateways), by_window in found.items()
        for n, runs in by_window.items()
    ]
    return report.table([*head, "p99 us", "MiB"], rows)


def real_table(found):
    head = ["real server", "publishes", "per second", "per CPU second of the gateway"]
    rows = [
        [NAMES[kind], run["count"], f"{run['per_second']:.0f}", f"{run['per_cpu_second']:.0f}"]
        for kind, run in found.items()
    ]
    return report.table(head, rows)


def main():
    namespace.enter()
    port = multiprocessing.Value("i", 0)
    pushes = multiprocessing.Process(target=serve_pushes, args=(port,), daemon=True)
    pushes.start()
    wait_until(lambda: port.value)
    found = {(kind, count): measure(kind, count, port.value) for kind, count in PLAYED}
    real = gateway_real.measure(BUILD, lambda redis: keep_record(redis, port.value))
    pushes.terminate()
    targets = []
    for kind in NAMES:
        speed = Samples(run["per_cpu_second"] for run in found[kind, 1][1000])
        what = f"xmppgw: publishes as {NAMES[kind]} sends them, 1000 in flight, per CPU second"
        targets.append(Target(what, speed.median, 70000, digits=0))
    title = f"{report.machine()}\n{ROUNDS} rounds of {SECONDS:g} s"
    parts = [title, played_table(found), real_table(real), report.targets_table(targets)]
    text = "\n\n".join(parts)
    data = {"machine": report.machine(), "rounds": ROUNDS, "real": real}
    data["found"] = [
        {"server": kind, "gateways": count, "runs": runs} for (kind, count), runs in found.items()
    ]
    data.update(targets=[target.record() for target in targets])
    print("\n" + text)
    report.write("gateway", text, data)


if __name__ == "__main__":
    main()
