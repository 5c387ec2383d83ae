#include "pushd/delivery/history.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "pushd/db.h"
#include "pushd/delivery/history.lua.h"

#define SENT_MAX 4096                   /* devices whose last sent notification is remembered */
#define WRITES_MAX 256                  /* under way; a Redis that is slower gets no more */
#define TTL_MS (7 * 24 * 3600 * 1000ll) /* of a list */

/* The last notification that was sent to a device. */
struct sent {
	struct list_link link;
	int64_t at_ms;
	const char *provider; /* borrowed */
	unsigned status;
	size_t node_len;
	char node[];
};

/* A failure on its way to Redis. */
struct write {
	struct redis_call call;
	struct list_link link;
};

static struct {
	struct map sent;    /* struct sent by node */
	struct list recent; /* the same, the oldest first */
	struct list writes;
	size_t writes_count;
} self;

static struct redis_script history_script = { history_lua };

static int start(void *config)
{
	list_init(&self.recent);
	list_init(&self.writes);
	return 0;
}

/* ---- what was sent ---- */

static void forget_sent(struct sent *sent)
{
	map_remove(&self.sent, sent->node, sent->node_len);
	list_remove(&sent->link);
	free(sent);
}

static struct sent *find_sent(const char *node)
{
	return map_get(&self.sent, node, strlen(node));
}

static struct sent *add_sent(const char *node)
{
	size_t len = strlen(node);
	struct sent *sent = mem_alloc(1, sizeof(*sent) + len + 1);

	if (self.sent.count >= SENT_MAX)
		forget_sent(container_of(list_first(&self.recent), struct sent, link));
	memcpy(sent->node, node, len);
	sent->node_len = len;
	map_put(&self.sent, sent->node, len, sent);
	return sent;
}

/* On the fast path: no JSON is made here. */
static void keep_sent(const char *node, const char *provider, unsigned status)
{
	struct sent *sent = find_sent(node);

	if (sent == NULL)
		sent = add_sent(node);
	sent->at_ms = loop_wall_ms();
	sent->provider = provider;
	sent->status = status;
	list_remove(&sent->link);
	list_append(&self.recent, &sent->link);
}

/* ---- what failed ---- */

static void end_write(struct write *write)
{
	redis_cancel(&write->call);
	list_remove(&write->link);
	self.writes_count--;
	free(write);
}

static void on_written(struct redis_call *call, const struct redisReply *reply)
{
	end_write(container_of(call, struct write, call));
}

static char *make_key(const char *node)
{
	return mem_printf("%spush:history:%s", redis_prefix(db_redis()), node);
}

static void write_failure(const char *node, const json_t *verdict)
{
	char *key = make_key(node), *text = json_dumps(verdict, JSON_COMPACT);
	char *most = mem_printf("%d", HISTORY_MAX), *ttl = mem_printf("%lld", TTL_MS);
	const char *const argv[] = { key, text, most, ttl };
	struct write *write = mem_alloc(1, sizeof(*write));

	write->call.done = on_written;
	list_append(&self.writes, &write->link);
	self.writes_count++;
	redis_eval(db_redis(), &write->call, &history_script,
	           &(struct redis_args){ 1, ARRAY_LEN(argv), argv });
	free(ttl);
	free(most);
	free(text);
	free(key);
}

static json_t *describe(int64_t at_ms, const char *provider, unsigned status, enum outcome outcome)
{
	return json_pack("{s:I, s:s, s:i, s:s}", "at_ms", (json_int_t)at_ms, "provider", provider,
	                 "status", (int)status, "outcome", outcome_names[outcome]);
}

void history_add(const char *node, const char *provider, unsigned status, const char *reason,
                 enum outcome outcome)
{
	json_t *verdict;

	if (outcome == OUTCOME_SENT) {
		keep_sent(node, provider, status);
		return;
	}
	if (self.writes_count >= WRITES_MAX || !redis_connected(db_redis()))
		return;
	verdict = describe(loop_wall_ms(), provider, status, outcome);
	if (reason != NULL && *reason != '\0')
		json_object_set_new(verdict, "reason", json_string(reason));
	write_failure(node, verdict);
	json_decref(verdict);
}

/* ---- looking ---- */

/* Puts what was sent where its time belongs. */
static void insert_sent(json_t *verdicts, const struct sent *sent)
{
	size_t place = 0;

	while (place < json_array_size(verdicts) &&
	       json_integer_value(json_object_get(json_array_get(verdicts, place), "at_ms")) >
	               sent->at_ms)
		place++;
	json_array_insert_new(verdicts, place,
	                      describe(sent->at_ms, sent->provider, sent->status, OUTCOME_SENT));
}

static void on_found(struct redis_call *call, const struct redisReply *reply)
{
	struct history_query *query = container_of(call, struct history_query, call);
	const struct sent *sent = find_sent(query->node);
	json_t *verdicts = json_array();

	for (size_t i = 0; i < redis_reply_count(reply); i++) {
		size_t len = 0;
		const char *text = redis_reply_string(redis_reply_at(reply, i), &len);
		json_t *verdict = text != NULL ? json_loadb(text, len, 0, NULL) : NULL;

		if (json_is_object(verdict))
			json_array_append(verdicts, verdict);
		json_decref(verdict);
	}
	if (sent != NULL)
		insert_sent(verdicts, sent);
	query->done(query, verdicts);
	json_decref(verdicts);
}

void history_find(struct history_query *query, const char *node)
{
	char *key = make_key(node);

	query->node = node;
	query->call.done = on_found;
	redis_command(db_redis(), &query->call, "LRANGE %s 0 %d", key, HISTORY_MAX - 1);
	free(key);
}

static void stop(void)
{
	list_for_each (link, &self.writes)
		end_write(container_of(link, struct write, link));
	while (!list_empty(&self.recent))
		forget_sent(container_of(list_first(&self.recent), struct sent, link));
	map_release(&self.sent);
}

const struct daemon_module history_module = { "history", start, stop };
