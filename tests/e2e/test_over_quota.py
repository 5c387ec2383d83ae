"""Transfers that meet a limit: slixmpp's own XEP-0065 client, both roles, both servers."""

import asyncio

import pytest
from slixmpp.exceptions import IqError

from chat import open_bytestream
from harness import Stage, wait_until
from stack import Stack

MIB = 1024 * 1024
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
LIMIT = 2 * MIB
KEYS = {"verifier": "limits", "transfer_update_quantization": "64k"}


@pytest.fixture(scope="module", params=["prosody", "ejabberd"])
def stack(request, tmp_path_factory):
    with Stage(tmp_path_factory.mktemp(request.param)) as stage:
        keys = {"charge": "both"}
        yield Stack(stage, request.param, relay_keys=KEYS, component_keys=keys).start()


@pytest.fixture(autouse=True)
def limits(stack):
    """Sets limits of an account, of a user or a domain, until the end of the test."""
    accounts = []

    def put(account, **bytes_of):
        status, _ = stack.relays[0].call("PUT", f"/v1/limits/{account}", bytes_of)
        assert status in (200, 204)
        accounts.append(account)

    stack.redis.command("DEL", *usage_keys(stack), "nothing")
    yield put
    for account in accounts:
        stack.relays[0].call("DELETE", f"/v1/limits/{account}")


def usage_keys(stack):
    return stack.redis.command("KEYS", "og:usage:*")


class Party:
    """A user's client that keeps the messages that come and what of them people see."""

    def __init__(self, stack, user):
        self.client, self.errors, self.seen = stack.client(user), asyncio.Queue(), []
        self.client.add_event_handler("message_error", self.errors.put_nowait)
        self.client.add_event_handler("message", lambda message: self.seen.append(message["body"]))

    async def __aenter__(self):
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *error):
        await self.client.__aexit__(*error)

    @property
    def jid(self):
        return str(self.client.boundjid)

    async def told(self, timeout=120):
        """The next message with an error: (id, from, to, error's type, condition, text)."""
        message = (await asyncio.wait_for(self.errors.get(), timeout)).xml
        # slixmpp calls any message with an error one of type error; test_events sees the wire's.
        (error,) = message.findall("{jabber:client}error")
        condition, text = error
        assert text.tag == STANZAS + "text"
        start = message.get("id"), message.get("from"), message.get("to"), error.get("type")
        return (*start, condition.tag.removeprefix(STANZAS), text.text)


async def send_until_cut(sender, receiver):
    """Sends more than any limit; how much came, once both connections are over."""

    async def send():
        try:
            await sender.send(b"x" * (2 * LIMIT))
        except OSError:
            pass  # cut in the middle

    sending = asyncio.create_task(send())
    await asyncio.wait_for(asyncio.gather(sender.closed, receiver.closed), 30)
    sending.cancel()
    return receiver.received


async def hit_limit(one, two, backwards=False):
    """ONE opens a stream to TWO and sends, or has TWO send, until the limit; how much came."""
    ours, theirs = await open_bytestream(one.client, two.client)
    sender, receiver = (theirs, ours) if backwards else (ours, theirs)
    return await send_until_cut(sender, receiver)


async def told_both(stack, one, two):
    """Both get the same message, once; its text."""
    ids, texts = set(), set()
    for party in (one, two):
        stanza_id, sender, to, *error, text = await party.told()
        assert (sender, to) == (stack.relay_jid, party.jid)
        assert error == ["cancel", "not-allowed"]
        ids.add(stanza_id)
        texts.add(text)
    (stanza_id,), (text,) = ids, texts
    assert stack.redis.command("XRANGE", "og:events", stanza_id, stanza_id), "the event's id"
    for party, other in ((one, two), (two, one)):
        (body,) = party.seen
        party.seen.clear()
        name = other.jid.split("/")[0]
        assert body.startswith(f"The file transfer with {name} was stopped before it was complete.")
    return text


async def refused(stack, requester, target):
    """The requester alone is told that his stream didn't begin; what he sees."""
    _, sender, to, *_ = await requester.told()
    assert (sender, to) == (stack.relay_jid, requester.jid)
    (body,) = requester.seen
    requester.seen.clear()
    name = target.jid.split("/")[0]
    assert body.startswith(f"The file transfer with {name} was not allowed. ")
    return body


