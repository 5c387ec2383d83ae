"""The administrators' commands, by a client's own words, on real servers, relays and limits."""

import asyncio
import contextlib
import re
import time

import pytest
from slixmpp.exceptions import IqError

import bytestream
from adhoc import command, nodes_of
from chat import COMMANDS, FORMS, open_bytestream, transfer
from component import ComponentServer
from component import error_of as error_in
from harness import Stage, wait_until
from stack import APNS, Stack

MIB = 1024 * 1024
KEYS = {"verifier": "limits", "pending_per_address_max": 500}
P2_COMMANDS = {f"{un}register-push-{kind}" for un in ("", "un") for kind in ("apns", "fcm")}
ADMIN_COMMANDS = {
    "show-limits",
    "set-limits",
    "show-usage",
    "list-transfers",
    "list-streams",
    "cut-stream",
    "list-relays",
    "drain-relay",
    "forget-account",
}
ADMIN = {"admins": "root@example.org"}
FORBIDDEN = ("auth", "forbidden")


@pytest.fixture(scope="module", params=["prosody", "ejabberd"])
def stack(request, tmp_path_factory):
    with Stage(tmp_path_factory.mktemp(request.param)) as stage:
        keys = {"admins": "Root@example.org, other@example.net", "charge": "both"}
        stack = Stack(
            stage, request.param, users=("root",), relay_keys=KEYS, component_keys=keys
        )
        yield stack.start()


def ask(stack, run, node, fields=None, user="root", **attributes):
    """USER runs a command of the relay component."""

    async def work():
        async with stack.client(user, "desk") as client:
            return await command(client, stack.relay_jid, node, fields, **attributes)

    return run(work())


def error_of(stack, run, node, fields=None, user="root"):
    """The error's (type, condition, text)."""
    with pytest.raises(IqError) as error:
        ask(stack, run, node, fields, user)
    return error.value.etype, error.value.condition, error.value.text


# Who may


def test_commands_are_listed_only_to_administrators(stack, run):
    async def work():
        async with stack.client("root") as root, stack.client(stack.user1) as alice:
            assert await nodes_of(root, stack.relay_jid) == ADMIN_COMMANDS
            assert COMMANDS in (await root.info(stack.relay_jid))[1]
            with pytest.raises(IqError) as error:
                await nodes_of(alice, stack.relay_jid)
            assert error.value.condition == "item-not-found"
            assert COMMANDS not in (await alice.info(stack.relay_jid))[1]
            found = await nodes_of(alice, stack.push_jid)
            assert found == {"register-device", "unregister-device", *P2_COMMANDS}

    run(work())


def test_nobody_else_may_run_them(stack, run):
    for node in sorted(ADMIN_COMMANDS):
        for fields in (None, {"account": "example.org", "file": "1", "relay": "relay-1"}):
            assert error_of(stack, run, node, fields, stack.user1)[:2] == FORBIDDEN
    assert stack.relays[0].call("GET", "/v1/limits/example.org")[0] == 404
    assert stack.relays[0].alive


def test_a_form_is_asked_for_shown_and_can_be_canceled(stack, run):
    shown = ask(stack, run, "set-limits", sessionid="mine", action="execute")
    assert (shown.status, shown.type) == ("executing", "form")
    assert list(shown.fields) == ["account", "file", "user", "domain", "credit"]
    canceled = ask(stack, run, "set-limits", sessionid="mine", action="cancel")
    assert (canceled.status, canceled.type) == ("canceled", None)
    usage = ask(stack, run, "show-usage")
    assert usage.fields["month"] == time.strftime("%Y%m", time.gmtime())


# Relays and streams


def test_relays_are_listed(stack, run):
    found = ask(stack, run, "list-relays")
    assert (found.status, found.type) == ("completed", "result")
    assert {row["id"] for row in found.rows} == {relay.name for relay in stack.relays}
    for relay in stack.relays:
        row = found.row(id=relay.name)
        assert row["addresses"] == relay.address("socks")
        assert row["draining"] == row["full"] == "no"


