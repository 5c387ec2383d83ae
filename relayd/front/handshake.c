#include "relayd/front/handshake.h"

#include <assert.h>
#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/base/log.h"
#include "common/base/log_rate.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/base/panic.h"
#include "common/daemon.h"
#include "common/net/networks.h"
#include "relayd/conf.h"
#include "relayd/fleet/fleet.h"
#include "relayd/front/source_limit.h"
#include "relayd/io/conn.h"
#include "relayd/stream/bridge.h"
#include "relayd/stream/stream.h"
#include "relayd/wire/peering.h"
#include "relayd/wire/proxyv2.h"

/*
 * After a refusal input is discarded for a while: closing over unread bytes would send an RST that
 * overtakes the reply.
 */
#define REFUSED_LINGER_MS 2000
#define REFUSED_DROP_MAX (64 * 1024)
#define UNPROVED_MAX 256    /* connections at the peers' listener that have shown no proof yet */
#define LOG_EVERY_MS 10000  /* connections over the cap can come in thousands */
#define IDLE_LEAST_MS 60000 /* a stream without a byte for so long may end to make room */

#define SILENT SOCKS5_SUCCEEDED /* no reply: the connection is just closed */

/*
 * Why a handshake did not lead to a half: constant, text, reply. Before the request the protocol
 * has only one refusal, "no acceptable method".
 */
/* clang-format off */
#define REFUSALS(X)                                                                             \
	X(REFUSAL_BAD_VERSION,       "bad-version",       SOCKS5_GENERAL_FAILURE)               \
	X(REFUSAL_NO_METHOD,         "no-method",         SOCKS5_GENERAL_FAILURE)               \
	X(REFUSAL_BAD_COMMAND,       "bad-command",       SOCKS5_COMMAND_NOT_SUPPORTED)         \
	X(REFUSAL_BAD_ADDRESS_TYPE,  "bad-address-type",  SOCKS5_ADDRESS_TYPE_NOT_SUPPORTED)    \
	X(REFUSAL_BAD_NAME,          "bad-name",          SOCKS5_HOST_UNREACHABLE)              \
	X(REFUSAL_THIRD_HALF,        "third-half",        SOCKS5_NOT_ALLOWED)                   \
	X(REFUSAL_RELAY_DRAINS,      "relay-drains",      SOCKS5_GENERAL_FAILURE)               \
	X(REFUSAL_REDIS_UNAVAILABLE, "redis-unavailable", SOCKS5_GENERAL_FAILURE)               \
	X(REFUSAL_OWNED_ELSEWHERE,   "owned-elsewhere",   SOCKS5_GENERAL_FAILURE)               \
	X(REFUSAL_BRIDGE_FAILED,     "bridge-failed",     SOCKS5_GENERAL_FAILURE)               \
	X(REFUSAL_BAD_PROOF,         "bad-proof",         SOCKS5_GENERAL_FAILURE)               \
	X(REFUSAL_UNPROVED_FULL,     "unproved-full",     SOCKS5_GENERAL_FAILURE)               \
	X(REFUSAL_NOT_OWNED,         "not-owned",         SOCKS5_GENERAL_FAILURE)               \
	X(REFUSAL_ADDRESS_FULL,      "address-full",      SOCKS5_NOT_ALLOWED)                   \
	X(REFUSAL_RELAY_FULL,        "relay-full",        SOCKS5_GENERAL_FAILURE)               \
	X(REFUSAL_EVICTED,           "evicted",           SOCKS5_GENERAL_FAILURE)               \
	X(REFUSAL_BAD_PROXY_HEADER,  "bad-proxy-header",  SILENT)                               \
	X(REFUSAL_TIMED_OUT,         "timed-out",         SILENT)                               \
	X(REFUSAL_CLIENT_LEFT,       "client-left",       SILENT)
/* clang-format on */

#define REFUSAL_ENUM(constant, text, reply) constant,
enum refusal { REFUSALS(REFUSAL_ENUM) REFUSAL_COUNT };

