#include "relayd/stream/stream.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/log_rate.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "relayd/fleet/fleet.h"
#include "relayd/io/throttle.h"
#include "relayd/quota/calendar.h"
#include "relayd/quota/denial.h"
#include "relayd/quota/lease.h"
#include "relayd/quota/outbox.h"

#define STATE_NAME(constant, text) [constant] = text,
const char *const stream_state_names[] = { STREAM_STATES(STATE_NAME) };

static struct map streams;

static int64_t by_state[STREAM_STATE_COUNT];
static struct metric streams_metric = {
	.name = "outrigger_relayd_streams",
	.help = "Open streams by state.",
	.kind = METRIC_GAUGE,
	.label = "state",
	.values = stream_state_names,
	.series = STREAM_STATE_COUNT,
	.numbers = by_state,
};
static int64_t by_reason[REASON_COUNT];
static struct metric ended_metric = {
	.name = "outrigger_relayd_streams_ended_total",
	.help = "Streams that ended, by reason.",
	.kind = METRIC_COUNTER,
	.label = "reason",
	.values = reason_names,
	.series = REASON_COUNT,
	.numbers = by_reason,
};
/* Of streams that were never activated, which strangers can make. */
#define END_RATE(constant, text, resets) [constant].what = "stream-ended reason=" text,
static struct log_rate end_rates[] = { REASONS(END_RATE) };
static const char *const directions[] = { "first_to_second", "second_to_first" };
static int64_t bytes[2];
static struct metric bytes_metric = {
	.name = "outrigger_relayd_bytes_total",
	.help = "Bytes relayed, by direction between the first half that came and the second.",
	.kind = METRIC_COUNTER,
	.label = "direction",
	.values = directions,
	.series = 2,
	.numbers = bytes,
};

static void on_left(struct pair *pair, struct conn *conn, enum reason reason);
static void on_closing(struct pair *pair);
static void on_spent(struct pair *pair, bool starving);
static void find_buckets(struct pair *pair, struct bucket *users[2]);
static void on_ended(struct pair *pair, enum reason reason);

static const struct pair_kind kind = {
	.bytes = &bytes_metric,
	.timing = PAIR_TIMING_OWN,
	.left = on_left,
	.closing = on_closing,
	.spent = on_spent,
	.ended = on_ended,
	.find_buckets = find_buckets,
};

static struct stream *stream_of(struct pair *pair)
{
	return container_of(pair, struct stream, pair);
}

static bool is_full(const struct stream *stream)
{
	return stream->pair.conns[0] != NULL && stream->pair.conns[1] != NULL;
}

struct stream *stream_find(const uint8_t hash[SOCKS5_HASH_LEN])
{
	return map_get(&streams, hash, SOCKS5_HASH_LEN);
}

size_t stream_count(void)
{
	return streams.count;
}

uint64_t stream_bytes(void)
{
	return (uint64_t)(bytes[0] + bytes[1]);
}

static const char *hash_text(const struct stream *stream)
{
	static char text[SOCKS5_NAME_LEN + 1];

	socks5_hash_format(stream->hash, text);
	return text;
}

static void enter(struct stream *stream, enum stream_state state)
{
	if (stream->state == state)
		return;
	log_debug("stream id=%s from=%s to=%s", hash_text(stream),
	          stream_state_names[stream->state], stream_state_names[state]);
	metric_add(&streams_metric, stream->state, -1);
	metric_add(&streams_metric, state, 1);
	stream->state = (uint8_t)state;
}

static void stream_free(struct stream *stream)
{
	(void)map_remove(&streams, stream->hash, SOCKS5_HASH_LEN);
	metric_add(&streams_metric, stream->state, -1);
	claim_drop(&stream->claim);
	if (stream->watch != NULL)
		stream->watch->ended(stream->watch);
	lease_free(stream->lease);
	active_release(&stream->active);
	free(stream->about);
	free(stream);
}

/* What is kept of transfers; bodies in schemas/relayd. */

/* Adds BODY to STREAM of the outbox, and frees it. */
static void write_json(json_t *body, enum outbox_stream stream)
{
	char *text = json_dumps(body, JSON_COMPACT);

	json_decref(body);
	outbox_add(stream, text);
	free(text);
}

/* A record of the transfer, which was activated. */
static void write_record(const struct stream *stream, enum reason reason)
{
	json_t *about;

	if (fleet_redis() == NULL)
		return;
	about = json_loads(stream->about, 0, NULL);
	write_json(json_pack("{s:s, s:O, s:O?, s:[I,I], s:I, s:I, s:s, s:s}", "hash",
	                     hash_text(stream), "parties", json_object_get(about, "parties"), "tag",
	                     json_object_get(about, "tag"), "bytes",
	                     (json_int_t)conn_delivered(stream->pair.conns[0]),
	                     (json_int_t)conn_delivered(stream->pair.conns[1]), "started_ms",
	                     (json_int_t)stream->started_ms, "ended_ms", (json_int_t)loop_wall_ms(),
	                     "relay", fleet_id(), "reason", reason_names[reason]),
	           OUTBOX_RECORDS);
	json_decref(about);
}

