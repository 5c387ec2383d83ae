-- The demonstration's XMPP server: passwords go unencrypted, so it serves nobody outside the stack.

data_path = "/tmp/prosody"
pidfile = "/tmp/prosody.pid"
certificates = "/tmp"
plugin_paths = { "/usr/lib/prosody/modules" }
log = { info = "*console" }
modules_enabled = { "roster", "saslauth", "disco", "ping", "smacks", "offline", "cloud_notify" }
modules_disabled = { "s2s", "tls", "http" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = "internal"
component_ports = { 5347 }
component_interfaces = { "*" }

VirtualHost "example.org"

Component "proxy.example.org"
component_secret = FileLine("/run/secrets/proxy_secret")
component_conflict_resolve = "kick_old"

Component "push.example.org"
component_secret = FileLine("/run/secrets/push_secret")
component_conflict_resolve = "kick_old"
