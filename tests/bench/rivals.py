"""Other people's relays, each as its users would set it up for this."""

import shutil
import socket

from harness import HOST, Process, Trouble, free_port, wait_until
from servers import Ejabberd, Prosody

DOMAIN = "example.org"


class Server(Process):
    """A relay of somebody else's that is ready when its port takes connections."""

    program = None
    idle_pairs = 2000
    clean = (0, 1, -15, 143)

    def __init__(self, stage, name):
        if not shutil.which(self.program):
            raise Trouble(f"{self.program} is not installed")
        super().__init__(stage, name, [])
        self.port = free_port()

    def wait_ready(self):
        wait_until(self.takes_connections, what=f"{self.name} to listen")

    def takes_connections(self):
        if not self.alive:
            raise Trouble(f"{self.name} ended: {self.tail(3)}")
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0


HAPROXY_CONFIG = """\
global
    maxconn 4000
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    option splice-request
    option splice-response
listen relay
    bind {host}:{port}
    server sink {sink}
"""


class Haproxy(Server):
    program, label = "haproxy", "HAProxy, forced splice"

    def __init__(self, stage, sink):
        super().__init__(stage, "haproxy")
        config = self.folder / "haproxy.cfg"
        config.write_text(HAPROXY_CONFIG.format(host=HOST, port=self.port, sink=sink))
        self.argv = ["haproxy", "-db", "-q", "-f", config]


DANTE_CONFIG = """\
logoutput: stderr
internal: {host} port = {port}
external: {host}
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: root
client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
"""


class Dante(Server):
    program, label = "danted", "dante"
    idle_pairs = 500  # a process for some of them each

    def __init__(self, stage, sink):
        super().__init__(stage, "dante")
        config = self.folder / "danted.conf"
        config.write_text(DANTE_CONFIG.format(host=HOST, port=self.port))
        self.argv = ["danted", "-f", config, "-p", self.folder / "danted.pid"]


class Microsocks(Server):
    program, label = "microsocks", "microsocks"
    idle_pairs = 500  # a thread each

    def __init__(self, stage, sink):
        super().__init__(stage, "microsocks")
        self.argv = ["microsocks", "-i", HOST, "-p", self.port]


class ProsodyWithProxy(Prosody):
    """Prosody with its own proxy, too, and without the log that tests want."""

    proxy = f"proxy65.{DOMAIN}"

    def write_config(self):
        super().write_config()
        text = self.config.read_text().replace("debug =", "info =")
        text = text.replace("VirtualHost", f"proxy65_ports = {{ {free_port()} }}\nVirtualHost", 1)
        text += f'Component "{self.proxy}" "proxy65"\nproxy65_address = "{HOST}"\n'
        self.config.write_text(text)


class EjabberdWithProxy(Ejabberd):
    proxy = f"proxy65.{DOMAIN}"

    def write_config(self):
        super().write_config()
        keys = {"host": self.proxy, "ip": HOST, "hostname": HOST, "port": free_port()}
        lines = "".join(f'    {key}: "{value}"\n' for key, value in keys.items())
        lines = lines.replace(f'"{keys["port"]}"', str(keys["port"]))
        self.config.write_text(self.config.read_text() + "  mod_proxy65:\n" + lines)
