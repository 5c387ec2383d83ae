"""What a program uses: CPU time, memory and pipes of its process and all that descend from it."""

import os
import pathlib
import re
import time

PROC = pathlib.Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


def stat_fields(pid):
    """The fields of /proc/PID/stat from the state on; None if it is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def family(pid):
    """PID and all its descendants."""
    children = {}
    for entry in PROC.iterdir():
        fields = stat_fields(entry.name) if entry.name.isdigit() else None
        if fields:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:  # grows while it is walked
        found += children.get(member, [])
    return found


def own_cpu_seconds(pid):
    """By the process's own clock (clock_getcpuclockid(3)), which is finer than /proc/PID/stat."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def cpu_seconds(pid):
    """CPU time of the family, those members included that have ended and were waited for."""
    members = [(member, stat_fields(member)) for member in family(pid)]
    ended = sum(sum(map(int, fields[13:15])) for _, fields in members if fields) / TICKS
    return ended + sum(own_cpu_seconds(member) for member, _ in members)


def machine_cpu_seconds():
    """CPU time of everything on this machine, and how much there could have been."""
    times = list(map(int, (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]))
    idle = times[3] + times[4]
    return (sum(times) - idle) / TICKS, sum(times) / TICKS


def private_bytes(pid):
    """Resident memory that nobody else shares: what would come free if the family ended."""
    total = 0
    for member in family(pid):
        try:
            text = (PROC / str(member) / "smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(map(int, re.findall(r"^Private_(?:Clean|Dirty): +(\d+)", text, re.M)))
    return total * 1024
