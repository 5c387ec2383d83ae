"""Processes for end-to-end tests and for the demonstration, each with a folder, a log and an owner.

A Stage owns a folder and everything that is started in it; leaving it stops all in the reverse
order and raises Trouble if a program died, left an unclean status or a sanitizer's report:

    with Stage(folder) as stage:
        redis = stage.redis()                       # private Redis
        fake = stage.providers()                    # pretend APNs, FCM and OAuth
        relay = stage.relayd("relay-1", redis, idle_timeout="2s")   # keys of [daemon], "_" for "-"
        push = stage.pushd("push-1", redis, fake, registrants="example.org")
        gateway = stage.xmppgw(redis, components={"proxy.example.org": {
            "server": "127.0.0.1:5347", "secret": "s", "role": "relay"}})
        status, answer = relay.call("GET", "/v1/streams")
        relay.address("socks")                      # "127.0.0.1:40123", from its log
        relay.wait_log(r"stream-ended .*reason=(\\S+)").group(1)
        relay.stop(); relay.start(); relay.kill()

stage.X(...) starts the program and waits until it is ready; start=False leaves that to the caller.
Daemon.call goes through a recorder (recorder.py), so that the contract test sees the bodies; for
raw sockets and bytes that no HTTP client sends use Daemon.address("control" | "api" | "ops" | …).
Programs die with the thread that started them: start them from the main thread.
XMPP servers are in servers.py, the pretend one in pretend.py, the whole stack in stack.py, XMPP
clients in chat.py.
"""

import fcntl
import hashlib
import hmac
import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import recorder

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
TOKEN = "token-of-the-tests"
SANITIZER = re.compile(
    r"ERROR: (?:Address|Leak)Sanitizer|runtime error:|Assertion .* failed|DEADLYSIGNAL"
)


# Seconds after which something is taken for hung; a busy machine needs many more than an idle one.
PATIENCE = 120
CLOSED_LEASE = "4294967295 0 0"


class Trouble(Exception):
    """Something that a test or the demonstration relies on didn't happen."""


def wait_until(condition, timeout=PATIENCE, what="a condition"):
    """Polls CONDITION until it returns something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Trouble(f"waited {timeout} s for {what} in vain")
        time.sleep(0.02)


# Byte N of this file is locked by the process that was given port N, as long as it lives.
PORTS = open(pathlib.Path(tempfile.gettempdir(), f"outrigger-ports-{os.getuid()}"), "ab")


def free_port():
    """
    A port that nothing listens on and that no other test process was given, below those that
    outgoing connections are given.
    """
    while True:
        port = random.SystemRandom().randrange(12000, 30000)
        with socket.socket() as probe:
            try:
                fcntl.lockf(PORTS, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


def http(method, url, body=None, token=None, timeout=PATIENCE):
    """One HTTP call: (status, decoded JSON or else text). Raises OSError if no answer came."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    if data is not None:
        request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def sign(record, purpose, token=TOKEN):
    """Signs a record of the registry for PURPOSE, "push:push-1", as a daemon with TOKEN does."""
    record.setdefault("at_ms", int(time.time() * 1000))
    key = hmac.new(token.encode(), b"outrigger: signature", hashlib.sha256).digest()
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    made = hmac.new(key, f"{purpose}\n{text}".encode(), hashlib.sha256)
    record["signatures"] = [made.hexdigest()]
    return record


