"""The stack whose relays share one port: what it does, who reaches what, what processes may."""

import asyncio
import json
import re
import socket
import subprocess

import pytest

import bytestream as bs
import demo
from containers import run
from harness import wait_until
from load import Calls, Transfer, bridged, unregister
from notify import known, register
from outside import has_ip6tables
from people import People

NO_CAPABILITY = "0000000000000000"
INTERNAL_PORTS = (6379, 7650, 7651, 7660, 7670, 8080)
BAD_GREETING = b"\x04\x01\x00"


def certificate_of(stack):
    return stack.deploy / "secrets/https/push.crt"


# What it does


def test_a_file_and_two_pushes_go_through_the_components(stack):
    asyncio.run(asyncio.wait_for(demo.show_transfer(People(stack), print), 120))
    asyncio.run(asyncio.wait_for(demo.show_pushes(People(stack), print), 120))


def test_a_transfer_whose_halves_are_on_two_relays_is_bridged(stack):
    transfer = bridged(stack)
    owner, other = transfer.relays
    transfer.wait_bytes()
    transfer.finish().check_whole()
    bridge = rf"bridge-ended id={transfer.name} owner=(\S+)"
    (name,) = wait_until(lambda: re.findall(bridge, other.logs()), 30, "the bridge's line")
    assert owner.id.startswith(name)  # a container's host name
    assert f"stream-ended id={transfer.name} reason=completed" in owner.logs()


def test_an_app_unregisters_by_https(stack):
    push = stack.containers("pushd")[0]
    device = register(push)
    status, answer, _ = unregister(
        stack, [certificate_of(stack)], device["owner"], device["token"]
    )
    assert (status, json.loads(answer)) == (200, {"result": "success"})
    assert not known(push, device)


def new_certificate(folder):
    """A certificate for the push component, of the kind that make-secrets makes, and its key."""
    certificate, key = folder / "new.crt", folder / "new.key"
    run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "5", "-subj", "/CN=push.example.org",
        "-addext", "subjectAltName=DNS:push.example.org", "-keyout", key, "-out", certificate,
    )
    return certificate, key


def test_a_certificate_is_renewed_without_losing_a_call(stack, tmp_path):
    old = tmp_path / "old.crt"
    old.write_bytes(certificate_of(stack).read_bytes())
    certificate, key = new_certificate(tmp_path)
    calls = Calls(stack, old, certificate)
    calls.wait_calls()
    stack.run("./renew-certificate", certificate, key)
    wait_until(lambda: len(calls.seen) == 2 or calls.failed, 60, "the new certificate")
    calls.wait_calls()
    assert len(calls.check()) == 2
    unregister(stack, [certificate])  # and the old one is shown to nobody any more
    (https,) = stack.containers("https")
    https.kill()
    https.wait_healthy()  # Docker still starts it again


def test_a_key_that_is_not_the_certificates_is_refused(stack, tmp_path):
    before = certificate_of(stack).read_bytes()
    certificate, _ = new_certificate(tmp_path)
    key = stack.deploy / "secrets/https/push.key"
    status, text = stack.run("./renew-certificate", certificate, key, check=False)
    assert status == 1 and "the old one stays" in text
    assert certificate_of(stack).read_bytes() == before


# Who reaches what


