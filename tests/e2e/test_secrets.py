"""What keeps secrets secret: short ones, files that all may read, cores."""

import json
import os
import pathlib
import resource

import pytest

from harness import HOST, free_port, sign

SHORT = "fifteen-bytes-x"  # one byte too few

START = {
    "relayd": lambda stage, **keys: stage.relayd("relay-1", None, start=False, **keys),
    "pushd": lambda stage, **keys: stage.pushd("push-1", stage.redis(), start=False, **keys),
    "xmppgw": lambda stage, **keys: stage.xmppgw(None, start=False, **keys),
}


@pytest.mark.parametrize("program", START)
def test_a_short_token_is_refused(stage, program):
    daemon = START[program](stage, api_token=SHORT)
    daemon.clean = (1,)
    daemon.start(wait=False)
    assert daemon.wait_exit() == 1
    assert "api-token: is too short: it can be guessed below 16 bytes" in daemon.log_text()


def test_a_short_secret_of_the_fleet_is_refused(stage):
    relay = START["relayd"](stage, peer_listen=f"{HOST}:0", peer_secret=SHORT)
    relay.clean = (1,)
    relay.start(wait=False)
    assert relay.wait_exit() == 1
    assert "peer-secret: is too short" in relay.log_text()


def test_a_short_secret_of_a_component_and_a_file_for_all_are_warned_of(stage):
    server = f"{HOST}:{free_port()}"
    gateway = stage.xmppgw(None, start=False, relays={
        "relay-1": {"control": f"http://{HOST}:1", "advertise": f"{HOST}:2"}}, components={
            "proxy.example.org": {"server": server, "secret": SHORT, "role": "relay"},
            "files.example.org": {"server": server, "secret": SHORT + "y", "role": "relay"}})
    gateway.config.chmod(0o644)
    gateway.start()
    text = gateway.log_text()
    assert "component-secret-short component=proxy.example.org" in text
    assert "component=files.example.org hint" not in text
    assert text.count("config-readable-by-all ") == 1 and "mode=0644" in text
    gateway.stop()
    gateway.config.chmod(0o640)
    gateway.start()
    assert "config-readable-by-all" not in gateway.log_text()


CORE = resource.getrlimit(resource.RLIMIT_CORE)[1]  # the most that the daemons' start may set


@pytest.mark.skipif(CORE == 0 and os.getuid() != 0, reason="test_daemon has this case")
@pytest.mark.parametrize("program", START)
def test_a_daemon_leaves_no_core(stage, program):
    """The limit 0 would be no limit for a program that the kernel hands cores to (core(5))."""
    server = {"server": f"{HOST}:{free_port()}", "secret": SHORT + "y", "role": "relay"}
    keys = {"relays": {"relay-1": {"control": f"http://{HOST}:1", "advertise": f"{HOST}:2"}},
            "components": {"proxy.example.org": server}}
    daemon = START[program](stage, **(keys if program == "xmppgw" else {})).start()
    limits = pathlib.Path(f"/proc/{daemon.pid}/limits").read_text().splitlines()
    core = next(line for line in limits if line.startswith("Max core file size"))
    assert core.split()[4] == "1"


def push_record(name, **keys):
    return {"id": name, "epoch": 1, "api": f"http://{HOST}:1", "public": None, "providers": [],
            "draining": False, **keys}


def test_a_gateway_believes_only_records_that_the_fleet_has_signed(stage):
    stage.record = False  # the contract's records are signed
    redis = stage.redis()
    records = {
        "ours": sign(push_record("ours"), "push:ours"),
        "unsigned": push_record("unsigned"),
        "theirs": sign(push_record("theirs"), "push:theirs", "token-of-somebody-else"),
        "renamed": sign(push_record("renamed"), "push:ours"),
        "old": sign(push_record("old", at_ms=1700000000000), "push:old"),
        "moved": {**sign(push_record("moved"), "push:moved"), "api": f"http://{HOST}:2"},
    }
    for name, record in records.items():
        redis.command("SET", f"og:registry:push:{name}", json.dumps(record), "PX", "600000")
        redis.command("ZADD", "og:registry:push", "9e15", name)
    redis.command("PEXPIRE", "og:registry:push", "600000")
    component = {"server": f"{HOST}:{free_port()}", "secret": "secret-of-the-tests", "role": "push"}
    gateway = stage.xmppgw(redis, {"push.example.org": component})
    gateway.wait_log("backend-found kind=push id=ours ")
    gateway.wait_log("registry-record-refused kind=push id=")
    assert gateway.log_text().count("backend-found") == 1
