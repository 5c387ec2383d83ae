/*
 * Unregistering a device by REST, as Tigase's component offers it, without any authentication but
 * the knowledge of account and token. The answers tell nobody what exists, and an address may ask
 * only so often. It has the public listener, which apps reach (public-listen): TLS by its own
 * certificate, or behind a proxy.
 */
#ifndef OG_PUSHD_API_REST_H
#define OG_PUSHD_API_REST_H

#include "common/daemon.h"
#include "common/net/net.h"

/* For the daemon's table of modules; without public-listen there is nothing to do. */
extern const struct daemon_module rest_module;

/* Reads cert-file and key-file anew; if they aren't right, the ones in use stay. */
void rest_reload(void);

/* Where it listens, or NULL. */
const union net_address *rest_address(void);

#endif
