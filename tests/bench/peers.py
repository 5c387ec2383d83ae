"""The relays that are measured, each started and set up as its users run it.

A peer gives route() (options of relay_load), plan(n) (the hashes of the next n streams, if it works
by hashes), activate() (those streams), and what its processes use.
"""

import asyncio
import hashlib
import itertools
import re

import usage
import user
from harness import HOST, Trouble, free_port, wait_until
from rivals import DOMAIN, Dante, EjabberdWithProxy, Haproxy, Microsocks, ProsodyWithProxy


class Direct:
    """No relay: what the load alone costs."""

    name, label = "direct", "direct TCP"

    def __init__(self, sink):
        self.sink = sink

    def route(self):
        return ["--route", "direct", "--sink", self.sink]

    def plan(self, streams):
        return None

    def activate(self):
        pass

    def cpu_seconds(self):
        return 0.0

    def private_bytes(self):
        return 0


class Generic(Direct):
    """A relay that connects to the sink: by SOCKS5 CONNECT, or whoever comes."""

    idle_pairs = 2000

    def __init__(self, process, kind, sink):
        super().__init__(sink)
        self.name, self.label, self.process, self.kind = process.name, process.label, process, kind
        self.idle_pairs = process.idle_pairs

    def route(self):
        relay = f"{HOST}:{self.process.port}"
        return ["--route", self.kind, "--relay", relay, "--sink", self.sink]

    def cpu_seconds(self):
        return usage.cpu_seconds(self.process.pid)

    def private_bytes(self):
        return usage.private_bytes(self.process.pid)


class Mediated(Generic):
    """XEP-0065 as clients use it: the address by IQ, two halves, activation by IQ."""

    serial = itertools.count()

    def __init__(self, name, label, process, account, proxy):
        self.name, self.label, self.process = name, label, process
        self.user, self.proxy, self.streams = account, proxy, []
        self.relay = account.address(proxy)

    def route(self):
        return ["--route", "bytestream", "--relay", self.relay, "--hashes"]

    def plan(self, streams):
        numbers = [next(self.serial) for _ in range(streams)]
        self.streams = [(f"bench-{n}", f"bob@{DOMAIN}/{n}") for n in numbers]
        names = [sid + self.user.jid + target for sid, target in self.streams]
        return [hashlib.sha1(name.encode()).hexdigest() for name in names]

    def activate(self):
        self.user.activate(self.proxy, self.streams)


class Local(Generic):
    """relayd by itself, activated at its control API by relay_load: for runs of thousands."""

    def __init__(self, name, relay):
        self.name, self.label, self.process = name, name, relay

    def route(self):
        route = ["--route", "bytestream", "--relay", self.process.address("socks")]
        control = ["--control", self.process.address("control")]
        return route + control + ["--token", self.process.stage.token]

    def pipes_lent(self):
        """Pipes that a pair holds, as relayd counts them (its pool keeps some more)."""
        text = self.process.call("GET", "/metrics")[1]
        return sum(map(int, re.findall(r"^outrigger_relayd_pipes_lent\{.*\} (\d+)", text, re.M)))


# All of them, but none that a bench reaches.
LIMITS = {"verifier": "limits", "default_user_limit": "100T", "default_domain_limit": "100T"}
LIMITS.update(instance_limit="1000T", global_limit="1000T")


def start_relay(stage, name, redis, **keys):
    """relayd, to which all clients come from one address here."""
    caps = {"pending_max": 20000, "pending_per_address_max": 20000, "connection_reserve": 0}
    keys = {**caps, **keys}
    relay = stage.relayd(name, redis, start=False, **keys)
    start(stage, relay)
    return relay


class Field:
    """All who take part. DIRECT and RELAYD always do; MISSING says by name why others don't."""

    def __init__(self, stage, loop):
        self.stage, self.loop = stage, loop
        self.sink = f"{HOST}:{free_port()}"
        self.peers, self.missing, self.users = [Direct(self.sink)], {}, []
        self.redis = stage.redis()
        self.start_prosody()
        for kind, route in ((Haproxy, "tcp"), (Dante, "socks"), (Microsocks, "socks")):
            self.take_in(kind.label, lambda: self.start_generic(kind, route))
        self.take_in("ejabberd's proxy65", self.start_ejabberd)
        self.take_in("Prosody's proxy65", self.start_prosody_proxy)

    def take_in(self, label, start):
        """Without those who can't be had here, who are told of with the reason."""
        try:
            self.peers.append(start())
        except (Trouble, OSError) as error:
            self.missing[label] = str(error).splitlines()[0]

    def start_prosody(self):
        """Prosody serves its own proxy and, by two gateways, relayd without and with limits."""
        proxies = {"relayd": f"relayd.{DOMAIN}", "relayd-limits": f"limits.{DOMAIN}"}
        secrets = {jid: "secret-of-component" for jid in proxies.values()}
        self.prosody = ProsodyWithProxy(self.stage, DOMAIN, secrets)
        self.prosody.add_user(user.NAME, user.PASSWORD)
        self.stage.run(self.prosody)
        self.user = self.log_in(self.prosody)
        self.peers.append(self.start_relayd("relayd", "relayd", proxies["relayd"]))
        self.take_in(
            "relayd with limits",
            lambda: self.start_relayd(
                "relayd-limits", "relayd with limits", proxies["relayd-limits"], **LIMITS
            ),
        )

    def start_relayd(self, name, label, proxy, **keys):
        prefix = {"redis_prefix": f"{name}:"}
        relay = start_relay(self.stage, name, self.redis, **prefix, **keys)
        component = {"server": f"{HOST}:{self.prosody.component_port(proxy)}"}
        component.update(secret=self.prosody.secret(proxy), role="relay")
        gateway = self.stage.xmppgw(
            self.redis, {proxy: component}, name=f"xmppgw-{name}", **prefix
        )
        gateway.wait_log("backend-found")
        wait_until(lambda: gateway.call("GET", "/readyz")[0] == 200, what="the gateway")
        return Mediated(name, label, relay, self.user, proxy)

    def start_generic(self, kind, route):
        process = kind(self.stage, self.sink)
        start(self.stage, process)
        return Generic(process, route, self.sink)

    def start_ejabberd(self):
        server = EjabberdWithProxy(self.stage, DOMAIN, {})
        server.add_user(user.NAME, user.PASSWORD)
        start(self.stage, server)
        account = self.log_in(server)
        return Mediated("ejabberd", "ejabberd's proxy65", server, account, server.proxy)

    def start_prosody_proxy(self):
        proxy = self.prosody.proxy
        return Mediated("prosody", "Prosody's proxy65", self.prosody, self.user, proxy)

    def log_in(self, server):
        self.users.append(user.User(server, self.loop))
        return self.users[-1]

    def close(self):
        for account in self.users:
            account.log_out()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))


def start(stage, process):
    """Starts PROCESS; one that can't be started isn't held against the stage."""
    if process not in stage.processes:
        stage.run(process, start=False)
    try:
        process.start()
    except Trouble:
        process.kill()
        stage.processes.remove(process)
        raise
