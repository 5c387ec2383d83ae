"""The images: their size, their user, and what they need not have."""

import pytest

from containers import IMAGES, TARGETS, ask_docker

MIB = 1024 * 1024
ABOVE_BASE_MOST = 40 * MIB
DAEMONS = ("relayd", "pushd", "xmppgw")


def size_of(image):
    return ask_docker(f"/images/{image}/json")["Size"]


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_daemons_image_is_small(images, daemon):
    assert 0 < size_of(f"{IMAGES}/{daemon}") - size_of("debian:trixie-slim") <= ABOVE_BASE_MOST


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_names_a_user_that_is_not_root(images, target):
    config = ask_docker(f"/images/{IMAGES}/{target}/json")["Config"]
    assert int(config["User"].split(":")[0]) > 0