#define REFUSAL_NAME(constant, text, reply) [constant] = text,
static const char *const refusal_names[] = { REFUSALS(REFUSAL_NAME) };
#define REFUSAL_REPLY(constant, text, reply) [constant] = reply,
static const enum socks5_reply refusal_replies[] = { REFUSALS(REFUSAL_REPLY) };

static const enum refusal fault_refusals[PARSE_FAULTS] = {
	[PARSE_BAD_VERSION] = REFUSAL_BAD_VERSION,
	[PARSE_NO_METHOD] = REFUSAL_NO_METHOD,
	[PARSE_BAD_COMMAND] = REFUSAL_BAD_COMMAND,
	[PARSE_BAD_ADDRESS_TYPE] = REFUSAL_BAD_ADDRESS_TYPE,
	[PARSE_BAD_NAME] = REFUSAL_BAD_NAME,
	[PARSE_BAD_HEADER] = REFUSAL_BAD_PROXY_HEADER,
};

/*
 * Kept until the grant is sent, which echoes the request. A relay's messages are shorter than a
 * client's greeting may be, so its nonce fits behind them.
 */
struct handshake {
	uint32_t len;     /* of the message that is being read */
	uint32_t skip;    /* bytes of the PROXY header still to be discarded */
	uint32_t dropped; /* bytes that came after a refusal */
	bool unproved;    /* it is counted as a connection that has shown no proof */
	uint8_t bytes[SOCKS5_GREETING_MAX];
};

static struct deadline_queue handshake_queue; /* accept to whole request */
static struct deadline_queue unproved_queue;  /* the same at the peers' listener */
static size_t unproved;                       /* connections in it */
static struct deadline_queue refused_queue;
static struct deadline_queue waiting_queue; /* grant to activation */

/* Connections at most: of all kinds, and before first halves are refused. */
static struct {
	size_t max, first_max;
} caps;

static struct networks trusted;        /* balancers that send a PROXY header */
static const char *peering_secrets[2]; /* borrowed from the configuration; NULL: none */
#define REFUSAL_RATE(constant, text, reply) [constant].what = "handshake-refused reason=" text,
static struct log_rate refusal_rates[] = { REFUSALS(REFUSAL_RATE) };
static struct log_rate eviction_rate = { "half-evicted" };
static int64_t refusals[REFUSAL_COUNT];
static struct metric refusals_metric = {
	.name = "outrigger_relayd_handshakes_refused_total",
	.help = "Handshakes that did not lead to a half, by reason.",
	.kind = METRIC_COUNTER,
	.label = "reason",
	.values = refusal_names,
	.series = REFUSAL_COUNT,
	.numbers = refusals,
};
static int64_t evicted[1];
static struct metric evicted_metric = {
	.name = "outrigger_relayd_halves_evicted_total",
	.help = "Connections closed before activation to make room for others.",
	.kind = METRIC_COUNTER,
	.numbers = evicted,
};

/* States */

static void on_message_bytes(struct io *io, uint32_t events);
static void on_parked(struct io *io, uint32_t events);
static void on_refused(struct io *io, uint32_t events);

/*
 * What each state waits for. A parked connection watches only for the client's leaving, and
 * edge-triggered: its unread bytes would wake a level-triggered watch for ever.
 */
/* clang-format off */
static const struct step {
	void (*ready)(struct io *io, uint32_t events);
	uint32_t events;
} steps[CONN_STATE_COUNT] = {
	[CONN_PROXIED]  = { on_message_bytes, EPOLLIN | EPOLLRDHUP },
	[CONN_GREETING] = { on_message_bytes, EPOLLIN | EPOLLRDHUP },
	[CONN_REQUEST]  = { on_message_bytes, EPOLLIN | EPOLLRDHUP },
	[CONN_CLAIMING] = { on_parked, EPOLLRDHUP | EPOLLET },
	[CONN_WAITING]  = { on_parked, EPOLLRDHUP | EPOLLET },
	[CONN_REFUSED]  = { on_refused, EPOLLIN },
};
/* clang-format on */

