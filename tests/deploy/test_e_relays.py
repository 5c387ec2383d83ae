"""The stack with a port for each relay, beside an XMPP server that runs on this machine."""

import asyncio
import json

import pytest

import demo
from containers import DOMAIN, SERVERS, Stack, run
from harness import Stage, wait_until
from load import Transfer
from outside import has_ip6tables
from people import People
from servers import Prosody


def docker_address():
    """This machine's address for containers: what host-gateway stands for."""
    _, text = run("ip", "-4", "-json", "address", "show", "docker0")
    return json.loads(text)[0]["addr_info"][0]["local"]


class OutsideProsody(Prosody):
    """Prosody on this machine, whose components come from containers."""

    def write_config(self):
        super().write_config()
        text = self.config.read_text()
        line = 'component_interfaces = { "127.0.0.1" }'
        assert line in text
        self.config.write_text(text.replace(line, line.replace("127.0.0.1", docker_address())))


@pytest.fixture(scope="module")
def relays(folder):
    it = Stack(
        folder / "relays", "docker-compose.yml", "docker-compose.relays.yml", SERVERS, PUSHDS=1
    )
    with it, Stage(folder / "stage", record=False) as stage:
        it.write_secrets()
        names = {f"{role}.{DOMAIN}": role for role in ("proxy", "push")}
        secrets = it.deploy / "secrets/xmppgw"
        words = {name: (secrets / f"{role}_secret").read_text().strip()
                 for name, role in names.items()}
        server = OutsideProsody(stage, DOMAIN, words)
        for user in (People.user1, People.user2):
            server.add_user(user, People.password)
        stage.run(server)
        where = f"host.docker.internal:{server.component_port(DOMAIN)}"
        it.up(PROXY_SERVER=where, PUSH_SERVER=where)
        (gateway,) = it.containers("xmppgw")
        wait_until(lambda: gateway.call("GET", "/readyz")[0] == 200, 60, "the gateway's links")
        it.people = People(it, server)
        yield it


def test_a_server_beside_the_stack_has_a_file_and_two_pushes_done(relays):
    asyncio.run(asyncio.wait_for(demo.show_transfer(relays.people, print), 120))
    asyncio.run(asyncio.wait_for(demo.show_pushes(relays.people, print), 120))


def test_each_relay_has_a_port_and_there_is_no_balancer(relays):
    published = {
        container.service: int(binding["HostPort"])
        for container in relays.containers()
        for bindings in container.inspect()["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    }
    ports = dict(zip(("relay1", "relay2", "relay3"), relays.relay_ports))
    assert published == {"https": relays.https_port, **ports}
    assert not relays.containers("balancer", "relayd", all=True)


@pytest.mark.parametrize("family", [4, 6])
def test_relayd_sees_the_address_of_a_client(relays, outside, family):
    if family == 6 and not has_ip6tables():
        pytest.skip("the Docker here runs without ip6tables, which hides IPv6 addresses")
    host, shown = {
        4: (outside.host4, f"{outside.address4}:"),
        6: (outside.host6, f"[{outside.address6}]:"),
    }[family]
    ports = relays.relay_ports[:1] * 2
    transfer = Transfer(relays, ports, host, outside.namespace)
    assert [half["address"].startswith(shown) for half in transfer.halves] == [True, True]
    transfer.finish().check_whole()


@pytest.mark.parametrize("victim", [0, 1], ids=["owner", "bridging"])
def test_a_killed_relay_resets_its_transfers_on_both_sides(relays, outside, victim):
    one, two, three = relays.relay_ports
    begin = lambda *ports: Transfer(relays, ports, outside.host4, outside.namespace)
    whole, cut = begin(three, three), begin(one, two)
    assert [relay.service for relay in cut.relays] == ["relay1", "relay2"]
    cut.wait_bytes()
    relay = cut.relays[victim]
    relay.kill()
    cut.check_cut(("reset",))
    whole.wait_bytes()
    whole.finish().check_whole()
    relay.wait_healthy()
    # A relay that has come back serves at once.
    Transfer.eventually(
        relays, ports=(one, two), host=outside.host4, namespace=outside.namespace
    ).finish().check_whole()
