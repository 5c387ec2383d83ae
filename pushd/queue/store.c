#include "pushd/queue/store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "pushd/conf.h"
#include "pushd/db.h"
#include "pushd/queue/store_lua.h"

#define SETTLE_AGAIN_MS 500
#define SWEEP_EVERY_MS 5000
#define SWEEP_MAX 100 /* in one call */
#define WORDS_MAX 16

static const char *const priority_names[PRIORITY_COUNT] = { "voip", "high", "low" };

static struct {
	struct redis *redis;
	char *prefix;
	const struct conf *conf;
	struct list refused; /* answered without Redis */
	struct task refuse;
	struct list unsettled; /* those that Redis didn't carry out, to be tried again */
	struct timer again;
	struct replication replication;
	struct redis_call sweep;
	struct timer next_sweep;
	bool complained; /* Redis's last error was logged */
} self;

static const char **provider_names; /* the configured ones, and "other" */
static struct metric expired_metric = {
	.name = "outrigger_pushd_notifications_expired_total",
	.help = "Stored notifications that were dropped, since they had expired.",
	.kind = METRIC_COUNTER,
	.label = "provider",
};

static void count_expired(const char *provider)
{
	size_t i = 0;

	while (i < expired_metric.series - 1 && strcmp(provider_names[i], provider) != 0)
		i++;
	metric_add(&expired_metric, i, 1);
}

/* ---- answers ---- */

/* Says once what Redis has against us, until it serves again. */
static enum store_result away(const struct redisReply *reply)
{
	const char *error = redis_reply_error(reply);

	if (error != NULL && !self.complained)
		log_error("store-refused error=\"%s\"", error);
	self.complained = self.complained || error != NULL;
	return STORE_AWAY;
}

static enum store_result read_result(struct store_call *call, const struct redisReply *reply)
{
	const char *word = redis_reply_string(reply, NULL);

	if (word == NULL)
		return away(reply);
	self.complained = false;
	call->replaced = *word == 'r';
	switch (*word) {
	case 'm':
		return STORE_MERGED;
	case 'f':
		return STORE_FULL;
	case 'a':
		return STORE_ABSENT;
	default:
		return STORE_DONE;
	}
}

static struct store_call *first_call(const struct list *list)
{
	struct list_link *link = list_first(list);

	return link == NULL ? NULL : container_of(link, struct store_call, link);
}

/* One in a turn, for it may do anything. */
static void on_refuse(struct task *task)
{
	struct store_call *call = first_call(&self.refused);

	if (call == NULL)
		return;
	task_start(task);
	list_remove(&call->link);
	call->done(call, call->result);
}

static void refuse(struct store_call *call, enum store_result result)
{
	call->result = result;
	list_append(&self.refused, &call->link);
	task_start(&self.refuse);
}

/* ---- calls ---- */

/* The arguments of a script; numbers are kept in TEXTS. */
struct words {
	const char *argv[WORDS_MAX];
	size_t argc;
	char texts[WORDS_MAX][24];
};

/* All begin with the prefix, and most then name one thing. */
static struct words begin(const char *name)
{
	return (struct words){ .argv = { self.prefix, name }, .argc = name != NULL ? 2 : 1 };
}

static void add(struct words *words, const char *text)
{
	assert(words->argc < WORDS_MAX);
	words->argv[words->argc++] = text;
}

static void add_number(struct words *words, int64_t number)
{
	char *text = words->texts[words->argc];

	snprintf(text, sizeof(words->texts[0]), "%lld", (long long)number);
	add(words, text);
}

static void run(struct redis_call *call, struct redis_script *script, const struct words *words)
{
	redis_eval(self.redis, call, script, &(struct redis_args){ 0, words->argc, words->argv });
}

static const char *slot_decisions(const struct store_place *place)
{
	if (!place->slot)
		return "";
	assert(strlen(place->decisions) == STORE_WAITING_COUNT);
	return place->decisions;
}

/* ---- putting ---- */

static void on_replicated(struct replicated_write *write, bool enough)
{
	struct store_call *call = container_of(write, struct store_call, write);

	call->done(call, enough ? call->result : STORE_AWAY);
}

static void on_put(struct redis_call *reached, const struct redisReply *reply)
{
	struct store_call *call = container_of(reached, struct store_call, call);

	call->result = read_result(call, reply);
	if (self.conf->daemon.wait_replicas == 0 || call->result == STORE_FULL ||
	    call->result == STORE_AWAY) {
		call->done(call, call->result);
		return;
	}
	call->write.done = on_replicated;
	replication_await(&self.replication, &call->write);
}

