#include "relayd/io/half.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "common/net/networks.h"
#include "relayd/conf.h"
#include "relayd/front/handshake.h"
#include "relayd/front/listener.h"
#include "relayd/io/socket.h"
#include "relayd/stream/stream.h"

/*
 * After a refusal input is dropped, since closing over unread bytes would send an RST that
 * overtakes the reply.
 */
#define REFUSED_LINGER_MS 2000
#define REFUSED_DROP_MAX (64 * 1024)
#define LOG_EVERY_MS 10000 /* connections that are turned away can come in thousands */

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
static int64_t evicted[1];
static struct metric evicted_metric = {
	.name = "outrigger_relayd_halves_evicted_total",
	.help = "Connections closed before activation to make room for others.",
	.kind = METRIC_COUNTER,
	.numbers = evicted,
};
static size_t connections;
static struct networks trusted; /* balancers that send a PROXY header */

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
	[HALF_PROXIED]  = { handshake_ready, EPOLLIN | EPOLLRDHUP },
	[HALF_GREETING] = { handshake_ready, EPOLLIN | EPOLLRDHUP },
	[HALF_REQUEST]  = { handshake_ready, EPOLLIN | EPOLLRDHUP },
	[HALF_CLAIMING] = { on_parked, EPOLLRDHUP | EPOLLET },
	[HALF_WAITING]  = { on_parked, EPOLLRDHUP | EPOLLET },
	[HALF_ACTIVE]   = { NULL, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET },
	[HALF_REFUSED]  = { on_refused, EPOLLIN },
	[HALF_DIALLED]  = { NULL, EPOLLIN | EPOLLRDHUP },
};
/* clang-format on */

static struct half *half_of(struct io *io)
{
	return container_of(io, struct half, io);
}

