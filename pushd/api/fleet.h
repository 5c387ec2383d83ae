/* This pushd's record in the registry, from which gateways choose. */
#ifndef OG_PUSHD_API_FLEET_H
#define OG_PUSHD_API_FLEET_H

/* For the daemon's table of modules. */
extern const struct daemon_module fleet_module;

/* Writes the record again at once: draining has begun. */
void fleet_touch(void);

#endif
