"""A network of its own for a bench, with reno as congestion control for everybody in it.

The congestion control of the machine may be bbr, which paces the loopback and distorts every ratio.
It is a setting of a network namespace, and the only way to reach the sockets of other people's
relays, too.
"""

import os
import pathlib
import resource
import subprocess
import sys

CONGESTION = "reno"
SETTING = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")
INSIDE = "OG_BENCH_NAMESPACE"


def enter():
    """Runs this program again in a namespace of its own; stays here if that isn't permitted."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    if INSIDE in os.environ:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        SETTING.write_text(CONGESTION)
        return
    command = ["unshare", "--net"] + (["--map-root-user"] if os.geteuid() else [])
    if subprocess.run([*command, "true"], stderr=subprocess.DEVNULL).returncode == 0:
        os.environ[INSIDE] = "1"
        os.execvp(command[0], [*command, sys.executable, "-u", *sys.argv])


def describe():
    """Which congestion control is in force where, as a sentence."""
    if INSIDE in os.environ:
        return f"all sockets use {CONGESTION}, in a network namespace of their own"
    theirs = SETTING.read_text().strip()
    return f"no namespace permitted: the load's sockets use {CONGESTION}, the relays' {theirs}"


def load_options():
    """What relay_load has to set by itself."""
    return [] if INSIDE in os.environ else ["--congestion", CONGESTION]
