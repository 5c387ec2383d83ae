/*
 * The listener that apps reach: unregistering a device by REST, as Tigase's component offers it,
 * without any authentication but the knowledge of account and token. Its answers tell nobody what
 * exists.
 */
#ifndef OG_PUSHD_API_PUBLIC_API_H
#define OG_PUSHD_API_PUBLIC_API_H

#include "common/net/net.h"

/* For the daemon's table of modules; without public-listen there is nothing to do. */
extern const struct daemon_module public_api_module;

/* Reads cert-file and key-file anew; if they aren't right, the ones in use stay. */
void public_api_reload(void);

/* Where it listens, or NULL. */
const union net_address *public_api_address(void);

#endif
