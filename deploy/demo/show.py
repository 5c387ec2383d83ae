"""The demonstration of the compose stack: a file and two pushes through the containers' services.

Runs beside the pretend providers, in their network namespace, since their controls are on loopback.
Exits with status 0 only if all worked.
"""

import asyncio
import pathlib
import sys

import demo
from chat import Client
from harness import Trouble, http, wait_until

SECRETS = pathlib.Path("/run/secrets")


class Server:
    name, domain, host, c2s_port = "Prosody", "example.org", "prosody", 5222


class Fake:
    """The pretend providers."""

    def received(self):
        return http("GET", "http://127.0.0.1:8081/received?limit=10000")[1]


class Stack:
    """As much of the stack as demo.py uses."""

    user1, user2, password = "alice", "bob", "secret"
    domain, server, fake = Server.domain, Server(), Fake()

    def client(self, user, resource="phone"):
        return Client(self.server, user, self.password, resource)

    def transfers(self):
        token = (SECRETS / "api_token").read_text().strip()
        return http("GET", "http://relayd:7650/v1/transfers", token=token)[1]["transfers"]


def serves(url):
    try:
        return http("GET", url)[0] == 200
    except OSError:
        return False


def tell(text=""):
    print(text, flush=True)


def indented(text):
    tell(f"   {text}")


def main():
    stack = Stack()
    for url in ("http://xmppgw:7670/readyz", "http://pushd:7660/readyz"):
        wait_until(lambda: serves(url), 120, url)
    tell("\n1. A file from alice to bob, through relayd (XEP-0065)")
    asyncio.run(asyncio.wait_for(demo.show_transfer(stack, indented), 120))
    tell("\n2. Pushes to bob's devices, through pushd (XEP-0357)")
    asyncio.run(asyncio.wait_for(demo.show_pushes(stack, indented), 120))
    tell("\nFile transfer: worked.  Pushes: worked.  Ctrl-C ends the stack.")


if __name__ == "__main__":
    try:
        main()
    except Trouble as trouble:
        sys.exit(f"FAILED: {trouble}")
