#include "relayd/stream/bridge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/log_rate.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "relayd/conf.h"

/* The connections of a bridge's pair. */
enum side { CLIENT, OWNER };

/* clang-format off */
#define BRIDGE_STATES(X)                                                                        \
	X(BRIDGE_DIALLING, "dialling")                                                          \
	X(BRIDGE_WAITING,  "waiting")                                                           \
	X(BRIDGE_ACTIVE,   "active")                                                            \
	X(BRIDGE_CLOSING,  "closing")
/* clang-format on */

#define STATE_ENUM(constant, text) constant,
enum bridge_state { BRIDGE_STATES(STATE_ENUM) };

#define STATE_NAME(constant, text) [constant] = text,
static const char *const state_names[] = { BRIDGE_STATES(STATE_NAME) };

struct bridge {
	uint8_t hash[SOCKS5_HASH_LEN];
	uint8_t state; /* enum bridge_state */
	struct pair pair;
	struct list_link link;
	struct dialling *dialling; /* while dialling, else NULL */
	uint64_t opened_ms;
	char *owner;  /* the relay's id, owned */
	char *client; /* the client's address, for the log; owned */
};

/* What only dialling needs. */
struct dialling {
	struct dial dial;
	struct bridge *bridge;
	void (*dialled)(struct conn *client, enum dial_outcome outcome);
};

static struct {
	struct list all;
	size_t count;
	bool possible;
} bridges;

static int64_t open_bridges[1];
static struct metric open_metric = {
	.name = "outrigger_relayd_bridges",
	.help = "Halves that are bridged to another relay, or about to be.",
	.kind = METRIC_GAUGE,
	.numbers = open_bridges,
};
static int64_t dials[DIAL_OUTCOME_COUNT];
static struct metric dials_metric = {
	.name = "outrigger_relayd_bridge_dials_total",
	.help = "Calls to the owners of streams, by outcome.",
	.kind = METRIC_COUNTER,
	.label = "outcome",
	.values = dial_outcome_names,
	.series = DIAL_OUTCOME_COUNT,
	.numbers = dials,
};
static int64_t by_reason[REASON_COUNT];
static struct metric ended_metric = {
	.name = "outrigger_relayd_bridges_ended_total",
	.help = "Bridges that ended, by reason.",
	.kind = METRIC_COUNTER,
	.label = "reason",
	.values = reason_names,
	.series = REASON_COUNT,
	.numbers = by_reason,
};
/* Of bridges whose stream was never activated, which strangers can make. */
#define END_RATE(constant, text, resets) [constant].what = "bridge-ended reason=" text,
static struct log_rate end_rates[] = { REASONS(END_RATE) };
static struct log_rate failure_rate = { "bridge-failed" };
static const char *const directions[] = { "to_owner", "from_owner" };
static int64_t carried[2];
static struct metric bytes_metric = {
	.name = "outrigger_relayd_bridge_bytes_total",
	.help = "Bytes carried over bridges, by direction.",
	.kind = METRIC_COUNTER,
	.label = "direction",
	.values = directions,
	.series = 2,
	.numbers = carried,
};

static void on_left(struct pair *pair, struct conn *conn, enum reason reason);
static void on_closing(struct pair *pair);
static void on_ended(struct pair *pair, enum reason reason);

static const struct pair_kind kind = {
	.bytes = &bytes_metric,
	.timing = PAIR_TIMING_REMOTE,
	.left = on_left,
	.closing = on_closing,
	.ended = on_ended,
};

static struct bridge *bridge_of(struct pair *pair)
{
	return container_of(pair, struct bridge, pair);
}

static const char *hash_text(const struct bridge *bridge)
{
	static char text[SOCKS5_NAME_LEN + 1];

	socks5_hash_format(bridge->hash, text);
	return text;
}

static void enter(struct bridge *bridge, enum bridge_state state)
{
	log_debug("bridge id=%s from=%s to=%s", hash_text(bridge), state_names[bridge->state],
	          state_names[state]);
	bridge->state = (uint8_t)state;
}

static struct bridge *bridge_new(struct conn *client, const uint8_t hash[SOCKS5_HASH_LEN],
                                 const char *owner)
{
	struct bridge *bridge = mem_alloc(1, sizeof(*bridge));
	char address[NET_TEXT_MAX];

	memcpy(bridge->hash, hash, SOCKS5_HASH_LEN);
	bridge->state = BRIDGE_DIALLING;
	bridge->pair.kind = &kind;
	bridge->opened_ms = loop_now_ms();
	bridge->owner = mem_dup(owner);
	bridge->client = mem_dup(conn_address(client, address));
	list_append(&bridges.all, &bridge->link);
	bridges.count++;
	metric_add(&open_metric, 0, 1);
	pair_seat(&bridge->pair, client);
	return bridge;
}

static void bridge_free(struct bridge *bridge)
{
	if (bridge->dialling != NULL)
		dial_close(&bridge->dialling->dial);
	free(bridge->dialling);
	list_remove(&bridge->link);
	bridges.count--;
	metric_add(&open_metric, 0, -1);
	free(bridge->owner);
	free(bridge->client);
	free(bridge);
}

/* The end */

