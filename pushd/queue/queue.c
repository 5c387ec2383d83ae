#include "pushd/queue/queue.h"

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
#include "pushd/queue/expire.lua.h"
#include "pushd/queue/list.lua.h"
#include "pushd/queue/put.lua.h"
#include "pushd/queue/return.lua.h"
#include "pushd/queue/settle.lua.h"
#include "pushd/queue/take.lua.h"

#define SETTLE_AGAIN_MS 500
#define EXPIRE_EVERY_MS 5000
#define EXPIRE_MAX 100     /* in one call */
#define EXPIRE_AGAIN_MS 10 /* where there may be more */
#define REPLICAS_MS "500"
#define ARGUMENTS_MAX 17

static struct redis_script put_script = { put_lua };
static struct redis_script take_script = { take_lua };
static struct redis_script expire_script = { expire_lua };
static struct redis_script list_script = { list_lua };
static struct redis_script settle_script = { settle_lua };
static struct redis_script return_script = { return_lua };

/* What take.lua answers of an entry: its fields, then its id. */
enum entry_field {
	ENTRY_PROVIDER,
	ENTRY_PRIORITY,
	ENTRY_DOMAIN,
	ENTRY_NODE,
	ENTRY_SLOT,
	ENTRY_ATTEMPTS,
	ENTRY_COUNT,
	ENTRY_EXPIRES,
	ENTRY_CREATED,
	ENTRY_ITEM,
	ENTRY_ID,
	ENTRY_END
};

/* By the class of the older one, then of the newer one: 'r' the newer replaces it, 'a' not. */
static const char queue_rule[] = "rar" /* high */
                                 "rrr" /* low */
                                 "rrr" /* dismissal */;

static struct {
	struct redis *redis;
	char *prefix;
	const struct conf *conf;
	struct list refused; /* calls that are answered without Redis */
	struct task refuse;
	struct list unsettled; /* settlements that Redis didn't carry out, to be tried again */
	struct timer again;
	struct list written; /* puts since the last WAIT was sent */
	struct list waiting; /* the puts that it is for */
	struct redis_call wait;
	bool replicas_missing; /* the last WAIT had too few, and that was logged */
	struct redis_call expire;
	struct timer next_expire;
	bool complained; /* Redis's last error was logged */
} self;

static const char **provider_names; /* the configured ones, and "other" */
static struct metric expired_metric = {
	.name = "outrigger_pushd_notifications_expired_total",
	.help = "Queued notifications that were dropped, since they had expired.",
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

/* ---- the rule which of two survives ---- */

enum queue_class queue_class(enum priority priority, int64_t count)
{
	if (priority != PRIORITY_LOW)
		return QUEUE_HIGH;
	return count == 0 ? QUEUE_DISMISSAL : QUEUE_LOW;
}

bool queue_replaces(enum queue_class older, enum queue_class newer)
{
	return queue_rule[older * QUEUE_CLASSES + newer] == 'r';
}

/* ---- answers ---- */

/* Logs Redis's error once, until it serves again. */
static enum queue_result fail(const struct redisReply *reply)
{
	redis_log_error(reply, "queue-refused", &self.complained);
	return QUEUE_UNAVAILABLE;
}

static enum queue_result read_result(struct queue_call *call, const struct redisReply *reply)
{
	const char *word = redis_reply_string(reply, NULL);

	if (word == NULL)
		return fail(reply);
	self.complained = false;
	switch (*word) {
	case 'm':
		return QUEUE_MERGED;
	case 'f':
		return QUEUE_FULL;
	case 'a':
		return QUEUE_ABSENT;
	default:
		return QUEUE_DONE;
	}
}

static struct queue_call *first_call(const struct list *list)
{
	struct list_link *link = list_first(list);