static struct conn *conn_of(struct io *io)
{
	return container_of(io, struct conn, io);
}

static void enter(struct conn *conn, enum conn_state state)
{
	conn_enter(conn, state, steps[state].ready, steps[state].events);
}

static bool has_said_nothing(const struct conn *conn)
{
	return (conn->state == CONN_PROXIED || conn->state == CONN_GREETING) &&
	       conn->handshake->len == 0;
}

/* True while the client has got neither its grant nor a refusal. */
static bool awaits_reply(const struct conn *conn)
{
	return conn->handshake != NULL && conn->state != CONN_REFUSED;
}

static uint8_t *nonce_of(struct handshake *handshake)
{
	_Static_assert(PEERING_REQUEST_LEN + PEERING_NONCE_LEN + PEERING_PROOF_LEN <=
	                       SOCKS5_GREETING_MAX,
	               "room for all");
	return handshake->bytes + PEERING_REQUEST_LEN;
}

/* This relay's own proof, which the grant shows to the bridging relay. */
static uint8_t *proof_of(struct handshake *handshake)
{
	return nonce_of(handshake) + PEERING_NONCE_LEN;
}

/* Refusing */

/* A client that says nothing at all may be a balancer's health check, one every second. */
static void count_refusal(const struct conn *conn, enum refusal refusal)
{
	char text[NET_TEXT_MAX];

	metric_add(&refusals_metric, refusal, 1);
	if (refusal == REFUSAL_CLIENT_LEFT && has_said_nothing(conn))
		return;
	if (!log_rate_allows(&refusal_rates[refusal]))
		return;
	log_info("handshake-refused address=%s%s state=%s reason=%s", conn_address(conn, text),
	         conn->peering ? " peering=yes" : "", conn_state_names[conn->state],
	         refusal_names[refusal]);
}

/* Sends the reply that the protocol has for this state; false if there is none, or it failed. */
static bool reply_refusal(struct conn *conn, enum refusal refusal)
{
	enum socks5_reply reply = refusal_replies[refusal];
	uint8_t bytes[SOCKS5_REFUSAL_LEN];
	size_t len = sizeof(bytes);

	if (conn->state == CONN_GREETING) {
		len = SOCKS5_METHOD_REPLY_LEN;
		socks5_method_reply(bytes, false);
	} else {
		socks5_refusal_reply(bytes, reply);
	}
	return reply != SILENT && conn_send(conn->io.fd, bytes, len);
}

/* CONN doesn't count any more as one that has shown no proof. */
static void leave_unproved(struct conn *conn)
{
	if (conn->handshake == NULL || !conn->handshake->unproved)
		return;
	conn->handshake->unproved = false;
	unproved--;
}

/* Replies and closes; CONN has no place in a pair, and may be gone after. */
static void refuse(struct conn *conn, enum refusal refusal)
{
	assert(conn->pair == NULL);
	leave_unproved(conn);
	count_refusal(conn, refusal);
	if (!reply_refusal(conn, refusal) || shutdown(conn->io.fd, SHUT_WR) != 0) {
		conn_close(conn, false);
		return;
	}
	enter(conn, CONN_REFUSED);
	deadline_start(&refused_queue, &conn->deadline);
}

static void on_refused(struct io *io, uint32_t events)
{
	struct conn *conn = conn_of(io);
	ssize_t n = conn_read(io->fd, NULL, REFUSED_DROP_MAX);

	if (n == 0 && (events & EPOLLERR) == 0)
		return;
	if (n > 0)
		conn->handshake->dropped += (uint32_t)n;
	if (n <= 0 || conn->handshake->dropped >= REFUSED_DROP_MAX)
		conn_close(conn, false);
}