def test_only_the_two_ports_for_clients_and_apps_are_published(stack):
    published = {
        (container.service, int(binding["HostPort"]))
        for container in stack.containers()
        for bindings in container.inspect()["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    }
    assert published == {("balancer", stack.relay_port), ("https", stack.https_port)}


def test_the_inner_network_has_no_way_out(stack):
    _, text = run("docker", "network", "inspect", f"{stack.project}_inside")
    (network,) = json.loads(text)
    assert network["Internal"]
    assert set(network["Containers"]) >= {one.id for one in stack.containers("redis", "relayd")}
    (redis,) = stack.containers("redis")
    assert list(redis.inspect()["NetworkSettings"]["Networks"]) == [f"{stack.project}_inside"]


def reaches(address, port):
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def test_no_inner_port_is_reached_from_outside(stack, outside):
    assert outside.namespace.call(reaches, outside.host4, stack.relay_port)
    for port in INTERNAL_PORTS:
        assert not outside.namespace.call(reaches, outside.host4, port)
    (redis,), relay = stack.containers("redis"), stack.relays()[0]
    assert reaches(redis.address(), 6379) and reaches(relay.address("front"), 7650)
    # Not by a route to the containers' own addresses either.
    assert not outside.namespace.call(reaches, redis.address(), 6379)
    assert not outside.namespace.call(reaches, relay.address("front"), 7650)


def refused(address, port):
    """A client that isn't one: relayd's log has its address."""
    with bs.connect(None, address=f"{address}:{port}") as sock:
        sock.sendall(BAD_GREETING)
        return bs.to_end(sock)


def addresses_of(transfer):
    """
    The clients' addresses in the lines of TRANSFER's relays; where a half was bridged, its own line
    has its client, and the owner's the other relay.
    """
    found = []
    peers = {relay.address() for relay in transfer.relays}
    for relay in transfer.relays:
        line = rf"-ended id={transfer.name} .*"
        (text,) = wait_until(lambda: re.findall(line, relay.logs()), 30, "the transfer's line")
        found += re.findall(r"address=(\S+)", text)
    return [one for one in found if one.rsplit(":", 1)[0] not in peers]


@pytest.mark.parametrize("family", [4, 6])
def test_relayd_sees_the_address_of_a_client(stack, outside, family):
    if family == 6 and not has_ip6tables():
        pytest.skip("the Docker here runs without ip6tables, which hides IPv6 addresses")
    host, address = (
        (outside.host4, outside.address4) if family == 4 else (outside.host6, outside.address6)
    )
    outside.namespace.call(refused, host, stack.relay_port)
    shown = address if family == 4 else f"[{address}]"
    line = f"handshake-refused address={shown}:"
    wait_until(lambda: any(line in relay.logs() for relay in stack.relays()), 30, line)
    transfer = Transfer(stack, host=host, namespace=outside.namespace)
    transfer.finish().check_whole()
    seen = addresses_of(transfer)
    assert len(seen) == 2 and all(one.startswith(f"{shown}:") for one in seen), seen


# What its processes may


def processes_of(container):
    """/proc/PID/status of each process, as {name: value}."""
    _, text = run("docker", "top", container.id, "-eo", "pid")
    for pid in text.split()[1:]:
        with open(f"/proc/{pid}/status") as status:
            yield dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)


def test_no_process_is_root_or_has_a_capability(stack):
    for container in stack.containers():
        found = list(processes_of(container))
        assert found, container
        for process in found:
            assert "0" not in process["Uid"].split(), (container, process)
            assert process["CapEff"] == process["CapPrm"] == NO_CAPABILITY, container
            assert process["CapBnd"] == NO_CAPABILITY, container
            assert process["NoNewPrivs"] == "1", container


def test_what_is_executed_in_a_container_is_not_root_either(stack):
    for container in stack.containers():
        _, uid = run("docker", "exec", container.id, "id", "-u")
        assert int(uid) > 0, container


def test_nothing_is_written_outside_volumes(stack):
    for container in stack.containers():
        inspected = container.inspect()
        assert inspected["HostConfig"]["ReadonlyRootfs"], container
        mounts = [mount["Destination"] for mount in inspected["Mounts"]]
        mounts += inspected["HostConfig"].get("Tmpfs") or {}
        _, text = run("docker", "diff", container.id)
        for path in (line.split(" ", 1)[1] for line in text.splitlines()):
            # Docker makes the places where volumes are mounted.
            assert any(f"{mount}/".startswith(f"{path}/") for mount in mounts), (container, path)


def test_a_relay_that_is_stopped_waits_for_its_transfers(stack):
    transfer = Transfer(stack)
    relay = transfer.owner
    stop = subprocess.Popen(["docker", "stop", relay.id], stdout=subprocess.DEVNULL)
    wait_until(lambda: relay.call("GET", "/readyz")[0] == 503, 30, "draining")
    transfer.wait_bytes()
    assert relay.inspect()["Config"]["StopTimeout"] == 3610
    assert stop.poll() is None
    transfer.finish().check_whole()
    assert stop.wait(120) == 0
    assert relay.state["ExitCode"] == 0
    run("docker", "start", relay.id)
    relay.wait_healthy()
