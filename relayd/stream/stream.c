#include "relayd/stream/stream.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "relayd/api/admission.h"
#include "relayd/drain.h"
#include "relayd/fleet/claim.h"
#include "relayd/io/half.h"
#include "relayd/io/transfer.h"
#include "relayd/quota/quota.h"
#include "relayd/stream/bridge.h"
#include "relayd/stream/record.h"

#define STATE_NAME(constant, text) [constant] = text,
const char *const stream_state_names[] = { STREAM_STATES(STATE_NAME) };

#define REASON_NAME(constant, text, reset) [constant] = text,
const char *const stream_reason_names[] = { STREAM_REASONS(REASON_NAME) };
#define REASON_RESET(constant, text, reset) [constant] = reset,
static const bool reason_resets[] = { STREAM_REASONS(REASON_RESET) };

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
static int64_t by_reason[STREAM_REASON_COUNT];
static struct metric ended_metric = {
	.name = "outrigger_relayd_streams_ended_total",
	.help = "Streams that ended, by reason.",
	.kind = METRIC_COUNTER,
	.label = "reason",
	.values = stream_reason_names,
	.series = STREAM_REASON_COUNT,
	.numbers = by_reason,
};
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

void stream_count_bytes(const struct stream *stream, unsigned side, uint64_t amount)
{
	if (stream->bridged)
		bridge_count_bytes(side, amount);
	else
		metric_add(&bytes_metric, side, (int64_t)amount);
}

static const char *hash_text(const struct stream *stream)
{
	static char text[SOCKS5_NAME_LEN + 1];

	socks5_hash_format(stream->hash, text);
	return text;
}

void stream_enter(struct stream *stream, enum stream_state state)
{
	if (stream->state == state)
		return;
	log_debug("stream id=%s from=%s to=%s", hash_text(stream),
	          stream_state_names[stream->state], stream_state_names[state]);
	if (!stream->bridged) { /* else its owner counts it */
		metric_add(&streams_metric, stream->state, -1);
		metric_add(&streams_metric, state, 1);
	}
	stream->state = (uint8_t)state;
}

static struct stream *stream_new(const uint8_t hash[SOCKS5_HASH_LEN])
{
	struct stream *stream = mem_alloc(1, sizeof(*stream));

	memcpy(stream->hash, hash, SOCKS5_HASH_LEN);
	stream->state = STREAM_CLAIMING;
	stream->opened_ms = loop_now_ms();
	metric_add(&streams_metric, STREAM_CLAIMING, 1);
	(void)map_put(&streams, stream->hash, SOCKS5_HASH_LEN, stream);
	return stream;
}

static void stream_free(struct stream *stream)
{
	(void)map_remove(&streams, stream->hash, SOCKS5_HASH_LEN);
	metric_add(&streams_metric, stream->state, -1);
	task_stop(&stream->task);
	deadline_stop(&stream->deadline);
	claim_drop(stream);
	admission_drop(stream);
	quota_free(stream->quota);
	free(stream->about);
	free(stream);
	drain_check();
}

/* Seats */

static bool is_full(const struct stream *stream)
{
	return stream->halves[0] != NULL && stream->halves[1] != NULL;
}

static bool is_claiming(const struct stream *stream)
{
	return stream->state == STREAM_CLAIMING;
}

static void give_seat(struct stream *stream, struct half *half)
{
	stream->halves[stream->halves[0] != NULL] = half;
	half->stream = stream;
}

static void take_seat(struct half *half)
{
	struct stream *stream = half->stream;

	stream->halves[stream->halves[1] == half] = NULL;
	half->stream = NULL;
}

enum stream_join stream_join(struct half *half, const uint8_t hash[SOCKS5_HASH_LEN])
{
	struct stream *stream = stream_find(hash);
	bool fresh = stream == NULL;

	if (fresh && half->peer)
		return STREAM_JOIN_NOT_OWNED;
	if (fresh && daemon_draining())
		return STREAM_JOIN_DRAINING;
	if (fresh)
		stream = stream_new(hash);
	if (is_full(stream))
		return STREAM_JOIN_FULL;
	give_seat(stream, half);
	if (fresh && claim_take(stream))
		stream_enter(stream, STREAM_WAITING);
	if (is_claiming(stream))
		return STREAM_JOIN_CLAIMING;
	if (is_full(stream))
		stream_enter(stream, STREAM_PAIRED);
	return STREAM_JOIN_SETTLED;
}

/* A peer's half isn't bridged again: the relay that sent it is mistaken about the owner. */
static void bridge_or_refuse(struct half *half, const uint8_t hash[SOCKS5_HASH_LEN],
                             const struct stream_owner *owner)
{
	if (half->peer || owner->peer == NULL || !bridge_possible())
		half_refuse(half, SOCKS5_OWNED_ELSEWHERE);
	else
		bridge_open(half, hash, owner);
}

