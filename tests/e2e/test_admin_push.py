"""The administrators' commands of a push component, by a client on real servers."""

import pytest
from slixmpp.exceptions import IqError

from adhoc import command, nodes_of
from certificates import Authority, master_key, packed
from demo import apns_token
from harness import Stage, wait_until
from notify import got, script
from stack import APNS, FCM, Stack

ADMIN_COMMANDS = {
    "list-devices",
    "show-device",
    "delete-device",
    "test-push",
    "forget-account",
    "list-credentials",
    "set-apns-certificate",
    "set-fcm-account",
    "show-push-statistics",
    "show-queue",
    "list-push-daemons",
    "drain-push-daemon",
}
P2_COMMANDS = {f"{un}register-push-{kind}" for un in ("", "un") for kind in ("apns", "fcm")}
TOPIC = "org.example.chat"


@pytest.fixture(scope="module", params=["prosody", "ejabberd"])
def stack(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    with Stage(folder) as stage:
        keys = {"admins": "root@example.org"}
        push_keys = {"master_key_file": master_key(folder)}
        providers = {APNS: {"key_file": None, "key_id": None, "team_id": None}}
        yield Stack(
            stage,
            request.param,
            users=("root",),
            component_keys=keys,
            push_keys=push_keys,
            provider_keys=providers,
        ).start()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def ask(stack, run, node, fields=None, user="root", **attributes):
    async def work():
        async with stack.client(user, "desk") as client:
            return await command(client, stack.push_jid, node, fields, **attributes)

    return run(work())


def condition_of(stack, run, node, fields=None, user="root"):
    with pytest.raises(IqError) as error:
        ask(stack, run, node, fields, user)
    return error.value.condition


def register(stack, run, user="alice", provider=APNS):
    """A device of USER: its node and token."""

    async def work():
        async with stack.client(user) as client:
            return await client.register_device(stack.push_jid, provider, token)

    token = apns_token()
    return run(work()), token


def test_the_commands_are_listed_to_administrators_and_for_nobody_else(stack, run):
    async def work():
        async with stack.client("root") as root, stack.client("alice") as alice:
            common = {"register-device", "unregister-device", *P2_COMMANDS}
            theirs = await nodes_of(alice, stack.push_jid)
            assert theirs <= common
            assert await nodes_of(root, stack.push_jid) == ADMIN_COMMANDS | theirs

    run(work())
    for node in sorted(ADMIN_COMMANDS):
        fields = {"account": "bob@example.org"}
        assert condition_of(stack, run, node, fields, "alice") == "forbidden"


def test_a_certificate_is_set_as_tigases_form_has_it(stack, run, authority):
    form = ask(stack, run, "set-apns-certificate")
    assert (form.status, form.type) == ("executing", "form")
    assert list(form.options["provider"]) == [APNS]  # it has no credential yet
    assert list(form.fields) == ["provider", "certificate", "password", "key-id", "team-id"]
    p12 = packed(authority.p12(TOPIC, "pass"))
    fields = {"provider": APNS, "certificate": p12, "password": "other"}
    with pytest.raises(IqError) as error:
        ask(stack, run, "set-apns-certificate", fields)
    assert (error.value.condition, "password" in error.value.text) == ("bad-request", True)
    lines = [p12[i : i + 64] for i in range(0, len(p12), 64)]
    for fields in (
        {"certificate": lines, "password": "pass"},
        {"certificate": authority.pem(TOPIC).strip().split("\n")},
    ):
        done = ask(stack, run, "set-apns-certificate", {"provider": APNS, **fields})
        assert (done.status, done.fields["form"]) == ("completed", "certificate")
        assert done.fields["expires"].startswith("20")
    row = ask(stack, run, "list-credentials").row(id=APNS)
    assert (row["credential"], row["source"], row["daemon"]) == ("certificate", "stored", "pushd")
    assert row["expires"] == done.fields["expires"]
    assert row["findings"].startswith("It expires ")


def test_a_service_account_is_set(stack, run):
    text = (stack.fake.set / "service-account.json").read_text()
    fields = {"provider": FCM, "account": text.split("\n")}
    assert ask(stack, run, "set-fcm-account").options["provider"] == {FCM: FCM}
    assert ask(stack, run, "set-fcm-account", fields).fields["form"] == "service-account"
    wrong = {"provider": FCM, "account": "{}"}
    assert condition_of(stack, run, "set-fcm-account", wrong) == "bad-request"


@pytest.fixture
def key(stack, run):
    """A key that the pretend APNs takes, set by the command that sets certificates."""
    text = (stack.fake.set / "apns.p8").read_text()
    fields = {"certificate": text.split("\n"), "key-id": "FAKEKEY001", "team-id": "FAKETEAM01"}
    done = ask(stack, run, "set-apns-certificate", {"provider": APNS, **fields})
    assert done.fields["form"] == "key"


def test_a_device_is_listed_tested_explained_and_deleted(stack, run, key):
    node, token = register(stack, run)
    account = {"account": f"Alice@{stack.domain}"}
    listed = ask(stack, run, "list-devices", account)
    assert listed.row(node=node)["token"] == token[:6] + "…"
    for name in ("show-device", "delete-device", "test-push"):
        choice = ask(stack, run, name, account)
        assert (choice.status, choice.type) == ("executing", "form")
        assert choice.options["device"][node].startswith(f"{APNS} {token[:6]}")
        assert choice.fields["account"] == f"alice@{stack.domain}"
    chosen = {**account, "device": node}
    tested = ask(stack, run, "test-push", chosen)
    assert tested.fields["result"] == "sent: The push service took it."
    assert len(got(stack.fake, token.lower())) == 1
    script(stack.fake, token.lower(), 400, "BadDeviceToken")
    tested = ask(stack, run, "test-push", chosen)
    assert tested.fields["result"].startswith("unavailable: It was not sent.")
    assert tested.rows[0]["reason"] == "BadDeviceToken"
    shown = ask(stack, run, "show-device", chosen)
    assert shown.rows[0]["reason"] == "BadDeviceToken" and shown.rows[0]["status"] == "400"
    assert (shown.fields["device"], shown.fields["waiting"]) == (node, "no")
    assert ask(stack, run, "delete-device", chosen).notes == ["The device was deleted."]
    assert condition_of(stack, run, "delete-device", chosen) == "item-not-found"
    assert condition_of(stack, run, "delete-device", account) == "item-not-found"


def test_an_account_is_forgotten(stack, run):
    for _ in range(2):
        register(stack, run, "bob")
    account = {"account": f"bob@{stack.domain}"}
    done = ask(stack, run, "forget-account", account)
    assert done.notes == ["The account is forgotten: it had 2 devices."]
    assert ask(stack, run, "list-devices", account).rows == []
    wrong = {"account": "a b@example.org"}
    assert condition_of(stack, run, "forget-account", wrong) == "jid-malformed"


def test_statistics_are_those_of_all_push_daemons_and_the_queue_is_paged(stack, run, key):
    more = stack.stage.pushd(
        "pushd-2", stack.redis, providers=stack.fake.provider_sections(), **stack.push_keys
    )
    stack.gateway.wait_log("backend-found .*pushd-2")
    before = int(ask(stack, run, "show-push-statistics").row(id=APNS)["queued"])
    daemons = [stack.push, more]
    nodes = []
    for i in range(40):
        owner = f"user{i}@{stack.domain}"
        token = apns_token()
        claim = {"component": stack.push_jid, "owner": owner, "provider": APNS, "token": token}
        status, device = stack.push.call("POST", "/v1/devices", {**claim, "dialect": "tigase"})
        assert status == 200
        script(stack.fake, token, 503, "ServiceUnavailable")
        nodes.append(device["node"])
        daemons[i % 2].call("POST", f"/v1/devices/{device['node']}/test")
    statistics = ask(stack, run, "show-push-statistics")
    assert statistics.fields["daemons"] == "2, each since it started"
    row = statistics.row(id=APNS)
    assert (int(row["queued"]) - before, row["waiting"]) == (40, "40")

    async def work():
        async with stack.client("root", "desk") as root:
            first = await command(root, stack.push_jid, "show-queue")
            assert (first.status, first.actions) == ("executing", ["next", "complete"])
            shown = {"after": first.fields["after"], "count": "40"}
            session = {"sessionid": first.session}
            rest = await command(
                root, stack.push_jid, "show-queue", shown, **session, action="next"
            )
            done = await command(
                root, stack.push_jid, "show-queue", shown, **session, action="complete"
            )
            assert (done.status, done.type) == ("completed", None)
            return first, rest

    first, rest = run(work())
    assert first.fields["count"] == "40"
    assert (rest.status, rest.actions) == ("completed", [])
    assert [len(first.rows), len(rest.rows)] == [25, 15]
    assert {row["node"] for row in first.rows + rest.rows} == set(nodes)
    for node in nodes:
        stack.push.call("DELETE", f"/v1/devices/{node}")
    assert {row["id"] for row in ask(stack, run, "list-push-daemons").rows} == {"pushd", "pushd-2"}
    form = ask(stack, run, "drain-push-daemon")
    assert set(form.options["daemon"]) == {"pushd", "pushd-2"}
    assert ask(stack, run, "drain-push-daemon", {"daemon": "pushd-2"}).notes
    assert more.wait_exit() == 0
    wait_until(lambda: len(ask(stack, run, "list-push-daemons").rows) == 1, what="it to leave")
