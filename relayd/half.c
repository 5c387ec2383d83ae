#include "relayd/half.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "relayd/conf.h"
#include "relayd/listener.h"
#include "relayd/stream.h"

/*
 * After a refusal input is dropped, since closing over unread bytes would send an RST that
 * overtakes the reply.
 */
#define REFUSED_LINGER_MS 2000
#define REFUSED_DROP_MAX (64 * 1024)

struct handshake {
	size_t len;     /* of the message that is being read */
	size_t dropped; /* bytes read and dropped after a refusal */
	uint8_t bytes[SOCKS5_GREETING_MAX];
};

static struct deadline_queue handshake_queue; /* accept to whole request */
static struct deadline_queue refused_queue;
static struct deadline_queue pending_queue; /* grant to activation */

#define STATE_NAME(constant, text) [constant] = text,
static const char *const state_names[] = { HALF_STATES(STATE_NAME) };
static int64_t by_state[HALF_STATE_COUNT];
static struct metric halves_metric = {
	.name = "outrigger_relayd_halves",
	.help = "Client connections by state.",
	.kind = METRIC_GAUGE,
	.label = "state",
	.values = state_names,
	.series = HALF_STATE_COUNT,
	.numbers = by_state,
};
static int64_t refusals[SOCKS5_REFUSAL_COUNT];
static struct metric refusals_metric = {
	.name = "outrigger_relayd_handshakes_refused_total",
	.help = "Handshakes that did not lead to a half, by reason.",
	.kind = METRIC_COUNTER,
	.label = "reason",
	.values = socks5_refusal_names,
	.series = SOCKS5_REFUSAL_COUNT,
	.numbers = refusals,
};
static size_t connections;

static void on_handshake(struct io *io, uint32_t events);
static void on_parked(struct io *io, uint32_t events);
static void on_refused(struct io *io, uint32_t events);

/*
 * What each state waits for. A parked half watches for the client's leaving alone, edge-triggered:
 * its unread bytes would wake a level-triggered watch for ever.
 */
/* clang-format off */
static const struct step {
	void (*ready)(struct io *io, uint32_t events);
	uint32_t events;
} steps[HALF_STATE_COUNT] = {
	[HALF_GREETING] = { on_handshake, EPOLLIN | EPOLLRDHUP },
	[HALF_REQUEST]  = { on_handshake, EPOLLIN | EPOLLRDHUP },
	[HALF_CLAIMING] = { on_parked, EPOLLRDHUP | EPOLLET },
	[HALF_WAITING]  = { on_parked, EPOLLRDHUP | EPOLLET },
	[HALF_ACTIVE]   = { NULL, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET },
	[HALF_REFUSED]  = { on_refused, EPOLLIN },
};
/* clang-format on */

static struct half *half_of(struct io *io)
{
	return container_of(io, struct half, io);
}

static void enter(struct half *half, enum half_state state)
{
	const struct step *step = &steps[state];

	log_debug("half fd=%d from=%s to=%s", half->io.fd, state_names[half->state],
	          state_names[state]);
	metric_add(&halves_metric, half->state, -1);
	metric_add(&halves_metric, state, 1);
	half->state = (uint8_t)state;
	if (step->ready != NULL)
		half->io.ready = step->ready;
	/* Only memory could be short for a change of an event mask. */
	if (io_start(&half->io, half->io.fd, step->events) != 0)
		abort();
}

