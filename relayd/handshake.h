/*
 * What a connection says before it is a half: perhaps a PROXY header, then the greeting and the
 * request, of a client (socks5.h) or of another relay (peer.h). It is read to the byte and no
 * further.
 */
#ifndef OG_RELAYD_HANDSHAKE_H
#define OG_RELAYD_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

#include "relayd/half.h"
#include "relayd/peer.h"

/* Kept until the grant is sent, which echoes the request. */
struct handshake {
	size_t len;     /* of the message that is being read */
	size_t skip;    /* bytes of the PROXY header still to be dropped */
	size_t dropped; /* bytes that came after a refusal */
	uint8_t bytes[SOCKS5_GREETING_MAX];
	uint8_t nonce[PEER_NONCE_LEN]; /* of a peer */
};

/* Module: peers are asked for the secret of the configuration. */
int handshake_start(void *config);

/* The connection has something to read. */
void handshake_ready(struct io *io, uint32_t events);

#endif
