/*
 * The handshake: leads an accepted connection to its place in a stream. Perhaps a PROXY header,
 * then the greeting and the request, of a client (socks5.h) or of another relay (peering.h); then
 * the claim of the hash, perhaps a bridge to the relay that owns it; the grant or the refusal; and
 * the wait for the activation. The states are conn.h's. Input is read to the byte and no further.
 */
#ifndef OG_RELAYD_FRONT_HANDSHAKE_H
#define OG_RELAYD_FRONT_HANDSHAKE_H

#include <stdbool.h>

#include "common/net/net.h"

/* Who connects: relays count for no address, and balancers send a PROXY header first. */
enum handshake_origin { ORIGIN_CLIENT, ORIGIN_RELAY };

/*
 * Module: timeouts, caps and secret from the configuration; before the streams. Stopping closes
 * every connection that has no place in a pair.
 */
extern const struct daemon_module handshake_module;

/*
 * True if there are so many connections that only second halves and other relays are let in: the
 * first half of another stream is refused (connection-max without connection-reserve).
 */
bool handshake_full(void);

/*
 * Takes over the socket FD, accepted from ADDRESS. Its failures end the connection. At
 * connection-max another one ends to make room, or this one is reset.
 */
void handshake_accept(int fd, const union net_address *address, enum handshake_origin origin);

#endif
