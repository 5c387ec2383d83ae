"""What relayd costs: CPU seconds per GiB at 1 and 100 streams beside direct TCP, memory and CPU of
idle pairs, new streams per CPU second. Prints one line per run; `make bench` calls it.

Everything runs in a network namespace of its own with reno: the congestion control of the machine,
bbr perhaps, would pace the loopback and distort every ratio.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("OG_BUILD", ROOT / "build")).resolve()
ROUNDS = int(os.environ.get("ROUNDS", "3"))
GIB = 1 << 30
TOKEN = "bench"


def enter_namespace():
    """Runs this program again in a network namespace of its own."""
    if os.environ.get("OG_BENCH_NAMESPACE"):
        return
    os.environ["OG_BENCH_NAMESPACE"] = "1"
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    os.execvp("unshare", ["unshare", "--net", *user, sys.executable, *sys.argv])


class Relay:
    def __init__(self, connections=10000):
        self.connections = connections

    def __enter__(self):
        connections = self.connections
        self.folder = tempfile.TemporaryDirectory()
        conf = pathlib.Path(self.folder.name) / "relayd.conf"
        conf.write_text(
            f"[daemon]\nredis = none\nlisten = 127.0.0.1:0\ncontrol-listen = 127.0.0.1:0\n"
            f"api-token = {TOKEN}\nconnection-max = {connections}\nlog-level = info\n"
        )
        self.process = subprocess.Popen(
            [BUILD / "relayd", "-c", conf], stderr=subprocess.PIPE, text=True
        )
        self.log = open(pathlib.Path(self.folder.name) / "log", "w+")
        addresses = {}
        for line in self.process.stderr:
            found = re.search(r"listening what=(\w+) address=(\S+)", line)
            if found:
                addresses[found.group(1)] = found.group(2)
            if line.rstrip().endswith(" ready"):
                break
        # From here on nobody reads its log line by line: it must not fill the pipe.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=self.log)
        self.options = ["--relay", addresses["socks"], "--control", addresses["control"]]
        self.options += ["--token", TOKEN, "--pid", str(self.process.pid)]
        return self

    def __exit__(self, *error):
        self.process.terminate()
        self.process.wait()
        self.process.stderr.close()
        self.drain.wait()
        self.log.close()
        self.folder.cleanup()


def load(*options):
    """One run of the load generator: its numbers by name."""
    line = subprocess.run(
        [BUILD / "bench/relay_load", *map(str, options)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return {name: float(value) for name, value in re.findall(r"(\w+)=([\d.]+)", line)}


def transfers(relay, streams):
    """Direct and relayed by turns, so that a disturbance meets both."""
    bytes_each = 4 * GIB // streams
    for number in range(1, ROUNDS + 1):
        run = ("--streams", streams, "--bytes", bytes_each)
        direct = load("--direct", *run)["gib_per_s"]
        relayed = load(*relay.options, *run)
        speed, cpu = relayed["gib_per_s"], relayed["relay_cpu_s_per_gib"]
        print(
            f"transfer streams={streams} round={number} direct={direct:.2f} GiB/s"
            f" relayed={speed:.2f} GiB/s ratio={speed / direct:.2f}"
            f" relay={cpu:.3f} CPU s/GiB"
        )


def main():
    enter_namespace()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text("reno")
    with Relay() as relay:
        for streams in (1, 100):
            transfers(relay, streams)
        print("checked", load(*relay.options, "--whole", "--streams", 10, "--bytes", GIB // 8))
    with Relay(18500) as relay:
        print("idle", load(*relay.options, "--idle", "--streams", 9000))
    with Relay() as relay:
        print("churn", load(*relay.options, "--churn", "--streams", 5000))


if __name__ == "__main__":
    main()
