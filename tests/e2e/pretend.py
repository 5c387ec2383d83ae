"""The pretend XMPP server (build/xmpp-server): MongooseIM, Openfire or Tigase, which can't be
installed, and Prosody and ejabberd where more is to be sent than the real ones can.

    server = PretendServer(stage, "tigase", ["push.example.org"])
    stage.run(server)
    server.register("push.example.org", node, secret)
    server.publish(node)                # {"ending": "result", …}
    server.load(rate=1000, count=5000); server.wait_load()

It applies each reply to the registration as the server that it plays does. A registration that is
lost fails the test, unless the test said so before (expect_lost), and so does a reply that nobody
waits for or that real servers close the stream for.
"""

import re
import secrets

from harness import HOST, Pretend, Trouble, free_port, wait_until

LOST = re.compile(r"registration-lost jid=(\S+) node=(\S+) by=(\S*)")
FAULTS = re.compile(r"unasked-reply .*|reply-astray .*|fault name=.*")
# How the replies of a load may have ended.
ENDINGS = ("result", "error", "lost", "timeout")


class PretendServer(Pretend):
    host = HOST

    def __init__(self, stage, kind, components, domain="example.org", name=None, args=()):
        super().__init__(stage, name or kind, [], stage.sanitizer_env)
        self.kind, self.domain, self.port = kind, domain, free_port()
        self.secrets = {component: secrets.token_hex(16) for component in components}
        self.expected = set()  # nodes whose registration may be lost
        self.jids = {}  # of each node
        self.argv = [stage.binary("xmpp-server"), "--as", kind, "--domain", domain]
        self.argv += ["--listen", f"{HOST}:{self.port}", *args]
        for component, secret in self.secrets.items():
            self.argv += ["--component", f"{component}={secret}"]

    def component_port(self, component):
        return self.port

    def secret(self, component):
        return self.secrets[component]

    def section(self, component, role="push"):
        """The component's section in the gateway's configuration."""
        return {"server": f"{HOST}:{self.port}", "secret": self.secrets[component], "role": role}

    def register(self, jid, node, secret=None):
        """As if a user had enabled pushes to NODE."""
        self.register_all([(jid, node, secret)])

    def register_all(self, registrations):
        """Many of them: (JID, node, secret or None)."""
        body = [
            {"jid": jid, "node": node, **({"secret": secret} if secret else {})}
            for jid, node, secret in registrations
        ]
        self.jids.update({node: jid for jid, node, _ in registrations})
        self.control("POST", "/registrations", {"registrations": body})

    def registrations(self):
        """All, by node."""
        return {one["node"]: one for one in self.control("GET", "/registrations")}

    def expect_lost(self, node):
        self.expected.add(node)

    def publish(self, node, form=None, stanza=None):
        """One publish, and how it ended."""
        body = {"jid": self.jids[node], "node": node}
        body.update({"form": form} if form else {}, **({"stanza": stanza} if stanza else {}))
        return self.control("POST", "/publish", body)

    def load(self, **options):
        """Begins: count, in_flight, rate, form."""
        self.control("POST", "/load", options)

    def load_so_far(self):
        return self.control("GET", "/load")

    def wait_load(self, timeout=120):
        """Waits until the load is over, all replies included: its report."""

        def over():
            report = self.load_so_far()
            return None if report["running"] else report

        return wait_until(over, timeout, "the end of a load")

    def stop_load(self):
        self.control("POST", "/load/stop")
        return self.wait_load()

    def restart_now(self, down_ms=0):
        """Its connections are cut and it comes back after DOWN_MS; it knows its registrations."""
        self.control("POST", "/restart", {"down_ms": down_ms})

    def stats(self):
        return self.control("GET", "/stats")

    def wait_links(self, component, count=1):
        """Until COUNT gateways are connected as COMPONENT."""
        links = lambda: self.stats()["components"][component]["links"]
        try:
            wait_until(lambda: links() == count, what=f"{count} links of {component}")
        except Trouble as trouble:
            raise Trouble(f"{trouble}\n{self.tail()}") from None

    def lost(self):
        """(node, type/condition) of each registration that a reply has cost."""
        return [match.group(2, 3) for match in LOST.finditer(self.log_text(True))]

    def faults(self):
        found = super().faults()
        for node, by in self.lost():
            if node not in self.expected:
                found.append(f"{self.name} has lost the registration {node} by a reply {by}")
        found += [f"{self.name}: {line}" for line in FAULTS.findall(self.log_text(True))[:5]]
        return found
