"""`make run` itself: what it writes, and that nothing outlives it."""

import os
import pathlib
import subprocess
import sys

import pytest

from harness import Process, wait_until

HERE = pathlib.Path(__file__).parent
NAMES = """XMPP_DOMAIN XMPP_C2S_PORT XMPP_USER1 XMPP_USER2 XMPP_PASSWORD RELAY_JID PUSH_JID
RELAY1_ADDR RELAY2_ADDR RELAY1_CONTROL RELAY2_CONTROL PUSHD_API PUSHD_PUBLIC XMPPGW_OPS API_TOKEN
REDIS_URL FAKE_URL FAKE_CONTROL FAKE_CA RELAY1_PID RELAY2_PID PUSHD_PID XMPPGW_PID""".split()


class Run(Process):
    """run.py with a folder of its own."""

    ready = r"^The stack stays up"

    def __init__(self, stage, **env):
        code = "import pathlib, sys; sys.path.insert(0, sys.argv[1]); import run; "
        code += "run.ROOT = run.FOLDER = pathlib.Path(sys.argv[2]); sys.exit(run.main())"
        self.home = stage.folder / "up"
        argv = [sys.executable, "-u", "-c", code, HERE, self.home]
        super().__init__(stage, "run", argv, {"OG_BUILD": str(stage.build), **env})

    def wait_ready(self):
        self.wait_log(self.ready, 300)  # for all its programs and the demonstration

    def processes(self):
        """The pids of all that it started: those whose working folder is below its own."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                folder = os.readlink(entry / "cwd")
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                continue
            if pathlib.Path(folder).is_relative_to(self.home) and state != "Z":
                found.append(int(entry.name))
        return found


@pytest.fixture
def up(stage):
    return stage.run(Run(stage))


def test_it_shows_both_parts_and_writes_every_name_of_the_environment(up):
    assert "File transfer: worked.  Pushes: worked." in up.log_text()
    script = f". {up.home}/stack.env; "
    script += f"for name in {' '.join(NAMES)}; do eval echo $name=\\$$name; done"
    lines = subprocess.run(["sh", "-c", script], capture_output=True, text=True).stdout.split()
    assert [line.split("=")[0] for line in lines if line.split("=", 1)[1]] == NAMES
    assert len(up.processes()) >= 7
    assert up.stop() == 0
    assert up.processes() == []


def test_nothing_outlives_it_when_it_is_killed_and_the_next_run_starts_afresh(up):
    up.kill()
    wait_until(lambda: up.processes() == [], what="everything to be gone")
    up.start()
    assert up.stop() == 0


def test_a_program_that_cannot_start_ends_it_with_a_failure(stage):
    broken = stage.folder / "broken"
    broken.mkdir()
    for program in ("relayd", "xmppgw", "providers"):
        (broken / program).symlink_to(stage.binary(program))
    (broken / "pushd").symlink_to("/bin/false")
    run = stage.run(Run(stage, ONCE="1", OG_BUILD=str(broken)), start=False)
    run.clean = (1,)
    run.start(wait=False)
    assert run.wait_exit(300) == 1
    assert "FAILED: pushd ended with status 1" in run.log_text()
