#include "relayd/fleet/claim.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "common/redis/redis.h"
#include "relayd/fleet/store.h"
#include "relayd/stream/stream.h"

#define CLAIM_LIFE_MS "60000"
#define RENEW_EVERY_MS 20000
#define NOT_RENEWED_MS "30000" /* less than is left of a claim just before its renewal */
#define RENEW_BATCH 128
#define KEY_NAME "claim:"

struct claim {
	struct redis_call call;
	struct stream *stream;
};

/* A removal that nobody waits for; listed so that it can be freed when the process ends first. */
struct removal {
	struct redis_call call;
	struct list_link link;
};

/*
 * KEYS[1] the claim; ARGV: this relay's claim, life, what a relay's record key begins with, the
 * life that a claim has left if it wasn't renewed. Answers {claim}, or {claim, record} of the relay
 * that owns it.
 *
 * A claim is dead, and is taken over, if the relay has started anew since; also if the relay has no
 * record and has missed a renewal, for then it has crashed: one that only lost Redis for a moment
 * keeps what it has. An own claim is found when Redis had carried out a SET whose answer got lost.
 */
static struct redis_script take_script = {
	"local owner = redis.call('GET', KEYS[1])\n"
	"local id, epoch = string.match(owner or '', '^(%S+) (%d+)$')\n"
	"if id and id ~= string.match(ARGV[1], '^%S+') then\n"
	"	local record = redis.call('GET', ARGV[3] .. id)\n"
	"	if record and string.match(record, '\"epoch\":(%d+)') == epoch then\n"
	"		return {owner, record}\n"
	"	end\n"
	"	local left = redis.call('PTTL', KEYS[1])\n"
	"	if not record and left > tonumber(ARGV[4]) then return {owner} end\n"
	"end\n"
	"redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
	"return {ARGV[1]}\n",
	"",
};
/*
 * A claim that ran out while Redis was away is taken again; the answer lists those that others
 * took.
 */
static struct redis_script renew_script = {
	"local lost = {}\n"
	"for i, key in ipairs(KEYS) do\n"
	"	local owner = redis.call('GET', key)\n"
	"	if not owner or owner == ARGV[1] then\n"
	"		redis.call('SET', key, ARGV[1], 'PX', ARGV[2])\n"
	"	else\n"
	"		lost[#lost + 1] = i\n"
	"	end\n"
	"end\n"
	"return lost\n",
	"",
};
static struct redis_script remove_script = {
	"if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end\n"
	"return 0\n",
	"",
};

static struct {
	struct list waiting; /* streams whose claims are renewed */
	size_t waiting_count;
	struct list removals;
	struct timer timer;
	/* The round of renewals under way. */
	struct redis_call call;
	size_t left; /* streams that the round has still to renew */
	uint8_t batch[RENEW_BATCH][SOCKS5_HASH_LEN];
} claims;

static char *key_of(const uint8_t hash[SOCKS5_HASH_LEN])
{
	char text[SOCKS5_NAME_LEN + 1];

	socks5_hash_format(hash, text);
	return mem_printf("%s" KEY_NAME "%s", redis_prefix(store_redis()), text);
}

/* Taking */

static void start_renewing(struct stream *stream)
{
	list_append(&claims.waiting, &stream->renewed);
	claims.waiting_count++;
}

void claim_rest(struct stream *stream)
{
	if (!list_linked(&stream->renewed))
		return;
	list_remove(&stream->renewed);
	claims.waiting_count--;
}

/* OWNER is "ID EPOCH", RECORD that relay's record, or NULL without one. */
static void taken_by_other(struct stream *stream, const char *owner, const char *record)
{
	json_t *fields = record == NULL ? NULL : json_loads(record, 0, NULL);
	char *id = mem_dup_bytes(owner, strcspn(owner, " "));
	const struct stream_owner other = {
		.id = id,
		.peer = json_string_value(json_object_get(fields, "peer")),
	};

	stream_claimed(stream, STREAM_CLAIM_ELSEWHERE, &other);
	free(id);
	json_decref(fields);
}

static void on_taken(struct redis_call *call, const struct redisReply *reply)
{
	struct claim *claim = container_of(call, struct claim, call);
	struct stream *stream = claim->stream;
	const char *owner = redis_reply_string(redis_reply_at(reply, 0), NULL);

	stream->claim = NULL;
	free(claim);
	if (owner == NULL) {
		stream_claimed(stream, STREAM_CLAIM_UNKNOWN, NULL);
	} else if (strcmp(owner, store_owner()) != 0) {
		taken_by_other(stream, owner, redis_reply_string(redis_reply_at(reply, 1), NULL));
	} else {
		start_renewing(stream);
		stream_claimed(stream, STREAM_CLAIM_OURS, NULL);
	}
}

