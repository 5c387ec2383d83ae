#include "relayd/fleet/dial.h"

#include <assert.h>
#include <openssl/rand.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/panic.h"
#include "common/daemon.h"
#include "relayd/conf.h"
#include "relayd/io/conn.h"

#define DIAL_MS 2000 /* from the start to the owner's grant */

#define OUTCOME_NAME(constant, text) [constant] = text,
const char *const dial_outcome_names[] = { DIAL_OUTCOMES(OUTCOME_NAME) };

/* What is waited for. */
enum dial_state { DIAL_RESOLVING, DIAL_CONNECTING, DIAL_AWAITS_CHALLENGE, DIAL_AWAITS_REPLY };

static struct deadline_queue dial_queue;
static const struct relay_conf *settings; /* borrowed */

static void finish(struct dial *dial, enum dial_outcome outcome)
{
	int fd = dial->io.fd;

	io_stop(&dial->io);
	if (outcome == DIAL_GRANTED)
		dial->io.fd = -1;
	dial_close(dial);
	dial->done(dial, outcome == DIAL_GRANTED ? fd : -1, outcome);
}

static void hang_up(struct dial *dial)
{
	io_stop(&dial->io);
	if (dial->io.fd >= 0)
		close(dial->io.fd);
	dial->io.fd = -1;
}

/* Tries the remaining addresses until the kernel begins to connect to one. */
static void connect_next(struct dial *dial)
{
	hang_up(dial);
	while (dial->next < dial->count) {
		dial->io.fd = net_connect(&dial->addresses[dial->next++]);
		if (dial->io.fd < 0)
			continue;
		conn_tune(dial->io.fd, true, settings);
		dial->state = DIAL_CONNECTING;
		if (io_start(&dial->io, dial->io.fd, EPOLLOUT) == 0)
			return;
		hang_up(dial);
	}
	finish(dial, DIAL_UNREACHABLE);
}

static void greet(struct dial *dial)
{
	if (net_connect_error(dial->io.fd) != 0 ||
	    !conn_send(dial->io.fd, peering_greeting, PEERING_GREETING_LEN)) {
		connect_next(dial);
		return;
	}
	dial->state = DIAL_AWAITS_CHALLENGE;
	dial->len = 0;
	if (io_start(&dial->io, dial->io.fd, EPOLLIN | EPOLLRDHUP) != 0)
		finish(dial, DIAL_CUT_OFF);
}

static bool respond(struct dial *dial)
{
	const struct peering_key key = { settings->peer_secret, dial->owner };
	uint8_t nonce[PEERING_NONCE_LEN], request[PEERING_REQUEST_LEN];

	if (RAND_bytes(nonce, sizeof(nonce)) != 1)
		panic("RAND_bytes");
	peering_request(request, dial->bytes, nonce, dial->hash, &key);
	peering_grant(dial->grant, request, dial->bytes, &key);
	return conn_send(dial->io.fd, request, sizeof(request));
}

/* The challenge, or the grant, is whole. True: another message is expected. */
static bool on_message(struct dial *dial)
{
	if (dial->state == DIAL_AWAITS_REPLY) {
		finish(dial, DIAL_GRANTED);
		return false;
	}
	if (!respond(dial)) {
		finish(dial, DIAL_CUT_OFF);
		return false;
	}
	dial->state = DIAL_AWAITS_REPLY;
	dial->len = 0;
	return true;
}

/* The owner's answer is bad, or a refusal. */
static enum dial_outcome outcome_of(const struct parse *parse)
{
	if (parse->fault != PARSE_REFUSED)
		return DIAL_NO_RELAY;
	return parse->reply == SOCKS5_NOT_ALLOWED ? DIAL_THIRD_HALF : DIAL_REFUSED;
}

/* True: some of the bytes that the message lacks came. */
static bool read_more(struct dial *dial, size_t need)
{
	ssize_t n;

	assert(need <= sizeof(dial->bytes));
	n = conn_read(dial->io.fd, dial->bytes + dial->len, need - dial->len);
	if (n > 0)
		dial->len = (uint8_t)(dial->len + n);
	else if (n < 0)
		finish(dial, DIAL_CUT_OFF);
	return n > 0;
}

/* True: there may be more to do. */
static bool read_message(struct dial *dial)
{
	struct parse parse = dial->state == DIAL_AWAITS_CHALLENGE
	                             ? peering_read_challenge(dial->bytes, dial->len)
	                             : peering_read_reply(dial->bytes, dial->len, dial->grant);

	switch (parse.status) {
	case PARSE_MORE:
		return read_more(dial, parse.need);
	case PARSE_DONE:
		return on_message(dial);
	case PARSE_BAD:
		finish(dial, outcome_of(&parse));
		break;
	}
	return false;
}

static void on_ready(struct io *io, uint32_t events)
{
	struct dial *dial = container_of(io, struct dial, io);

	if (dial->state == DIAL_CONNECTING) {
		greet(dial);
		return;
	}
	while (read_message(dial))
		;
}

static void on_resolved(struct resolve *resolve, const union net_address *addresses, size_t count,
                        const char *why)
{
	struct dial *dial = container_of(resolve, struct dial, resolve);

	if (count == 0) {
		finish(dial, DIAL_NO_ADDRESS);
		return;
	}
	dial->count = count < DIAL_ADDRESSES_MAX ? (unsigned)count : DIAL_ADDRESSES_MAX;
	memcpy(dial->addresses, addresses, dial->count * sizeof(addresses[0]));
	connect_next(dial);
}

static void on_timeout(struct deadline *deadline)
{
	finish(container_of(deadline, struct dial, deadline), DIAL_TIMED_OUT);
}

void dial_open(struct dial *dial, const char *owner, const char *address,
               const uint8_t hash[SOCKS5_HASH_LEN])
{
	char host[NET_HOST_MAX + 1];
	uint16_t port;

	memcpy(dial->hash, hash, SOCKS5_HASH_LEN);
	dial->owner = owner;
	dial->io.ready = on_ready;
	dial->io.fd = -1;
	dial->resolve.done = on_resolved;
	dial->state = DIAL_RESOLVING;
	deadline_start(&dial_queue, &dial->deadline);
	/* An address that isn't host:port is looked up as the empty name, which doesn't exist. */
	if (net_split(address, host, &port) != 0)
		host[0] = '\0';
	resolve_start(&dial->resolve, host, port);
}

void dial_close(struct dial *dial)
{
	resolve_stop(&dial->resolve);
	deadline_stop(&dial->deadline);
	hang_up(dial);
}

const union net_address *dial_address(const struct dial *dial)
{
	return &dial->addresses[dial->next - 1];
}

static int start(void *config)
{
	settings = config;
	deadline_queue_init(&dial_queue, DIAL_MS, on_timeout);
	return 0;
}

static void stop(void)
{
	deadline_queue_release(&dial_queue);
}

const struct daemon_module dial_module = { "dialling", start, stop };