/* Makes room for another connection at once, without waiting for the client to see the reply. */
static void evict(struct conn *conn)
{
	bool granted = conn->handshake == NULL;
	char text[NET_TEXT_MAX];

	metric_add(&evicted_metric, 0, 1);
	if (log_rate_allows(&eviction_rate))
		log_info("half-evicted address=%s state=%s pending=%zu", conn_address(conn, text),
		         conn_state_names[conn->state], source_limit_count());
	if (awaits_reply(conn))
		(void)reply_refusal(conn, REFUSAL_EVICTED);
	if (conn->pair != NULL)
		pair_leave(conn, REASON_EVICTED);
	conn_close(conn, granted);
}

/* Parked: claiming and waiting */

/* A client that was granted and is still there gets an RST: a FIN would be an empty file's end. */
static void leave(struct conn *conn, enum reason reason)
{
	pair_leave(conn, reason);
	conn_close(conn, reason != REASON_ABANDONED);
}

/*
 * A client that left before the activation may have sent a whole file before its FIN, so the
 * connection stays as long as bytes wait in the socket.
 */
static void on_parked(struct io *io, uint32_t events)
{
	struct conn *conn = conn_of(io);
	int waiting = 0;

	if ((events & (EPOLLERR | EPOLLHUP)) == 0 && ioctl(io->fd, FIONREAD, &waiting) == 0 &&
	    waiting > 0)
		return;
	if (conn->state == CONN_CLAIMING)
		count_refusal(conn, REFUSAL_CLIENT_LEFT);
	leave(conn, REASON_ABANDONED);
}

/* False: the client has left, and CONN is gone. */
static bool grant(struct conn *conn)
{
	uint8_t bytes[PEERING_GRANT_LEN];
	size_t len = conn->peering ? PEERING_GRANT_LEN : SOCKS5_GRANT_LEN;

	socks5_grant_reply(bytes, conn->handshake->bytes);
	if (conn->peering)
		memcpy(bytes + SOCKS5_GRANT_LEN, proof_of(conn->handshake), PEERING_PROOF_LEN);
	if (!conn_send(conn->io.fd, bytes, len)) {
		count_refusal(conn, REFUSAL_CLIENT_LEFT);
		leave(conn, REASON_ABANDONED);
		return false;
	}
	free(conn->handshake);
	conn->handshake = NULL;
	enter(conn, CONN_WAITING);
	return true;
}

static bool is_first_half(const struct conn *conn)
{
	return conn->pair->conns[0] == NULL || conn->pair->conns[1] == NULL;
}

/*
 * CONN is a half of a stream that is this relay's. A first half is refused when only the reserve is
 * left, which is for second halves and other relays.
 */
static void grant_and_wait(struct conn *conn)
{
	if (!conn->peering && is_first_half(conn) && conn_count() > caps.first_max) {
		pair_leave(conn, REASON_EVICTED);
		refuse(conn, REFUSAL_RELAY_FULL);
	} else if (grant(conn)) {
		deadline_start(&waiting_queue, &conn->deadline);
	}
}

/* How long a bridged client waits for the activation is up to the owner. */
static void on_dialled(struct conn *conn, enum dial_outcome outcome)
{
	if (outcome == DIAL_GRANTED)
		(void)grant(conn);
	else
		refuse(conn,
		       outcome == DIAL_THIRD_HALF ? REFUSAL_THIRD_HALF : REFUSAL_BRIDGE_FAILED);
}

/* A relay's half isn't bridged on: the relay that sent it is mistaken about the owner. */
static void bridge_or_refuse(struct conn *conn, const struct stream_verdict *verdict)
{
	if (conn->peering || !bridge_open(conn, verdict->hash, verdict->owner, on_dialled))
		refuse(conn, REFUSAL_OWNED_ELSEWHERE);
}

static void on_settled(struct conn *conn, const struct stream_verdict *verdict)
{
	switch (verdict->outcome) {
	case CLAIM_OURS:
		grant_and_wait(conn);
		break;
	case CLAIM_ELSEWHERE:
		bridge_or_refuse(conn, verdict);
		break;
	case CLAIM_UNKNOWN:
		refuse(conn, REFUSAL_REDIS_UNAVAILABLE);
		break;
	}
}

/* The PROXY header */

