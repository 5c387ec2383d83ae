"""
The limits that relays are configured with, met through the gateway by users of two domains, with
two relays that share the ledgers.
"""

import asyncio

import pytest
from slixmpp.exceptions import IqError

from chat import open_bytestream
from harness import Stage, wait_until
from stack import Stack

MIB = 1024 * 1024
FILE, DOMAIN, INSTANCE = 2 * MIB, 5 * MIB, 7 * MIB
KEYS = {
    "verifier": "limits",
    "default_file_limit": "2",
    "default_domain_limit": "5",
    "instance_limit": "7",
    "transfer_update_quantization": "64k",
}
ORG, NET = "example.org", "example.net"
JULIET, NURSE = f"juliet@{NET}", f"nurse@{NET}"


@pytest.fixture(scope="module", params=["prosody", "ejabberd"])
def stack(request, tmp_path_factory):
    with Stage(tmp_path_factory.mktemp(request.param)) as stage:
        yield Stack(
            stage,
            request.param,
            users=(JULIET, NURSE),
            relay_keys=KEYS,
            component_keys={"charge": "both"},
            server_keys={"more_domains": (NET,)},
        ).start()


@pytest.fixture(autouse=True)
def nothing_used(stack):
    """Nobody has used anything this month."""
    wait_until(lambda: stack.redis.open_leases() == [], what="the leases' end")
    stack.redis.command("DEL", "nothing", *stack.redis.command("KEYS", "og:usage:*"))


def used(stack, account):
    """The bytes of this month, when no lease is open."""
    wait_until(lambda: stack.redis.open_leases() == [], what="the leases' end")
    rows = stack.relays[0].call("GET", f"/v1/usage?account={account}")[1]["usage"]
    return sum(row["bytes"] for row in rows)


async def send(stack, sender, receiver, size):
    """
    SENDER sends SIZE bytes to RECEIVER: (how many came, the reason that both were told; None if
    all came). A refused activation is no byte and the error's text.
    """
    async with stack.client(sender) as one, stack.client(receiver) as two:
        told = [party.future_of("message_error") for party in (one, two)]
        try:
            ours, theirs = await open_bytestream(one, two)
        except IqError as error:
            assert (error.etype, error.condition) == ("cancel", "not-allowed")
            return 0, error.text
        sending = asyncio.create_task(ours.send(b"x" * size))
        while theirs.received < size and not theirs.closed.done():
            await asyncio.sleep(0.01)
        if theirs.received == size:
            await sending
            ours.finish()
            await asyncio.wait_for(asyncio.gather(ours.closed, theirs.closed), 60)
            return size, None
        await asyncio.wait_for(asyncio.gather(ours.closed, theirs.closed), 60)
        await asyncio.gather(sending, return_exceptions=True)  # cut in the middle
        texts = {message["error"]["text"] for message in await asyncio.gather(*told)}
        (text,) = texts
        return theirs.received, text


def test_a_file_over_the_default_is_cut_to_the_byte(stack, run):
    received, why = run(send(stack, stack.user1, JULIET, 2 * FILE))
    assert received == FILE and "file" in why
    assert run(send(stack, stack.user1, JULIET, FILE)) == (FILE, None)
    assert used(stack, ORG) == used(stack, NET) == 2 * FILE


def test_each_domain_has_the_default_for_all_its_users_at_all_relays(stack, run):
    for sender, receiver in ((stack.user1, stack.user2), (stack.user2, JULIET)):
        assert run(send(stack, sender, receiver, FILE)) == (FILE, None)
    received, why = run(send(stack, NURSE, stack.user1, FILE))
    assert received == DOMAIN - 2 * FILE and ORG in why
    assert used(stack, ORG) == DOMAIN
    received, why = run(send(stack, stack.user1, NURSE, MIB))
    assert received == 0 and ORG in why
    assert run(send(stack, JULIET, NURSE, MIB)) == (MIB, None)
    assert used(stack, NET) == FILE + (DOMAIN - 2 * FILE) + MIB


def test_an_individual_limit_goes_before_the_default(stack, run):
    assert stack.relays[1].call("PUT", f"/v1/limits/{JULIET}", {"file": MIB})[0] == 200
    received, why = run(send(stack, stack.user1, JULIET, FILE))
    assert received == MIB and "file" in why
    assert run(send(stack, stack.user1, NURSE, FILE)) == (FILE, None)
    assert stack.relays[0].call("DELETE", f"/v1/limits/{JULIET}")[0] == 204


def test_a_relay_has_its_own_limit_and_the_other_goes_on(stack, run):
    for domain in (ORG, NET):
        row = {"domain": 1024 * MIB}
        assert stack.relays[0].call("PUT", f"/v1/limits/{domain}", row)[0] == 200
    names = [relay.name for relay in stack.relays]
    counted = dict.fromkeys(names, 0)
    total = 0
    for _ in range(60):  # of two relays, the gateway names one at random
        full = [name for name in names if counted[name] == INSTANCE]
        received, why = run(send(stack, stack.user1, JULIET, FILE))
        total += received
        now = {name: used(stack, name) for name in names}
        (changed,) = [name for name in names if now[name] != counted[name]] or [None]
        assert sum(now.values()) == total and max(now.values()) <= INSTANCE
        if received == FILE:
            assert why is None and changed not in full
        else:
            assert any(now[name] == INSTANCE and name in why for name in names)
        counted = now
        if len(full) == len(names):
            break
    assert counted == dict.fromkeys(names, INSTANCE)
    assert total == 2 * INSTANCE
    for domain in (ORG, NET):
        assert stack.relays[0].call("DELETE", f"/v1/limits/{domain}")[0] == 204
