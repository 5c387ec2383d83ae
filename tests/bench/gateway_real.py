"""Publishes of real servers: Prosody's mod_cloud_notify and ejabberd's mod_push, for messages to
users who are offline, as fast as the servers take them from one client."""

import asyncio
import tempfile
import time

import usage
from chat import Client
from harness import TOKEN, Stage, wait_until
from notify import metric
from servers import Ejabberd, Prosody

SERVERS = {"prosody": Prosody, "ejabberd": Ejabberd}
COMPONENT = "push.example.org"
PASSWORD = "secret-of-all"
USERS = [f"user{n}" for n in range(10)]
EACH = 90  # messages; servers keep 100 for a user who is offline
ANSWERED = "outrigger_xmppgw_iqs_answered_total"


async def enable_all(server):
    for number, user in enumerate(USERS):
        async with Client(server, user, PASSWORD) as client:
            await client.enable_push(COMPONENT, f"{number:032x}")


async def write_all(server, until):
    """Writes to everybody in turn, and stays until UNTIL says that all is published."""
    async with Client(server, "writer", PASSWORD) as writer:
        begun = time.monotonic()
        for _ in range(EACH):
            for user in USERS:
                writer.send_message(f"{user}@{server.domain}", "Are you there?", mtype="chat")
            await asyncio.sleep(0)
        while not until():
            await asyncio.sleep(0.02)
        return time.monotonic() - begun


def run(stage, kind, keep_record):
    server = SERVERS[kind](stage, "example.org", {COMPONENT: "secret"}, name=kind)
    for user in (*USERS, "writer"):
        server.add_user(user, PASSWORD)
    stage.run(server)
    redis = stage.redis()
    keep_record(redis)
    address = f"127.0.0.1:{server.component_port(COMPONENT)}"
    section = {"server": address, "secret": server.secret(COMPONENT), "role": "push"}
    gateway = stage.xmppgw(redis, {COMPONENT: section})
    gateway.wait_log("backend-found")
    gateway.wait_log("stream-up")
    asyncio.run(enable_all(server))
    answered = lambda: metric(gateway, ANSWERED, outcome="result")
    count, before, cpu = len(USERS) * EACH, answered(), usage.cpu_seconds(gateway.pid)
    published = lambda: answered() >= before + count
    seconds = asyncio.run(write_all(server, published))
    wait_until(published)
    cpu = usage.cpu_seconds(gateway.pid) - cpu
    return {"count": count, "per_second": count / seconds, "per_cpu_second": count / cpu}


def measure(build, keep_record):
    """What each server gives: {kind: figures}."""
    found = {}
    for kind in SERVERS:
        with tempfile.TemporaryDirectory() as folder:
            with Stage(folder, build=build, record=False, token=TOKEN) as stage:
                found[kind] = run(stage, kind, keep_record)
                print(f"  real {kind}: {found[kind]}")
    return found