def settled(stack):
    """No event is under way."""
    group = stack.redis.command("XINFO", "GROUPS", "og:events")[0]
    group = dict(zip(group[::2], group[1::2]))
    return group["lag"] == 0 and group["pending"] == 0


def meet(stack, run, work):
    """Runs WORK with alice's and bob's clients; afterwards nobody has been told more than once."""

    async def all_of_it():
        async with Party(stack, stack.user1) as one, Party(stack, stack.user2) as two:
            result = await work(one, two)
            while not await asyncio.to_thread(settled, stack):
                await asyncio.sleep(0.05)
            await one.client.query("get", None, '<ping xmlns="urn:xmpp:ping"/>')
            await two.client.query("get", None, '<ping xmlns="urn:xmpp:ping"/>')
            assert one.errors.empty() and two.errors.empty()
            assert not one.seen and not two.seen
            return result

    return run(all_of_it(), 300)


@pytest.mark.parametrize("asker, backwards", [
    pytest.param("alice", False, id="alice-requester-sends"),
    pytest.param("bob", True, id="bob-target-sends"),
    pytest.param("alice", True, id="alice-target-sends", marks=pytest.mark.matrix),
    pytest.param("bob", False, id="bob-requester-sends", marks=pytest.mark.matrix),
])
@pytest.mark.parametrize(
    "account, field",
    [("bob@example.org", "user"), ("bob@example.org", "file"), ("example.org", "domain")],
)
def test_a_limit_in_the_middle_ends_the_transfer_and_tells_both(
    stack, run, limits, account, field, asker, backwards
):
    limits(account, **{field: LIMIT})

    async def work(one, two):
        parties = (one, two) if asker == "alice" else (two, one)
        received = await hit_limit(*parties, backwards)
        return received, await told_both(stack, one, two)

    received, text = meet(stack, run, work)
    assert received == LIMIT
    assert (account if field != "file" else "file") in text


def test_a_limit_that_is_used_up_refuses_the_activation(stack, run, limits):
    limits("alice@example.org", user=LIMIT)

    async def work(one, two):
        assert await hit_limit(one, two) == LIMIT
        await told_both(stack, one, two)
        with pytest.raises(IqError) as error:
            await open_bytestream(one.client, two.client)
        return error.value, await refused(stack, one, two)

    error, body = meet(stack, run, work)
    assert (error.etype, error.condition) == ("cancel", "not-allowed")
    assert "alice@example.org" in error.text
    assert "The transfer quota of alice@example.org, 2 MB a month, is used up." in body


def test_who_is_forbidden_to_transfer_may_not_activate(stack, run, limits):
    limits("bob@example.org", user=-1)

    async def work(one, two):
        with pytest.raises(IqError) as error:
            await open_bytestream(one.client, two.client)
        return error.value, await refused(stack, one, two)

    error, body = meet(stack, run, work)
    assert (error.etype, error.condition) == ("auth", "forbidden")
    assert "bob@example.org" in error.text
    assert body.endswith(" File transfers are not allowed for bob@example.org.")


def test_a_gateway_that_is_restarted_before_it_could_tell_tells_then(stack, run, limits):
    limits("bob@example.org", user=LIMIT)

    async def work(one, two):
        ours, theirs = await open_bytestream(one.client, two.client)
        stack.gateway.kill()
        assert await send_until_cut(ours, theirs) == LIMIT
        assert one.errors.empty() and two.errors.empty()
        stack.gateway.start(wait=False)
        return await told_both(stack, one, two)

    assert "bob@example.org" in meet(stack, run, work)
    stack.wait_linked()


# Prosody has one connection of a component.
@pytest.mark.parametrize("stack", ["ejabberd"], indirect=True)
def test_of_two_gateways_one_tells(stack, run, limits):
    second = stack.stage.xmppgw(stack.redis, stack.components(), name="gateway-2")
    wait_until(lambda: second.call("GET", "/readyz")[0] == 200, what="the second gateway")

    async def work(one, two):
        for _ in range(6):
            await asyncio.to_thread(clear, stack)
            assert await hit_limit(one, two) == LIMIT
            await told_both(stack, one, two)

    def told():
        return sum(g.log_text().count("event-told") for g in (stack.gateway, second))

    limits("bob@example.org", user=LIMIT)
    before = told()
    try:
        meet(stack, run, work)
        assert told() - before == 6
    finally:
        assert second.stop() == 0


def clear(stack):
    """Nobody has used anything this month."""
    for key in usage_keys(stack):
        stack.redis.command("DEL", key)
