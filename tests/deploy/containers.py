"""Stacks of containers for the tests of deploy/, each with its project name, tree and ports.

    stack = Stack(folder, "docker-compose.yml", RELAYS=3)
    stack.write_secrets()
    stack.up()                          # docker-compose up -d, and waits until all is healthy
    relay = stack.containers("relayd")[0]
    relay.call("GET", "/v1/streams")    # from this machine, inside the stack's own network
    stack.down()

What only reads goes straight to Docker's socket, what changes something through docker-compose and
docker, as operators do it. All needs root: processes are killed and network namespaces entered.
"""

import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import threading
import urllib.parse

from harness import ROOT, Trouble, free_port, http as http_call, wait_until

DOMAIN = "example.org"
IMAGES = "outrigger-test"
TARGETS = ("relayd", "pushd", "xmppgw", "providers", "prosody", "demo")
STAND_INS = {"REDIS_IMAGE": "valkey", "HAPROXY_IMAGE": "haproxy"}
CONTROLS = {"relayd": 7650, "relay": 7650, "pushd": 7660, "xmppgw": 7670}
CLONE_NEWNET = 0x40000000
SERVERS = "../tests/deploy/servers.yml"


def run(*command, check=True, timeout=600, **options):
    """Runs COMMAND: (status, stdout and stderr together); Trouble if it fails and CHECK is set."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        **options,
    )
    if check and done.returncode != 0:
        raise Trouble(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}")
    return done.returncode, done.stdout


def copy_tree(folder):
    """What is committed or would be, without what is built: a clean clone."""
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


# Docker's API


class Engine(http.client.HTTPConnection):
    """One call of Docker's API over its socket."""

    def __init__(self):
        super().__init__("docker", timeout=30)

    def connect(self):
        where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(where.removeprefix("unix://"))


def ask_docker(path):
    """What GET of PATH answers, None for 404."""
    with contextlib.closing(Engine()) as engine:
        engine.request("GET", path)
        answer = engine.getresponse()
        text = answer.read()
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise Trouble(f"Docker answered {answer.status} to {path}: {text}")
    return json.loads(text)


def labelled(kind, project):
    """Docker's containers, networks or volumes of PROJECT, as its API lists them."""
    label = {"label": [f"com.docker.compose.project={project}"]}
    found = ask_docker(f"/{kind}?all=1&filters={urllib.parse.quote(json.dumps(label))}")
    return found["Volumes"] or [] if kind == "volumes" else found


# Network namespaces


class Namespace:
    """The network namespace at PATH; what call() runs makes its sockets there."""

    libc = ctypes.CDLL(None, use_errno=True)

    def __init__(self, path):
        self.path = path

    def call(self, function, *arguments, **options):
        """FUNCTION's result. It runs in a thread of its own, which ends with it."""
        box = {}

        def work():
            try:
                with open(self.path, "rb") as place:
                    if self.libc.setns(place.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), f"setns {self.path}")
                box["result"] = function(*arguments, **options)
            except BaseException as error:  # told to the caller
                box["error"] = error

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if "error" in box:
            raise box["error"]
        return box["result"]


# Containers


class Container:
    """A container of a stack."""

    def __init__(self, stack, id, service):
        self.stack, self.id, self.service = stack, id, service

    def __eq__(self, other):
        return self.id == other.id

    def __repr__(self):
        return f"{self.service} {self.id[:12]}"

    def inspect(self):
        found = ask_docker(f"/containers/{self.id}/json")
        if found is None:
            raise Trouble(f"{self} is gone")
        return found

    @property
    def state(self):
        return self.inspect()["State"]

    @property
    def pid(self):
        return self.state["Pid"]

    @property
    def restarts(self):
        return self.inspect()["RestartCount"]

    @property
    def healthy(self):
        """Running and, where it has a check, healthy."""
        state = self.state
        health = state.get("Health", {}).get("Status", "healthy")
        return state["Running"] and not state["Restarting"] and health == "healthy"

    def address(self, network="inside"):
        networks = self.inspect()["NetworkSettings"]["Networks"]
        return networks[f"{self.stack.project}_{network}"]["IPAddress"]

    def logs(self):
        return run("docker", "logs", self.id)[1]

    def call(self, method, path, body=None):
        """Calls its internal API: (status, body)."""
        port = CONTROLS[self.service.rstrip("0123456789")]
        url = f"http://{self.address()}:{port}{path}"
        return http_call(method, url, body, self.stack.token)

    def metric(self, name):
        """A metric with its labels, as in `name{label="x"}`; 0 if it isn't there."""
        for line in self.call("GET", "/metrics")[1].splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[-1])
        return 0.0

    @property
    def version(self):
        text = self.call("GET", "/metrics")[1]
        return text.split('outrigger_build_info{version="', 1)[1].split('"', 1)[0]

    def kill(self):
        """SIGKILL to its first process, as when memory is short: Docker starts it again."""
        before = self.restarts
        os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: self.restarts > before, 60, f"Docker to restart {self}")

    def wait_healthy(self):
        wait_until(lambda: self.healthy, 120, f"{self} to be healthy")

    @property
    def namespace(self):
        return Namespace(f"/proc/{self.pid}/ns/net")


