"""What a process has open, so that a test sees what stays behind.

    before = descriptors(gateway)           # a Counter by kind, and sockets by where they lead
    wait_at_rest(lambda: [left_open(gateway, before, {}), …])
"""

import collections
import os
import pathlib
import re

from harness import Trouble, wait_until


def descriptors(process):
    """
    How many descriptors PROCESS has of each kind. A TCP socket is ("listens", port), ("from",
    port) if it came to a port on which the process listens, or ("to", port).
    """
    links = []
    folder = f"/proc/{process.pid}/fd"
    for fd in os.listdir(folder):
        try:
            links.append(os.readlink(f"{folder}/{fd}"))
        except FileNotFoundError:
            pass  # closed meanwhile
    sockets = tcp_sockets()
    listens = {sockets[link][1] for link in links if sockets.get(link, ("", 0))[0] == "listens"}
    return collections.Counter(kind_of(link, sockets, listens) for link in links)


def tcp_sockets():
    """All of this machine, by their names in /proc: ("listens", port) or (own port, peer's)."""
    found = {}
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path("/proc/net", table).read_text().splitlines()[1:]:
            words = line.split()
            here, there = (int(words[at].rsplit(":", 1)[1], 16) for at in (1, 2))
            listens = words[3] == "0A"
            found[f"socket:[{words[9]}]"] = ("listens", here) if listens else (here, there)
    return found


def kind_of(link, sockets, listens):
    if link not in sockets:
        return re.sub(r"\d+", "N", link)
    own, other = sockets[link]
    if own == "listens":
        return "listens", other
    return ("from", own) if own in listens else ("to", other)


def left_open(process, before, kept):
    """What PROCESS has open beyond BEFORE; but so many as KEPT says stay for the next time."""
    return dict(descriptors(process) - (before | collections.Counter(kept)))


def connections(port, most):
    """For KEPT: MOST connections to or from PORT."""
    return {("to", port): most, ("from", port): most}


def wait_at_rest(left):
    """Waits until all that LEFT() lists is nothing; else that is told."""
    seen = []

    def look():
        seen[:] = left()
        return not any(seen)

    try:
        wait_until(look)
    except Trouble:
        raise AssertionError(f"left over: {seen}") from None
