"""The whole path while strangers shake hands with pushd's public listener (TLS) without end, and
without them, by turns: results per second, latency, and how many handshakes they are granted.
"""

import multiprocessing
import pathlib
import socket
import ssl
import subprocess
import threading
import time

import push_path
import usage
from push_runners import tell

CLIENTS = 4  # each of an address of its own, as the cap of handshakes is an address's
AT_ONCE = 4  # handshakes that each has under way
PATIENCE_S = 60
KEYS = {
    "ECDSA": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    "RSA": ["-newkey", "rsa:2048"],
}


def certificate(folder, key):
    """pushd's keys for a public listener, with a new certificate for a key of the kind KEY."""
    folder = pathlib.Path(folder, f"tls-{key}")
    folder.mkdir()
    files = {"cert_file": folder / "cert.pem", "key_file": folder / "key.pem"}
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=push.example.org"]
    command += [*KEYS[key], "-out", files["cert_file"], "-keyout", files["key_file"]]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return files


class Strangers:
    """CLIENTS processes that do nothing but shake hands, while the "with" lasts."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.done = multiprocessing.Value("q", 0)
        sources = (f"127.0.1.{number + 1}" for number in range(CLIENTS))
        self.processes = [
            multiprocessing.Process(
                target=client, args=((host, int(port)), source, self.done), daemon=True
            )
            for source in sources
        ]

    def __enter__(self):
        for process in self.processes:
            process.start()
        return self

    def __exit__(self, *error):
        for process in self.processes:
            process.kill()
            process.join()


def client(address, source, done):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def without_end():
        while True:
            try:
                with socket.create_connection(address, PATIENCE_S, (source, 0)) as plain:
                    with context.wrap_socket(plain):
                        with done.get_lock():
                            done.value += 1
            except OSError:
                pass  # it was closed, for it waited too long for its turn

    threads = [threading.Thread(target=without_end) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(parts, devices, rounds, seconds):
    """Figures of each round, {"alone": [], "with": []}."""
    found = {"alone": [], "with": []}
    with push_path.serving(parts, devices) as server:
        speed = push_path.ENOUGH
        for number in range(rounds):
            found["alone"].append(one_round(server, parts, speed, seconds))
            with Strangers(parts.push.address("public")) as strangers:
                one = one_round(server, parts, speed, seconds, strangers)
                found["with"].append(one)
            speed = found["alone"][-1]["per_second"]
            for what, runs in found.items():
                text = ", ".join(f"{name} {value:.4g}" for name, value in runs[-1].items())
                tell(f"  round {number + 1}, {what}: {text}")
    return found


def one_round(server, parts, speed, seconds, strangers=None):
    """As fast as it goes, then at half of what the path has to reach."""
    began, before = time.monotonic(), strangers.done.value if strangers else 0
    cpu = usage.cpu_seconds(parts.push.pid)
    count = int(speed * seconds)
    most = push_path.one_run(server, parts.fake, count)
    cpu = usage.cpu_seconds(parts.push.pid) - cpu
    pace = push_path.ENOUGH // 2
    half = push_path.one_run(server, parts.fake, int(pace * seconds), pace)
    figures = {"per_second": most["per_second"], "per_cpu_second": count / cpu}
    figures.update({name: half[name] for name in ("p50_ms", "p99_ms", "most_ms")})
    figures["lost"] = most["lost"] + half["lost"]
    if strangers:
        hands = strangers.done.value - before
        figures["handshakes_per_second"] = hands / (time.monotonic() - began)
    return figures