/* Sends a reply as one segment; a socket that has sent next to nothing has room for it. */
static bool reply(struct half *half, const uint8_t *bytes, size_t len)
{
	return send(half->io.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

static void count_refusal(const struct half *half, enum socks5_refusal refusal)
{
	char text[NET_TEXT_MAX];

	metric_add(&refusals_metric, refusal, 1);
	log_info("handshake-refused address=%s state=%s reason=%s", half_address(half, text),
	         state_names[half->state], socks5_refusal_names[refusal]);
}

void half_refuse(struct half *half, enum socks5_refusal refusal)
{
	uint8_t bytes[SOCKS5_REFUSAL_LEN];
	size_t len = sizeof(bytes);

	assert(half->stream == NULL);
	count_refusal(half, refusal);
	if (half->state == HALF_GREETING) {
		len = SOCKS5_METHOD_REPLY_LEN;
		socks5_method_reply(bytes, false);
	} else {
		socks5_refusal_reply(bytes, refusal);
	}
	if (socks5_refusal_codes[refusal] == 0 || !reply(half, bytes, len) ||
	    shutdown(half->io.fd, SHUT_WR) != 0) {
		half_close(half, false);
		return;
	}
	enter(half, HALF_REFUSED);
	deadline_start(&refused_queue, &half->deadline);
}

static void on_refused(struct io *io, uint32_t events)
{
	struct half *half = half_of(io);
	ssize_t n = recv(io->fd, NULL, REFUSED_DROP_MAX, MSG_TRUNC | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR) && (events & EPOLLERR) == 0)
		return;
	if (n > 0)
		half->handshake->dropped += (size_t)n;
	if (n <= 0 || half->handshake->dropped >= REFUSED_DROP_MAX)
		half_close(half, false);
}

static void take_seat(struct half *half)
{
	uint8_t hash[SOCKS5_HASH_LEN];

	socks5_request_hash(half->handshake->bytes, hash);
	enter(half, HALF_CLAIMING);
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
	}
}

/* A whole message is there. True: go on with the next one. */
static bool finish_message(struct half *half)
{
	uint8_t method[SOCKS5_METHOD_REPLY_LEN];

	if (half->state == HALF_REQUEST) {
		take_seat(half);
		return false;
	}
	socks5_method_reply(method, true);
	if (!reply(half, method, sizeof(method))) {
		half_refuse(half, SOCKS5_CLIENT_LEFT);
		return false;
	}
	half->handshake->len = 0;
	enter(half, HALF_REQUEST);
	return true;
}

