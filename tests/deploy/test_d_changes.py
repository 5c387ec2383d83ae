"""The stack is scaled, its services are killed and restarted, it is upgraded, all under load."""

import threading

import pytest

from containers import IMAGES, copy_tree, run
from harness import wait_until
from load import Calls, Publishes, Transfer, bridged

LONG = 61  # seconds
SERVICES = ("redis", "relayd", "pushd", "xmppgw", "balancer", "https", "prosody")


class Background(threading.Thread):
    """FUNCTION in the background; done() waits for its end and raises what it raised."""

    def __init__(self, function, *arguments, **options):
        super().__init__(daemon=True)
        self.work = lambda: function(*arguments, **options)
        self.error = None
        self.start()

    def run(self):
        try:
            self.work()
        except Exception as error:  # told by done()
            self.error = error

    def done(self, timeout=300):
        self.join(timeout)
        assert not self.is_alive()
        if self.error:
            raise self.error


def is_ready(container):
    return container.call("GET", "/readyz")[0] == 200


def wait_for_places(stack, relays, most=30):
    """Transfers until one goes through one of RELAYS."""
    transfers = []
    while len(transfers) < most:
        transfers.append(Transfer(stack))
        if any(relay in relays for relay in transfers[-1].relays):
            return transfers
    raise AssertionError(f"none of {most} transfers uses {relays}")


def test_relays_and_pushd_are_scaled_up_and_down_under_load(stack):
    publishes = Publishes(stack)
    transfers = [Transfer(stack) for _ in range(3)]
    long = transfers[0]
    oldest = stack.containers("relayd")
    stack.up(RELAYS=5, PUSHDS=4)
    newest = [relay for relay in stack.containers("relayd") if relay not in oldest]
    assert len(newest) == 2 and len(stack.containers("pushd")) == 4
    transfers += wait_for_places(stack, newest)
    publishes.wait_promises()

    down = Background(stack.up, RELAYS=2, PUSHDS=1)
    leaving = [oldest[2], *newest]
    wait_until(lambda: not any(map(is_ready, leaving)), 60, "the newest to drain")
    assert all(map(is_ready, oldest[:2]))
    late = Transfer.eventually(stack)  # the balancer notices a moment later
    assert all(relay in oldest[:2] for relay in late.relays)
    for transfer in (*transfers, late):
        transfer.wait_bytes()
    for transfer in transfers[1:]:
        transfer.finish().check_whole()
    long.wait_seconds(LONG)
    for transfer in (long, late):
        transfer.finish()
    long.check_whole(LONG)
    late.check_whole()
    down.done()
    assert stack.containers("relayd", all=True) == oldest[:2]
    assert len(stack.containers("pushd", all=True)) == 1
    publishes.wait_promises()
    stack.up(RELAYS=3, PUSHDS=2)
    publishes.wait_promises()
    publishes.check()


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_service_costs_no_push_and_only_its_own_transfers(stack, service):
    publishes = Publishes(stack)
    transfers = [bridged(stack), *(Transfer(stack) for _ in range(3))]
    victim = stack.containers(service)[0]
    if service == "relayd":
        victim = transfers[0].relays[1]
    victim.kill()
    for transfer in transfers:
        if service == "balancer" or victim in transfer.relays:
            transfer.check_cut(("end", "reset"))
        else:
            transfer.wait_bytes()
            transfer.finish().check_whole()
    victim.wait_healthy()
    Transfer.eventually(stack).finish().check_whole()
    publishes.wait_promises()
    publishes.check()


@pytest.mark.parametrize("service", SERVICES)
def test_a_restarted_service_costs_no_push_and_no_transfer(stack, service):
    publishes = Publishes(stack)
    transfers = [bridged(stack), *(Transfer(stack) for _ in range(3))]
    victim = stack.containers(service)[0]
    calls = Calls(stack, stack.deploy / "secrets/https/push.crt") if service == "pushd" else None
    before = victim.state["StartedAt"]
    restart = Background(run, "docker", "restart", victim.id)
    for transfer in transfers:
        transfer.wait_bytes()
        transfer.finish()
    for transfer in transfers:
        transfer.check_whole()
    restart.done()
    assert victim.state["StartedAt"] != before
    victim.wait_healthy()
    publishes.wait_promises()
    publishes.check()
    if calls:
        calls.check()


# Versions


@pytest.fixture(scope="module")
def newer(folder):
    """Images of the next release: what is here with another version."""
    version = "999.9.9"
    tree = copy_tree(folder / "newer")
    stages = ("docker", "build", "-q", "-f", tree / "deploy/Dockerfile", "--target", "build")
    run(*stages, "-t", f"{IMAGES}/build", tree, timeout=1800)
    for daemon in ("relayd", "pushd", "xmppgw"):
        values = {"IMAGES": IMAGES, "DAEMON": daemon, "VERSION": version}
        arguments = [f"--build-arg={name}={value}" for name, value in values.items()]
        run("docker", "build", "-q", "-f", tree / "tests/deploy/Dockerfile.newer", *arguments,
            "-t", f"{IMAGES}/{daemon}:{version}", tree / "tests/deploy", timeout=1800)
    return version


def versions(stack, *services):
    return {container.version for container in stack.containers(*services)}


def serving(stack):
    """The versions of the relays that take new transfers."""
    relays = [relay for relay in stack.containers("relayd") if relay.healthy]
    return [relay.version for relay in relays if is_ready(relay)]


def replace_gateway(stack, version):
    """Another gateway, whose pushd and relays stay as they are."""
    stack.compose("up", "-d", "--no-deps", "xmppgw", OUTRIGGER_VERSION=version)
    stack.wait_healthy()


def test_an_upgrade_costs_nothing_and_versions_work_together(stack, newer):
    publishes = Publishes(stack)
    transfers = [bridged(stack), Transfer(stack)]
    replace_gateway(stack, newer)  # a new gateway with old daemons
    (old,) = versions(stack, "relayd", "pushd")
    assert versions(stack, "xmppgw") == {newer} != {old}
    publishes.wait_promises()

    stack.environment["OUTRIGGER_VERSION"] = newer
    upgrade = Background(stack.run, "./upgrade")
    wait_until(lambda: serving(stack) == [newer] * 3, 180, "three new relays, and no old one")
    late = Transfer.eventually(stack)
    assert {relay.version for relay in late.relays} == {newer}
    for transfer in (*transfers, late):
        transfer.wait_bytes()
        transfer.finish()
    for transfer in (*transfers, late):
        transfer.check_whole()
    upgrade.done()
    assert versions(stack, "relayd", "pushd", "xmppgw") == {newer}
    assert [len(stack.containers(s, all=True)) for s in ("relayd", "pushd", "xmppgw")] == [3, 2, 1]
    publishes.wait_promises()

    stack.environment["OUTRIGGER_VERSION"] = "latest"
    replace_gateway(stack, "latest")  # an old gateway with new daemons
    assert versions(stack, "xmppgw") == {old}
    publishes.wait_promises()
    publishes.check()
