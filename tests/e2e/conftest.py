"""Fixtures of the end-to-end tests: see harness.py for what a stage can start."""

import asyncio

import pytest

from harness import Stage


@pytest.fixture
def stage(tmp_path):
    """An empty stage of this test; all that is started on it ends with the test, and well."""
    with Stage(tmp_path) as it:
        yield it


@pytest.fixture(scope="module")
def module_stage(tmp_path_factory, request):
    """A stage that all tests of a module share."""
    with Stage(tmp_path_factory.mktemp(request.module.__name__)) as it:
        yield it


@pytest.fixture
def run():
    """Runs a coroutine to its end, within a minute."""
    return lambda work, timeout=60: asyncio.run(asyncio.wait_for(work, timeout))