/* Reads the bytes that the message still lacks, and not one more. True: some came. */
static bool read_message(struct half *half, size_t need)
{
	struct handshake *shake = half->handshake;
	ssize_t n = recv(half->io.fd, shake->bytes + shake->len, need - shake->len, MSG_DONTWAIT);

	assert(need <= sizeof(shake->bytes));
	if (n > 0) {
		shake->len += (size_t)n;
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		half_refuse(half, SOCKS5_CLIENT_LEFT);
	return false;
}

static void on_handshake(struct io *io, uint32_t events)
{
	struct half *half = half_of(io);
	bool going = true;

	while (going) {
		const struct handshake *shake = half->handshake;
		struct socks5_answer answer =
		        half->state == HALF_GREETING
		                ? socks5_read_greeting(shake->bytes, shake->len)
		                : socks5_read_request(shake->bytes, shake->len);

		switch (answer.status) {
		case SOCKS5_MORE:
			going = read_message(half, answer.need);
			break;
		case SOCKS5_DONE:
			going = finish_message(half);
			break;
		case SOCKS5_REFUSED:
			half_refuse(half, answer.refusal);
			return;
		}
	}
}

/*
 * The client left before activation? What it sent before its FIN may be a whole file, so the half
 * stays as long as anything waits in the socket.
 */
static void on_parked(struct io *io, uint32_t events)
{
	struct half *half = half_of(io);
	int waiting = 0;

	if ((events & (EPOLLERR | EPOLLHUP)) == 0 && ioctl(io->fd, FIONREAD, &waiting) == 0 &&
	    waiting > 0)
		return;
	if (half->state == HALF_CLAIMING)
		count_refusal(half, SOCKS5_CLIENT_LEFT);
	stream_leave(half, STREAM_HALVES_LEFT);
	half_close(half, false);
}

void half_grant(struct half *half)
{
	uint8_t bytes[SOCKS5_GRANT_LEN];

	socks5_grant_reply(bytes, half->handshake->bytes);
	if (!reply(half, bytes, sizeof(bytes))) {
		count_refusal(half, SOCKS5_CLIENT_LEFT);
		stream_leave(half, STREAM_HALVES_LEFT);
		half_close(half, false);
		return;
	}
	free(half->handshake);
	half->handshake = NULL;
	enter(half, HALF_WAITING);
	deadline_start(&pending_queue, &half->deadline);
}

void half_activate(struct half *half, void (*ready)(struct io *io, uint32_t events))
{
	assert(half->state == HALF_WAITING);
	deadline_stop(&half->deadline);
	half->flow = (struct flow){ 0 };
	half->io.ready = ready;
	enter(half, HALF_ACTIVE);
}

static void keep_address(struct half *half, const union net_address *client)
{
	if (client->sa.sa_family == AF_INET6) {
		half->address = client->in6.sin6_addr;
		half->port = client->in6.sin6_port;
		return;
	}
	half->address.s6_addr[10] = half->address.s6_addr[11] = 0xff;
	memcpy(&half->address.s6_addr[12], &client->in.sin_addr, sizeof(client->in.sin_addr));
	half->port = client->in.sin_port;
}

const char *half_address(const struct half *half, char *text)
{
	union net_address client = { 0 };

	client.in6.sin6_family = AF_INET6;
	client.in6.sin6_addr = half->address;
	client.in6.sin6_port = half->port;
	return net_format(&client, text);
}

void half_open(int fd, const union net_address *client)
{
	struct half *half = mem_alloc(1, sizeof(*half));

	half->handshake = mem_alloc(1, sizeof(*half->handshake));
	half->io.fd = fd;
	half->io.ready = on_handshake;
	half->state = HALF_GREETING;
	keep_address(half, client);
	connections++;
	metric_add(&halves_metric, HALF_GREETING, 1);
	if (io_start(&half->io, fd, steps[HALF_GREETING].events) != 0) {
		log_error("half-refused why=\"%s\"", strerror(errno));
		half_close(half, false);
		return;
	}
	deadline_start(&handshake_queue, &half->deadline);
}

void half_close(struct half *half, bool reset)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	io_stop(&half->io);
	if (half->state == HALF_ACTIVE) {
		pump_abandon(&half->flow);
	} else {
		deadline_stop(&half->deadline);
		free(half->handshake);
	}
	if (reset)
		(void)setsockopt(half->io.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(half->io.fd);
	metric_add(&halves_metric, half->state, -1);
	connections--;
	free(half);
	listener_resume();
}

uint64_t half_received(const struct half *half)
{
	return half->state == HALF_ACTIVE ? half->flow.received : 0;
}

uint64_t half_delivered(const struct half *half)
{
	return half->state == HALF_ACTIVE ? half->flow.delivered : 0;
}

size_t half_count(void)
{
	return connections;
}

/* The module */

static struct half *half_of_deadline(struct deadline *deadline)
{
	return container_of(deadline, struct half, deadline);
}

static void handshake_expired(struct deadline *deadline)
{
	half_refuse(half_of_deadline(deadline), SOCKS5_TIMED_OUT);
}

static void refused_expired(struct deadline *deadline)
{
	half_close(half_of_deadline(deadline), false);
}

static void pending_expired(struct deadline *deadline)
{
	struct half *half = half_of_deadline(deadline);

	stream_leave(half, STREAM_NOT_ACTIVATED);
	half_close(half, false);
}

int half_start(void *config)
{
	const struct relay_conf *conf = config;

	deadline_queue_init(&handshake_queue, (uint64_t)conf->handshake_timeout_ms,
	                    handshake_expired);
	deadline_queue_init(&refused_queue, REFUSED_LINGER_MS, refused_expired);
	deadline_queue_init(&pending_queue, (uint64_t)conf->pending_timeout_ms, pending_expired);
	metrics_add(&halves_metric);
	metrics_add(&refusals_metric);
	return 0;
}

static void close_waiting(struct deadline_queue *queue)
{
	struct list_link *link;

	while ((link = list_first(&queue->waiting)) != NULL)
		half_close(half_of_deadline(container_of(link, struct deadline, link)), false);
	deadline_queue_release(queue);
}

void half_stop(void)
{
	close_waiting(&handshake_queue);
	close_waiting(&refused_queue);
	deadline_queue_release(&pending_queue);
}
