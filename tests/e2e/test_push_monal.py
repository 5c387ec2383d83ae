"""Apps that never register (fpush's dialect) on a real Prosody: the node is the device's token."""

import hashlib

import pytest

import demo
from demo import apns_token
from stack import APNS, Stack

MODULE = "monalProdiOS-sandbox"


@pytest.fixture(scope="module")
def stack(module_stage):
    keys = {"push_modules": MODULE, "interval": 0}
    return Stack(module_stage, provider_keys={APNS: keys}).start()


async def enable(stack, token, module=MODULE):
    """user2's app enables pushes to TOKEN, as Monal does, and goes offline."""
    async with stack.client(stack.user2) as phone:
        await phone.disable_push(stack.push_jid)
        await phone.enable_push(stack.push_jid, token, pushModule=module)


async def write(stack):
    async with stack.client(stack.user1) as writer:
        writer.send_message(f"{stack.user2}@{stack.domain}", "Are you there?", mtype="chat")


def nodes(stack, token):
    name = hashlib.sha256(token.encode()).hexdigest()
    return stack.redis.command("ZRANGE", f"og:push:token:{name}", 0, -1)


def answered_gone(stack, run):
    """user1 writes: waits until the server has got the answer that ends a registration."""
    before = stack.server.log_text().count(stack.server.gone)
    run(write(stack))
    stack.server.wait_log(stack.server.gone, count=before + 1)


def test_a_message_reaches_an_app_that_never_registered(stack, run):
    token = apns_token()

    async def message():
        await enable(stack, token)
        await write(stack)
        return await demo.pushes_for(stack, [token])

    (record,) = run(message()).values()
    assert record["path"].endswith(token)
    assert record["body"]["aps"]["mutable-content"] == 1
    (node,) = nodes(stack, token)
    status, device = stack.push.call("GET", f"/v1/devices/{node}")
    assert (status, device["owner"], device["dialect"]) == (200, stack.domain, "fpush")


def test_a_dead_token_and_an_unknown_module_are_item_not_found(stack, run):
    token = apns_token()
    answer = {"status": 410, "reason": "Unregistered"}
    stack.fake.script({"match": {"token": token}, "answer": answer})
    run(enable(stack, token))
    answered_gone(stack, run)
    assert not nodes(stack, token)
    answered_gone(stack, run)
    assert sum(request["path"].endswith(token) for request in stack.fake.received()) == 1
    token = apns_token()
    run(enable(stack, token, "nobody"))
    answered_gone(stack, run)
    assert not nodes(stack, token)