/* Closes a connection that isn't worth an answer. */
static void turn_away(struct conn *conn, enum refusal refusal)
{
	static uint64_t logged_ms;
	char text[NET_TEXT_MAX];

	metric_add(&refusals_metric, refusal, 1);
	if (loop_once_in(LOG_EVERY_MS, &logged_ms))
		log_warn("connections-turned-away address=%s reason=%s", conn_address(conn, text),
		         refusal_names[refusal]);
	conn_close(conn, true);
}

/* Counts a connection whose address is known; false: there were too many, and it is closed. */
static bool count_address(struct conn *conn)
{
	conn->counted = source_limit_add(conn, &conn->address, evict);
	if (conn->counted == NULL) {
		turn_away(conn, REFUSAL_ADDRESS_FULL);
		return false;
	}
	conn->by_address = !source_limit_is_over(conn->counted);
	return true;
}

static void on_closed(const struct conn *conn)
{
	if (conn->by_address)
		source_limit_closed(&conn->address);
}

/* From here on the connection is the named client's; without a name it is the balancer's own. */
static bool on_proxy_header(struct conn *conn)
{
	struct handshake *handshake = conn->handshake;
	struct in6_addr address;
	uint16_t port;

	handshake->skip = (uint32_t)proxyv2_read(handshake->bytes, handshake->len).rest;
	if (proxyv2_source(handshake->bytes, address.s6_addr, &port)) {
		conn->address = address;
		conn->port = htons(port);
		if (!count_address(conn))
			return false;
	}
	handshake->len = 0;
	enter(conn, CONN_GREETING);
	return true;
}

/* The greeting */

static bool on_greeting(struct conn *conn)
{
	uint8_t bytes[PEERING_CHALLENGE_LEN];
	size_t len = SOCKS5_METHOD_REPLY_LEN;

	if (conn->peering) {
		if (RAND_bytes(nonce_of(conn->handshake), PEERING_NONCE_LEN) != 1)
			panic("RAND_bytes");
		peering_challenge(bytes, nonce_of(conn->handshake));
		len = PEERING_CHALLENGE_LEN;
	} else {
		socks5_method_reply(bytes, true);
	}
	if (!conn_send(conn->io.fd, bytes, len)) {
		refuse(conn, REFUSAL_CLIENT_LEFT);
		return false;
	}
	conn->handshake->len = 0;
	enter(conn, CONN_REQUEST);
	return true;
}

/* The request */

static void seat(struct conn *conn)
{
	uint8_t hash[SOCKS5_HASH_LEN];

	socks5_request_hash(conn->handshake->bytes, hash);
	enter(conn, CONN_CLAIMING);
	deadline_stop(&conn->deadline);
	switch (stream_join(conn, hash, on_settled)) {
	case STREAM_JOIN_SETTLED:
		grant_and_wait(conn);
		break;
	case STREAM_JOIN_CLAIMING:
		break; /* on_settled() follows */
	case STREAM_JOIN_FULL:
		refuse(conn, REFUSAL_THIRD_HALF);
		break;
	case STREAM_JOIN_DRAINING:
		refuse(conn, REFUSAL_RELAY_DRAINS);
		break;
	case STREAM_JOIN_NOT_OWNED:
		refuse(conn, REFUSAL_NOT_OWNED);
		break;
	}
}

static bool on_request(struct conn *conn)
{
	if (conn->counted != NULL && source_limit_is_over(conn->counted))
		refuse(conn, REFUSAL_ADDRESS_FULL);
	else
		seat(conn);
	return false;
}

/*
 * True if the other relay knows one of our secrets: two, while the fleet changes them. By the same
 * one we prove ourselves.
 */
static bool is_proved(struct handshake *handshake)
{
	for (size_t i = 0; i < ARRAY_LEN(peering_secrets); i++) {
		const struct peering_key key = { peering_secrets[i], fleet_id() };

		if (key.secret == NULL || key.secret[0] == '\0' ||
		    !peering_proof_is_right(handshake->bytes, nonce_of(handshake), &key))
			continue;
		peering_owner_proof(proof_of(handshake), handshake->bytes, nonce_of(handshake),
		                    &key);
		return true;
	}
	return false;
}

