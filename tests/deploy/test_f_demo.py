"""The demonstration from a clean clone, by the very words of README and docker-compose.demo.yml."""

import re
import signal
import subprocess

from containers import Stack, labelled
from harness import wait_until

FILES = "-f docker-compose.yml -f docker-compose.demo.yml"


def exited(stack):
    """Services whose containers have run and ended; one that is just made can't be asked yet."""
    return [
        one["Labels"]["com.docker.compose.service"]
        for one in labelled("containers/json", stack.project)
        if one["State"] == "exited"
    ]


def test_the_demonstration_shows_a_file_and_two_pushes(folder):
    stack = Stack(folder / "demo")
    del stack.environment["COMPOSE_FILE"]
    for name in [name for name in stack.environment if name.endswith("ADVERTISE")]:
        del stack.environment[name]
    deploy = stack.deploy
    assert not (deploy / ".env").exists() and not (deploy / "secrets").exists()
    environment = {name: str(value) for name, value in stack.environment.items()}
    log = (folder / "demo.log").open("w")
    up = subprocess.Popen(
        ["env", *(f"{name}={value}" for name, value in environment.items()),
         "docker-compose", *FILES.split(), "up"],
        cwd=deploy, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
    )
    try:
        ended = lambda: "demo" in exited(stack) or up.poll() is not None
        wait_until(ended, 420, "the demonstration's end")
        (demo,) = stack.containers("demo", all=True)
        text = demo.logs()
        assert demo.state["ExitCode"] == 0, text
        sent, received = re.findall(r"SHA-256 \w+ +([0-9a-f]{64})", text)
        assert sent == received
        assert "the pretend apns answered 200" in text and "the pretend fcm answered 200" in text
        assert "File transfer: worked.  Pushes: worked." in text
        assert up.poll() is None  # the stack stays up
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(120)
        stack.compose(*FILES.split(), "down", "-v")
        log.close()
    for kind in ("containers/json", "networks", "volumes"):
        assert labelled(kind, stack.project) == []
    assert not (deploy / ".env").exists() and not (deploy / "secrets").exists()
