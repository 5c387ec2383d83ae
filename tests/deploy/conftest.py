"""Fixtures of deploy-test. tests/run-deploy starts Docker before, and has the base image made."""

import os
import pathlib
import shutil
import sys
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

pytest.register_assert_rewrite("load")

from containers import IMAGES, SERVERS, STAND_INS, Stack, copy_tree, run
from harness import ROOT
from load import Transfer
from outside import Outside

WORK = ROOT / "build/deploy-test"
SCALE = {"RELAYS": 3, "PUSHDS": 2}


def pytest_configure(config):
    config.addinivalue_line("markers", "matrix: a repetition, for make test-all")


def build(tree, *arguments):
    run("docker", "build", "-q", *arguments, tree, timeout=1800)


@pytest.fixture(scope="session")
def images():
    """Builds the images as the compose files do, and the stand-ins for other people's."""
    tree = copy_tree(WORK / "images")
    for image in STAND_INS.values():
        where = tree / "tests/deploy"
        build(where, "--target", image, "-t", f"{IMAGES}/{image}")
    files = "docker-compose.yml:docker-compose.demo.yml"
    environment = {"COMPOSE_FILE": files, "OUTRIGGER_IMAGES": IMAGES}
    done = run(
        "docker-compose", "build", cwd=tree / "deploy", env={**os.environ, **environment},
        timeout=1800,
    )
    shutil.rmtree(tree)
    return done


@pytest.fixture(scope="session")
def folder(images):
    """Where stacks keep their copies of the tree; the same path for Docker and for us."""
    path = WORK / "stacks"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def shared_stack(folder):
    it = Stack(
        folder / "balancer", "docker-compose.yml", SERVERS, **SCALE,
        PROXY_SERVER="prosody:5347", PUSH_SERVER="prosody:5347",
    )
    with it:
        it.write_secrets()
        it.up()
        yield it


@pytest.fixture
def stack(shared_stack):
    """
    The stack whose relays share one port: three of them, two pushd, Prosody and providers. It is
    mended if the test before has failed half-way.
    """
    count = [len(shared_stack.containers(service)) for service in ("relayd", "pushd")]
    if count != list(SCALE.values()) or not all(c.healthy for c in shared_stack.containers()):
        shared_stack.up(**SCALE)
    return shared_stack


@pytest.fixture(scope="session")
def outside():
    with Outside() as it:
        yield it


@pytest.fixture(autouse=True)
def no_transfer_left():
    """A relay that drains would wait for the transfers that a failed test leaves."""
    yield
    for transfer in list(Transfer.under_way):
        transfer.finish()


@pytest.fixture(autouse=True)
def told_duration(request):
    """The seconds of each test, without what it shares with others."""
    began = time.monotonic()
    yield
    print(f"\n{request.node.name}: {time.monotonic() - began:.0f} s")
