"""Real XMPP servers for end-to-end tests: Prosody and ejabberd, private, on loopback.

Both give: domain, host, c2s_port, component_port(component), secret(component), what they log of
an app server's answers (gone, later), and, before the start, add_user(name, password), where the
name has an @ if it is of one of more_domains, which the same server serves. rooms is the domain of
its chat rooms, or None.
SASL PLAIN without TLS is allowed, which is why nothing listens beyond loopback.
"""

import glob
import os
import subprocess
import xml.etree.ElementTree as ET

from harness import HOST, ROOT, Process, Trouble, free_port, http

HERE = ROOT / "tests/e2e"


def community_modules():
    """The folder of Prosody's modules for encrypted pushes."""
    done = subprocess.run([ROOT / "tests/prosody-modules"], capture_output=True, text=True)
    if done.returncode != 0:
        raise Trouble(f"prosody-modules: {done.stderr}")
    return done.stdout.strip()


PROSODY_CONFIG = """\
{run_as_root}
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
certificates = "{folder}/certs"
plugin_paths = {{ "{here}", "{community}", "/usr/lib/prosody/modules",
                 "/usr/share/prosody/modules" }}
log = {{ debug = "*console" }}
interfaces = {{ "{host}" }}
c2s_ports = {{ {c2s} }}
component_ports = {{ {component} }}
component_interfaces = {{ "{host}" }}
modules_enabled = {{ "roster", "saslauth", "disco", "ping", "smacks", "offline", "cloud_notify",
                    "answers", "publishes"{modules} }}
modules_disabled = {{ "s2s", "tls", "http" }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = "internal"
limits = {{}}
{hosts}
{rooms}
"""

# A room serves as soon as somebody enters it.
PROSODY_ROOMS = """\
Component "{name}" "muc"
restrict_room_creation = false
muc_room_locking = false
"""

# Prosody keeps an old connection that the network lost until TCP notices; the new one must win.
PROSODY_COMPONENT = """\
Component "{name}"
component_secret = "{secret}"
component_conflict_resolve = "kick_old"
"""


class Prosody(Process):
    """Prosody with mod_cloud_notify of prosody-modules; all components share one port."""

    host = HOST
    clean = (0, -15)  # it may not have installed its own handler yet
    # What it logs (mod_answers.lua) of an app server's answer that ends a registration, and of one
    # that doesn't.
    gone = r"Answered <cancel:item-not-found>"
    later = r"Answered <wait:internal-server-error>"

    def wait_ready(self):
        self.wait_log(r"Activated service '(component|c2s)' on", count=2)

    def __init__(
        self, stage, domain, components, name="prosody", modules=(), more_domains=(), rooms=None
    ):
        """MODULES: community modules beyond the usual."""
        super().__init__(stage, name, [], {"LUA_PATH": f"{HERE}/prosody-0.12/?.lua;;"})
        self.domain, self.secrets = domain, components
        self.modules, self.more_domains, self.rooms = modules, more_domains, rooms
        self.c2s_port, self._component_port = free_port(), free_port()
        self.config = self.folder / "prosody.cfg.lua"
        self.argv = ["prosody", "--config", self.config, "-F"]
        self.write_config()

    def write_config(self):
        text = PROSODY_CONFIG.format(
            run_as_root="run_as_root = true" if os.getuid() == 0 else "",
            folder=self.folder,
            here=HERE,
            community=community_modules() if self.modules else HERE,
            modules="".join(f', "{module}"' for module in self.modules),
            host=HOST,
            hosts="\n".join(
                [f'VirtualHost "{self.domain}"', *map(self.host_of, self.more_domains)]
            ),
            rooms=PROSODY_ROOMS.format(name=self.rooms) if self.rooms else "",
            c2s=self.c2s_port,
            component=self._component_port,
        )
        for name, secret in self.secrets.items():
            text += PROSODY_COMPONENT.format(name=name, secret=secret)
        for name in ("data", "certs"):
            (self.folder / name).mkdir(exist_ok=True)
        self.config.write_text(text)

    def host_of(self, domain):
        """A further domain, whose users find the same components."""
        items = ", ".join(f'{{ "{name}" }}' for name in self.secrets)
        return f'VirtualHost "{domain}"\ndisco_items = {{ {items} }}'

    async def publish(self, client, stanza):
        """Sends STANZA (an IQ as text) as the server's own; CLIENT is logged in."""
        stanza = stanza.replace("<iq ", "<iq xmlns='jabber:client' ", 1)
        client.send_raw(f"<message to='{self.domain}'>{stanza}</message>")

    def component_port(self, component):
        return self._component_port

    def secret(self, component):
        return self.secrets[component]

    def add_user(self, name, password):
        name, _, domain = name.partition("@")
        words = ["register", name, domain or self.domain, password]
        command = ["prosodyctl", "--config", self.config, *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder)
        if done.returncode != 0:
            raise Trouble(f"prosodyctl register: {done.stdout}{done.stderr}")