void half_enter(struct half *half, enum half_state state)
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
bool half_reply(struct half *half, const uint8_t *bytes, size_t len)
{
	return send(half->io.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

/* A client that says nothing at all may be a balancer's health check, one every second. */
static bool is_silent(const struct half *half)
{
	return half->state <= HALF_GREETING && half->handshake->len == 0;
}

static void count_refusal(const struct half *half, enum socks5_refusal refusal)
{
	char text[NET_TEXT_MAX];

	metric_add(&refusals_metric, refusal, 1);
	if (refusal == SOCKS5_CLIENT_LEFT && is_silent(half))
		return;
	log_info("handshake-refused address=%s%s state=%s reason=%s", half_address(half, text),
	         half->peer ? " peer=yes" : "", state_names[half->state],
	         socks5_refusal_names[refusal]);
}

/* What the protocol has to say at this point; false if that is nothing, or couldn't be said. */
static bool reply_refusal(struct half *half, enum socks5_refusal refusal)
{
	uint8_t bytes[SOCKS5_REFUSAL_LEN];
	size_t len = sizeof(bytes);

	if (half->state == HALF_GREETING) {
		len = SOCKS5_METHOD_REPLY_LEN;
		socks5_method_reply(bytes, false);
	} else {
		socks5_refusal_reply(bytes, refusal);
	}
	return socks5_refusal_codes[refusal] != 0 && half_reply(half, bytes, len);
}

void half_refuse(struct half *half, enum socks5_refusal refusal)
{
	assert(half->stream == NULL);
	count_refusal(half, refusal);
	if (!reply_refusal(half, refusal) || shutdown(half->io.fd, SHUT_WR) != 0) {
		half_close(half, false);
		return;
	}
	half_enter(half, HALF_REFUSED);
	deadline_start(&refused_queue, &half->deadline);
}

/* It makes room at once, so nothing waits for its client to take note. */
void half_evict(struct half *half)
{
	char text[NET_TEXT_MAX];

	metric_add(&evicted_metric, 0, 1);
	log_info("half-evicted address=%s state=%s pending=%zu", half_address(half, text),
	         state_names[half->state], pending_count());
	if (half->state < HALF_WAITING)
		(void)reply_refusal(half, SOCKS5_EVICTED);
	if (half->stream != NULL)
		stream_leave(half, STREAM_EVICTED);
	half_close(half, false);
}

static void on_refused(struct io *io, uint32_t events)
{
	struct half *half = half_of(io);
	ssize_t n = recv(io->fd, NULL, REFUSED_DROP_MAX, MSG_TRUNC | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR) && (events & EPOLLERR) == 0)
		return;
	if (n > 0)
		half->handshake->dropped += (uint32_t)n;
	if (n <= 0 || half->handshake->dropped >= REFUSED_DROP_MAX)
		half_close(half, false);
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
	if (!half_reply(half, bytes, sizeof(bytes))) {
		count_refusal(half, SOCKS5_CLIENT_LEFT);
		stream_leave(half, STREAM_HALVES_LEFT);
		half_close(half, false);
		return;
	}
	free(half->handshake);
	half->handshake = NULL;
	half_enter(half, HALF_WAITING);
	if (!half->stream->bridged) /* else the owner decides how long it waits */
		deadline_start(&pending_queue, &half->deadline);
}

void half_activate(struct half *half, void (*ready)(struct io *io, uint32_t events))
{
	const uint8_t go = PEER_GO;

	assert(half->state == HALF_WAITING || half->state == HALF_DIALLED);
	deadline_stop(&half->deadline);
	pending_remove(half->pending);
	/* A socket that doesn't take it has failed, which the first event will tell. */
	if (half->peer)
		(void)half_reply(half, &go, sizeof(go));
	half->flow = (struct flow){ 0 };
	half->io.ready = ready;
	half_enter(half, HALF_ACTIVE);
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

bool half_admit(struct half *half)
{
	static uint64_t logged_ms;
	char text[NET_TEXT_MAX];

	half->pending = pending_add(half, &half->address);
	if (half->pending != NULL)
		return true;
	metric_add(&refusals_metric, SOCKS5_ADDRESS_FULL, 1);
	if (logged_ms == 0 || loop_now_ms() - logged_ms >= LOG_EVERY_MS) {
		log_warn("connections-turned-away address=%s reason=%s", half_address(half, text),
		         socks5_refusal_names[SOCKS5_ADDRESS_FULL]);
		logged_ms = loop_now_ms();
	}
	half_close(half, true);
	return false;
}

static struct half *half_new(int fd, const union net_address *address, enum half_state state)
{
	struct half *half = mem_alloc(1, sizeof(*half));

	half->io.fd = fd;
	half->state = (uint8_t)state;
	keep_address(half, address);
	connections++;
	metric_add(&halves_metric, state, 1);
	return half;
}

void half_open(int fd, const union net_address *client, enum half_origin origin)
{
	bool proxied = origin == HALF_OF_CLIENT && networks_contain(&trusted, client);
	struct half *half = half_new(fd, client, proxied ? HALF_PROXIED : HALF_GREETING);

	half->handshake = mem_alloc(1, sizeof(*half->handshake));
	half->io.ready = handshake_ready;
	half->peer = origin == HALF_OF_PEER;
	if (io_start(&half->io, fd, steps[half->state].events) != 0) {
		log_error("half-refused why=\"%s\"", strerror(errno));
		half_close(half, false);
		return;
	}
	if (origin == HALF_OF_CLIENT && !proxied && !half_admit(half))
		return;
	deadline_start(&handshake_queue, &half->deadline);
}

struct half *half_dialled(int fd, const union net_address *owner,
                          void (*ready)(struct io *io, uint32_t events))
{
	struct half *half = half_new(fd, owner, HALF_DIALLED);

	half->io.ready = ready;
	if (io_start(&half->io, fd, steps[HALF_DIALLED].events) != 0)
		abort();
	return half;
}

void half_close(struct half *half, bool reset)
{
	io_stop(&half->io);
	if (half->state == HALF_ACTIVE) {
		pump_abandon(&half->flow);
	} else {
		deadline_stop(&half->deadline);
		pending_remove(half->pending);
		free(half->handshake);
	}
	socket_close(half->io.fd, reset);
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

static int start(void *config)
{
	const struct relay_conf *conf = config;

	deadline_queue_init(&handshake_queue, (uint64_t)conf->handshake_timeout_ms,
	                    handshake_expired);
	deadline_queue_init(&refused_queue, REFUSED_LINGER_MS, refused_expired);
	deadline_queue_init(&pending_queue, (uint64_t)conf->pending_timeout_ms, pending_expired);
	(void)networks_read(
	        &trusted,
	        (const char *const *)conf->trusted_proxies); /* checked with the configuration */
	metrics_add(&halves_metric);
	metrics_add(&refusals_metric);
	metrics_add(&evicted_metric);
	return 0;
}

static void close_waiting(struct deadline_queue *queue)
{
	struct list_link *link;

	while ((link = list_first(&queue->waiting)) != NULL)
		half_close(half_of_deadline(container_of(link, struct deadline, link)), false);
	deadline_queue_release(queue);
}

static void stop(void)
{
	close_waiting(&handshake_queue);
	close_waiting(&refused_queue);
	deadline_queue_release(&pending_queue);
	networks_release(&trusted);
}

const struct daemon_module half_module = { "halves", start, stop };
