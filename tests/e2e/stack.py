"""The whole stack on loopback: Redis, XMPP server, pretend providers, two relayd, pushd, xmppgw."""

import secrets
import shlex

from harness import Trouble, wait_until
from servers import Ejabberd, Prosody

SERVERS = {"prosody": Prosody, "ejabberd": Ejabberd}
APNS, FCM = "apns-binary-api", "fcm-xmpp-api"


class Stack:
    """
    What `make run` and the tests of the whole start; TELL gets a line of text at each step.
    USERS are there beside alice and bob; RELAY_KEYS and GATEWAY_KEYS are keys of [daemon] beyond
    the usual, COMPONENT_KEYS those of both components, PROVIDER_KEYS those of pushd's providers, by
    id, PUSH_KEYS those of pushd's [daemon]. PROVIDERS makes pushd's providers of the usual ones;
    SERVER_KEYS are further arguments of the XMPP server.
    """

    def __init__(
        self,
        stage,
        server="prosody",
        domain="example.org",
        tell=lambda text: None,
        users=(),
        relay_keys=None,
        gateway_keys=None,
        provider_keys=None,
        component_keys=None,
        providers=None,
        server_keys=None,
        push_keys=None,
    ):
        self.stage, self.domain, self.tell = stage, domain, tell
        self.relay_jid, self.push_jid = f"proxy.{domain}", f"push.{domain}"
        self.user1, self.user2, self.password = "alice", "bob", secrets.token_hex(8)
        components = {self.relay_jid: secrets.token_hex(16), self.push_jid: secrets.token_hex(16)}
        self.server = SERVERS[server](stage, domain, components, name=server, **(server_keys or {}))
        self.users = (self.user1, self.user2, *users)
        peers = {"peer_listen": "127.0.0.1:0", "peer_secret": secrets.token_hex(16)}
        self.relay_keys, self.gateway_keys = {**peers, **(relay_keys or {})}, gateway_keys or {}
        self.provider_keys, self.providers = provider_keys or {}, providers
        self.component_keys, self.push_keys = component_keys or {}, push_keys or {}
        self.redis = self.fake = self.push = self.gateway = None
        self.relays = []

    def start(self, redis=True):
        """Starts all and waits until it serves; REDIS False: the caller starts it later."""
        stage = self.stage
        self.redis = stage.redis(start=redis)
        self.tell(f"redis      {self.redis.url}")
        self.fake = stage.providers()
        self.tell(f"providers  {self.fake.url}  (they pretend to be APNs, FCM and Google's OAuth)")
        for user in self.users:
            self.server.add_user(user, self.password)
        stage.run(self.server)
        self.tell(f"{self.server.name:<10} {self.domain}, clients on port {self.server.c2s_port}")
        self.relays = [
            stage.relayd(name, self.redis, **self.relay_keys) for name in ("relay-1", "relay-2")
        ]
        for relay in self.relays:
            self.tell(f"{relay.name}    SOCKS5 on {relay.address('socks')}")
        providers = {
            id: {**keys, **self.provider_keys.get(id, {})}
            for id, keys in self.fake.provider_sections().items()
        }
        if self.providers:
            providers = self.providers(providers)
        self.push = stage.pushd("pushd", self.redis, providers=providers, **self.push_keys)
        self.tell(f"pushd      {self.push.url()}")
        if redis:
            self.wait_registered()
        self.gateway = stage.xmppgw(self.redis, self.components(), **self.gateway_keys)
        if redis:
            self.wait_linked()
        self.tell(f"xmppgw     linked as {self.relay_jid} and {self.push_jid}")
        return self

    def components(self):
        """The gateway's sections: one link for each component."""
        return {
            jid: {
                "server": f"127.0.0.1:{self.server.component_port(jid)}",
                "secret": self.server.secret(jid),
                "role": role,
                **self.component_keys,
            }
            for jid, role in ((self.relay_jid, "relay"), (self.push_jid, "push"))
        }

    def wait_registered(self):
        """Until the relays and pushd are in the registry, where the gateway looks for them."""
        keys = [f"og:registry:relay:{relay.name}" for relay in self.relays]
        keys.append(f"og:registry:push:{self.push.name}")
        wait_until(
            lambda: self.redis.command("EXISTS", *keys) == len(keys), what="all to register"
        )

    def wait_linked(self, timeout=120):
        """Until the gateway says that it serves."""

        def serving():
            try:
                return self.gateway.call("GET", "/readyz")[0] == 200
            except OSError:
                return False

        try:
            wait_until(serving, timeout, "xmppgw's /readyz")
        except Trouble as trouble:
            raise Trouble(f"{trouble}\n{self.gateway.tail()}") from None

    def client(self, user, resource="phone"):
        from chat import Client  # slixmpp takes a moment to load: only who needs it pays

        return Client(self.server, user, self.password, resource)

    def relay_at(self, host, port):
        """The relay that listens for SOCKS5 at HOST:PORT."""
        for relay in self.relays:
            if relay.alive and relay.address("socks") == f"{host}:{port}":
                return relay
        raise Trouble(f"no relay listens on {host}:{port}")

    def transfers(self):
        """The records of the transfers that have ended, oldest first."""
        return self.relays[0].call("GET", "/v1/transfers")[1]["transfers"]

    def environment(self):
        """What a shell needs to talk to the stack: names and values."""
        one, two = self.relays
        return {
            "XMPP_DOMAIN": self.domain,
            "XMPP_C2S_PORT": self.server.c2s_port,
            "XMPP_USER1": self.user1,
            "XMPP_USER2": self.user2,
            "XMPP_PASSWORD": self.password,
            "RELAY_JID": self.relay_jid,
            "PUSH_JID": self.push_jid,
            "RELAY1_ADDR": one.address("socks"),
            "RELAY2_ADDR": two.address("socks"),
            "RELAY1_CONTROL": one.url(),
            "RELAY2_CONTROL": two.url(),
            "PUSHD_API": self.push.url(),
            "PUSHD_PUBLIC": f"http://{self.push.address('public')}",
            "XMPPGW_OPS": self.gateway.url(),
            "API_TOKEN": self.stage.token,
            "REDIS_URL": self.redis.url,
            "FAKE_URL": self.fake.url,
            "FAKE_CONTROL": self.fake.control_url,
            "FAKE_CA": self.fake.ca,
            "RELAY1_PID": one.pid,
            "RELAY2_PID": two.pid,
            "PUSHD_PID": self.push.pid,
            "XMPPGW_PID": self.gateway.pid,
        }

    def write_environment(self, path):
        lines = [f"{name}={shlex.quote(str(value))}" for name, value in self.environment().items()]
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o600)  # it holds the API's token
