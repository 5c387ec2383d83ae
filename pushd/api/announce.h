/* This pushd's record in the registry, from which gateways choose. */
#ifndef OG_PUSHD_API_ANNOUNCE_H
#define OG_PUSHD_API_ANNOUNCE_H

/* For the daemon's table of modules. */
extern const struct daemon_module announce_module;

/* Writes the record again at once: draining has begun. */
void announce_touch(void);

#endif
