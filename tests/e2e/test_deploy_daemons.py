"""What containers need of the daemons: one configuration for many, and what it says when wrong."""

import json
import os
import socket
import subprocess
import types

import pytest

import bytestream as bs
from component import ComponentServer
from fleet import proxy_header
from harness import HOST, free_port, wait_until

ANYWHERE = {"listen": "0.0.0.0:0", "advertise": "relay.example.org:1080",
            "control_listen": "0.0.0.0:0", "control_url": None,
            "peer_listen": "[::]:0", "peer_secret": "secret-of-the-fleet"}
PUSH_ANYWHERE = {"api_listen": "[::]:0", "api_url": None, "public_listen": "0.0.0.0:0",
                 "behind_proxy": "yes"}


def record(redis, kind, process):
    """What PROCESS says of itself in the registry, once it is there."""
    key = f"og:registry:{kind}:{process.name}"
    return json.loads(wait_until(lambda: redis.command("GET", key), what=key))


def port(process, what):
    return process.address(what).rsplit(":", 1)[1]


def ask(daemon, *options, **env):
    """Status and output of another process with DAEMON's configuration, which needn't run."""
    daemon.log.touch()
    command = [*daemon.argv, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120,
                          env={**os.environ, **daemon.env, **env})
    return done.returncode, done.stdout + done.stderr


# Wildcard listeners


def test_daemons_on_wildcards_are_found_where_redis_sees_them(stage):
    redis = stage.redis()
    owner, other = (stage.relayd(f"relay-{n}", redis, **ANYWHERE) for n in (1, 2))
    for relay in (owner, other):
        found = record(redis, "relay", relay)
        assert found["control"] == f"http://{HOST}:{port(relay, 'control')}"
        assert found["peer"] == f"{HOST}:{port(relay, 'peering')}"
        assert found["advertise"] == ["relay.example.org:1080"]
    name = bs.new_hash()
    here, there = bs.half(owner, name), bs.half(other, name)  # bridged by that address
    assert bs.activate(owner, name)[0] == 200
    here.sendall(b"over the bridge")
    assert bs.exactly(there, 15) == b"over the bridge"
    push = stage.pushd("push-1", redis, **PUSH_ANYWHERE)
    found = record(redis, "push", push)
    assert found["api"] == f"http://{HOST}:{port(push, 'api')}"
    assert found["public"] == f"http://{HOST}:{port(push, 'public')}"


def test_an_ipv6_address_is_registered_in_brackets(stage):
    redis = stage.redis(extra=("--bind", HOST, "::1"))
    by_six = types.SimpleNamespace(url=f"redis://[::1]:{redis.port}")
    relay = stage.relayd("relay-1", by_six, **{**ANYWHERE, "control_listen": "[::]:0"})
    push = stage.pushd("push-1", by_six, **PUSH_ANYWHERE)
    found = record(redis, "relay", relay)
    assert found["control"] == f"http://[::1]:{port(relay, 'control')}"
    assert found["peer"] == f"[::1]:{port(relay, 'peering')}"
    found = record(redis, "push", push)
    assert found["api"] == f"http://[::1]:{port(push, 'api')}"
    # A socket on 0.0.0.0 isn't reached by IPv6.
    assert found["public"] == f"http://{socket.gethostname()}:{port(push, 'public')}"


def test_by_a_unix_socket_daemons_are_found_by_the_hosts_name(stage):
    path = stage.folder / "redis.sock"
    redis = stage.redis(extra=("--unixsocket", path))
    by_socket = types.SimpleNamespace(url=f"unix://{path}")
    relay = stage.relayd("relay-1", by_socket, **ANYWHERE)
    push = stage.pushd("push-1", by_socket, **PUSH_ANYWHERE)
    host = socket.gethostname()
    found = record(redis, "relay", relay)
    assert found["control"] == f"http://{host}:{port(relay, 'control')}"
    assert found["peer"] == f"{host}:{port(relay, 'peering')}"
    assert record(redis, "push", push)["api"] == f"http://{host}:{port(push, 'api')}"


def test_what_is_configured_is_registered_as_it_stands(stage):
    redis = stage.redis()
    keys = {"control_url": "http://relay.internal:7650", "peer_address": "relay.internal:7651"}
    relay = stage.relayd("relay-1", redis, **{**ANYWHERE, **keys})
    keys = {"api_url": "http://push.internal:7660"}
    push = stage.pushd("push-1", redis, **{**PUSH_ANYWHERE, **keys})
    found = record(redis, "relay", relay)
    assert found["control"] == "http://relay.internal:7650"
    assert found["peer"] == "relay.internal:7651"
    assert record(redis, "push", push)["api"] == "http://push.internal:7660"