static bool was_activated(const struct bridge *bridge)
{
	return bridge->state == BRIDGE_ACTIVE || bridge->state == BRIDGE_CLOSING;
}

static void log_end(const struct bridge *bridge, enum reason reason)
{
	const struct conn *client = bridge->pair.conns[CLIENT];
	const struct conn *owner = bridge->pair.conns[OWNER];
	uint64_t took_ms = loop_now_ms() - bridge->opened_ms;

	if (!was_activated(bridge) && !log_rate_allows(&end_rates[reason]))
		return;
	log_info("bridge-ended id=%s owner=%s reason=%s state=%s seconds=%llu.%03llu sent=%llu "
	         "received=%llu address=%s",
	         hash_text(bridge), bridge->owner, reason_names[reason], state_names[bridge->state],
	         (unsigned long long)(took_ms / 1000), (unsigned long long)(took_ms % 1000),
	         client == NULL ? 0ULL : (unsigned long long)conn_delivered(client),
	         owner == NULL ? 0ULL : (unsigned long long)conn_delivered(owner), bridge->client);
}

/* The one way to end once the client was granted, or has left. */
static void end(struct bridge *bridge, enum reason reason)
{
	log_end(bridge, reason);
	metric_add(&ended_metric, reason, 1);
	pair_close(&bridge->pair, reason);
	bridge_free(bridge);
}

static void on_left(struct pair *pair, struct conn *conn, enum reason reason)
{
	pair_unseat(conn);
	end(bridge_of(pair), reason);
}

static void on_closing(struct pair *pair)
{
	enter(bridge_of(pair), BRIDGE_CLOSING);
}

static void on_ended(struct pair *pair, enum reason reason)
{
	end(bridge_of(pair), reason);
}

/* Between grant and activation the owner sends one byte, or ends the connection. */
static void on_owner(struct io *io, uint32_t events)
{
	struct conn *owner = container_of(io, struct conn, io);
	struct bridge *bridge = bridge_of(owner->pair);
	uint8_t byte;
	ssize_t n = recv(io->fd, &byte, sizeof(byte), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end(bridge, REASON_OWNER_LEFT);
	} else if (byte != PEERING_GO) {
		end(bridge, REASON_RESET);
	} else {
		enter(bridge, BRIDGE_ACTIVE);
		pair_start(&bridge->pair);
	}
}

/* Opening */

/* FD leads to the owner, which has granted the half. */
static void seat_owner(struct bridge *bridge, int fd, const union net_address *address)
{
	struct conn *owner = conn_new(fd, address, CONN_DIALLED);

	pair_seat(&bridge->pair, owner);
	conn_enter(owner, CONN_DIALLED, on_owner, EPOLLIN | EPOLLRDHUP);
	enter(bridge, BRIDGE_WAITING);
}

static void fail(struct bridge *bridge, enum dial_outcome outcome)
{
	if (log_rate_allows(&failure_rate))
		log_warn("bridge-failed id=%s owner=%s outcome=%s address=%s", hash_text(bridge),
		         bridge->owner, dial_outcome_names[outcome], bridge->client);
	pair_unseat(bridge->pair.conns[CLIENT]);
	bridge_free(bridge);
}

static void on_dialled(struct dial *dial, int fd, enum dial_outcome outcome)
{
	struct dialling *dialling = container_of(dial, struct dialling, dial);
	struct bridge *bridge = dialling->bridge;
	struct conn *client = bridge->pair.conns[CLIENT];

	metric_add(&dials_metric, outcome, 1);
	bridge->dialling = NULL;
	if (outcome == DIAL_GRANTED)
		seat_owner(bridge, fd, dial_address(dial));
	else
		fail(bridge, outcome);
	dialling->dialled(client, outcome);
	free(dialling);
}

bool bridge_open(struct conn *client, const uint8_t hash[SOCKS5_HASH_LEN],
                 const struct claim_owner *owner,
                 void (*dialled)(struct conn *client, enum dial_outcome outcome))
{
	struct bridge *bridge;

	if (!bridges.possible || owner->peering == NULL)
		return false;
	bridge = bridge_new(client, hash, owner->id);
	bridge->dialling = mem_alloc(1, sizeof(*bridge->dialling));
	bridge->dialling->bridge = bridge;
	bridge->dialling->dialled = dialled;
	bridge->dialling->dial.done = on_dialled;
	dial_open(&bridge->dialling->dial, bridge->owner, owner->peering, hash);
	return true;
}

size_t bridge_count(void)
{
	return bridges.count;
}

uint64_t bridge_bytes(void)
{
	return (uint64_t)(carried[CLIENT] + carried[OWNER]);
}

static int start(void *config)
{
	list_init(&bridges.all);
	bridges.possible = conf_has_peers(config);
	metrics_add(&open_metric);
	metrics_add(&dials_metric);
	metrics_add(&ended_metric);
	metrics_add(&bytes_metric);
	return 0;
}

static void stop(void)
{
	struct list_link *link;

	while ((link = list_first(&bridges.all)) != NULL)
		end(container_of(link, struct bridge, link), REASON_RELAY_STOPPED);
}

const struct daemon_module bridge_module = { "bridges", start, stop };