/*
 * An event, so that the users are told that a limit ended their transfer; none if its tag doesn't
 * name component, requester and target.
 */
static void write_over_limit(const struct stream *stream, const struct denial *denial)
{
	json_t *about = json_loads(stream->about, 0, NULL);
	json_t *tag = json_object_get(about, "tag");
	const char *component = json_string_value(json_object_get(tag, "component"));
	const char *requester = json_string_value(json_object_get(tag, "requester"));
	const char *target = json_string_value(json_object_get(tag, "target"));
	char *text, *explanation;

	if (component != NULL && requester != NULL && target != NULL) {
		text = denial_text(denial, "Stream closed");
		explanation = denial_explanation(denial, calendar_month()->end_s);
		write_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "type",
		                     "over-limit", "component", component, "requester", requester,
		                     "target", target, "reason", text, "explanation", explanation,
		                     "hash", hash_text(stream), "at_ms",
		                     (json_int_t)loop_wall_ms()),
		           OUTBOX_EVENTS);
		free(explanation);
		free(text);
	}
	json_decref(about);
}

/* The claim */

static void enter_settled(struct stream *stream)
{
	enter(stream, is_full(stream) ? STREAM_PAIRED : STREAM_WAITING);
}

/* The hash isn't ours: the halves that came for it leave, and the stream is gone. */
static void dissolve(struct stream *stream)
{
	for (int side = 0; side < 2; side++)
		if (stream->pair.conns[side] != NULL)
			pair_unseat(stream->pair.conns[side]);
	stream_free(stream);
}

static void on_settled(struct claim *claim, enum claim_outcome outcome,
                       const struct claim_owner *owner)
{
	struct stream *stream = container_of(claim, struct stream, claim);
	typeof(stream->settled) settled = stream->settled;
	struct conn *halves[2] = { stream->pair.conns[0], stream->pair.conns[1] };
	uint8_t hash[SOCKS5_HASH_LEN];
	const struct stream_verdict verdict = { outcome, hash, owner };

	memcpy(hash, stream->hash, sizeof(hash));
	if (outcome == CLAIM_OURS)
		enter_settled(stream);
	else
		dissolve(stream);
	/* A half may be closed in here, and the stream ends with its last one. */
	for (int side = 0; side < 2; side++)
		if (halves[side] != NULL)
			settled(halves[side], &verdict);
}

static void on_lost(struct claim *claim)
{
	stream_end(container_of(claim, struct stream, claim), REASON_CLAIM_LOST);
}

/* Joining and leaving */

static struct stream *stream_new(const uint8_t hash[SOCKS5_HASH_LEN])
{
	struct stream *stream = mem_alloc(1, sizeof(*stream));

	memcpy(stream->hash, hash, SOCKS5_HASH_LEN);
	stream->state = STREAM_CLAIMING;
	stream->pair.kind = &kind;
	stream->claim.hash = stream->hash;
	stream->claim.settled = on_settled;
	stream->claim.lost = on_lost;
	stream->opened_ms = loop_now_ms();
	metric_add(&streams_metric, STREAM_CLAIMING, 1);
	(void)map_put(&streams, stream->hash, SOCKS5_HASH_LEN, stream);
	return stream;
}

enum stream_join stream_join(struct conn *conn, const uint8_t hash[SOCKS5_HASH_LEN],
                             void (*settled)(struct conn *conn,
                                             const struct stream_verdict *verdict))
{
	struct stream *stream = stream_find(hash);
	bool fresh = stream == NULL;

	if (fresh && conn->peering)
		return STREAM_JOIN_NOT_OWNED;
	if (fresh && daemon_draining())
		return STREAM_JOIN_DRAINING;
	if (fresh)
		stream = stream_new(hash);
	if (is_full(stream))
		return STREAM_JOIN_FULL;
	pair_seat(&stream->pair, conn);
	stream->settled = settled;
	if (fresh && !claim_take(&stream->claim))
		return STREAM_JOIN_CLAIMING;
	if (!fresh && stream->state == STREAM_CLAIMING)
		return STREAM_JOIN_CLAIMING;
	enter_settled(stream);
	return STREAM_JOIN_SETTLED;
}

static uint64_t sent_by(const struct conn *half)
{
	return half == NULL ? 0 : conn_delivered(half);
}

/* A relay's half has that relay's address: the client's is in the log line of its bridge there. */
static const char *address_of(const struct conn *half, char *text)
{
	return half == NULL ? "-" : conn_address(half, text);
}

static bool was_activated(const struct stream *stream)
{
	return stream->about != NULL;
}