def test_the_id_is_the_hosts_name_where_none_is_given(stage):
    redis = stage.redis()
    stage.relayd("relay-1", redis, id=None, **ANYWHERE)
    stage.pushd("push-1", redis, id=None, **PUSH_ANYWHERE)
    for kind in ("relay", "push"):
        key = f"og:registry:{kind}:{socket.gethostname()}"
        assert json.loads(wait_until(lambda: redis.command("GET", key), what=key))


# Components whose domains the environment says


def gateway_for_any(stage, port, secret):
    """A gateway with a configuration that names no domain and no secret, and its environment."""
    redis = types.SimpleNamespace(url="redis://127.0.0.1:1")
    sections = {"proxy": {"role": "relay"}, "push": {"role": "push"}}
    gateway = stage.xmppgw(redis, sections, start=False)
    for name in sections:
        prefix = f"OG_XMPPGW_COMPONENT_{name.upper()}"
        gateway.env = {**gateway.env, f"{prefix}_DOMAIN": f"{name}.example.org",
                       f"{prefix}_SERVER": f"{HOST}:{port}", f"{prefix}_SECRET_FILE": str(secret)}
    return gateway


def test_a_components_domain_secret_and_server_come_from_the_environment(stage):
    server = ComponentServer("proxy.example.org")
    secret = stage.folder / "secret"
    secret.write_text(server.section["secret"] + "\n")
    gateway = gateway_for_any(stage, server.section["server"].rsplit(":", 1)[1], secret)
    gateway.env["OG_XMPPGW_COMPONENT_PUSH_SERVER"] = f"{HOST}:1"  # nobody is there
    gateway.start()
    server.accept().log_in()
    gateway.wait_log("stream-up component=proxy.example.org")
    gateway.wait_log("stream-ended component=push.example.org")
    server.close()


def test_a_domain_that_is_missing_or_there_twice_is_told(stage):
    (stage.folder / "secret").write_text("s")
    gateway = gateway_for_any(stage, 1, stage.folder / "secret")
    assert ask(gateway, "-n")[0] == 0
    status, text = ask(gateway, "-n", OG_XMPPGW_COMPONENT_PUSH_DOMAIN="")
    assert (status, text) == (
        1, "OG_XMPPGW_COMPONENT_PUSH_DOMAIN: domain: must not be empty\n")
    status, text = ask(gateway, "-n", OG_XMPPGW_COMPONENT_PUSH_DOMAIN="Proxy.example.org")
    assert (status, text) == (
        1, "components proxy and push have the same domain, proxy.example.org\n")


# What -n says


def test_the_check_finds_that_clients_cannot_be_told_an_address(stage):
    redis = types.SimpleNamespace(url="redis://redis")
    relay = stage.relayd("relay-1", redis, start=False, listen="[::]:1080, 0.0.0.0:1081")
    status, text = ask(relay, "-n")
    assert status == 1 and "advertise is needed: clients can't connect to [::]:1080" in text
    status, text = ask(relay, "-n", OG_RELAYD_ADVERTISE="relay.example.org:1080")
    assert (status, text) == (0, "relayd: the configuration is right\n")


# Health


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "[::]"])
def test_health_is_asked_on_loopback_at_the_port_that_the_environment_says(stage, wildcard):
    redis = stage.redis()
    section = {"server": f"{HOST}:1", "secret": "s", "role": "relay"}
    for key, daemon in (
        ("OG_RELAYD_CONTROL_LISTEN", stage.relayd("relay-1", redis, start=False)),
        ("OG_PUSHD_API_LISTEN", stage.pushd("push-1", redis, start=False)),
        ("OG_XMPPGW_OPS_LISTEN",
         stage.xmppgw(redis, {"proxy.example.org": section}, start=False)),
    ):
        daemon.env = {**daemon.env, key: f"{wildcard}:{free_port()}"}
        assert ask(daemon, "--health")[0] == 1
        daemon.start()
        assert ask(daemon, "--health") == (0, "")
        daemon.stop()
        assert ask(daemon, "--health")[0] == 1


