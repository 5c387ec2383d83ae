/*
 * What a connection says before it is a half: perhaps a PROXY header, then the greeting and the
 * request, of a client (socks5.h) or of another relay (peer.h). It is read to the byte and no
 * further.
 */
#ifndef OG_RELAYD_FRONT_HANDSHAKE_H
#define OG_RELAYD_FRONT_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

#include "relayd/io/half.h"
#include "relayd/wire/peer.h"

/*
 * Kept until the grant is sent, which echoes the request. What a peer says is shorter than a
 * client's greeting may be, so that its nonce has room behind it.
 */
struct handshake {
	uint32_t len;     /* of the message that is being read */
	uint32_t skip;    /* bytes of the PROXY header still to be dropped */
	uint32_t dropped; /* bytes that came after a refusal */
	uint8_t bytes[SOCKS5_GREETING_MAX];
};

/* Module: peers are asked for the secret of the configuration. */
extern const struct daemon_module handshake_module;

/* The connection has something to read. */
void handshake_ready(struct io *io, uint32_t events);

#endif
