"""The log: who reads it may stall, and strangers can't fill it."""

import fcntl
import os
import re

import pytest

import bytestream as bs
from harness import HOST, free_port, http, wait_until


class Pipe:
    """A named pipe that a daemon's standard error goes into; it holds one page."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path, self.text = path, ""
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, 4096)

    def read(self):
        """All that has been written so far."""
        try:
            while part := os.read(self.fd, 1 << 16):
                self.text += part.decode(errors="replace")
        except BlockingIOError:
            pass
        return self.text

    def wait(self, pattern):
        return wait_until(lambda: re.search(pattern, self.read()), what=f"{pattern} in the pipe")


def into_pipe(daemon, pipe):
    """Has DAEMON, which isn't started yet, log into PIPE."""
    daemon.argv = ["sh", "-c", 'log=$1; shift; exec "$@" 2>>"$log"', "sh", pipe.path, *daemon.argv]
    daemon.ready = None
    return daemon


@pytest.fixture
def pipe(tmp_path):
    it = Pipe(tmp_path / "pipe")
    yield it
    os.close(it.fd)


def refusals(address, count):
    for _ in range(count):
        with bs.connect(None, address=address) as sock:
            sock.sendall(b"\x04")
            assert bs.to_end(sock)[0] == b"\x05\xff"


def dropped(control):
    status, text = http("GET", f"http://{control}/metrics")
    assert status == 200
    return int(re.search(r"^outrigger_log_lines_dropped_total (\d+)", text, re.M).group(1))


def test_a_reader_of_the_log_that_stalls_stops_nothing(stage, pipe):
    listen, control = (f"{HOST}:{free_port()}" for _ in range(2))
    relay = stage.relayd(redis=None, start=False, listen=listen, control_listen=control,
                         log_level="debug")
    into_pipe(relay, pipe).start()
    pipe.wait(r"\bready\b")
    for _ in range(40):
        refusals(listen, 500)
        if dropped(control) > 0:
            break
    assert dropped(control) > 0
    assert "log-lines-dropped" not in pipe.text
    pipe.wait(r"warn relayd: log-lines-dropped count=\d+\n")
    refusals(listen, 2500)
    assert relay.stop() == 0


def test_strangers_cause_ten_lines_a_second_of_a_kind(stage):
    relay = stage.relayd(redis=None)
    refusals(relay.address("socks"), 500)
    relay.wait_log(r"lines-withheld what=handshake-refused reason=bad-version count=\d+")
    status, text = relay.call("GET", "/metrics")
    assert status == 200
    held = int(re.search(r"^outrigger_log_lines_withheld_total (\d+)", text, re.M).group(1))
    assert relay.log_text().count(" handshake-refused ") + held == 500
