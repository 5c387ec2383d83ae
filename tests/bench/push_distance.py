"""How far away the provider is: a round trip that can be set, by netem on the loopback or, where
the kernel or its owner doesn't allow that, by a line of our own that keeps what passes for a while.
"""

import asyncio
import multiprocessing
import os
import subprocess

import namespace
from harness import HOST, Trouble

TICK_S = 0.001  # what is due within it goes together: the loop can't wait for less


class Netem:
    """All of the namespace's loopback; who sends to the provider alone sees nothing else of it."""

    note = "a round trip by netem on the loopback, so API and Redis are as far"
    pid = None

    def __init__(self, url):
        self.url = url

    @classmethod
    def permitted(cls):
        if namespace.INSIDE not in os.environ:
            return False
        try:
            cls.tc("add", "netem", "delay", "1ms")
            cls.tc("del")
        except (Trouble, FileNotFoundError):
            return False
        return True

    @staticmethod
    def tc(verb, *what):
        argv = ["tc", "qdisc", verb, "dev", "lo", "root", *what]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0:
            raise Trouble(f"tc: {done.stderr.strip()}")

    def set(self, round_trip_ms):
        one_way = f"{round_trip_ms / 2:g}ms"
        self.tc("replace", "netem", "delay", one_way, "limit", "1000000")

    def close(self):
        self.tc("del")


class Line:
    """A TCP line to the provider, on which everything takes its time, either way."""

    note = "a round trip by a line of ours, as netem is not to be had here"

    def __init__(self, url):
        self.one_way_s = multiprocessing.Value("d", 0.0)
        port = multiprocessing.Value("i", 0)
        listening = multiprocessing.Event()
        arguments = (url.rsplit(":", 1)[1], self.one_way_s, port, listening)
        self.process = multiprocessing.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        if not listening.wait(15):
            raise Trouble("the line doesn't listen")
        self.url = f"https://{HOST}:{port.value}"

    @property
    def pid(self):
        return self.process.pid

    def set(self, round_trip_ms):
        self.one_way_s.value = round_trip_ms / 2000

    def close(self):
        self.process.terminate()
        self.process.join()


def serve(provider_port, one_way_s, port, listening):
    async def carry(reader, writer):
        """Reads at once what comes, hands it over when its time has come."""
        loop, waiting = asyncio.get_running_loop(), asyncio.Queue()

        async def hand_over():
            while True:
                due, data = await waiting.get()
                if due > loop.time() + TICK_S:
                    await asyncio.sleep(due - loop.time())
                if not data:
                    return writer.close()
                writer.write(data)

        task = asyncio.create_task(hand_over())
        data = b"-"
        while data:
            try:
                data = await reader.read(1 << 18)
            except OSError:
                data = b""
            waiting.put_nowait((loop.time() + one_way_s.value, data))
        await task

    async def accept(reader, writer):
        there = await asyncio.open_connection(HOST, provider_port)
        ways = (carry(reader, there[1]), carry(there[0], writer))
        await asyncio.gather(*ways, return_exceptions=True)

    async def run():
        server = await asyncio.start_server(accept, HOST, 0)
        port.value = server.sockets[0].getsockname()[1]
        listening.set()
        await server.serve_forever()

    asyncio.run(run())


def choose(url):
    """Whatever works here."""
    return Netem(url) if Netem.permitted() else Line(url)
