-- The demonstration's Prosody with one more component: load.example.org, whose users' pushes the
-- tests publish themselves, as its server, so that they see each answer.
Include "/etc/prosody/demo.cfg.lua"

Component "load.example.org"
component_secret = "load"
component_conflict_resolve = "kick_old"
