/* The internal API: routes, token, the calls about providers. Bodies are in schemas/pushd/. */
#ifndef OG_PUSHD_API_API_H
#define OG_PUSHD_API_API_H

#include "common/net/net.h"

/* For the daemon's table of modules. */
int api_start(void *config);
void api_stop(void);

/* Where it listens. */
const union net_address *api_address(void);

#endif
