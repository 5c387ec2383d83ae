"""A machine outside: a network namespace with an IPv4 and an IPv6 address, beside this machine."""

import random

from containers import Namespace, run


class Outside:
    """HOST4 and HOST6 are this machine's addresses there, 4 and 6 the other one's."""

    def __init__(self):
        number = random.SystemRandom().randrange(1 << 16)
        self.name = f"ogtest{number:04x}"
        net4, net6 = f"10.{number >> 8}.{number & 255}", f"fd6f:7574:{number:x}"
        self.host4, self.address4 = f"{net4}.1", f"{net4}.2"
        self.host6, self.address6 = f"{net6}::1", f"{net6}::2"
        self.namespace = Namespace(f"/run/netns/{self.name}")

    def __enter__(self):
        here, there = f"{self.name}a", f"{self.name}b"
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", here, "type", "veth", "peer", there, "netns", self.name)
        run("ip", "address", "add", f"{self.host4}/24", "dev", here)
        run("ip", "address", "add", f"{self.host6}/64", "dev", here, "nodad")
        run("ip", "link", "set", here, "up")
        inside = ("ip", "-n", self.name)
        run(*inside, "address", "add", f"{self.address4}/24", "dev", there)
        run(*inside, "address", "add", f"{self.address6}/64", "dev", there, "nodad")
        run(*inside, "link", "set", there, "up")
        run(*inside, "route", "add", "default", "via", self.host4)
        return self

    def __exit__(self, *error):
        run("ip", "netns", "delete", self.name, check=False)  # and the pair of interfaces with it


def has_ip6tables():
    """True if Docker passes IPv6 connections on itself: else its proxy hides their addresses."""
    return "DOCKER" in run("ip6tables", "-t", "nat", "-S", check=False)[1]
