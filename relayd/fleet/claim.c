#include "relayd/fleet/claim.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "common/redis/redis.h"
#include "common/registry.h"
#include "relayd/conf.h"
#include "relayd/fleet/claim_remove.lua.h"
#include "relayd/fleet/claim_renew.lua.h"
#include "relayd/fleet/claim_take.lua.h"
#include "relayd/fleet/fleet.h"

#define CLAIM_LIFE_MS "60000"
#define RENEW_EVERY_MS 20000
#define RENEWED_MS "30000" /* a claim with less life than this has missed a renewal */
#define RENEW_BATCH 128
#define KEY_NAME "claim:"

/* A removal whose reply nobody needs; listed so that it can be freed if the process ends first. */
struct removal {
	struct redis_call call;
	struct list_link link;
};

static struct redis_script take_script = { claim_take_lua, "" };
static struct redis_script renew_script = { claim_renew_lua, "" };
static struct redis_script remove_script = { claim_remove_lua, "" };

static struct {
	char *value;         /* of this relay's claims, "ID EPOCH"; owned */
	const char *token;   /* with which relays' records are signed; borrowed */
	uint64_t logged_ms;  /* when a bad record was logged last */
	struct list renewed; /* claims */
	size_t renewed_count;
	struct list removals;
	struct timer timer;
	/* The round of renewals under way. */
	struct redis_call call;
	size_t left;                      /* claims that the round has still to renew */
	struct claim *batch[RENEW_BATCH]; /* sent; NULL: not to be renewed any more */
} claims;

static char *key_of(const uint8_t hash[SOCKS5_HASH_LEN])
{
	char text[SOCKS5_NAME_LEN + 1];

	socks5_hash_format(hash, text);
	return mem_printf("%s" KEY_NAME "%s", redis_prefix(fleet_redis()), text);
}

/* Taking */

static void start_renewing(struct claim *claim)
{
	list_append(&claims.renewed, &claim->renewed);
	claims.renewed_count++;
}

/* CLAIM may be gone when the reply to its renewal comes. */
static void forget_in_batch(const struct claim *claim)
{
	for (size_t i = 0; i < RENEW_BATCH; i++)
		if (claims.batch[i] == claim)
			claims.batch[i] = NULL;
}

void claim_rest(struct claim *claim)
{
	if (!list_linked(&claim->renewed))
		return;
	list_remove(&claim->renewed);
	claims.renewed_count--;
	forget_in_batch(claim);
}

/* OWNER is "ID EPOCH", RECORD that relay's record, or NULL without one. */
static void settle_elsewhere(struct claim *claim, const char *owner, const char *record)
{
	char *id = mem_dup_bytes(owner, strcspn(owner, " "));
	json_t *fields = record == NULL
	                         ? NULL
	                         : registry_open("relay", id, record, strlen(record), claims.token);
	const struct claim_owner other = {
		.id = id,
		.peering = json_string_value(json_object_get(fields, "peer")),
	};

	if (record != NULL && fields == NULL)
		registry_log_refused("relay", id, &claims.logged_ms);
	claim->settled(claim, CLAIM_ELSEWHERE, &other);
	free(id);
	json_decref(fields);
}

static void on_taken(struct redis_call *call, const struct redisReply *reply)
{
	struct claim *claim = container_of(call, struct claim, call);
	const char *owner = redis_reply_string(redis_reply_at(reply, 0), NULL);

	if (owner == NULL) {
		claim->settled(claim, CLAIM_UNKNOWN, NULL);
	} else if (strcmp(owner, claims.value) != 0) {
		settle_elsewhere(claim, owner, redis_reply_string(redis_reply_at(reply, 1), NULL));
	} else {
		start_renewing(claim);
		claim->settled(claim, CLAIM_OURS, NULL);
	}
}

