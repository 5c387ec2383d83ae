/* This pushd's record in the registry, from which gateways choose. */
#ifndef OG_PUSHD_API_ANNOUNCE_H
#define OG_PUSHD_API_ANNOUNCE_H

/* For the daemon's table of modules. Draining rewrites the record at once. */
extern const struct daemon_module announce_module;

#endif
