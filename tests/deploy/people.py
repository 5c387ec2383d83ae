"""Users of a stack's XMPP server: what tests/e2e/demo.py takes for its Stack."""

from chat import Client


class ContainersServer:
    """The Prosody in a stack's containers, from this machine."""

    name, domain, c2s_port = "Prosody", "example.org", 5222

    def __init__(self, stack):
        self.stack = stack

    @property
    def host(self):
        (prosody,) = self.stack.containers("prosody")
        return prosody.address("front")


class Fake:
    """The pretend providers of a stack."""

    def __init__(self, stack):
        self.stack = stack

    def received(self):
        return self.stack.providers("GET", "/received?limit=10000")


class People:
    user1, user2, password = "alice", "bob", "secret"

    def __init__(self, stack, server=None):
        self.stack, self.fake = stack, Fake(stack)
        self.server = server or ContainersServer(stack)
        self.domain = self.server.domain

    def client(self, user, resource="phone"):
        return Client(self.server, user, self.password, resource)

    def transfers(self):
        return self.stack.relays()[0].call("GET", "/v1/transfers")[1]["transfers"]
