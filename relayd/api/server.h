/*
 * The control API (HTTP and JSON, bodies in schemas/relayd), by which gateways activate streams and
 * operators see and change what the relay does.
 */
#ifndef OG_RELAYD_API_SERVER_H
#define OG_RELAYD_API_SERVER_H

#include "common/net/net.h"

/* Module: listens on control-listen; -1 after logging why that fails. */
extern const struct daemon_module server_module;

/* Where it listens. */
const union net_address *server_address(void);

#endif