# Secrets


def three(stage):
    """One daemon of each kind, none of which is started."""
    redis = types.SimpleNamespace(url="redis://127.0.0.1:1")
    section = {"server": f"{HOST}:1", "secret": "s", "role": "relay"}
    return (stage.relayd("relay-1", redis, start=False), stage.pushd("push-1", redis, start=False),
            stage.xmppgw(redis, {"proxy.example.org": section}, start=False))


def test_a_secret_that_is_missing_stops_the_start_and_names_the_script(stage):
    missing, empty = stage.folder / "missing", stage.folder / "empty"
    empty.write_text("\n")
    for daemon in three(stage):
        variable = f"OG_{daemon.program.upper()}_API_TOKEN_FILE"
        for path, why in ((missing, "No such file or directory"), (empty, "is empty")):
            status, text = ask(daemon, **{variable: str(path)})
            assert status == 1
            assert f"{variable}: {path}: {why} (deploy/make-secrets writes" in text


def test_the_secret_of_the_samples_stops_the_start_and_names_the_script(stage):
    for daemon in three(stage):
        name = daemon.program.upper()
        status, text = ask(daemon, **{f"OG_{name}_API_TOKEN": "change-me"})
        assert status == 1
        assert f"OG_{name}_API_TOKEN: api-token: is still change-me" in text
        assert "deploy/make-secrets" in text
        status, text = ask(daemon, **{f"OG_{name}_REDIS": "redis://:change-me@redis"})
        assert status == 1
        assert f"OG_{name}_REDIS: redis: its password is still change-me" in text


# Clients' addresses


def through(relay, header, name):
    """A granted half that a balancer passes on with HEADER."""
    sock = bs.connect(relay)
    sock.sendall(header + bs.GREETING)
    assert bs.exactly(sock, 2) == b"\x05\x00"
    sock.sendall(bs.request(name))
    assert bs.exactly(sock, 47)[:2] == b"\x05\x00"
    return sock


def ended(relay, name, what="stream"):
    return relay.wait_log(rf"{what}-ended id={name} .*").group(0)


def local(sock):
    host, number = sock.getsockname()[:2]
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


def test_the_log_has_both_clients_addresses(stage):
    relay = stage.relayd("relay-1", None, listen="[::]:0")
    name, number = bs.new_hash(), port(relay, "socks")
    four = bs.half(relay, name, address=f"{HOST}:{number}")
    six = bs.half(relay, name, address=f"[::1]:{number}")
    assert bs.activate(relay, name)[0] == 200
    first, second = local(four), local(six)
    four.close()
    six.close()
    assert f" first-address={first} second-address={second}" in ended(relay, name)
    assert first.startswith("127.0.0.1:") and second.startswith("[::1]:")


def test_the_log_has_the_address_of_who_waited_in_vain(stage):
    relay = stage.relayd("relay-1", None)
    name = bs.new_hash()
    alone = bs.half(relay, name)
    address = local(alone)
    alone.close()
    line = ended(relay, name)
    assert "reason=abandoned" in line
    assert f" first-address={address} second-address=-" in line


def test_the_log_has_the_addresses_that_a_balancer_tells(stage):
    relay = stage.relayd("relay-1", None, trusted_proxies=HOST)
    name = bs.new_hash()
    four = through(relay, proxy_header(("192.0.2.7", 4711)), name)
    six = through(relay, proxy_header(("2001:db8::7", 4712), family=0x21), name)
    assert bs.activate(relay, name)[0] == 200
    four.close()
    six.close()
    line = ended(relay, name)
    assert " first-address=192.0.2.7:4711 second-address=[2001:db8::7]:4712" in line


def test_a_bridged_clients_address_is_in_the_log_of_its_relay(stage):
    redis = stage.redis()
    owner, other = (stage.relayd(f"relay-{n}", redis, trusted_proxies=HOST, **ANYWHERE)
                    for n in (1, 2))
    record(redis, "relay", owner)
    name = bs.new_hash()
    here = through(owner, proxy_header(("192.0.2.7", 4711)), name)
    there = through(other, proxy_header(("192.0.2.8", 4712)), name)
    assert bs.activate(owner, name)[0] == 200
    here.close()
    there.close()
    assert " first-address=192.0.2.7:4711 second-address=127." in ended(owner, name)
    assert ended(other, name, "bridge").endswith(" address=192.0.2.8:4712")