bool claim_take(struct claim *claim)
{
	const char *argv[] = { NULL, claims.value, CLAIM_LIFE_MS, NULL, RENEWED_MS };
	char *key, *records;

	if (fleet_redis() == NULL)
		return true;
	claim->call.done = on_taken;
	key = key_of(claim->hash);
	records = mem_printf("%sregistry:relay:", redis_prefix(fleet_redis()));
	argv[0] = key;
	argv[3] = records;
	redis_eval(fleet_redis(), &claim->call, &take_script,
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

void claim_drop(struct claim *claim)
{
	const char *argv[] = { NULL, claims.value };
	struct removal *removal;
	char *key;

	claim_rest(claim);
	redis_cancel(&claim->call);
	/* A claim that can't be removed now runs out by itself. */
	if (fleet_redis() == NULL || !redis_connected(fleet_redis()))
		return;
	removal = mem_alloc(1, sizeof(*removal));
	removal->call.done = on_removed;
	list_append(&claims.removals, &removal->link);
	key = key_of(claim->hash);
	argv[0] = key;
	redis_eval(fleet_redis(), &removal->call, &remove_script,
	           &(struct redis_args){ 1, ARRAY_LEN(argv), argv });
	free(key);
}

/* Renewing: in rounds, batch by batch; a claim that was sent goes to the list's end. */

static void send_batch(void)
{
	const char *argv[RENEW_BATCH + 2];
	size_t count = 0;

	for (; count < RENEW_BATCH && claims.left > 0; count++, claims.left--) {
		struct list_link *link = list_take(&claims.renewed);

		if (link == NULL)
			break;
		list_append(&claims.renewed, link);
		claims.batch[count] = container_of(link, struct claim, renewed);
		argv[count] = key_of(claims.batch[count]->hash);
	}
	if (count == 0)
		return;
	argv[count] = claims.value;
	argv[count + 1] = CLAIM_LIFE_MS;
	redis_eval(fleet_redis(), &claims.call, &renew_script,
	           &(struct redis_args){ count, count + 2, argv });
	while (count > 0)
		free((char *)argv[--count]);
}

/* Another relay owns the hash of the batch's claim PLACE (from 1). */
static void lose(int64_t place)
{
	struct claim *claim = place >= 1 && place <= RENEW_BATCH ? claims.batch[place - 1] : NULL;

	if (claim == NULL)
		return;
	claims.batch[place - 1] = NULL;
	claim->lost(claim);
}

static void on_renewed(struct redis_call *call, const struct redisReply *reply)
{
	if (reply == NULL || redis_reply_error(reply) != NULL) {
		log_warn("claims-not-renewed why=\"%s\"",
		         reply == NULL ? "no answer from Redis" : redis_reply_error(reply));
		claims.left = 0; /* the next round, or the connection's return, begins anew */
		return;
	}
	for (size_t i = 0; i < redis_reply_count(reply); i++)
		lose(redis_reply_integer(redis_reply_at(reply, i), 0));
	send_batch();
}

static void renew_all(void)
{
	if (redis_busy(&claims.call))
		return;
	claims.left = claims.renewed_count;
	send_batch();
}

static void on_timer(struct timer *timer)
{
	timer_start(timer, RENEW_EVERY_MS);
	renew_all();
}

/* After an outage claims may be about to run out, so they are renewed at once. */
static void on_change(struct redis *redis, bool connected)
{
	if (connected)
		renew_all();
}

static int start(void *config)
{
	const struct relay_conf *conf = config;

	claims.token = conf->api_token;
	claims.value = mem_printf("%s %lld", fleet_id(), (long long)fleet_epoch_ms());
	list_init(&claims.renewed);
	list_init(&claims.removals);
	claims.timer.expired = on_timer;
	claims.call.done = on_renewed;
	if (fleet_redis() == NULL)
		return 0;
	redis_on_change(fleet_redis(), on_change);
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
	free(claims.value);
	claims.value = NULL;
}

const struct daemon_module claim_module = { "claims", start, stop };