class Process:
    """A program with its folder and its log (stdout and stderr, appended over restarts)."""

    ready = None  # what its log says when it serves; None: nothing to wait for
    clean = (0,)  # statuses that are fine after stop()

    def __init__(self, stage, name, argv, env=None):
        self.stage, self.name, self.argv, self.env = stage, name, argv, env or {}
        self.folder = stage.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / f"{name}.log"
        self.popen = None
        self.began = 0  # where the log of this start begins
        self.killed = False

    @property
    def pid(self):
        return self.popen.pid

    @property
    def alive(self):
        return self.popen is not None and self.popen.poll() is None

    def start(self, wait=True):
        """Starts it; it dies with us, whatever kills us (setpriv asks the kernel for that)."""
        self.log.touch()
        self.began = self.log.stat().st_size
        self.killed = False
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *map(str, self.argv)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **self.env},
                start_new_session=True,
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        if self.ready:
            self.wait_log(self.ready)

    def log_text(self, all_starts=False):
        """What it logged since its last start (or ever)."""
        if not self.log.exists():  # it was never started
            return ""
        with open(self.log, "rb") as log:
            log.seek(0 if all_starts else self.began)
            return log.read().decode(errors="replace")

    def wait_log(self, pattern, timeout=PATIENCE, count=1):
        """Waits for the COUNTth line that matches PATTERN since the last start; the match."""

        def look():
            found = list(re.finditer(pattern, self.log_text(), re.M))
            if len(found) >= count:
                return found[count - 1]
            if not self.alive:
                ended = f"{self.name} ended with status {self.status} before {pattern!r}"
                raise Trouble(f"{ended}\n{self.tail()}")
            return None

        try:
            return wait_until(look, timeout, f"{pattern!r} in {self.log}")
        except Trouble as trouble:
            raise Trouble(f"{trouble}\n{self.tail()}") from None

    def address(self, what):
        """The host:port of a listener (socks, control, api, public, ops), from its log."""
        return self.wait_log(rf"\blistening what={what} address=(\S+)").group(1)

    def tail(self, lines=25):
        return "\n".join(self.log_text(True).splitlines()[-lines:])

    @property
    def status(self):
        return self.popen.poll() if self.popen else None

    def wait_exit(self, timeout=PATIENCE):
        """Waits until it has ended by itself; its status."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Trouble(f"{self.name} didn't end within {timeout} s\n{self.tail()}") from None

    def stop(self, timeout=PATIENCE):
        """SIGTERM, then waits; its status. Fine if it doesn't run."""
        if self.alive:
            self.popen.terminate()
            self.wait_exit(timeout)
        return self.status

    def kill(self):
        """SIGKILL: as if the machine had gone."""
        if self.alive:
            self.killed = True
            self.popen.kill()
            self.popen.wait()

    def rests(self, seconds=1, wakings=50):
        """Whether it sleeps now and was woken only now and then for SECONDS: it doesn't spin."""
        before = self.switches()
        time.sleep(seconds)
        state = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return state == "S" and self.switches() - before <= wakings * seconds

    def switches(self):
        """How often it was put on a processor."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", status)))

    def faults(self):
        """What is wrong with how it ended (or lives): a list of sentences."""
        found = []
        report = SANITIZER.search(self.log_text(True))
        if report:
            found.append(f"{self.name}: {self.log_text(True)[report.start():][:3000]}")
        if self.popen and not self.killed and self.status not in self.clean:
            found.append(f"{self.name} ended with status {self.status}\n{self.tail()}")
        return found


class Redis(Process):
    """A private Redis, durable as pushd wants it."""

    ready = r"Ready to accept connections"

    def __init__(self, stage, name="redis", port=None, extra=()):
        self.port = port or free_port()
        self.url = f"redis://{HOST}:{self.port}/0"
        argv = ["redis-server", "--port", self.port, "--bind", HOST, "--dir", ".", "--save", ""]
        argv += ["--appendonly", "yes", "--appendfsync", "always"]
        argv += ["--maxmemory-policy", "noeviction", "--notify-keyspace-events", "KA", *extra]
        super().__init__(stage, name, argv)
        self.watch = None

    def start(self, wait=True):
        super().start(wait)
        if wait and self.stage.record:
            self.watch = recorder.RedisWatch(self.port)
        return self

    def stop(self, timeout=PATIENCE):
        self._unwatch()
        return super().stop(timeout)

    def kill(self):
        self._unwatch()
        super().kill()

    def _unwatch(self):
        if self.watch:
            self.watch.close()
            self.watch = None

    def command(self, *words):
        """One command on a connection of its own; str, int, None or a list."""
        with recorder.Resp(self.port) as resp:
            return resp.command(*words)

    def open_leases(self):
        """The keys of relayd's leases, but for those that are closed for calls that are late."""
        keys = self.command("KEYS", "og:lease:*")
        return [key for key in keys if self.command("GET", key) not in (None, CLOSED_LEASE)]


class Pretend(Process):
    """A service of others that is played here; it ends after our daemons, which talk to it."""

    ready = r"\bready\b"

    @property
    def control_url(self):
        return f"http://{self.address('control')}"

    def control(self, method, path, body=None, timeout=PATIENCE):
        status, answer = http(method, self.control_url + path, body, timeout=timeout)
        if status >= 300:
            raise Trouble(f"{self.name} answered {status} to {method} {path}: {answer}")
        return answer


