/* The internal API: routes, token, the calls about providers. Bodies are in schemas/pushd/. */
#ifndef OG_PUSHD_API_API_H
#define OG_PUSHD_API_API_H

#include "common/net/net.h"

/* For the daemon's table of modules. */
extern const struct daemon_module api_module;

/* Where it listens. */
const union net_address *api_address(void);

#endif