void store_put(struct store_call *call, const struct store_entry *entry,
               const struct store_place *place)
{
	int64_t now_ms = loop_wall_ms();
	struct words words = begin(entry->id);

	assert(!(place->slot && entry->priority == PRIORITY_VOIP));
	call->replaced = false;
	if (!db_keeps() || strlen(entry->item) > STORE_ITEM_MAX) {
		refuse(call, db_keeps() ? STORE_FULL : STORE_AWAY);
		return;
	}
	add(&words, entry->node);
	add(&words, entry->provider);
	add(&words, entry->domain);
	add(&words, priority_names[entry->priority]);
	add(&words, entry->item);
	add_number(&words, entry->count);
	add_number(&words, entry->created_ms - now_ms);
	add_number(&words, entry->expires_ms - now_ms);
	add_number(&words, entry->attempts);
	add_number(&words, place->leased ? self.conf->daemon.lease_ms : (int64_t)place->delay_ms);
	add(&words, place->leased ? "1" : "0");
	add(&words, slot_decisions(place));
	add_number(&words, self.conf->daemon.queue_max);
	call->call.done = on_put;
	run(&call->call, &store_lua_put, &words);
}

/* ---- taking ---- */

static enum priority find_priority(const char *name)
{
	enum priority priority = PRIORITY_VOIP;

	while (priority < PRIORITY_LOW && strcmp(priority_names[priority], name) != 0)
		priority++;
	return priority;
}

/* False unless REPLY is a whole entry. SHIFT_MS: our wall clock less Redis's. */
static bool read_entry(struct store_entry *entry, const struct redisReply *reply, int64_t shift_ms)
{
	const char *texts[STORE_FIELD_END];

	for (size_t i = 0; i < STORE_FIELD_END; i++) {
		texts[i] = redis_reply_string(redis_reply_at(reply, i), NULL);
		if (texts[i] == NULL)
			return false;
	}
	*entry = (struct store_entry){
		.id = texts[STORE_FIELD_ID],
		.node = texts[STORE_FIELD_NODE],
		.provider = texts[STORE_FIELD_PROVIDER],
		.domain = texts[STORE_FIELD_DOMAIN],
		.priority = find_priority(texts[STORE_FIELD_PRIORITY]),
		.item = texts[STORE_FIELD_ITEM],
		.count = redis_reply_integer(redis_reply_at(reply, STORE_FIELD_COUNT), -1),
		.attempts = (unsigned)redis_reply_integer(
		        redis_reply_at(reply, STORE_FIELD_ATTEMPTS), 0),
	};
	entry->created_ms =
	        redis_reply_integer(redis_reply_at(reply, STORE_FIELD_CREATED), 0) + shift_ms;
	entry->expires_ms =
	        redis_reply_integer(redis_reply_at(reply, STORE_FIELD_EXPIRES), 0) + shift_ms;
	return true;
}

/* Returns how many there were. */
static size_t count_dropped(const struct redisReply *providers)
{
	for (size_t i = 0; i < redis_reply_count(providers); i++) {
		const char *provider = redis_reply_string(redis_reply_at(providers, i), NULL);

		if (provider != NULL)
			count_expired(provider);
	}
	return redis_reply_count(providers);
}

/* The answer begins with the time, the next due one and the dropped ones; entries follow. */
static void on_taken(struct redis_call *call, const struct redisReply *reply)
{
	struct store_taking *taking = container_of(call, struct store_taking, call);
	size_t replies = redis_reply_count(reply), count = 0;
	struct store_entry *entries;
	int64_t shift_ms;

	if (replies < 3) {
		taking->done(taking, away(reply), NULL, 0, -1);
		return;
	}
	self.complained = false;
	shift_ms = loop_wall_ms() - redis_reply_integer(redis_reply_at(reply, 0), 0);
	count_dropped(redis_reply_at(reply, 2));
	entries = mem_alloc(replies, sizeof(*entries));
	for (size_t i = 3; i < replies; i++)
		if (read_entry(&entries[count], redis_reply_at(reply, i), shift_ms))
			count++;
	taking->done(taking, STORE_DONE, entries, count,
	             redis_reply_integer(redis_reply_at(reply, 1), -1));
	free(entries);
}

void store_take(struct store_taking *taking, const char *provider, unsigned count)
{
	struct words words = begin(provider);

	add_number(&words, count < STORE_TAKE_MAX ? count : STORE_TAKE_MAX);
	add_number(&words, self.conf->daemon.lease_ms);
	taking->call.done = on_taken;
	run(&taking->call, &store_lua_take, &words);
}

/* ---- sweeping ---- */

/* What nobody takes (its provider is away, or configured no more) ends, too. */
static void on_next_sweep(struct timer *timer)
{
	struct words words = begin(NULL);

	add_number(&words, self.conf->daemon.lease_ms);
	add_number(&words, SWEEP_MAX);
	run(&self.sweep, &store_lua_sweep, &words);
}

static void on_swept(struct redis_call *call, const struct redisReply *reply)
{
	bool more = count_dropped(reply) == SWEEP_MAX;

	timer_start(&self.next_sweep, more ? 0 : SWEEP_EVERY_MS);
}