def test_a_live_stream_is_listed_and_cut(stack, run):
    async def work():
        async with stack.client("root") as root:
            async with stack.client(stack.user1) as one, stack.client(stack.user2) as two:
                ours, theirs = await open_bytestream(one, two)
                await ours.send(b"x" * 1000)
                while theirs.received < 1000:
                    await asyncio.sleep(0.01)
                listed = await command(root, stack.relay_jid, "list-streams", {})
                row = listed.row(requester=str(one.boundjid), target=str(two.boundjid))
                assert row["state"] == "active"
                assert {row["first"], row["second"]} == {"0", "1000"}
                assert row["relay"] in {relay.name for relay in stack.relays}
                cut = {"hash": row["hash"]}
                offered = (await command(root, stack.relay_jid, "cut-stream")).options["hash"]
                names = f"{stack.user1}@{stack.domain}→{stack.user2}@{stack.domain}"
                assert offered == {row["hash"]: f"{row['hash'][:4]} {names}"}
                done = await command(root, stack.relay_jid, "cut-stream", cut)
                assert done.notes == ["The stream was cut."]
                await asyncio.wait_for(asyncio.gather(ours.closed, theirs.closed), 10)
                with pytest.raises(IqError) as error:
                    await command(root, stack.relay_jid, "cut-stream", cut)
                assert error.value.condition == "item-not-found"

    run(work())
    hashes = [row["hash"] for row in ask(stack, run, "list-streams", {}).rows]
    assert hashes == []
    none = ("cancel", "item-not-found", "There is no stream.")
    assert error_of(stack, run, "cut-stream") == none


def test_streams_of_all_relays_are_listed_page_by_page(stack, run):
    with contextlib.ExitStack() as halves:
        names = sorted(bytestream.new_hash() for _ in range(130))
        for i, name in enumerate(names):
            halves.enter_context(bytestream.half(stack.relays[i % 2], name))
        found, after = [], ""
        for rows in (25, 25, 25, 25, 25, 5):
            page = ask(stack, run, "list-streams", {"after": after})
            assert len(page.rows) == rows
            found += page.rows
            after = page.fields.get("after", "")
        assert [row["hash"] for row in found] == names and not after
        for i, row in enumerate(found):
            assert row["relay"] == stack.relays[i % 2].name
            assert row["state"] == "waiting"


def test_wrong_fields_have_their_errors(stack, run):
    for node, fields, condition in (
        ("show-limits", {"account": "a b@example.org"}, "jid-malformed"),
        ("set-limits", {"account": "bob@example.org/phone", "user": "1"}, "jid-malformed"),
        ("set-limits", {"account": "bob@example.org", "user": "much"}, "bad-request"),
        ("cut-stream", {"hash": "0" * 39}, "bad-request"),
        ("cut-stream", {"hash": "0" * 40}, "item-not-found"),
        ("drain-relay", {"relay": "relay-9"}, "item-not-found"),
        ("list-streams", {"after": "nothing"}, "bad-request"),
        ("show-usage", {"month": "202613"}, "bad-request"),
        ("list-transfers", {"from": "yesterday"}, "bad-request"),
        ("list-transfers", {"user": "example.org"}, "jid-malformed"),
        ("list-transfers", {"domain": "a@b"}, "jid-malformed"),
        ("forget-account", {"account": "a b@example.org"}, "jid-malformed"),
        ("forget-account", {"account": "example.org"}, "bad-request"),
    ):
        assert error_of(stack, run, node, fields)[1] == condition, (node, fields)


# Limits and usage


@pytest.fixture
def no_limits(stack):
    """No account has limits, before and after."""

    def clear():
        for row in limits_of(stack):
            assert stack.relays[0].call("DELETE", f"/v1/limits/{row['account']}")[0] == 204

    clear()
    yield
    clear()


def limits_of(stack):
    return stack.relays[0].call("GET", "/v1/limits?limit=1000")[1]["limits"]


def test_limits_are_set_shown_changed_and_cleared(stack, run, no_limits):
    bob = f"bob@{stack.domain}"
    asked = {"account": f" Bob@{stack.domain.upper()} ", "file": "10", "user": "1536k"}
    assert ask(stack, run, "set-limits", asked).status == "completed"
    shown = ask(stack, run, "show-limits", {"account": bob}).rows
    assert shown == [{"account": bob, "file": "10M", "user": "1536k", "domain": "0"}]
    ask(stack, run, "set-limits", {"account": bob, "domain": "-1", "file": "0"})
    ask(stack, run, "set-limits", {"account": "example.net", "user": "3G"})
    assert ask(stack, run, "show-limits", {}).rows == [
        {"account": bob, "file": "0", "user": "1536k", "domain": "-1"},
        {"account": "example.net", "file": "0", "user": "3G", "domain": "0"},
    ]
    assert {row["account"] for row in limits_of(stack)} == {bob, "example.net"}


