"""
The demonstration of `make run` and of the compose stack: a real file through relayd, real pushes
through pushd. STACK is a Stack or what has as much of it as is used here.
"""

import asyncio
import hashlib
import json
import os
import secrets

from chat import transfer
from harness import Trouble
from stack import APNS, FCM

MIB = 1024 * 1024


async def show_transfer(stack, tell, size=64 * MIB):
    """user1 sends user2 a file through the proxy that disco finds; Trouble if it isn't the same."""
    async with stack.client(stack.user1) as sender, stack.client(stack.user2) as receiver:
        proxy = await sender.find("proxy", "bytestreams")
        if proxy is None:
            raise Trouble(f"{stack.domain} lists no bytestreams proxy")
        tell(f"{sender.boundjid} asks {stack.domain} for its services and finds {proxy}.")
        proxies = await sender["xep_0065"].discover_proxies()
        tell(f"{proxy} names a streamhost: {':'.join(map(str, proxies[proxy]))}.")
        data, before = os.urandom(size), len(stack.transfers())
        received, _, seconds = await transfer(sender, receiver, data)
    wanted, got = hashlib.sha256(data).hexdigest(), received.sha.hexdigest()
    rate = received.received / MIB / seconds
    tell(f"{received.received:,} bytes came in {seconds:.2f} s ({rate:,.0f} MiB/s).")
    tell(f"SHA-256 sent      {wanted}")
    tell(f"SHA-256 received  {got}")
    if wanted != got:
        raise Trouble("what was received is not what was sent")
    while len(records := stack.transfers()) == before:
        await asyncio.sleep(0.05)
    show_transfer_record(tell, records[-1])


def show_transfer_record(tell, record):
    users = " to ".join(party["user"] for party in record["parties"])
    size = f"{sum(record['bytes']):,} bytes"
    tell(f"{record['relay']} recorded: {users}, {size}, {record['reason']}.")


async def pushes_for(stack, tokens, timeout=120):
    """Waits until the providers have had a push for each of TOKENS: {token: record}."""
    found = {}
    end = asyncio.get_running_loop().time() + timeout
    while len(found) < len(tokens):
        for record in stack.fake.received():
            for token in tokens:
                if record["provider"] in ("apns", "fcm") and token in json.dumps(record):
                    found.setdefault(token, record)
        if asyncio.get_running_loop().time() > end:
            raise Trouble(f"only {len(found)} of {len(tokens)} pushes came within {timeout} s")
        await asyncio.sleep(0.05)
    return found


def apns_token():
    return secrets.token_hex(32)


def fcm_token():
    return f"{secrets.token_urlsafe(16)}:{secrets.token_urlsafe(99)}"


async def show_pushes(stack, tell):
    """user2 registers two devices, goes offline, gets a message; Trouble if a push doesn't come."""
    tokens = {APNS: apns_token(), FCM: fcm_token()}
    async with stack.client(stack.user2) as phone:
        push = await phone.find("pubsub", "push")
        if push is None:
            raise Trouble(f"{stack.domain} lists no push service")
        tell(f"{phone.boundjid} asks {stack.domain} for its services and finds {push}.")
        for provider, token in tokens.items():
            node = await phone.register_device(push, provider, token)
            await phone.enable_push(push, node)
            tell(f"registered a device at {provider}, got node {node}")
            tell(f"and enabled pushes to it on {stack.server.name}.")
    tell(f"{stack.user2} is offline now; {stack.user1} writes a message.")
    async with stack.client(stack.user1) as writer:
        writer.send_message(f"{stack.user2}@{stack.domain}", "Are you there?", mtype="chat")
        found = await pushes_for(stack, tokens.values())
    for provider, token in tokens.items():
        show_record(tell, provider, found[token])
        if found[token]["answered"] != 200:
            raise Trouble(f"{provider} answered {found[token]['answered']}")


def show_record(tell, provider, record):
    tell(f"{provider}: the pretend {record['provider']} answered {record['answered']} to")
    tell(f"    POST {record['path']}")
    for name, value in record["headers"].items():
        if not name.startswith(":"):
            tell(f"    {name}: {shorten(str(value))}")
    tell(f"    {json.dumps(record['body'])}")


def shorten(text, most=72):
    return text if len(text) <= most else text[: most - 1] + "…"