/* ---- settling and returning ---- */

static void try_settle(struct store_call *call);

static void on_settled(struct redis_call *reached, const struct redisReply *reply)
{
	struct store_call *call = container_of(reached, struct store_call, call);
	enum store_result result = read_result(call, reply);

	if (result != STORE_AWAY || loop_now_ms() >= call->until_ms) {
		call->done(call, result);
		return;
	}
	list_append(&self.unsettled, &call->link);
	if (!timer_active(&self.again))
		timer_start(&self.again, SETTLE_AGAIN_MS);
}

static void try_settle(struct store_call *call)
{
	struct words words = begin(call->id);

	run(&call->call, &store_lua_settle, &words);
}

static void on_again(struct timer *timer)
{
	struct store_call *call;

	while ((call = first_call(&self.unsettled)) != NULL) {
		list_remove(&call->link);
		try_settle(call);
	}
}

void store_settle(struct store_call *call, const char *id)
{
	assert(strlen(id) < sizeof(call->id));
	memcpy(call->id, id, strlen(id) + 1);
	call->until_ms = loop_now_ms() + store_lease_ms();
	call->call.done = on_settled;
	try_settle(call);
}

static void on_returned(struct redis_call *reached, const struct redisReply *reply)
{
	struct store_call *call = container_of(reached, struct store_call, call);

	call->done(call, read_result(call, reply));
}

void store_return(struct store_call *call, const char *id, const struct store_place *place)
{
	struct words words = begin(id);

	assert(!place->leased);
	add_number(&words, (int64_t)place->delay_ms);
	add(&words, slot_decisions(place));
	add_number(&words, place->untried ? 0 : 1);
	call->replaced = false;
	call->call.done = on_returned;
	run(&call->call, &store_lua_return, &words);
}

/* ---- all calls ---- */

void store_cancel(struct store_call *call)
{
	redis_cancel(&call->call);
	list_remove(&call->link);
	list_remove(&call->write.link);
}

bool store_busy(const struct store_call *call)
{
	return redis_busy(&call->call) || list_linked(&call->link) ||
	       list_linked(&call->write.link);
}

/* ---- counting ---- */

static void on_counted(struct redis_call *call, const struct redisReply *reply)
{
	struct store_counting *counting = container_of(call, struct store_counting, call);
	size_t count = redis_reply_count(reply) / 2;
	struct store_count *counts;

	if (redis_reply_nil(reply) || redis_reply_error(reply) != NULL) {
		counting->done(counting, away(reply), NULL, 0);
		return;
	}
	counts = mem_alloc(count + 1, sizeof(*counts));
	for (size_t i = 0; i < count; i++) {
		counts[i].provider = redis_reply_string(redis_reply_at(reply, 2 * i), NULL);
		counts[i].count = redis_reply_integer(redis_reply_at(reply, 2 * i + 1), 0);
	}
	counting->done(counting, STORE_DONE, counts, count);
	free(counts);
}

void store_counts(struct store_counting *counting)
{
	counting->call.done = on_counted;
	redis_command(self.redis, &counting->call, "HGETALL %sstored", self.prefix);
}

/* ---- the module ---- */

uint64_t store_lease_ms(void)
{
	return (uint64_t)self.conf->daemon.lease_ms;
}

static void make_metric(const struct conf *conf)
{
	size_t count = conf->providers.count;

	provider_names = mem_alloc(count + 1, sizeof(*provider_names));
	for (size_t i = 0; i < count; i++)
		provider_names[i] = conf_provider(conf, i)->id;
	provider_names[count] = "other";
	expired_metric.values = provider_names;
	expired_metric.series = count + 1;
	expired_metric.numbers = mem_alloc(count + 1, sizeof(int64_t));
	metrics_add(&expired_metric);
}

static int start(void *config)
{
	const struct conf *conf = config;

	self.redis = db_connect(conf);
	if (self.redis == NULL)
		return -1;
	self.conf = conf;
	self.prefix = mem_printf("%spush:", conf->daemon.redis_prefix);
	self.refuse.run = on_refuse;
	self.again.expired = on_again;
	self.sweep.done = on_swept;
	self.next_sweep.expired = on_next_sweep;
	list_init(&self.refused);
	list_init(&self.unsettled);
	replication_init(&self.replication, self.redis, conf->daemon.wait_replicas);
	timer_start(&self.next_sweep, SWEEP_EVERY_MS);
	make_metric(conf);
	return 0;
}

static void stop(void)
{
	task_stop(&self.refuse);
	timer_stop(&self.again);
	timer_stop(&self.next_sweep);
	redis_free(self.redis);
	free(self.prefix);
	memset(&self, 0, sizeof(self));
	free(provider_names);
	free(expired_metric.numbers);
}

const struct daemon_module store_module = { "store", start, stop };
