/*
 * The public listener, which apps reach (public-listen): TLS by its own certificate, or behind a
 * proxy. What it serves is in rest.h.
 */
#ifndef OG_PUSHD_API_REST_LISTENER_H
#define OG_PUSHD_API_REST_LISTENER_H

#include "common/net/net.h"

/* For the daemon's table of modules; without public-listen there is nothing to do. */
extern const struct daemon_module rest_listener_module;

/* Reads cert-file and key-file anew; if they aren't right, the ones in use stay. */
void rest_listener_reload(void);

/* Where it listens, or NULL. */
const union net_address *rest_listener_address(void);

#endif
