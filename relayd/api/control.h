/*
 * The control API (HTTP and JSON, bodies in schemas/relayd): gateways activate streams by it,
 * operators look at them, cut them and drain the relay.
 */
#ifndef OG_RELAYD_API_CONTROL_H
#define OG_RELAYD_API_CONTROL_H

#include "common/net/net.h"

/* Module: listens on control-listen; -1 after logging why that can't be. */
extern const struct daemon_module control_module;

/* Where it listens. */
const union net_address *control_address(void);

#endif
