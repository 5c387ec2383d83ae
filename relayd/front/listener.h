/*
 * The sockets that accept SOCKS5 connections of clients and of other relays. Without a descriptor
 * left, accepting pauses: clients then wait in the kernel's queue.
 */
#ifndef OG_RELAYD_FRONT_LISTENER_H
#define OG_RELAYD_FRONT_LISTENER_H

#include <stddef.h>

#include "common/net/net.h"
#include "relayd/front/handshake.h"

/* Module: listens on `listen` and `peer-listen`; -1 after logging which address failed. */
extern const struct daemon_module listener_module;

/* The bound address of the listener INDEX of those for ORIGIN, or NULL past the last. */
const union net_address *listener_address(enum handshake_origin origin, size_t index);

#endif