/* Behind the proof stands the request, as a client would have sent it. */
static bool on_peering_request(struct conn *conn)
{
	struct handshake *handshake = conn->handshake;

	if (!is_proved(handshake)) {
		refuse(conn, REFUSAL_BAD_PROOF);
		return false;
	}
	leave_unproved(conn);
	memmove(handshake->bytes, handshake->bytes + PEERING_HEAD_LEN, SOCKS5_REQUEST_LEN);
	seat(conn);
	return false;
}

/* Reading */

/* WHOLE is called once the message is complete; true: the next one may be there. */
/* clang-format off */
static const struct message {
	struct parse (*read)(const uint8_t *bytes, size_t len);
	bool (*whole)(struct conn *conn);
} of_clients[CONN_STATE_COUNT] = {
	[CONN_PROXIED]  = { proxyv2_read,          on_proxy_header },
	[CONN_GREETING] = { socks5_read_greeting,  on_greeting },
	[CONN_REQUEST]  = { socks5_read_request,   on_request },
}, of_relays[CONN_STATE_COUNT] = {
	[CONN_GREETING] = { peering_read_greeting, on_greeting },
	[CONN_REQUEST]  = { peering_read_request,  on_peering_request },
};
/* clang-format on */

/* As conn_read(); at the end CONN is refused, and may be gone. */
static size_t read_bytes(struct conn *conn, uint8_t *bytes, size_t most)
{
	ssize_t n = conn_read(conn->io.fd, bytes, most);

	if (n < 0)
		refuse(conn, REFUSAL_CLIENT_LEFT);
	return n < 0 ? 0 : (size_t)n;
}

/* Reads the bytes that the message still lacks, and not one more. True: some came. */
static bool read_message(struct conn *conn, size_t need)
{
	struct handshake *handshake = conn->handshake;
	size_t n;

	assert(need <= sizeof(handshake->bytes));
	n = read_bytes(conn, handshake->bytes + handshake->len, need - handshake->len);
	if (n > 0)
		handshake->len += (uint32_t)n;
	return n > 0;
}

static bool skip_bytes(struct conn *conn)
{
	struct handshake *handshake = conn->handshake;
	size_t n = read_bytes(conn, NULL, handshake->skip);

	if (n > 0)
		handshake->skip -= (uint32_t)n;
	return n > 0;
}

/* True: there may be more to do. */
static bool advance(struct conn *conn)
{
	const struct handshake *handshake = conn->handshake;
	const struct message *message = &(conn->peering ? of_relays : of_clients)[conn->state];
	struct parse parse;

	if (handshake->skip > 0)
		return skip_bytes(conn);
	parse = message->read(handshake->bytes, handshake->len);
	switch (parse.status) {
	case PARSE_MORE:
		return read_message(conn, parse.need);
	case PARSE_DONE:
		return message->whole(conn);
	case PARSE_BAD:
		refuse(conn, fault_refusals[parse.fault]);
		break;
	}
	return false;
}

static void on_message_bytes(struct io *io, uint32_t events)
{
	struct conn *conn = conn_of(io);

	while (advance(conn))
		;
}

/* Accepting */

/* The connection becomes active, or is closed. */
static void release(struct conn *conn)
{
	source_limit_remove(conn->counted);
	conn->counted = NULL;
	leave_unproved(conn);
	free(conn->handshake);
	conn->handshake = NULL;
}

static struct conn *conn_of_deadline(struct deadline *deadline)
{
	return container_of(deadline, struct conn, deadline);
}

/*
 * Of too many connections without a proof the oldest is closed: a relay proves itself at once, so
 * that one is the least likely to be a relay.
 */