# Stacks


class Stack:
    """One compose project in a copy of the tree; ENVIRONMENT stands for changes of .env."""

    def __init__(self, folder, *files, **environment):
        self.tree = copy_tree(pathlib.Path(folder))
        self.deploy = self.tree / "deploy"
        number = random.SystemRandom().randrange(1 << 32)
        self.project = f"ogtest{number:08x}"
        self.relay_port, self.https_port = free_port(), free_port()
        self.relay_ports = [free_port() for _ in range(3)]
        self.environment = {
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_FILE": ":".join(files),
            "IPV6_SUBNET": f"fd6f:{number >> 16:x}:{number & 0xffff:x}::/64",
            "RELAY_PORT": self.relay_port,
            "RELAY_ADVERTISE": f"127.0.0.1:{self.relay_port}",
            "HTTPS_PORT": self.https_port,
            "OUTRIGGER_IMAGES": IMAGES,
            **{name: f"{IMAGES}/{image}" for name, image in STAND_INS.items()},
            **environment,
        }
        for at, port in enumerate(self.relay_ports, 1):
            self.environment[f"RELAY{at}_PORT"] = port
            self.environment[f"RELAY{at}_ADVERTISE"] = f"127.0.0.1:{port}"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0] is not None:
            print(self.logs())
        self.down()

    def run(self, *command, check=True, timeout=600, **changes):
        """Runs COMMAND in deploy/ with the stack's environment and CHANGES: (status, output)."""
        environment = {**os.environ, **self.environment, **changes}
        environment = {name: str(value) for name, value in environment.items()}
        return run(*command, check=check, timeout=timeout, cwd=self.deploy, env=environment)

    def compose(self, *words, **options):
        return self.run("docker-compose", *words, **options)

    def write_secrets(self):
        return self.run("./make-secrets", DOMAIN)

    def up(self, *words, **changes):
        """docker-compose up -d; CHANGES of the environment stay."""
        self.environment.update(changes)
        self.compose("up", "-d", *words)
        self.wait_healthy()

    def down(self):
        self.compose("down", "-v", "-t", "1", "--remove-orphans", check=False)
        left = [kind for kind in ("containers/json", "networks", "volumes")
                if labelled(kind, self.project)]
        if left:
            raise Trouble(f"docker-compose down left {left}")

    def containers(self, *services, all=False):
        """Containers of SERVICES (or of all), oldest first; ALL: those too that have ended."""
        found = [
            Container(self, one["Id"], one["Labels"]["com.docker.compose.service"])
            for one in sorted(labelled("containers/json", self.project), key=container_number)
            if all or one["State"] == "running"
        ]
        return [one for one in found if not services or one.service in services]

    def relays(self):
        return [one for one in self.containers() if one.service.startswith("relay")]

    def wait_healthy(self):
        for container in self.containers():
            container.wait_healthy()

    def logs(self, *services):
        return self.compose("logs", "--no-color", *services, check=False)[1]

    @property
    def token(self):
        return (self.deploy / "secrets/relayd/api_token").read_text().strip()

    def redis(self, *words):
        """One command in Redis's container: what its client prints."""
        (redis,) = self.containers("redis")
        config = (self.deploy / "secrets/redis/redis.conf").read_text()
        password = config.removeprefix("requirepass ").strip()
        address = (redis.address(), 6379)
        with socket.create_connection(address, 10) as link:
            text = encode("AUTH", password) + encode(*words)
            link.sendall(text)
            return read_answers(link, 2)[1]

    def providers(self, method, path, body=None):
        """Calls the controls of the pretend providers, which are on their own loopback."""
        (providers,) = self.containers("providers")
        url = f"http://127.0.0.1:8081{path}"
        return providers.namespace.call(http_call, method, url, body)[1]


def container_number(listed):
    return int(listed["Labels"].get("com.docker.compose.container-number", 0))


def encode(*words):
    parts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def read_answers(link, count):
    """COUNT answers of Redis, each a line or a number."""
    found, lines = [], link.makefile("rb")
    while len(found) < count:
        line = lines.readline().decode().strip()
        if not line or line[0] == "-":
            raise Trouble(f"Redis answered {line!r}")
        found.append(int(line[1:]) if line[0] == ":" else line[1:])
    return found
