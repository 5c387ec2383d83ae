/*
 * The sockets that take SOCKS5 connections, of clients and of other relays, and the pause in taking
 * them when there are too many or no descriptor is left: clients then wait in the kernel's queue.
 */
#ifndef OG_RELAYD_FRONT_LISTENER_H
#define OG_RELAYD_FRONT_LISTENER_H

#include <stddef.h>

#include "common/net/net.h"

/* Module: listens on `listen` and `peer-listen`; -1 after logging which can't be had. */
extern const struct daemon_module listener_module;

/* A connection was closed: accepts again if only their number was the reason for a pause. */
void listener_resume(void);

/* The address of the clients' listener INDEX as it is bound, or NULL past the last. */
const union net_address *listener_address(size_t index);

/* Where other relays are listened for, or NULL. */
const union net_address *listener_peer_address(void);

#endif
