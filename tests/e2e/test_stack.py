"""The whole stack on real servers: files, pushes, registrations, and parts that go away."""

import hashlib
import os
import re

import pytest
from slixmpp.exceptions import IqError

import demo
from demo import apns_token, fcm_token
from chat import open_bytestream, transfer
from harness import Stage, Trouble, wait_until
from stack import APNS, FCM, Stack

MIB = 1024 * 1024
@pytest.fixture(scope="module", params=["prosody", "ejabberd"])
def stack(request, tmp_path_factory):
    with Stage(tmp_path_factory.mktemp(request.param)) as stage:
        yield Stack(stage, request.param).start()


def same(half, data):
    return half.received == len(data) and half.sha.digest() == hashlib.sha256(data).digest()


async def send_file(stack, requester, target, size=4 * MIB):
    """A transfer both ways between two users' new sessions: true if every byte came."""
    there, back = os.urandom(size), os.urandom(size // 2)
    async with stack.client(requester) as one, stack.client(target) as two:
        theirs, ours, _ = await transfer(one, two, there, back)
    return same(theirs, there) and same(ours, back)


async def register(stack, *tokens):
    """user2 registers (provider, token)s, enables pushes to them and goes offline; their nodes."""
    nodes = []
    async with stack.client(stack.user2) as phone:
        for provider, token in tokens:
            node = await phone.register_device(stack.push_jid, provider, token)
            await phone.enable_push(stack.push_jid, node)
            nodes.append(node)
    return nodes


async def forget(stack, *tokens):
    async with stack.client(stack.user2) as phone:
        await phone.disable_push(stack.push_jid)
        for provider, token in tokens:
            await phone.unregister_device(stack.push_jid, provider, token)


async def write(stack):
    """user1 writes to user2, who is offline."""
    async with stack.client(stack.user1) as writer:
        writer.send_message(f"{stack.user2}@{stack.domain}", "Are you there?", mtype="chat")


async def pushed(stack, *tokens):
    """user1 writes to user2: the pushes that come to TOKENS."""
    await write(stack)
    return await demo.pushes_for(stack, tokens)


def answered(stack, run, kind):
    """user1 writes to user2: waits until the server has got an answer of KIND, gone or later."""
    before = len(re.findall(kind, stack.server.log_text()))
    run(write(stack))
    stack.server.wait_log(kind, count=before + 1)


# Services


def test_disco_ping_and_version_of_both_components_are_answered(stack, run):
    async def ask():
        async with stack.client(stack.user1) as client:
            assert {stack.relay_jid, stack.push_jid} <= set(await client.items(stack.domain))
            identities, features = await client.info(stack.relay_jid)
            assert ("proxy", "bytestreams") in identities
            assert "http://jabber.org/protocol/bytestreams" in features
            identities, features = await client.info(stack.push_jid)
            assert ("pubsub", "push") in identities
            assert {"urn:xmpp:push:0", "http://jabber.org/protocol/commands", APNS, FCM} <= features
            for jid in (stack.relay_jid, stack.push_jid):
                await client.query("get", jid, '<ping xmlns="urn:xmpp:ping"/>')
                answer = await client.query("get", jid, '<query xmlns="jabber:iq:version"/>')
                assert "Outrigger" in answer.xml[0].findtext("{jabber:iq:version}name")

    run(ask())


def test_an_unknown_question_is_answered_service_unavailable(stack, run):
    async def ask():
        async with stack.client(stack.user1) as client:
            for jid in (stack.relay_jid, stack.push_jid):
                error = await client.error_of("get", jid, '<query xmlns="urn:example:unknown"/>')
                assert error[:2] == ("cancel", "service-unavailable")

    run(ask())


def test_register_device_without_a_form_gets_the_form(stack, run):
    async def ask():
        async with stack.client(stack.user1) as client:
            fields = await client.command(stack.push_jid, "register-device")
            assert {"provider", "device-token"} <= set(fields)

    run(ask())


# Files


def test_a_file_goes_both_ways_whoever_asks_for_the_stream(stack, run):
    assert run(send_file(stack, stack.user1, stack.user2))
    assert run(send_file(stack, stack.user2, stack.user1))


def test_an_activation_that_nobody_waits_for_is_item_not_found(stack, run):
    async def ask():
        async with stack.client(stack.user1) as client:
            return await client.error_of(
                "set",
                stack.relay_jid,
                '<query xmlns="http://jabber.org/protocol/bytestreams" sid="nothing">'
                f"<activate>{stack.user2}@{stack.domain}/phone</activate></query>",
            )

    assert run(ask())[1] == "item-not-found"


def test_an_activation_with_one_half_only_is_not_allowed(stack, run):
    async def ask():
        async with stack.client(stack.user1) as client, stack.client(stack.user2) as peer:
            plugin = client["xep_0065"]
            [(proxy, (host, port))] = (await plugin.discover_proxies()).items()
            name = plugin._get_dest_sha1("alone", client.boundjid, peer.boundjid)
            _, connection = await plugin._connect_proxy(name, host, port)
            await connection.connected
            error = await client.error_of(
                "set",
                proxy,
                '<query xmlns="http://jabber.org/protocol/bytestreams" sid="alone">'
                f"<activate>{peer.boundjid}</activate></query>",
            )
            connection.transport.abort()
            return error

    assert run(ask())[:2] == ("cancel", "not-allowed")


# Pushes


def test_a_message_to_an_offline_user_is_pushed_over_apns_and_fcm(stack, run):
    apns, fcm = apns_token(), fcm_token()
    run(register(stack, (APNS, apns), (FCM, fcm)))
    found = run(pushed(stack, apns, fcm))
    record = found[apns]
    assert record["answered"] == 200
    assert record["path"] == f"/3/device/{apns}"
    assert record["headers"]["apns-topic"] == "org.example.chat"
    assert record["headers"]["apns-push-type"] == "alert"
    assert record["headers"]["apns-priority"] == "10"
    assert record["body"]["account"] == f"{stack.user2}@{stack.domain}"
    assert record["body"]["aps"]["mutable-content"] == 1
    record = found[fcm]
    assert record["answered"] == 200
    message = record["body"]["message"]
    assert message["token"] == fcm
    assert message["android"]["priority"] == "HIGH"
    assert message["data"]["account"] == f"{stack.user2}@{stack.domain}"
    run(forget(stack, (APNS, apns), (FCM, fcm)))


def test_registering_again_gives_the_same_node_and_unregistering_ends_it(stack, run):
    device = APNS, apns_token()

    async def unregister():
        async with stack.client(stack.user2) as phone:
            await phone.unregister_device(stack.push_jid, *device)
            with pytest.raises(IqError) as error:
                await phone.unregister_device(stack.push_jid, *device)
            assert error.value.condition == "item-not-found"

    nodes = run(register(stack, device))
    assert run(register(stack, device)) == nodes
    assert len(run(pushed(stack, device[1]))) == 1
    run(unregister())
    answered(stack, run, stack.server.gone)


def test_an_app_that_cannot_log_in_unregisters_over_http(stack, run):
    token = apns_token()
    run(register(stack, (APNS, token)))
    body = {"account": f"{stack.user2}@{stack.domain}", "provider": APNS, "device-token": token}
    for path in ("/rest/push/unregister-device/", "/unregister-device/"):
        answer = stack.push.call_public("POST", path + stack.push_jid, body)
        assert answer == (200, {"result": "success"})
    answered(stack, run, stack.server.gone)


def test_a_token_that_the_provider_calls_dead_is_gone(stack, run):
    token = apns_token()
    dead = {"status": 410, "reason": "Unregistered", "timestamp": 4102444800000}
    stack.fake.script({"match": {"token": token}, "answer": dead})
    run(register(stack, (APNS, token)))
    answered(stack, run, stack.server.gone)
    stack.fake.reset()


def test_a_doubtful_token_keeps_its_registration(stack, run):
    token = apns_token()
    doubt = {"status": 400, "reason": "BadDeviceToken"}
    stack.fake.script({"match": {"token": token}, "answer": doubt})
    run(register(stack, (APNS, token)))
    answered(stack, run, stack.server.later)
    stack.fake.reset()
    assert run(pushed(stack, token))[token]["answered"] == 200
    run(forget(stack, (APNS, token)))


def test_a_push_comes_when_the_provider_s_trouble_has_passed(stack, run):
    token = apns_token()
    trouble = {"status": 503, "reason": "ServiceUnavailable"}
    stack.fake.script({"match": {"token": token}, "answer": trouble})
    run(register(stack, (APNS, token)))
    assert run(pushed(stack, token))[token]["answered"] == 503
    stack.fake.reset()
    assert run(demo.pushes_for(stack, [token], timeout=120))[token]["answered"] == 200
    run(forget(stack, (APNS, token)))


def test_a_malformed_registration_is_refused_with_a_reason(stack, run):
    async def work():
        async with stack.client(stack.user2) as phone:
            for fields in (
                {"provider": "nobody", "device-token": apns_token()},
                {"provider": APNS},
                {"provider": APNS, "device-token": "not hex"},
            ):
                with pytest.raises(IqError) as error:
                    await phone.command(stack.push_jid, "register-device", fields)
                assert error.value.etype == "modify", fields
                assert error.value.condition == "bad-request", fields
                assert error.value.text, "an error says why"

    run(work())


# Trouble


def test_a_wrong_component_secret_is_logged_and_never_serves(stack):
    components = stack.components()
    components = {jid: {**keys, "secret": "wrong"} for jid, keys in components.items()}
    gateway = stack.stage.xmppgw(stack.redis, components, name="wrong-secret")
    gateway.wait_log("not-authorized")
    assert gateway.call("GET", "/readyz")[0] == 503
    assert gateway.stop() == 0


def test_a_killed_relay_is_offered_no_more_and_serves_again_when_it_is_back(stack, run):
    async def cut():
        """A transfer whose relay dies: both halves end, nobody hangs."""
        async with stack.client(stack.user1) as one, stack.client(stack.user2) as two:
            ours, theirs = await open_bytestream(one, two)
            [(host, port)] = one["xep_0065"]._proxies.values()
            relay = stack.relay_at(host, port)
            relay.kill()
            await ours.closed
            await theirs.closed
            return relay

    relay = run(cut())
    record = f"og:registry:relay:{relay.name}"
    wait_until(lambda: not stack.redis.command("EXISTS", record), what="its record to expire")
    wait_until(lambda: relay.name not in offered(stack, run), 10, what="the other relay alone")
    for _ in range(3):
        assert run(send_file(stack, stack.user1, stack.user2, 256 * 1024))
    relay.start()
    wait_until(lambda: relay.name in offered(stack, run), 10, what="the relay to be offered again")


def offered(stack, run, times=6):
    """The names of the relays that TIMES address queries are answered with."""

    async def ask():
        names = set()
        async with stack.client(stack.user1) as client:
            for _ in range(times):
                query = '<query xmlns="http://jabber.org/protocol/bytestreams"/>'
                try:
                    answer = await client.query("get", stack.relay_jid, query)
                except IqError:
                    continue  # none is known just now
                host = answer.xml[0][0]
                address = f"{host.get('host')}:{host.get('port')}"
                names |= {r.name for r in stack.relays if r.address("socks") == address}
        return names

    return run(ask())


def test_the_gateway_links_again_when_the_server_has_been_away(stack, run):
    stack.server.stop()
    wait_until(lambda: stack.gateway.call("GET", "/readyz")[0] == 503, what="xmppgw to notice")
    stack.server.start()
    stack.wait_linked(60)
    assert run(send_file(stack, stack.user1, stack.user2, 64 * 1024))


def test_all_heal_by_themselves_when_redis_has_been_away(stack, run):
    connected = "redis-connected"
    daemons = [*stack.relays, stack.push, stack.gateway]
    before = {daemon: daemon.log_text().count(connected) for daemon in daemons}
    token = apns_token()
    run(register(stack, (APNS, token)))
    stack.redis.kill()
    answered(stack, run, stack.server.later)
    stack.redis.start()
    for daemon in daemons:
        daemon.wait_log(connected, count=before[daemon] + 1)
    stack.wait_registered()
    wait_until(lambda: sent(stack, run, token), what="a push to the device that was registered")
    assert run(send_file(stack, stack.user1, stack.user2, 64 * 1024))


def sent(stack, run, token):
    """user1 writes to user2: true if a push came to TOKEN soon."""
    try:
        return run(pushed(stack, token))[token]["answered"] == 200
    except Trouble:
        return False


def test_everything_starts_without_redis_and_serves_once_it_comes(tmp_path, run):
    async def ask(stack):
        async with stack.client(stack.user1) as client:
            query = '<query xmlns="http://jabber.org/protocol/bytestreams"/>'
            return await client.error_of("get", stack.relay_jid, query)

    with Stage(tmp_path) as stage:
        stack = Stack(stage).start(redis=False)
        wait_until(lambda: run(ask(stack)) is not None, what="an error for want of relays")
        with pytest.raises(IqError):
            run(register(stack, (APNS, apns_token())))
        stack.redis.start()
        stack.wait_linked()
        wait_until(lambda: registered(stack, run), what="pushd to register a device")
        wait_until(lambda: offered(stack, run), what="a relay to be offered")
        assert run(send_file(stack, stack.user1, stack.user2, 64 * 1024))


def registered(stack, run):
    try:
        return run(register(stack, (APNS, apns_token())))
    except IqError:
        return None