def test_limits_are_listed_page_by_page(stack, run, no_limits):
    accounts = sorted(f"user{i:03}@example.org" for i in range(120))
    for account in accounts:
        assert stack.relays[0].call("PUT", f"/v1/limits/{account}", {"file": 5})[0] in (200, 204)
    found, after = [], ""
    for rows in (25, 25, 25, 25, 20):
        page = ask(stack, run, "show-limits", {"after": after})
        assert len(page.rows) == rows
        found += [row["account"] for row in page.rows]
        after = page.fields.get("after", "")
    assert found == accounts and not after


async def send(stack, size):
    async with stack.client(stack.user1) as one, stack.client(stack.user2) as two:
        theirs, _, _ = await transfer(one, two, b"x" * size)
        assert theirs.received == size


def usage(stack, run, **fields):
    """{account: bytes} of what the command shows."""
    rows = ask(stack, run, "show-usage", fields).rows
    return {(row["kind"], row["account"]): int(row["bytes"]) for row in rows}


def test_usage_is_shown_by_kind_and_account_and_credits_lower_it(stack, run, no_limits):
    alice, bob = (("user", f"{user}@{stack.domain}") for user in (stack.user1, stack.user2))
    before = usage(stack, run, kind="all")
    run(send(stack, 3 * MIB))

    def grown():
        after = usage(stack, run, kind="all")
        return after if after.get(alice, 0) - before.get(alice, 0) == 3 * MIB else None

    after = wait_until(grown, what="the lease to come back")
    for key in (bob, ("domain", stack.domain)):
        assert after[key] - before.get(key, 0) == 3 * MIB
    assert {kind for kind, _ in after} == {"user", "domain", "instance", "global"}
    for kind in ("user", "domain", "instance", "global"):
        shown = usage(stack, run, kind=kind)
        assert shown == {key: value for key, value in after.items() if key[0] == kind}
    assert usage(stack, run, account=alice[1]) == {alice: after[alice]}
    ask(stack, run, "set-limits", {"account": alice[1], "credit": "1"})
    assert usage(stack, run, account=alice[1]) == {alice: after[alice] - MIB}
    ask(stack, run, "set-limits", {"account": alice[1], "credit": "1T"})
    assert usage(stack, run, account=alice[1]).get(alice, 0) == 0
    assert usage(stack, run, month="199901") == {}


def test_usage_is_shown_page_by_page(stack, run):
    month = "202001"
    ledgers = {f"user:user{i:03}@example.org": i for i in range(110)}
    keys = f"og:usage:{month}", f"og:ledgers:{month}"
    names = [*ledgers, "global", "domain:example.org", "instance:relay-1"]
    fill = "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) redis.call('ZADD', KEYS[2], 0, ARGV[1])"
    fill += " redis.call('EXPIRE', KEYS[1], 600) redis.call('EXPIRE', KEYS[2], 600)"
    for name in names:
        stack.redis.command("EVAL", fill, 2, *keys, name, ledgers.get(name, 7))
    expectations = {"all": 113, "user": 110, "global": 1, "domain": 1, "instance": 1}
    for kind, expected in expectations.items():
        found, after = {}, ""
        while True:
            page = ask(stack, run, "show-usage", {"month": month, "kind": kind, "after": after})
            found.update({row["account"]: int(row["bytes"]) for row in page.rows})
            after = page.fields.get("after")
            if not after:
                break
        assert len(found) == expected, kind


def test_transfers_are_listed(stack, run):
    run(send(stack, MIB))
    jids = {f"{user}@{stack.domain}/e2e" for user in ("alice", "bob")}

    def last(**fields):
        rows = ask(stack, run, "list-transfers", fields).rows
        found = [row for row in rows if {row["first"], row["second"]} == {"0", str(MIB)}]
        return found[0] if found else None

    row = wait_until(last, what="the transfer's record")
    assert row["reason"] == "completed"
    assert row["relay"] in {relay.name for relay in stack.relays}
    assert {row["requester"].split("/")[0], row["target"].split("/")[0]} == {
        jid.split("/")[0] for jid in jids
    }
    assert row["started"] <= row["ended"]
    day = row["ended"][:10]
    assert last(user=f"Alice@{stack.domain}", domain=stack.domain, **{"from": day}) == row
    for others in ({"user": f"nobody@{stack.domain}"}, {"domain": "c.example"}, {"to": day}):
        assert ask(stack, run, "list-transfers", others).rows == []
    rows = ask(stack, run, "list-transfers", {}).rows
    assert [row["ended"] for row in rows] == sorted((row["ended"] for row in rows), reverse=True)


