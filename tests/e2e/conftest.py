"""Fixtures of the end-to-end tests: see harness.py for what a stage can start."""

import asyncio

import pytest

import recorder
from drive import Drive
from harness import Redis, Stage
from push_indexes import check_push_indexes


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "matrix: repetitions and combinations, which only `make test-all` runs"
    )


def pytest_sessionfinish():
    recorder.save()


def check_storage(stage):
    """What pushd left in Redis agrees, whatever the tests did to it."""
    for process in stage.processes:
        if isinstance(process, Redis) and process.alive:
            check_push_indexes(process)


@pytest.fixture
def stage(tmp_path):
    """An empty stage of this test; all that is started on it ends with the test, and well."""
    with Stage(tmp_path) as it:
        yield it
        check_storage(it)


@pytest.fixture
def bare(tmp_path):
    """A stage without recorders, where they would be the slowest part of it."""
    with Stage(tmp_path, record=False) as it:
        yield it
        check_storage(it)


@pytest.fixture(scope="module")
def module_stage(tmp_path_factory, request):
    """A stage that all tests of a module share."""
    with Stage(tmp_path_factory.mktemp(request.module.__name__)) as it:
        yield it
        check_storage(it)


@pytest.fixture(scope="module")
def redis(module_stage):
    return module_stage.redis()


@pytest.fixture(scope="module")
def fake(module_stage):
    """The module's pretend providers."""
    return module_stage.providers()


@pytest.fixture
def fresh(fake):
    """For those tests that want nothing scripted, recorded or counted by others."""
    fake.reset()


@pytest.fixture
def drive():
    """The time and the dice of a seeded driver."""
    return Drive()


@pytest.fixture
def run():
    """Runs a coroutine to its end, within three minutes."""
    return lambda work, timeout=180: asyncio.run(asyncio.wait_for(work, timeout))