EJABBERD_CONFIG = """\
hosts: [{hosts}]
loglevel: info
auth_method: internal
certfiles: []
default_db: mnesia
acme: {{auto: false}}
listen:
  - {{port: {c2s}, ip: "{host}", module: ejabberd_c2s, starttls_required: false}}
  - {{port: {api}, ip: "{host}", module: ejabberd_http, request_handlers: {{"/api": mod_http_api}}}}
{components}
api_permissions:
  tests: {{from: mod_http_api, who: {{ip: "127.0.0.1/8"}}, what: send_stanza}}
modules:
  mod_admin_extra: {{}}
  mod_disco: {{extra_domains: [{items}]}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_push: {{}}
  mod_roster: {{}}
  mod_stream_mgmt: {{}}
{rooms}
"""

# Users may subscribe to a room without being in it (MUC/Sub).
EJABBERD_ROOMS = """\
  mod_muc: {{hosts: ["{name}"], default_room_options: {{allow_subscription: true}}}}
"""

# A listener for each component: of a shared one, each connection gets the stanzas of all hosts.
EJABBERD_COMPONENT = """\
  - port: {port}
    ip: "{host}"
    module: ejabberd_service
    hosts: {{"{name}": {{password: "{secret}"}}}}
"""

# Erlang's own words: start, add the users, and say on stdout that they can log in.
EJABBERD_USERS = """\
{{ok, _}} = application:ensure_all_started(ejabberd), \
[ejabberd_auth:try_register(U, D, P) || {{U, D, P}} <- [{users}]], \
io:format("users are registered~n")."""


class Ejabberd(Process):
    """ejabberd as an Erlang node without a name: no distribution, no epmd, its own database."""

    host = HOST
    ready = r"^users are registered"
    clean = (0, 143)
    gone = r"rejected notification for .* disabling push"
    later = r"rejected notification for .* temporarily"

    def __init__(self, stage, domain, components, name="ejabberd", more_domains=(), rooms=None):
        super().__init__(stage, name, [])
        self.domain, self.secrets, self.users = domain, components, {}
        self.more_domains, self.rooms = more_domains, rooms
        self.c2s_port, self.api_port = free_port(), free_port()
        self.ports = {component: free_port() for component in components}
        self.config = self.folder / "ejabberd.yml"
        self.env = {
            "EJABBERD_CONFIG_PATH": str(self.config),
            "EJABBERD_LOG_PATH": str(self.folder / "server.log"),
            "ERL_CRASH_DUMP": str(self.folder / "erl_crash.dump"),
            "ERL_LIBS": os.path.dirname(glob.glob("/usr/lib/*/ejabberd-*")[0]),
            "HOME": str(self.folder),
        }
        self.write_config()

    def write_config(self):
        components = "".join(
            EJABBERD_COMPONENT.format(port=self.ports[name], host=HOST, name=name, secret=secret)
            for name, secret in self.secrets.items()
        )
        self.config.write_text(
            EJABBERD_CONFIG.format(
                hosts=", ".join(f'"{domain}"' for domain in (self.domain, *self.more_domains)),
                c2s=self.c2s_port,
                api=self.api_port,
                host=HOST,
                components=components,
                items=", ".join(self.secrets) if self.more_domains else "",
                rooms=EJABBERD_ROOMS.format(name=self.rooms) if self.rooms else "",
            )
        )

    def start(self, wait=True):
        users = ", ".join(
            f'{{<<"{user}">>, <<"{domain}">>, <<"{word}">>}}'
            for (user, domain), word in self.users.items()
        )
        eval_text = EJABBERD_USERS.format(users=users)
        database = f'"{self.folder}/database"'
        self.argv = ["erl", "-noinput", "+sbwt", "none", "-mnesia", "dir", database]
        self.argv += ["-eval", eval_text]
        return super().start(wait)

    async def publish(self, client, stanza):
        """Sends STANZA (an IQ as text) as the server's own."""
        to = ET.fromstring(stanza).get("to")
        body = {"from": self.domain, "to": to, "stanza": stanza}
        status, answer = http("POST", f"http://{HOST}:{self.api_port}/api/send_stanza", body)
        if status != 200:
            raise Trouble(f"send_stanza: {status} {answer}")

    def component_port(self, component):
        return self.ports[component]

    def secret(self, component):
        return self.secrets[component]

    def add_user(self, name, password):
        name, _, domain = name.partition("@")
        self.users[name, domain or self.domain] = password
