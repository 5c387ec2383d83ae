#include "relayd/front/handshake.h"

#include <assert.h>
#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/mem.h"
#include "common/daemon.h"
#include "relayd/conf.h"
#include "relayd/stream/stream.h"
#include "relayd/wire/proxyv2.h"

static const char *peer_secret; /* borrowed from the configuration */

static uint8_t *nonce_of(struct handshake *shake)
{
	_Static_assert(PEER_REQUEST_LEN + PEER_NONCE_LEN <= SOCKS5_GREETING_MAX, "room for both");
	return shake->bytes + PEER_REQUEST_LEN;
}

/* PROXY header */

static struct socks5_answer read_proxy_header(const uint8_t *bytes, size_t len)
{
	struct proxyv2_answer answer = proxyv2_read(bytes, len);
	struct socks5_answer as = { .need = answer.need };

	switch (answer.status) {
	case PROXYV2_MORE:
		as.status = SOCKS5_MORE;
		break;
	case PROXYV2_DONE:
		as.status = SOCKS5_DONE;
		break;
	case PROXYV2_BAD:
		as.status = SOCKS5_REFUSED;
		as.refusal = SOCKS5_BAD_PROXY_HEADER;
		break;
	}
	return as;
}

/* From here on the connection is the named client's; one without a name is the balancer's own. */
static bool finish_proxy_header(struct half *half)
{
	struct handshake *shake = half->handshake;
	struct in6_addr address;
	uint16_t port;

	shake->skip = (uint32_t)proxyv2_read(shake->bytes, shake->len).rest;
	if (proxyv2_source(shake->bytes, address.s6_addr, &port)) {
		half->address = address;
		half->port = htons(port);
		if (!half_admit(half))
			return false;
	}
	shake->len = 0;
	half_enter(half, HALF_GREETING);
	return true;
}

/* Greeting */

static bool finish_greeting(struct half *half)
{
	uint8_t bytes[PEER_CHALLENGE_LEN];
	size_t len = SOCKS5_METHOD_REPLY_LEN;

	if (half->peer) {
		if (RAND_bytes(nonce_of(half->handshake), PEER_NONCE_LEN) != 1)
			abort();
		peer_challenge(bytes, nonce_of(half->handshake));
		len = PEER_CHALLENGE_LEN;
	} else {
		socks5_method_reply(bytes, true);
	}
	if (!half_reply(half, bytes, len)) {
		half_refuse(half, SOCKS5_CLIENT_LEFT);
		return false;
	}
	half->handshake->len = 0;
	half_enter(half, HALF_REQUEST);
	return true;
}

/* Request */

static void take_seat(struct half *half)
{
	uint8_t hash[SOCKS5_HASH_LEN];

	socks5_request_hash(half->handshake->bytes, hash);
	half_enter(half, HALF_CLAIMING);
	deadline_stop(&half->deadline);
	switch (stream_join(half, hash)) {
	case STREAM_JOIN_SETTLED:
		half_grant(half);
		break;
	case STREAM_JOIN_CLAIMING:
		break; /* the stream grants or refuses when it knows */
	case STREAM_JOIN_FULL:
		half_refuse(half, SOCKS5_THIRD_HALF);
		break;
	case STREAM_JOIN_DRAINING:
		half_refuse(half, SOCKS5_RELAY_DRAINS);
		break;
	case STREAM_JOIN_NOT_OWNED:
		half_refuse(half, SOCKS5_NOT_OWNED);
		break;
	}
}

static bool finish_request(struct half *half)
{
	if (half->pending != NULL && pending_is_over(half->pending))
		half_refuse(half, SOCKS5_ADDRESS_FULL);
	else
		take_seat(half);
	return false;
}

/* What is left is the request, as a client would have sent it. */
static bool finish_peer_request(struct half *half)
{
	struct handshake *shake = half->handshake;

	if (!peer_proof_is_right(shake->bytes, nonce_of(shake), peer_secret)) {
		half_refuse(half, SOCKS5_BAD_PROOF);
		return false;
	}
	memmove(shake->bytes, shake->bytes + PEER_PROOF_LEN, SOCKS5_REQUEST_LEN);
	take_seat(half);
	return false;
}

/* Reading */

/* FINISH is called once the message is whole; true: the next one may be there. */
/* clang-format off */
static const struct message {
	struct socks5_answer (*read)(const uint8_t *bytes, size_t len);
	bool (*finish)(struct half *half);
} of_clients[HALF_STATE_COUNT] = {
	[HALF_PROXIED]  = { read_proxy_header,    finish_proxy_header },
	[HALF_GREETING] = { socks5_read_greeting, finish_greeting },
	[HALF_REQUEST]  = { socks5_read_request,  finish_request },
}, of_peers[HALF_STATE_COUNT] = {
	[HALF_GREETING] = { peer_read_greeting,   finish_greeting },
	[HALF_REQUEST]  = { peer_read_request,    finish_peer_request },
};
/* clang-format on */

/* True: N bytes came. Else nothing is there yet, or the client has left. */
static bool has_read(struct half *half, ssize_t n)
{
	if (n > 0)
		return true;
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		half_refuse(half, SOCKS5_CLIENT_LEFT);
	return false;
}

/* Reads the bytes that the message still lacks, and not one more. */
static bool read_message(struct half *half, size_t need)
{
	struct handshake *shake = half->handshake;
	ssize_t n;

	assert(need <= sizeof(shake->bytes));
	n = recv(half->io.fd, shake->bytes + shake->len, need - shake->len, MSG_DONTWAIT);
	if (n > 0)
		shake->len += (uint32_t)n;
	return has_read(half, n);
}

static bool skip_bytes(struct half *half)
{
	struct handshake *shake = half->handshake;
	ssize_t n = recv(half->io.fd, NULL, shake->skip, MSG_TRUNC | MSG_DONTWAIT);

	if (n > 0)
		shake->skip -= (uint32_t)n;
	return has_read(half, n);
}

/* True: there may be more to do. */
static bool advance(struct half *half)
{
	const struct handshake *shake = half->handshake;
	const struct message *message = &(half->peer ? of_peers : of_clients)[half->state];
	struct socks5_answer answer;

	if (shake->skip > 0)
		return skip_bytes(half);
	answer = message->read(shake->bytes, shake->len);
	switch (answer.status) {
	case SOCKS5_MORE:
		return read_message(half, answer.need);
	case SOCKS5_DONE:
		return message->finish(half);
	case SOCKS5_REFUSED:
		half_refuse(half, answer.refusal);
		break;
	}
	return false;
}

void handshake_ready(struct io *io, uint32_t events)
{
	struct half *half = container_of(io, struct half, io);

	while (advance(half))
		;
}

static int start(void *config)
{
	const struct relay_conf *conf = config;

	peer_secret = conf->peer_secret;
	return 0;
}

const struct daemon_module handshake_module = { "handshakes", start, NULL };