static void log_end(const struct stream *stream, enum reason reason)
{
	struct conn *const *halves = stream->pair.conns;
	uint64_t took_ms = loop_now_ms() - stream->opened_ms;
	char first[NET_TEXT_MAX], second[NET_TEXT_MAX];

	if (!was_activated(stream) && !log_rate_allows(&end_rates[reason]))
		return;
	log_info("stream-ended id=%s reason=%s state=%s seconds=%llu.%03llu first=%llu second=%llu "
	         "first-address=%s second-address=%s",
	         hash_text(stream), reason_names[reason], stream_state_names[stream->state],
	         (unsigned long long)(took_ms / 1000), (unsigned long long)(took_ms % 1000),
	         (unsigned long long)sent_by(halves[0]), (unsigned long long)sent_by(halves[1]),
	         address_of(halves[0], first), address_of(halves[1], second));
}

/* Writes the transfer's record; bytes that were read but not delivered aren't charged. */
static void record_and_refund(struct stream *stream, enum reason reason)
{
	write_record(stream, reason);
	for (int side = 0; stream->lease != NULL && side < 2; side++)
		lease_refund(stream->lease, conn_received(stream->pair.conns[side]) -
		                                    conn_delivered(stream->pair.conns[side]));
}

/* The end has been logged. */
static void finish(struct stream *stream, enum reason reason)
{
	metric_add(&ended_metric, reason, 1);
	if (was_activated(stream))
		record_and_refund(stream, reason);
	pair_close(&stream->pair, reason);
	stream_free(stream);
}

void stream_end(struct stream *stream, enum reason reason)
{
	log_end(stream, reason);
	finish(stream, reason);
}

static void on_left(struct pair *pair, struct conn *conn, enum reason reason)
{
	struct stream *stream = stream_of(pair);
	bool last = !is_full(stream);

	if (last)
		log_end(stream, reason);
	pair_unseat(conn);
	if (last)
		finish(stream, reason);
	else if (stream->state != STREAM_CLAIMING)
		enter(stream, STREAM_WAITING);
}

/* Active */

static void on_renewed(struct lease *lease)
{
	pair_resume(&lease->stream->pair);
}

static void on_exhausted(struct lease *lease)
{
	struct stream *stream = lease->stream;

	write_over_limit(stream, &lease->denial);
	pair_stop(&stream->pair, REASON_OVER_LIMIT);
}

static void on_spent(struct pair *pair, bool starving)
{
	lease_spent(stream_of(pair)->lease, starving);
}

static void find_buckets(struct pair *pair, struct bucket *users[2])
{
	for (int i = 0; i < 2; i++) {
		struct active_user *user = stream_of(pair)->active.users[i];

		if (user != NULL && user->bucket == NULL)
			user->bucket = throttle_bucket_new();
		users[i] = user == NULL ? NULL : user->bucket;
	}
}

static void on_closing(struct pair *pair)
{
	enter(stream_of(pair), STREAM_CLOSING);
}

static void on_ended(struct pair *pair, enum reason reason)
{
	stream_end(stream_of(pair), reason);
}

bool stream_is_active(const struct stream *stream)
{
	return stream->state == STREAM_ACTIVE || stream->state == STREAM_CLOSING;
}

enum stream_activate stream_activate(struct stream *stream, char *about)
{
	if (stream->state != STREAM_PAIRED) {
		free(about);
		return stream_is_active(stream) ? STREAM_ACTIVATED : STREAM_INCOMPLETE;
	}
	stream->about = about;
	stream->started_ms = loop_wall_ms();
	claim_rest(&stream->claim);
	enter(stream, STREAM_ACTIVE);
	if (stream->lease != NULL) {
		stream->lease->renewed = on_renewed;
		stream->lease->exhausted = on_exhausted;
		stream->pair.budget = &stream->lease->budget;
	}
	pair_start(&stream->pair);
	return STREAM_ACTIVATED;
}

/* The table */

static int by_hash(const void *a, const void *b)
{
	const struct stream *const *left = a, *const *right = b;

	return memcmp((*left)->hash, (*right)->hash, SOCKS5_HASH_LEN);
}

struct stream **stream_sorted(size_t *count)
{
	struct stream **all = mem_alloc(streams.count + 1, sizeof(struct stream *));
	struct stream *stream;
	size_t cursor = 0;

	*count = 0;
	while ((stream = map_next(&streams, &cursor)) != NULL)
		all[(*count)++] = stream;
	qsort(all, *count, sizeof(struct stream *), by_hash);
	return all;
}

static int start(void *config)
{
	metrics_add(&streams_metric);
	metrics_add(&ended_metric);
	metrics_add(&bytes_metric);
	return 0;
}

static void stop(void)
{
	size_t count;
	struct stream **all = stream_sorted(&count);

	for (size_t i = 0; i < count; i++)
		stream_end(all[i], REASON_RELAY_STOPPED);
	free(all);
	map_release(&streams);
}

const struct daemon_module stream_module = { "streams", start, stop };
