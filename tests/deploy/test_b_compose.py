"""The files of the stack, and what happens when its secrets are missing. No stack is up here."""

import os
import re

import pytest
import yaml

from containers import IMAGES, SERVERS, Stack, run
from harness import ROOT

DAEMONS = ("relayd", "pushd", "xmppgw")
FILES = (
    ("docker-compose.yml",),
    ("docker-compose.yml", "docker-compose.relays.yml"),
    ("docker-compose.yml", "docker-compose.demo.yml"),
)
DRAIN_RESERVE = 10
SECONDS = {"s": 1, "m": 60, "h": 3600}


@pytest.fixture
def idle(folder, request):
    """A stack that isn't up."""
    with Stack(folder / f"idle-{abs(hash(request.node.name))}", "docker-compose.yml") as it:
        yield it


def compose_file(name="docker-compose.yml"):
    return yaml.safe_load((ROOT / "deploy" / name).read_text())


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)([smh])", text).groups()
    return int(number) * SECONDS[unit]


# The files


@pytest.mark.parametrize("daemon", DAEMONS)
def test_docker_waits_longer_than_a_daemon_drains(daemon):
    sample = (ROOT / f"deploy/{daemon}.conf").read_text()
    drain = seconds(re.search(r"^#?drain-timeout = (\S+)", sample, re.M).group(1))
    grace = seconds(compose_file()["services"][daemon]["stop_grace_period"])
    assert grace == drain + DRAIN_RESERVE


def test_docker_waits_for_the_balancer_as_long_as_for_relays():
    services = compose_file()["services"]
    assert services["balancer"]["stop_grace_period"] == services["relayd"]["stop_grace_period"]


@pytest.mark.parametrize("files", FILES, ids=lambda files: files[-1])
def test_compose_takes_the_files(idle, files):
    names = [word for name in files for word in ("-f", name)]
    idle.compose(*names, "config", "-q")


@pytest.fixture(scope="session")
def compose2(images):
    """Debian 13's docker-compose: (image's name)."""
    image = f"{IMAGES}/compose"
    run("docker", "build", "-q", "--target", "compose", "-t", image, ROOT / "tests/deploy",
        timeout=900)
    return image


class Compose2:
    """Runs Debian 13's docker-compose over the socket, in the same folder."""

    def __init__(self, stack, image):
        self.stack, self.image = stack, image

    def __call__(self, *words, **options):
        tree = self.stack.tree
        environment = [f"-e{name}={value}" for name, value in self.stack.environment.items()]
        socket = socket_path()
        return run(
            "docker", "run", "--rm", *environment, f"-v{socket}:/var/run/docker.sock",
            f"-v{tree}:{tree}", f"-w{self.stack.deploy}", self.image, *words, **options,
        )


def socket_path():
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


@pytest.mark.parametrize("files", FILES, ids=lambda files: files[-1])
def test_compose_2_takes_the_files(idle, compose2, files):
    names = [word for name in files for word in ("-f", name)]
    Compose2(idle, compose2)(*names, "config", "-q")


@pytest.mark.matrix
def test_compose_2_brings_the_stack_up_and_down(idle, compose2):
    idle.environment["COMPOSE_FILE"] = f"docker-compose.yml:{SERVERS}"
    idle.environment.update(PROXY_SERVER="prosody:5347", PUSH_SERVER="prosody:5347", RELAYS=3)
    idle.write_secrets()
    compose = Compose2(idle, compose2)
    compose("up", "-d", "--no-build")
    idle.wait_healthy()
    services = sorted(container.service for container in idle.containers())
    assert services == sorted(
        ["balancer", "https", "prosody", "providers", "redis", "xmppgw"]
        + ["pushd"] * 2 + ["relayd"] * 3
    )
    compose("down", "-v")
    assert idle.containers(all=True) == []


# Secrets


def start(stack, daemon):
    """What DAEMON says when it doesn't start."""
    status, text = stack.compose("run", "--rm", "--no-deps", "-T", daemon, check=False)
    assert status == 1, text
    return text


def test_without_secrets_no_daemon_starts_and_the_script_is_named(idle):
    for daemon in DAEMONS:
        text = start(idle, daemon)
        assert f"OG_{daemon.upper()}_API_TOKEN_FILE: /run/secrets/api_token: " in text
        assert "deploy/make-secrets" in text


def test_with_the_samples_secret_no_daemon_starts_and_the_script_is_named(idle):
    idle.write_secrets()
    for daemon in DAEMONS:
        (idle.deploy / f"secrets/{daemon}/api_token").write_text("change-me\n")
        text = start(idle, daemon)
        assert f"OG_{daemon.upper()}_API_TOKEN_FILE: api-token: is still change-me" in text
        assert "deploy/make-secrets" in text


def contents(stack):
    files = [stack.deploy / ".env", *(stack.deploy / "secrets").rglob("*")]
    return {path: path.read_bytes() for path in files if path.is_file()}


def test_make_secrets_writes_once(idle):
    idle.write_secrets()
    before = contents(idle)
    assert len(before) > 12 and idle.deploy / "secrets/https/push.key" in before
    assert "nothing was written" in idle.write_secrets()[1]
    assert contents(idle) == before


def test_make_secrets_keeps_what_is_there_and_lets_the_rest_fit(idle):
    mine = idle.deploy / "secrets/pushd/api_token"
    mine.parent.mkdir(parents=True)
    mine.write_text("my-own-token-of-the-fleet\n")
    (idle.deploy / ".env").write_text("RELAYS=7\n")
    idle.write_secrets()
    assert mine.read_text() == "my-own-token-of-the-fleet\n"
    assert (idle.deploy / ".env").read_text() == "RELAYS=7\n"
    assert (idle.deploy / "secrets/xmppgw/api_token").read_text() == "my-own-token-of-the-fleet\n"


def test_secrets_of_one_service_are_not_mounted_in_another(stack):
    for container in stack.containers(*DAEMONS):
        sources = [mount["Source"] for mount in container.inspect()["Mounts"]]
        secrets = [source for source in sources if "/secrets" in source]
        assert secrets == [str(stack.deploy / "secrets" / container.service)]
