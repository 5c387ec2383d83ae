/*
 * The internal API: its listener, with the token and the routes of all. Bodies are in
 * schemas/pushd/.
 */
#ifndef OG_PUSHD_API_SERVER_H
#define OG_PUSHD_API_SERVER_H

#include "common/daemon.h"
#include "common/net/net.h"

/* For the daemon's table of modules. */
extern const struct daemon_module server_module;

/* Where it listens. */
const union net_address *server_address(void);

#endif