class Providers(Pretend):
    """The pretend APNs, FCM and OAuth (build/providers), with keys and a CA of its own."""

    topic = "org.example.chat"
    made = None  # the first set of keys and certificates, which the others of this process copy

    def __init__(self, stage, name="providers", args=(), fresh=False):
        """FRESH: with keys and a CA of its own; to make them takes a second."""
        super().__init__(stage, name, [], stage.sanitizer_env)
        listen, sandbox = (f"{HOST}:{free_port()}" for _ in range(2))
        self.url, self.set = f"https://{listen}", self.folder / "set"
        self.sandbox_url = f"https://{sandbox}"
        self.ca = self.set / "ca.pem"
        program = stage.binary("providers")
        self.argv = [program, "--set", self.set, "--listen", listen, "--apns-topic", self.topic]
        self.argv += ["--sandbox-listen", sandbox, *args]
        if fresh or Providers.made is None:
            self.make_set(program)
        else:
            shutil.copytree(Providers.made, self.set)
        account = self.set / "service-account.json"
        text = json.loads(account.read_text())
        account.write_text(json.dumps({**text, "token_uri": f"{self.url}/token"}))

    def make_set(self, program):
        make = [program, "--generate", self.set, "--token-uri", f"{self.url}/token"]
        done = subprocess.run(make, capture_output=True, text=True)
        if done.returncode != 0:
            raise Trouble(f"providers --generate: {done.stderr}")
        Providers.made = Providers.made or self.set

    def provider_sections(self):
        """
        The two providers of the demonstration, as sections of pushd's configuration; without an
        interval, since most tests push to one device in quick succession.
        """
        here = {"endpoint": self.url, "ca_file": self.ca, "interval": 0}
        apns = {"kind": "apns", "topic": self.topic, "key_file": self.set / "apns.p8"}
        apns.update(key_id="FAKEKEY001", team_id="FAKETEAM01")
        fcm = {"kind": "fcm", "service_account_file": self.set / "service-account.json"}
        return {"apns-binary-api": {**apns, **here}, "fcm-xmpp-api": {**fcm, **here}}

    def script(self, *rules):
        return self.control("POST", "/script", list(rules))

    def environments(self, **tokens):
        """production=[…], sandbox=[…]: device tokens that only that one of Apple's takes."""
        return self.control("POST", "/environments", tokens)

    def refuse(self, topic=None, how="revoked", **more):
        """Refuses clients' certificates for TOPIC alone within TLS; without it none any more."""
        refused = [{"topic": topic, "how": how, **more}] if topic else []
        self.control("POST", "/certificates", {"refused": refused})

    def received(self, first=0):
        """All requests from number FIRST on."""
        found, most = [], 10000
        while True:
            page = self.control("GET", f"/received?from={first}&limit={most}")
            found += page
            if len(page) < most:
                return found
            first = page[-1]["n"] + 1

    def stats(self):
        return self.control("GET", "/stats")

    def hasten(self):
        """Has it answer now what a script's delay_ms holds back."""
        self.control("POST", "/hasten")

    def reset(self):
        return self.control("POST", "/reset")


class Daemon(Process):
    """One of ours: relayd, pushd or xmppgw, with its configuration file."""

    ready = r"\bready\b"

    def __init__(self, stage, program, name, sections):
        self.config = stage.folder / name / f"{program}.conf"
        argv = [stage.binary(program), "-c", self.config, *stage.daemon_args]
        super().__init__(stage, name, argv, stage.sanitizer_env)
        self.program = program
        self.configure(sections)
        self.recorder = None

    def configure(self, sections):
        """Writes its configuration file: {section: {key: value}}; a value of None is left out."""
        lines = []
        for section, keys in sections.items():
            lines.append(f"[{section}]")
            for key, value in keys.items():
                if value is not None:
                    lines.append(f"{key.replace('_', '-')} = {value}")
            lines.append("")
        self.sections = sections
        self.config.write_text("\n".join(lines))
        self.config.chmod(0o600)

    def record(self, what):
        """Puts a recorder before the listener WHAT, if the stage records: its URL, or None."""
        if not self.stage.record:
            return None
        self.what = what
        self.recorder = recorder.Recorder(self.program, lambda: self.address(what))
        return self.recorder.url

    def url(self, path=""):
        """Where to call its API: the recorder, or the daemon itself."""
        base = self.recorder.url if self.recorder else f"http://{self.address(self.listener)}"
        return base + path

    def call(self, method, path, body=None, token=TOKEN):
        """Calls its API: (status, body)."""
        return http(method, self.url(path), body, self.stage.token if token is TOKEN else token)


class Relayd(Daemon):
    listener = "control"

    def __init__(self, stage, name, redis, **keys):
        super().__init__(stage, "relayd", name, {})
        daemon = {
            "id": name,
            "redis": redis.url if redis else "none",
            "listen": f"{HOST}:0",
            "control_listen": f"{HOST}:0",
            "control_url": self.record("control"),
            "api_token": stage.token,
            "drain_timeout": "2s",
            # All clients come from one address here, and tests use the same two users.
            "connections_per_address_max": 1000000,
            "streams_per_user_max": 0,
        }
        self.configure({"daemon": {**daemon, **keys}})


