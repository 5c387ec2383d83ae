#include "relayd/stream/bridge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "relayd/conf.h"
#include "relayd/drain.h"
#include "relayd/fleet/dial.h"
#include "relayd/io/half.h"
#include "relayd/io/transfer.h"

struct bridge {
	struct stream stream; /* its halves: the client's, and the one to the owner */
	struct list_link link;
	struct call *call; /* while dialling, else NULL */
	char *owner;       /* the relay's id, owned */
	char *client;      /* the client's address, for the log; owned */
};

/* What only dialling needs. */
struct call {
	struct dial dial;
	struct bridge *bridge;
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
static int64_t by_reason[STREAM_REASON_COUNT];
static struct metric ended_metric = {
	.name = "outrigger_relayd_bridges_ended_total",
	.help = "Bridges that ended, by reason.",
	.kind = METRIC_COUNTER,
	.label = "reason",
	.values = stream_reason_names,
	.series = STREAM_REASON_COUNT,
	.numbers = by_reason,
};
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

static struct bridge *bridge_of(struct stream *stream)
{
	return container_of(stream, struct bridge, stream);
}

static const char *hash_text(const struct bridge *bridge)
{
	static char text[SOCKS5_NAME_LEN + 1];

	socks5_hash_format(bridge->stream.hash, text);
	return text;
}

static void seat(struct bridge *bridge, enum bridge_side side, struct half *half)
{
	bridge->stream.halves[side] = half;
	half->stream = &bridge->stream;
}

static void bridge_free(struct bridge *bridge)
{
	if (bridge->call != NULL)
		dial_close(&bridge->call->dial);
	free(bridge->call);
	task_stop(&bridge->stream.task);
	deadline_stop(&bridge->stream.deadline);
	list_remove(&bridge->link);
	bridges.count--;
	metric_add(&open_metric, 0, -1);
	free(bridge->owner);
	free(bridge->client);
	free(bridge);
	drain_check();
}

/* The end */

static void log_end(const struct bridge *bridge, enum stream_reason reason)
{
	const struct half *client = bridge->stream.halves[BRIDGE_CLIENT];
	const struct half *owner = bridge->stream.halves[BRIDGE_OWNER];
	uint64_t took_ms = loop_now_ms() - bridge->stream.opened_ms;

	log_info("bridge-ended id=%s owner=%s reason=%s state=%s seconds=%llu.%03llu sent=%llu "
	         "received=%llu address=%s",
	         hash_text(bridge), bridge->owner, stream_reason_names[reason],
	         bridge->call != NULL ? "dialling" : stream_state_names[bridge->stream.state],
	         (unsigned long long)(took_ms / 1000), (unsigned long long)(took_ms % 1000),
	         client == NULL ? 0ULL : (unsigned long long)half_delivered(client),
	         owner == NULL ? 0ULL : (unsigned long long)half_delivered(owner), bridge->client);
}

void bridge_end(struct stream *stream, enum stream_reason reason)
{
	struct bridge *bridge = bridge_of(stream);

	log_end(bridge, reason);
	metric_add(&ended_metric, reason, 1);
	stream_close_halves(stream, reason);
	bridge_free(bridge);
}

/* The client is refused, as far as it is still there. */
static void fail(struct bridge *bridge, enum dial_outcome outcome)
{
	struct half *client = bridge->stream.halves[BRIDGE_CLIENT];

	log_warn("bridge-failed id=%s owner=%s outcome=%s address=%s", hash_text(bridge),
	         bridge->owner, dial_outcome_names[outcome], bridge->client);
	bridge->stream.halves[BRIDGE_CLIENT] = NULL;
	client->stream = NULL;
	half_refuse(client, dial_outcome_refusals[outcome]);
	bridge_free(bridge);
}

/* Between grant and activation the owner sends one byte, or ends the connection. */
static void on_owner(struct io *io, uint32_t events)
{
	struct half *half = container_of(io, struct half, io);
	struct stream *stream = half->stream;
	uint8_t byte;
	ssize_t n = recv(io->fd, &byte, sizeof(byte), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == 0) {
		bridge_end(stream, STREAM_OWNER_LEFT);
	} else if (n < 0 || byte != PEER_GO) {
		bridge_end(stream, STREAM_RESET);
	} else {
		stream_enter(stream, STREAM_ACTIVE);
		transfer_start(stream);
	}
}

/* Opening */

static void on_dialled(struct dial *dial, int fd, enum dial_outcome outcome)
{
	struct call *call = container_of(dial, struct call, dial);
	struct bridge *bridge = call->bridge;

	metric_add(&dials_metric, outcome, 1);
	bridge->call = NULL;
	if (fd < 0) {
		fail(bridge, outcome);
	} else {
		seat(bridge, BRIDGE_OWNER, half_dialled(fd, dial_address(dial), on_owner));
		/* The bridge may be gone after: the client, too, may have left. */
		half_grant(bridge->stream.halves[BRIDGE_CLIENT]);
	}
	free(call);
}

void bridge_open(struct half *half, const uint8_t hash[SOCKS5_HASH_LEN],
                 const struct stream_owner *owner)
{
	struct bridge *bridge = mem_alloc(1, sizeof(*bridge));
	char address[NET_TEXT_MAX];

	memcpy(bridge->stream.hash, hash, SOCKS5_HASH_LEN);
	bridge->stream.bridged = true;
	bridge->stream.state = STREAM_WAITING;
	bridge->stream.opened_ms = loop_now_ms();
	bridge->owner = mem_dup(owner->id);
	bridge->client = mem_dup(half_address(half, address));
	list_append(&bridges.all, &bridge->link);
	bridges.count++;
	metric_add(&open_metric, 0, 1);
	seat(bridge, BRIDGE_CLIENT, half);
	bridge->call = mem_alloc(1, sizeof(*bridge->call));
	bridge->call->bridge = bridge;
	bridge->call->dial.done = on_dialled;
	dial_open(&bridge->call->dial, owner->peer, hash);
}

bool bridge_possible(void)
{
	return bridges.possible;
}

void bridge_count_bytes(unsigned side, uint64_t amount)
{
	metric_add(&bytes_metric, side, (int64_t)amount);
}

size_t bridge_count(void)
{
	return bridges.count;
}

uint64_t bridge_bytes(void)
{
	return (uint64_t)(carried[BRIDGE_CLIENT] + carried[BRIDGE_OWNER]);
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
		bridge_end(&container_of(link, struct bridge, link)->stream, STREAM_RELAY_STOPPED);
}

const struct daemon_module bridge_module = { "bridges", start, stop };