	return link == NULL ? NULL : container_of(link, struct queue_call, link);
}

/* One in each turn of the loop, since done() may free any other call. */
static void on_refuse(struct task *task)
{
	struct queue_call *call = first_call(&self.refused);

	if (call == NULL)
		return;
	task_start(task);
	list_remove(&call->link);
	call->done(call, call->result);
}

static void refuse(struct queue_call *call, enum queue_result result)
{
	call->result = result;
	list_append(&self.refused, &call->link);
	task_start(&self.refuse);
}

/* ---- calls ---- */

/* The arguments of a script; numbers are kept in TEXTS. */
struct arguments {
	const char *argv[ARGUMENTS_MAX];
	size_t argc;
	char texts[ARGUMENTS_MAX][24];
};

/* Every script's first argument is the prefix, and that of most the second is a name. */
static struct arguments begin(const char *name)
{
	return (struct arguments){ .argv = { self.prefix, name }, .argc = name != NULL ? 2 : 1 };
}

static void add(struct arguments *arguments, const char *text)
{
	assert(arguments->argc < ARGUMENTS_MAX);
	arguments->argv[arguments->argc++] = text;
}

static void add_number(struct arguments *arguments, int64_t number)
{
	char *text = arguments->texts[arguments->argc];

	snprintf(text, sizeof(arguments->texts[0]), "%lld", (long long)number);
	add(arguments, text);
}

static void run(struct redis_call *call, struct redis_script *script,
                const struct arguments *arguments)
{
	redis_eval(self.redis, call, script,
	           &(struct redis_args){ 0, arguments->argc, arguments->argv });
}

static const char *rule_of(const struct queue_place *place)
{
	return place->slot ? queue_rule : "";
}

/* ---- replicas ---- */

static void move_all(struct list *to, struct list *from)
{
	struct list_link *link;

	while ((link = list_take(from)) != NULL)
		list_append(to, link);
}

/*
 * A put counts once enough replicas have it (WAIT). One WAIT is for all that was written before it;
 * it holds up what comes after it on its connection, so only one is under way.
 */
static void await_replicas(void)
{
	if (redis_busy(&self.wait) || list_empty(&self.written))
		return;
	move_all(&self.waiting, &self.written);
	redis_command(self.redis, &self.wait, "WAIT %lld " REPLICAS_MS,
	              (long long)self.conf->daemon.wait_replicas);
}

static void complain_of_replicas(int64_t acknowledged)
{
	if (!self.replicas_missing)
		log_error("replicas-missing acknowledged=%lld wanted=%lld", (long long)acknowledged,
		          (long long)self.conf->daemon.wait_replicas);
	self.replicas_missing = true;
}

static void on_replicated(struct redis_call *wait, const struct redisReply *reply)
{
	int64_t acknowledged = redis_reply_integer(reply, -1);
	bool enough = acknowledged >= self.conf->daemon.wait_replicas;
	struct queue_call *call;

	/* A WAIT on a new connection knows nothing of what was written over the last one. */
	if (acknowledged < 0)
		move_all(&self.waiting, &self.written);
	if (enough)
		self.replicas_missing = false;
	else if (acknowledged >= 0)
		complain_of_replicas(acknowledged);
	while ((call = first_call(&self.waiting)) != NULL) {
		list_remove(&call->link);
		call->done(call, enough ? call->result : QUEUE_UNAVAILABLE);
	}
	await_replicas();
}

/* ---- putting ---- */

static void on_put(struct redis_call *reached, const struct redisReply *reply)
{
	struct queue_call *call = container_of(reached, struct queue_call, call);

	call->result = read_result(call, reply);
	if (self.conf->daemon.wait_replicas == 0 || call->result == QUEUE_FULL ||
	    call->result == QUEUE_UNAVAILABLE) {
		call->done(call, call->result);
		return;
	}
	list_append(&self.written, &call->link);
	await_replicas();
}

void queue_put(struct queue_call *call, const struct queue_entry *entry,
               const struct queue_place *place)
{
	int64_t now_ms = loop_wall_ms();
	struct arguments arguments = begin(entry->id);

	assert(!(place->slot && entry->priority == PRIORITY_VOIP));
	if (!db_keeps() || strlen(entry->item) > QUEUE_ITEM_MAX) {
		refuse(call, db_keeps() ? QUEUE_FULL : QUEUE_UNAVAILABLE);
		return;
	}
	add(&arguments, entry->node);
	add(&arguments, entry->provider);
	add(&arguments, entry->domain);
	add(&arguments, priority_names[entry->priority]);
	add(&arguments, entry->item);
	add_number(&arguments, entry->count);
	add_number(&arguments, entry->created_ms - now_ms);
	add_number(&arguments, entry->expires_ms - now_ms);
	add_number(&arguments, entry->attempts);
	add_number(&arguments,
	           place->leased ? self.conf->daemon.lease_ms : (int64_t)place->delay_ms);
	add(&arguments, place->leased ? "1" : "0");
	add(&arguments, rule_of(place));
	add_number(&arguments, queue_class(entry->priority, entry->count));
	add_number(&arguments, self.conf->daemon.queue_max);
	add(&arguments, place->late ? "1" : "0");
	call->call.done = on_put;
	run(&call->call, &put_script, &arguments);
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
static bool read_entry(struct queue_entry *entry, const struct redisReply *reply, int64_t shift_ms)
{
	const char *texts[ENTRY_END];

	for (size_t i = 0; i < ENTRY_END; i++) {
		texts[i] = redis_reply_string(redis_reply_at(reply, i), NULL);
		if (texts[i] == NULL)
			return false;
	}
	*entry = (struct queue_entry){
		.id = texts[ENTRY_ID],
		.node = texts[ENTRY_NODE],
		.provider = texts[ENTRY_PROVIDER],
		.domain = texts[ENTRY_DOMAIN],
		.priority = find_priority(texts[ENTRY_PRIORITY]),
		.item = texts[ENTRY_ITEM],
		.count = redis_reply_integer(redis_reply_at(reply, ENTRY_COUNT), -1),
		.attempts = (unsigned)redis_reply_integer(redis_reply_at(reply, ENTRY_ATTEMPTS), 0),
	};
	entry->created_ms = redis_reply_time_ms(redis_reply_at(reply, ENTRY_CREATED)) + shift_ms;
	entry->expires_ms = redis_reply_time_ms(redis_reply_at(reply, ENTRY_EXPIRES)) + shift_ms;
	return true;
}

/* A row that has an id alone was set aside: somebody has spoiled it. */
static void tell_set_aside(const struct redisReply *row)
{
	const char *id = redis_reply_string(redis_reply_at(row, 0), NULL);

	if (redis_reply_count(row) == 1 && id != NULL)
		log_error("queue-entry-set-aside id=%s", id);
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
	struct queue_taking *taking = container_of(call, struct queue_taking, call);
	size_t replies = redis_reply_count(reply), count = 0;
	int64_t now_ms = redis_reply_time_ms(redis_reply_at(reply, 0)), shift_ms;
	struct queue_entry *entries;

	if (replies < 3 || now_ms == 0) {
		taking->done(taking, fail(reply), NULL, 0, -1);
		return;
	}
	self.complained = false;
	shift_ms = loop_wall_ms() - now_ms;
	count_dropped(redis_reply_at(reply, 2));
	entries = mem_alloc(replies, sizeof(*entries));
	for (size_t i = 3; i < replies; i++)
		if (read_entry(&entries[count], redis_reply_at(reply, i), shift_ms))
			count++;
		else
			tell_set_aside(redis_reply_at(reply, i));
	taking->done(taking, QUEUE_DONE, entries, count,
	             redis_reply_integer(redis_reply_at(reply, 1), -1));
	free(entries);
}

void queue_take(struct queue_taking *taking, const char *provider, unsigned count)
{
	struct arguments arguments = begin(provider);

	add_number(&arguments, count < QUEUE_TAKE_MAX ? count : QUEUE_TAKE_MAX);
	add_number(&arguments, self.conf->daemon.lease_ms);
	taking->call.done = on_taken;
	run(&taking->call, &take_script, &arguments);
}

/* ---- expiry ---- */

/* Also entries that nobody takes end: their provider is unreachable, or configured no more. */
static void on_next_expire(struct timer *timer)
{
	struct arguments arguments = begin(NULL);

	add_number(&arguments, self.conf->daemon.lease_ms);
	add_number(&arguments, EXPIRE_MAX);
	run(&self.expire, &expire_script, &arguments);
}

static void on_expired(struct redis_call *call, const struct redisReply *reply)
{
	bool more = count_dropped(reply) == EXPIRE_MAX;

	timer_start(&self.next_expire, more ? EXPIRE_AGAIN_MS : EXPIRE_EVERY_MS);
}

/* ---- settling and giving back ---- */

static void try_settle(struct queue_call *call);

static void on_settled(struct redis_call *reached, const struct redisReply *reply)
{
	struct queue_call *call = container_of(reached, struct queue_call, call);
	enum queue_result result = read_result(call, reply);

	if (result != QUEUE_UNAVAILABLE || loop_now_ms() >= call->until_ms) {
		call->done(call, result);
		return;
	}
	list_append(&self.unsettled, &call->link);
	if (!timer_active(&self.again))
		timer_start(&self.again, SETTLE_AGAIN_MS);
}

static void try_settle(struct queue_call *call)
{
	struct arguments arguments = begin(call->id);

	run(&call->call, &settle_script, &arguments);
}

static void on_again(struct timer *timer)
{
	struct queue_call *call;

	while ((call = first_call(&self.unsettled)) != NULL) {
		list_remove(&call->link);
		try_settle(call);
	}
}

void queue_settle(struct queue_call *call, const char *id)
{
	assert(strlen(id) < sizeof(call->id));
	memcpy(call->id, id, strlen(id) + 1);
	call->until_ms = loop_now_ms() + queue_lease_ms();
	call->call.done = on_settled;
	try_settle(call);
}

static void on_returned(struct redis_call *reached, const struct redisReply *reply)
{
	struct queue_call *call = container_of(reached, struct queue_call, call);

	call->done(call, read_result(call, reply));
}

void queue_give_back(struct queue_call *call, const char *id, const struct queue_place *place)
{
	struct arguments arguments = begin(id);

	assert(!place->leased);
	add_number(&arguments, (int64_t)place->delay_ms);
	add(&arguments, rule_of(place));
	add_number(&arguments, place->untried ? 0 : 1);
	call->call.done = on_returned;
	run(&call->call, &return_script, &arguments);
}

/* ---- all calls ---- */

void queue_cancel(struct queue_call *call)
{
	redis_cancel(&call->call);
	list_remove(&call->link);
}

bool queue_busy(const struct queue_call *call)
{
	return redis_busy(&call->call) || list_linked(&call->link);
}

/* ---- counting ---- */

static const char *text_at(const struct redisReply *row, size_t index)
{
	const char *text = redis_reply_string(redis_reply_at(row, index), NULL);

	return text != NULL ? text : "";
}

static void on_counted(struct redis_call *call, const struct redisReply *reply)
{
	struct queue_counting *counting = container_of(call, struct queue_counting, call);
	size_t count = redis_reply_count(reply) / 2;
	struct queue_count *counts;

	if (redis_reply_nil(reply) || redis_reply_error(reply) != NULL) {
		counting->done(counting, fail(reply), NULL, 0);
		return;
	}
	counts = mem_alloc(count + 1, sizeof(*counts));
	for (size_t i = 0; i < count; i++) {
		counts[i].provider = text_at(reply, 2 * i);
		counts[i].count = redis_reply_integer(redis_reply_at(reply, 2 * i + 1), 0);
	}
	counting->done(counting, QUEUE_DONE, counts, count);
	free(counts);
}

void queue_counts(struct queue_counting *counting)
{
	counting->call.done = on_counted;
	redis_command(self.redis, &counting->call, "HGETALL %sstored", self.prefix);
}

/* ---- listing ---- */

static void read_row(struct queue_entry *entry, const struct redisReply *row)
{
	*entry = (struct queue_entry){
		.id = text_at(row, 0),
		.node = text_at(row, 1),
		.provider = text_at(row, 2),
		.domain = text_at(row, 3),
		.priority = find_priority(text_at(row, 4)),
		.attempts = (unsigned)strtoul(text_at(row, 5), NULL, 10),
		.created_ms = strtoll(text_at(row, 6), NULL, 10),
		.expires_ms = strtoll(text_at(row, 7), NULL, 10),
		.due_ms = strtoll(text_at(row, 8), NULL, 10),
	};
}

static void on_entries_listed(struct redis_call *call, const struct redisReply *reply)
{
	struct queue_listing *listing = container_of(call, struct queue_listing, call);
	const struct redisReply *rows = redis_reply_at(reply, 1);
	size_t count = redis_reply_count(rows);
	struct queue_entry *entries;

	if (redis_reply_count(reply) != 2) {
		listing->done(listing, fail(reply), NULL, 0, 0);
		return;
	}
	entries = mem_alloc(count + 1, sizeof(*entries));
	for (size_t i = 0; i < count; i++)
		read_row(&entries[i], redis_reply_at(rows, i));
	listing->done(listing, QUEUE_DONE, entries, count,
	              redis_reply_integer(redis_reply_at(reply, 0), 0));
	free(entries);
}

void queue_list(struct queue_listing *listing, const char *after, int64_t after_ms, unsigned count)
{
	struct arguments arguments = begin(after != NULL ? after : "");

	add_number(&arguments, after_ms);
	add_number(&arguments, count);
	listing->call.done = on_entries_listed;
	run(&listing->call, &list_script, &arguments);
}

/* ---- the module ---- */

uint64_t queue_lease_ms(void)
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
	self.wait.done = on_replicated;
	self.expire.done = on_expired;
	self.next_expire.expired = on_next_expire;
	list_init(&self.refused);
	list_init(&self.unsettled);
	list_init(&self.written);
	list_init(&self.waiting);
	timer_start(&self.next_expire, EXPIRE_EVERY_MS);
	make_metric(conf);
	return 0;
}

static void stop(void)
{
	task_stop(&self.refuse);
	timer_stop(&self.again);
	timer_stop(&self.next_expire);
	redis_free(self.redis);
	free(self.prefix);
	memset(&self, 0, sizeof(self));
	free(provider_names);
	free(expired_metric.numbers);
}

const struct daemon_module queue_module = { "queue", start, stop };
