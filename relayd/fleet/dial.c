#include "relayd/fleet/dial.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/daemon.h"
#include "relayd/conf.h"
#include "relayd/io/socket.h"

#define DIAL_MS 2000 /* from the start to the owner's grant */

#define OUTCOME_NAME(constant, text, refusal) [constant] = text,
#define OUTCOME_REFUSAL(constant, text, refusal) [constant] = refusal,
const char *const dial_outcome_names[] = { DIAL_OUTCOMES(OUTCOME_NAME) };
const enum socks5_refusal dial_outcome_refusals[] = { DIAL_OUTCOMES(OUTCOME_REFUSAL) };

/* What is waited for. */
enum step { STEP_RESOLVING, STEP_CONNECTING, STEP_CHALLENGE, STEP_REPLY };

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

static bool say(struct dial *dial, const uint8_t *bytes, size_t len)
{
	return send(dial->io.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

static void hang_up(struct dial *dial)
{
	io_stop(&dial->io);
	if (dial->io.fd >= 0)
		close(dial->io.fd);
	dial->io.fd = -1;
}

/* Tries the addresses that are left until the kernel begins to connect to one. */
static void connect_next(struct dial *dial)
{
	hang_up(dial);
	while (dial->next < dial->count) {
		dial->io.fd = net_connect(&dial->addresses[dial->next++]);
		if (dial->io.fd < 0)
			continue;
		socket_tune(dial->io.fd, true, settings);
		dial->step = STEP_CONNECTING;
		if (io_start(&dial->io, dial->io.fd, EPOLLOUT) == 0)
			return;
		hang_up(dial);
	}
	finish(dial, DIAL_UNREACHABLE);
}

static void greet(struct dial *dial)
{
	uint8_t greeting[PEER_GREETING_LEN];

	peer_greeting(greeting);
	if (net_connect_error(dial->io.fd) != 0 || !say(dial, greeting, sizeof(greeting))) {
		connect_next(dial);
		return;
	}
	dial->step = STEP_CHALLENGE;
	dial->len = 0;
	if (io_start(&dial->io, dial->io.fd, EPOLLIN | EPOLLRDHUP) != 0)
		finish(dial, DIAL_CUT_OFF);
}

/* The challenge, or the grant, is whole. True: the conversation goes on. */
static bool answer(struct dial *dial)
{
	if (dial->step == STEP_REPLY) {
		finish(dial, DIAL_GRANTED);
		return false;
	}
	peer_request(dial->request, dial->bytes, dial->hash, settings->peer_secret);
	if (!say(dial, dial->request, sizeof(dial->request))) {
		finish(dial, DIAL_CUT_OFF);
		return false;
	}
	dial->step = STEP_REPLY;
	dial->len = 0;
	return true;
}

static enum dial_outcome outcome_of(enum socks5_refusal refusal)
{
	if (refusal == SOCKS5_THIRD_HALF)
		return DIAL_THIRD_HALF;
	return refusal == SOCKS5_NOT_OWNED ? DIAL_REFUSED : DIAL_NO_RELAY;
}

/* Reads what the message lacks, and no byte of what may follow it. True: some came. */
static bool read_more(struct dial *dial, size_t need)
{
	ssize_t n;

	assert(need <= sizeof(dial->bytes));
	n = recv(dial->io.fd, dial->bytes + dial->len, need - dial->len, MSG_DONTWAIT);
	if (n > 0) {
		dial->len = (uint8_t)(dial->len + n);
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		finish(dial, DIAL_CUT_OFF);
	return false;
}

/* True: there may be more to do. */
static bool listen_on(struct dial *dial)
{
	struct socks5_answer heard =
	        dial->step == STEP_CHALLENGE
	                ? peer_read_challenge(dial->bytes, dial->len)
	                : peer_read_reply(dial->bytes, dial->len, dial->request);

	switch (heard.status) {
	case SOCKS5_MORE:
		return read_more(dial, heard.need);
	case SOCKS5_DONE:
		return answer(dial);
	case SOCKS5_REFUSED:
		finish(dial, outcome_of(heard.refusal));
		break;
	}
	return false;
}

static void on_ready(struct io *io, uint32_t events)
{
	struct dial *dial = container_of(io, struct dial, io);

	if (dial->step == STEP_CONNECTING) {
		greet(dial);
		return;
	}
	while (listen_on(dial))
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

static void on_late(struct deadline *deadline)
{
	finish(container_of(deadline, struct dial, deadline), DIAL_TIMED_OUT);
}

void dial_open(struct dial *dial, const char *peer, const uint8_t hash[SOCKS5_HASH_LEN])
{
	char host[NET_HOST_MAX + 1];
	uint16_t port;

	memcpy(dial->hash, hash, SOCKS5_HASH_LEN);
	dial->io.ready = on_ready;
	dial->io.fd = -1;
	dial->resolve.done = on_resolved;
	dial->step = STEP_RESOLVING;
	deadline_start(&dial_queue, &dial->deadline);
	/* What isn't host:port is looked up as a name that nobody has. */
	if (net_split(peer, host, &port) != 0)
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
	deadline_queue_init(&dial_queue, DIAL_MS, on_late);
	return 0;
}

static void stop(void)
{
	deadline_queue_release(&dial_queue);
}

const struct daemon_module dial_module = { "dialling", start, stop };