class Pushd(Daemon):
    listener = "api"

    def __init__(self, stage, name, redis, fake=None, providers=None, **keys):
        """PROVIDERS: sections by id; default: the demonstration's two, at FAKE."""
        super().__init__(stage, "pushd", name, {})
        daemon = {
            "id": name,
            "redis": redis.url,
            "api_listen": f"{HOST}:0",
            "api_url": self.record("api"),
            "api_token": stage.token,
            "public_listen": f"{HOST}:0",
            "drain_timeout": "2s",
            "domain_rate": 0,
            "registration_rate": 0,
        }
        if providers is None:
            providers = fake.provider_sections() if fake else {}
        sections = {"daemon": {**daemon, **keys}}
        sections.update({f"provider {id}": section for id, section in providers.items()})
        self.configure(sections)


    def call_public(self, method, path, body=None):
        """Calls the public listener, as apps do: (status, body)."""
        status, answer = http(method, f"http://{self.address('public')}{path}", body)
        if self.stage.record:
            recorder.note(self.program, method, path, body, status, answer)
        return status, answer


class Xmppgw(Daemon):
    listener = "ops"

    def __init__(self, stage, redis, components, relays=None, name="xmppgw", **keys):
        """COMPONENTS and RELAYS (only without Redis) are sections by domain and by id."""
        super().__init__(stage, "xmppgw", name, {})
        self.record("ops")
        daemon = {
            "id": name,
            "redis": redis.url if redis else "none",
            "ops_listen": f"{HOST}:0",
            "api_token": stage.token,
            "drain_timeout": "2s",
        }
        sections = {"daemon": {**daemon, **keys}}
        sections.update({f"component {domain}": keys for domain, keys in components.items()})
        sections.update({f"relay {id}": keys for id, keys in (relays or {}).items()})
        self.configure(sections)


class Stage:
    """A folder and all that runs in it. RECORD: HTTP and Redis are kept for the contract test."""

    def __init__(self, folder, build=None, record=True, token=TOKEN, daemon_args=()):
        self.folder = pathlib.Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        build = build or os.environ.get("OG_BUILD", ROOT / "build/asan")
        self.build = pathlib.Path(build).resolve()
        self.record, self.token, self.daemon_args = record, token, daemon_args
        self.processes = []
        self.sanitizer_env = {
            "ASAN_OPTIONS": "detect_leaks=1:exitcode=99",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        faults = self.close()
        if faults and kind is None:
            raise Trouble("\n\n".join(faults))

    def binary(self, program):
        path = self.build / program
        if not path.exists():
            raise Trouble(f"{path} isn't built (OG_BUILD names the folder of the programs)")
        return path

    def run(self, process, start=True):
        """Takes PROCESS in, and starts it."""
        self.processes.append(process)
        return process.start() if start else process

    def redis(self, start=True, **options):
        return self.run(Redis(self, **options), start)

    def providers(self, start=True, **options):
        return self.run(Providers(self, **options), start)

    def relayd(self, name="relay-1", redis=None, start=True, **keys):
        return self.run(Relayd(self, name, redis, **keys), start)

    def pushd(self, name="push-1", redis=None, fake=None, start=True, **keys):
        return self.run(Pushd(self, name, redis, fake, **keys), start)

    def xmppgw(self, redis=None, components=None, start=True, **keys):
        return self.run(Xmppgw(self, redis, components or {}, **keys), start)

    def close(self):
        """
        Stops everything; what was wrong, as sentences. Our daemons end at the same time, then the
        pretend services, to which they talk until then; how servers of others end is no matter.
        """
        faults = []
        for kind in (Daemon, Pretend):
            ending = [process for process in self.processes if isinstance(process, kind)]
            for process in ending:
                if process.alive:
                    process.popen.terminate()
            for process in ending:
                faults += self.await_end(process)
        for process in self.processes:
            process.kill()
        for process in self.processes:
            faults += process.faults()
            if isinstance(process, Daemon) and process.recorder:
                process.recorder.close()
        self.processes = []
        return faults

    def await_end(self, process):
        """What was wrong with how PROCESS took SIGTERM, as sentences."""
        try:
            if process.popen:
                process.wait_exit()
        except Trouble as trouble:
            process.kill()
            return [str(trouble)]
        return []