/* The hash isn't ours: what has come for it goes elsewhere. */
static void disown(struct stream *stream, const struct stream_owner *owner)
{
	for (int side = 0; side < 2; side++) {
		struct half *half = stream->halves[side];

		if (half == NULL)
			continue;
		take_seat(half);
		if (owner == NULL)
			half_refuse(half, SOCKS5_STORE_AWAY);
		else
			bridge_or_refuse(half, stream->hash, owner);
	}
	stream_free(stream);
}

void stream_claimed(struct stream *stream, enum stream_claim claim,
                    const struct stream_owner *owner)
{
	struct half *first = stream->halves[0], *second = stream->halves[1];

	if (claim != STREAM_CLAIM_OURS) {
		disown(stream, owner);
		return;
	}
	stream_enter(stream, is_full(stream) ? STREAM_PAIRED : STREAM_WAITING);
	/*
	 * A half whose grant can't be sent leaves, and the stream ends with the last one: not
	 * touched after.
	 */
	if (first != NULL)
		half_grant(first);
	if (second != NULL)
		half_grant(second);
}

enum stream_activate stream_activate(struct stream *stream, char *about)
{
	if (stream->state == STREAM_PAIRED) {
		stream->about = about;
		stream->started_ms = loop_wall_ms();
		claim_rest(stream);
		stream_enter(stream, STREAM_ACTIVE);
		transfer_start(stream);
		return STREAM_ACTIVATED;
	}
	free(about);
	return stream->state > STREAM_PAIRED ? STREAM_ACTIVATED : STREAM_INCOMPLETE;
}

/* The end */

static uint64_t sent_by(const struct half *half)
{
	return half == NULL ? 0 : half_delivered(half);
}

/* A peer's half has that relay's address: the client's own is in the line of its bridge there. */
static const char *address_of(const struct half *half, char *text)
{
	return half == NULL ? "-" : half_address(half, text);
}

static void log_end(const struct stream *stream, enum stream_reason reason)
{
	uint64_t took_ms = loop_now_ms() - stream->opened_ms;
	char first[NET_TEXT_MAX], second[NET_TEXT_MAX];

	log_info("stream-ended id=%s reason=%s state=%s seconds=%llu.%03llu first=%llu second=%llu "
	         "first-address=%s second-address=%s",
	         hash_text(stream), stream_reason_names[reason], stream_state_names[stream->state],
	         (unsigned long long)(took_ms / 1000), (unsigned long long)(took_ms % 1000),
	         (unsigned long long)sent_by(stream->halves[0]),
	         (unsigned long long)sent_by(stream->halves[1]),
	         address_of(stream->halves[0], first), address_of(stream->halves[1], second));
}

void stream_close_halves(struct stream *stream, enum stream_reason reason)
{
	for (int side = 0; side < 2; side++) {
		struct half *half = stream->halves[side];

		if (half == NULL)
			continue;
		take_seat(half);
		half_close(half, reason_resets[reason]);
	}
}

/* The transfer's record; and bytes that were read but not delivered aren't charged. */
static void settle(struct stream *stream, enum stream_reason reason)
{
	record_transfer(stream, stream_reason_names[reason]);
	for (int side = 0; stream->quota != NULL && side < 2; side++)
		quota_refund(stream->quota, half_received(stream->halves[side]) -
		                                    half_delivered(stream->halves[side]));
}

/* The end has been logged. */
static void finish(struct stream *stream, enum stream_reason reason)
{
	metric_add(&ended_metric, reason, 1);
	if (stream->about != NULL)
		settle(stream, reason);
	stream_close_halves(stream, reason);
	stream_free(stream);
}

void stream_end(struct stream *stream, enum stream_reason reason)
{
	if (stream->bridged) {
		bridge_end(stream, reason);
		return;
	}
	log_end(stream, reason);
	finish(stream, reason);
}

void stream_leave(struct half *half, enum stream_reason reason)
{
	struct stream *stream = half->stream;
	bool last = !is_full(stream);

	if (last && !stream->bridged)
		log_end(stream, reason);
	take_seat(half);
	if (stream->bridged)
		bridge_end(stream, reason);
	else if (last)
		finish(stream, reason);
	else if (!is_claiming(stream))
		stream_enter(stream, STREAM_WAITING);
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
		stream_end(all[i], STREAM_RELAY_STOPPED);
	free(all);
	map_release(&streams);
}

const struct daemon_module stream_module = { "streams", start, stop };