bool claim_take(struct stream *stream)
{
	const char *argv[] = { NULL, store_owner(), CLAIM_LIFE_MS, NULL, NOT_RENEWED_MS };
	char *key, *records;

	if (store_redis() == NULL)
		return true;
	stream->claim = mem_alloc(1, sizeof(*stream->claim));
	stream->claim->stream = stream;
	stream->claim->call.done = on_taken;
	key = key_of(stream->hash);
	records = mem_printf("%sregistry:relay:", redis_prefix(store_redis()));
	argv[0] = key;
	argv[3] = records;
	redis_eval(store_redis(), &stream->claim->call, &take_script,
	           &(struct redis_args){ 1, ARRAY_LEN(argv), argv });
	free(records);
	free(key);
	return false;
}

/* Removing */

static void on_removed(struct redis_call *call, const struct redisReply *reply)
{
	struct removal *removal = container_of(call, struct removal, call);

	list_remove(&removal->link);
	free(removal);
}

void claim_drop(struct stream *stream)
{
	const char *argv[] = { NULL, store_owner() };
	struct removal *removal;
	char *key;

	claim_rest(stream);
	if (stream->claim != NULL) {
		redis_cancel(&stream->claim->call);
		free(stream->claim);
		stream->claim = NULL;
	}
	/* What can't be removed now runs out by itself. */
	if (store_redis() == NULL || !redis_connected(store_redis()))
		return;
	removal = mem_alloc(1, sizeof(*removal));
	removal->call.done = on_removed;
	list_append(&claims.removals, &removal->link);
	key = key_of(stream->hash);
	argv[0] = key;
	redis_eval(store_redis(), &removal->call, &remove_script,
	           &(struct redis_args){ 1, ARRAY_LEN(argv), argv });
	free(key);
}

/* Renewing: in rounds, a batch after the other; each stream renewed moves to the list's end. */

static void send_batch(void)
{
	const char *argv[RENEW_BATCH + 2];
	size_t count = 0;

	for (; count < RENEW_BATCH && claims.left > 0; count++, claims.left--) {
		struct list_link *link = list_take(&claims.waiting);
		struct stream *stream;

		if (link == NULL)
			break;
		stream = container_of(link, struct stream, renewed);
		list_append(&claims.waiting, link);
		memcpy(claims.batch[count], stream->hash, SOCKS5_HASH_LEN);
		argv[count] = key_of(stream->hash);
	}
	if (count == 0)
		return;
	argv[count] = store_owner();
	argv[count + 1] = CLAIM_LIFE_MS;
	redis_eval(store_redis(), &claims.call, &renew_script,
	           &(struct redis_args){ count, count + 2, argv });
	while (count > 0)
		free((char *)argv[--count]);
}

/* Another relay owns the hash: this half of it can't meet the other one any more. */
static void lose(const uint8_t hash[SOCKS5_HASH_LEN])
{
	struct stream *stream = stream_find(hash);

	if (stream != NULL && list_linked(&stream->renewed))
		stream_end(stream, STREAM_CLAIM_LOST);
}

static void on_renewed(struct redis_call *call, const struct redisReply *reply)
{
	if (reply == NULL || redis_reply_error(reply) != NULL) {
		log_warn("claims-not-renewed why=\"%s\"",
		         reply == NULL ? "no answer from Redis" : redis_reply_error(reply));
		claims.left = 0; /* the next round, or the connection's return, begins anew */
		return;
	}
	for (size_t i = 0; i < redis_reply_count(reply); i++) {
		int64_t place = redis_reply_integer(redis_reply_at(reply, i), 0);

		if (place >= 1 && place <= RENEW_BATCH)
			lose(claims.batch[place - 1]);
	}
	send_batch();
}

static void renew_all(void)
{
	if (redis_busy(&claims.call))
		return;
	claims.left = claims.waiting_count;
	send_batch();
}

static void on_timer(struct timer *timer)
{
	timer_start(timer, RENEW_EVERY_MS);
	renew_all();
}

/* After an absence claims may be about to run out, so the next round doesn't wait for its time. */
static void on_change(struct redis *redis, bool connected)
{
	if (connected)
		renew_all();
}

static int start(void *config)
{
	list_init(&claims.waiting);
	list_init(&claims.removals);
	claims.timer.expired = on_timer;
	claims.call.done = on_renewed;
	if (store_redis() == NULL)
		return 0;
	redis_on_change(store_redis(), on_change);
	timer_start(&claims.timer, RENEW_EVERY_MS);
	return 0;
}

static void stop(void)
{
	struct list_link *link;

	timer_stop(&claims.timer);
	redis_cancel(&claims.call);
	while ((link = list_take(&claims.removals)) != NULL) {
		struct removal *removal = container_of(link, struct removal, link);

		redis_cancel(&removal->call);
		free(removal);
	}
}

const struct daemon_module claim_module = { "claims", start, stop };