def test_a_forgotten_user_has_no_usage_and_no_transfers(stack, run, no_limits):
    alice, bob = (f"{user}@{stack.domain}" for user in (stack.user1, stack.user2))
    run(send(stack, MIB))
    wait_until(lambda: ask(stack, run, "list-transfers", {"user": alice}).rows)
    ask(stack, run, "set-limits", {"account": alice, "file": "10"})
    wait_until(lambda: stack.redis.open_leases() == [], what="the lease's end")
    done = ask(stack, run, "forget-account", {"account": alice.upper()})
    (note,) = done.notes
    assert re.fullmatch(
        r"The account is forgotten: it had usage in 1 months, [1-9]\d* transfers on record.", note
    )
    assert ask(stack, run, "list-transfers", {"user": bob}).rows == []
    assert usage(stack, run, account=alice) == {}
    assert usage(stack, run, account=bob) and usage(stack, run, account=stack.domain)
    assert alice not in {row["account"] for row in limits_of(stack)}
    again = ask(stack, run, "forget-account", {"account": alice}).notes
    assert again == ["The account is forgotten: it had usage in 0 months, 0 transfers on record."]


# Trouble


def test_another_relay_answers_when_one_is_gone(stage):
    redis = stage.redis()
    relays = [
        stage.relayd(name, redis, control_url=None, **KEYS) for name in ("relay-1", "relay-2")
    ]
    keys = [f"og:registry:relay:{relay.name}" for relay in relays]
    wait_until(lambda: redis.command("EXISTS", *keys) == 2, what="the relays to register")
    with contextlib.closing(ComponentServer("proxy.example.org")) as server:
        components = {server.domain: {**server.section, "role": "relay", **ADMIN}}
        gateway = stage.xmppgw(redis, components)
        gateway.wait_log("backend-found .*", count=2)
        link = server.accept().log_in()
        relays[0].kill()
        form = f"<x xmlns='{FORMS}' type='submit'/>"
        payload = f"<command xmlns='{COMMANDS}' node='list-streams'>{form}</command>"
        answer = link.ask("first", "set", payload, "root@example.org/desk")
        (warning,) = answer.iter(f"{{{COMMANDS}}}note")
        assert warning.get("type") == "warn" and "relay-1" in warning.text
        for i in range(12):
            payload = f"<command xmlns='{COMMANDS}' node='show-limits'>{form}</command>"
            answer = link.ask(f"i{i}", "set", payload, "root@example.org/desk")
            assert error_in(answer) is None


def test_one_component_forgets_at_relays_and_push_daemons(stage):
    redis, fake = stage.redis(), stage.providers()
    relay = stage.relayd("relay-1", redis, **KEYS)
    push = stage.pushd("pushd", redis, fake)
    with contextlib.closing(ComponentServer("both.example.org")) as server:
        section = {**server.section, "role": "relay, push", **ADMIN}
        gateway = stage.xmppgw(redis, {server.domain: section})
        gateway.wait_log("backend-found .*", count=2)
        link = server.accept().log_in()

        def forget(account):
            field = f"<field var='account'><value>{account}</value></field>"
            form = f"<x xmlns='{FORMS}' type='submit'>{field}</x>"
            payload = f"<command xmlns='{COMMANDS}' node='forget-account'>{form}</command>"
            answer = link.ask("i", "set", payload, "root@example.org/desk")
            return error_in(answer) or answer.find(f".//{{{COMMANDS}}}note").text

        claim = {"component": server.domain, "owner": "bob@example.org", "provider": APNS}
        claim |= {"token": "0a" * 32, "dialect": "tigase"}
        assert push.call("POST", "/v1/devices", claim)[0] == 200
        assert relay.call("PUT", "/v1/usage/bob@example.org/imported", {"bytes": 7})[0] == 200
        known = "The account is forgotten: it had 1 devices, usage in 1 months, "
        assert forget("bob@example.org") == known + "0 transfers on record."
        unknown = known.replace("1", "0")
        assert forget("bob@example.org") == unknown + "0 transfers on record."
        assert forget("example.org") == "The account is forgotten: it had 0 devices."


def test_a_relay_is_drained(stack, run):
    relay = stack.relays[1]
    form = ask(stack, run, "drain-relay")
    assert list(form.fields) == ["relay"]
    done = ask(stack, run, "drain-relay", {"relay": relay.name})
    assert done.notes == ["The relay drains; it has 0 streams."]
    assert relay.wait_exit() == 0
    wait_until(lambda: len(ask(stack, run, "list-relays").rows) == 1, what="one relay to be left")
    assert error_of(stack, run, "drain-relay", {"relay": relay.name})[1] == "item-not-found"
    relay.start()
    stack.wait_registered()