static void wait_for_proof(struct conn *conn)
{
	struct conn *oldest;

	conn->handshake->unproved = true;
	unproved++;
	deadline_start(&unproved_queue, &conn->deadline);
	if (unproved <= UNPROVED_MAX)
		return;
	oldest = conn_of_deadline(
	        container_of(list_first(&unproved_queue.waiting), struct deadline, link));
	count_refusal(oldest, REFUSAL_UNPROVED_FULL);
	(void)reply_refusal(oldest, REFUSAL_UNPROVED_FULL);
	conn_close(oldest, false);
}

bool handshake_full(void)
{
	return conn_count() >= caps.first_max;
}

static bool end_idlest(void)
{
	return pair_end_idlest(IDLE_LEAST_MS);
}

/*
 * True if there is room for CONN, which has just been accepted. At the maximum room is made: the
 * network with most connections that aren't active yet loses one, or the stream that was idle for
 * longest ends. None is made for an address that has its maximum.
 */
static bool has_room(const struct conn *conn)
{
	return conn_count() <= caps.max ||
	       source_limit_make_room(conn->peering ? NULL : &conn->address, evict, end_idlest);
}

void handshake_accept(int fd, const union net_address *address, enum handshake_origin origin)
{
	bool proxied = origin == ORIGIN_CLIENT && networks_contain(&trusted, address);
	struct conn *conn = conn_new(fd, address, proxied ? CONN_PROXIED : CONN_GREETING);

	conn->peering = origin == ORIGIN_RELAY;
	if (!has_room(conn)) {
		turn_away(conn, REFUSAL_RELAY_FULL);
		return;
	}
	conn->handshake = mem_alloc(1, sizeof(*conn->handshake));
	conn->release = release;
	conn->io.ready = steps[conn->state].ready;
	if (io_start(&conn->io, fd, steps[conn->state].events) != 0) {
		log_error("half-refused why=\"%s\"", strerror(errno));
		conn_close(conn, false);
		return;
	}
	if (origin == ORIGIN_CLIENT && !proxied && !count_address(conn))
		return;
	if (conn->peering)
		wait_for_proof(conn);
	else
		deadline_start(&handshake_queue, &conn->deadline);
}

/* The module */

static void handshake_expired(struct deadline *deadline)
{
	refuse(conn_of_deadline(deadline), REFUSAL_TIMED_OUT);
}

static void refused_expired(struct deadline *deadline)
{
	conn_close(conn_of_deadline(deadline), false);
}

static void waiting_expired(struct deadline *deadline)
{
	leave(conn_of_deadline(deadline), REASON_NOT_ACTIVATED);
}

static int start(void *config)
{
	const struct relay_conf *conf = config;

	deadline_queue_init(&handshake_queue, (uint64_t)conf->handshake_timeout_ms,
	                    handshake_expired);
	deadline_queue_init(&unproved_queue, (uint64_t)conf->handshake_timeout_ms,
	                    handshake_expired);
	deadline_queue_init(&refused_queue, REFUSED_LINGER_MS, refused_expired);
	deadline_queue_init(&waiting_queue, (uint64_t)conf->pending_timeout_ms, waiting_expired);
	/* The list was checked with the configuration. */
	(void)networks_read(&trusted, (const char *const *)conf->trusted_proxies);
	peering_secrets[0] = conf->peer_secret;
	peering_secrets[1] = conf->peer_secret_also;
	caps.max = (size_t)conf->connection_max;
	caps.first_max = caps.max - caps.max * (size_t)conf->connection_reserve / 100;
	conn_closed = on_closed;
	metrics_add(&refusals_metric);
	metrics_add(&evicted_metric);
	return 0;
}

static void close_all(struct deadline_queue *queue)
{
	struct list_link *link;

	while ((link = list_first(&queue->waiting)) != NULL)
		conn_close(conn_of_deadline(container_of(link, struct deadline, link)), false);
	deadline_queue_release(queue);
}

static void stop(void)
{
	close_all(&handshake_queue);
	close_all(&unproved_queue);
	close_all(&refused_queue);
	deadline_queue_release(&waiting_queue);
	networks_release(&trusted);
	conn_closed = NULL;
}

const struct daemon_module handshake_module = { "handshakes", start, stop };
