#include "relayd/quota/outbox.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "common/redis/redis.h"
#include "relayd/conf.h"
#include "relayd/fleet/fleet.h"
#include "relayd/quota/outbox.lua.h"

#define ITEMS_MAX 65536
#define BYTES_MAX (64u << 20)
#define BATCH_ITEMS 64
#define BATCH_BYTES (256 * 1024)
#define WORDS_MAX 16 /* of an item */
#define RETRY_MS 500
#define TRIES_MAX 5 /* of an item that Redis refuses for a reason of its own */
#define LOG_EVERY_MS 60000

#define KEYS 4
#define HEAD 5 /* arguments before the first item */
#define ARGS_MAX (KEYS + HEAD + BATCH_ITEMS * (WORDS_MAX + 1))

static struct redis_script script = { outbox_lua, "" };

struct item {
	struct list_link link;
	size_t count, bytes;
	char counted[24]; /* COUNT as text */
	char words[];     /* COUNT texts, each with its NUL */
};

static struct {
	struct list items;
	size_t count, bytes;
	uint64_t written; /* number of the last item that was written */
	uint64_t sent;    /* number of the last item that the call under way has */
	char *keys[KEYS]; /* owned */
	char *usage;      /* what keys of usage begin with, owned */
	char transfers[24];
	struct redis_call call;
	struct task send;
	struct timer retry;
	unsigned tries;     /* how often in a row the first item was refused */
	bool anew;          /* the last number in Redis is none that was written here */
	bool dropping;      /* and it is logged already */
	uint64_t logged_ms; /* when an error was logged last */
} outbox;

static int64_t waiting_items(void)
{
	return (int64_t)outbox.count;
}

static struct metric waiting_metric = {
	.name = "outrigger_relayd_outbox_items",
	.help = "Records, events and returned leases that wait to be written to Redis.",
	.kind = METRIC_GAUGE,
	.read = waiting_items,
};
static int64_t dropped;
static struct metric dropped_metric = {
	.name = "outrigger_relayd_outbox_dropped_total",
	.help = "Records, events and returned leases that found the outbox full.",
	.kind = METRIC_COUNTER,
	.numbers = &dropped,
};
static int64_t set_aside;
static struct metric set_aside_metric = {
	.name = "outrigger_relayd_outbox_set_aside_total",
	.help = "Records, events and returned leases that Redis refused again and again, and that "
	        "were set aside in it.",
	.kind = METRIC_COUNTER,
	.numbers = &set_aside,
};

static void drop_first(void)
{
	struct item *item = container_of(list_take(&outbox.items), struct item, link);

	outbox.count--;
	outbox.bytes -= item->bytes;
	free(item);
}

/* Keys and arguments of one call; all texts but the number are borrowed. */
struct batch {
	const char *argv[ARGS_MAX];
	size_t argc;
	char number[24], given_up[24];
};

static size_t add_item(struct batch *batch, const struct item *item)
{
	const char *word = item->words;

	batch->argv[batch->argc++] = item->counted;
	for (size_t i = 0; i < item->count; i++, word += strlen(word) + 1)
		batch->argv[batch->argc++] = word;
	return item->bytes;
}

/* Fills BATCH with items from FIRST on, which has *NUMBER. Returns the link after the last. */
static struct list_link *fill(struct batch *batch, struct list_link *first, uint64_t *number)
{
	size_t bytes = 0;
	struct list_link *link = first;

	batch->argc = 0;
	for (size_t i = 0; i < KEYS; i++)
		batch->argv[batch->argc++] = outbox.keys[i];
	snprintf(batch->number, sizeof(batch->number), "%llu", (unsigned long long)*number);
	batch->argv[batch->argc++] = outbox.usage;
	batch->argv[batch->argc++] = outbox.transfers;
	batch->argv[batch->argc++] = batch->number;
	snprintf(batch->given_up, sizeof(batch->given_up), "%llu",
	         outbox.tries < TRIES_MAX - 1 ? 0 : (unsigned long long)outbox.written + 1);
	batch->argv[batch->argc++] = batch->given_up;
	batch->argv[batch->argc++] = outbox.anew ? "anew" : "";
	for (size_t n = 0; n < BATCH_ITEMS && bytes < BATCH_BYTES && link != &outbox.items.head;
	     n++) {
		bytes += add_item(batch, container_of(link, struct item, link));
		link = link->next;
		(*number)++;
	}
	return link;
}

static void send_batch(void)
{
	uint64_t number = outbox.written + 1;
	struct batch batch;

	if (list_empty(&outbox.items) || redis_busy(&outbox.call) || timer_active(&outbox.retry))
		return;
	(void)fill(&batch, list_first(&outbox.items), &number);
	outbox.sent = number - 1;
	redis_eval(fleet_redis(), &outbox.call, &script,
	           &(struct redis_args){ KEYS, batch.argc, batch.argv });
}

static void on_send(struct task *task)
{
	send_batch();
}

static void on_retry(struct timer *timer)
{
	send_batch();
}

static void log_trouble(const char *why)
{
	if (why != NULL && *why != '\0' && loop_once_in(LOG_EVERY_MS, &outbox.logged_ms))
		log_warn("outbox-trouble why=\"%s\"", why);
}

/* The script has kept ITEMS that can't be written, and tells WHY the last of them can't. */
static void tell_set_aside(int64_t items, const char *why)
{
	if (items < 1 || items > BATCH_ITEMS)
		return;
	metric_add(&set_aside_metric, 0, items);
	log_error("outbox-item-set-aside items=%lld why=\"%s\"", (long long)items,
	          why != NULL ? why : "");
}

/* True if WHY is about Redis as a whole, which passes, and not about the item. */
static bool is_of_redis(const char *why)
{
	static const char *const codes[] = {
		"OOM ",     "MISCONF ",    "READONLY ",    "NOREPLICAS ", "BUSY ",
		"LOADING ", "MASTERDOWN ", "CLUSTERDOWN ", "TRYAGAIN ",   "NOPERM ",
	};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (strstr(why, codes[i]) != NULL)
			return true;
	return false;
}

/* The first item was refused for WHY: the last time the script may set it aside. */
static void count_try(const char *why)
{
	if (why != NULL && *why != '\0' && !is_of_redis(why) && outbox.tries < TRIES_MAX - 1)
		outbox.tries++;
}

static void on_written(struct redis_call *call, const struct redisReply *reply)
{
	int64_t done = redis_reply_integer(redis_reply_at(reply, 0), -1);
	const char *why = redis_reply_string(redis_reply_at(reply, 1), NULL);

	if (done < 0)
		why = redis_reply_error(reply);
	outbox.anew = done >= 0 && (uint64_t)done > outbox.sent;
	if (outbox.anew)
		why = "the number of the last item is none that was sent";
	log_trouble(why);
	if (done <= (int64_t)outbox.written || outbox.anew) {
		count_try(why);
		timer_start(&outbox.retry, RETRY_MS);
		return;
	}
	tell_set_aside(redis_reply_integer(redis_reply_at(reply, 2), 0), why);
	outbox.tries = 0;
	for (; outbox.written < (uint64_t)done && !list_empty(&outbox.items); outbox.written++)
		drop_first();
	outbox.dropping = false;
	send_batch();
}

static void add(const char *const *words, size_t count)
{
	struct item *item;
	size_t bytes = 0;
	char *word;

	if (fleet_redis() == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		bytes += strlen(words[i]) + 1;
	if (outbox.count >= ITEMS_MAX || outbox.bytes + bytes > BYTES_MAX) {
		metric_add(&dropped_metric, 0, 1);
		if (!outbox.dropping)
			log_error("outbox-full items=%zu bytes=%zu", outbox.count, outbox.bytes);
		outbox.dropping = true;
		return;
	}
	item = mem_alloc(1, sizeof(*item) + bytes);
	item->count = count;
	item->bytes = bytes;
	snprintf(item->counted, sizeof(item->counted), "%zu", count);
	word = item->words;
	for (size_t i = 0; i < count; i++)
		word = (char *)memcpy(word, words[i], strlen(words[i]) + 1) + strlen(words[i]) + 1;
	list_append(&outbox.items, &item->link);
	outbox.count++;
	outbox.bytes += bytes;
	task_start(&outbox.send);
}

void outbox_add(enum outbox_stream stream, const char *text)
{
	add((const char *[]){ stream == OUTBOX_RECORDS ? "record" : "event", text }, 2);
}

void outbox_give_back(const struct outbox_return *back)
{
	const char *words[WORDS_MAX] = { "back", back->lease };
	char seen[16], month[16], bytes[24];
	size_t count = 6;

	snprintf(seen, sizeof(seen), "%u", back->seen);
	snprintf(month, sizeof(month), "%u", back->month);
	snprintf(bytes, sizeof(bytes), "%llu", back->bytes);
	words[2] = seen;
	words[3] = !back->last ? "" : back->doubt ? "doubt" : "last";
	words[4] = month;
	words[5] = bytes;
	for (size_t i = 0; i < back->count && count < WORDS_MAX; i++)
		words[count++] = back->ledgers[i];
	add(words, count);
}

bool outbox_empty(void)
{
	return outbox.count == 0;
}

static int start(void *config)
{
	const struct relay_conf *conf = config;
	const char *prefix;

	list_init(&outbox.items);
	outbox.send.run = on_send;
	outbox.retry.expired = on_retry;
	outbox.call.done = on_written;
	metrics_add(&waiting_metric);
	metrics_add(&dropped_metric);
	metrics_add(&set_aside_metric);
	if (fleet_redis() == NULL)
		return 0;
	prefix = redis_prefix(fleet_redis());
	snprintf(outbox.transfers, sizeof(outbox.transfers), "%lld",
	         (long long)conf->transfers_max);
	outbox.keys[0] =
	        mem_printf("%soutbox:%s:%lld", prefix, fleet_id(), (long long)fleet_epoch_ms());
	outbox.keys[1] = mem_printf("%stransfers", prefix);
	outbox.keys[2] = mem_printf("%sevents", prefix);
	outbox.keys[3] = mem_printf("%soutbox-aside", prefix);
	outbox.usage = mem_printf("%susage:", prefix);
	return 0;
}

/*
 * At the end the remaining items are sent without waiting for replies, and with the script's text:
 * nothing could be done if Redis didn't know its hash. Items under way are sent again, and skipped.
 */
static void send_rest(void)
{
	struct list_link *link = list_first(&outbox.items);
	uint64_t number = outbox.written + 1;
	struct batch batch;

	while (link != NULL && link != &outbox.items.head) {
		const char *argv[ARGS_MAX + 3] = { "EVAL", script.text, "4" };

		link = fill(&batch, link, &number);
		memcpy(argv + 3, batch.argv, batch.argc * sizeof(*argv));
		redis_cancel(&outbox.call);
		redis_send(fleet_redis(), &outbox.call, batch.argc + 3, argv, NULL);
	}
}

static void stop(void)
{
	if (fleet_redis() != NULL && redis_connected(fleet_redis()))
		send_rest();
	else if (outbox.count > 0)
		log_error("outbox-lost items=%zu", outbox.count);
	redis_cancel(&outbox.call);
	task_stop(&outbox.send);
	timer_stop(&outbox.retry);
	while (!list_empty(&outbox.items))
		drop_first();
	for (size_t i = 0; i < KEYS; i++) {
		free(outbox.keys[i]);
		outbox.keys[i] = NULL;
	}
	free(outbox.usage);
	outbox.usage = NULL;
	outbox.written = outbox.sent = 0;
	outbox.tries = 0;
	outbox.anew = false;
}

const struct daemon_module outbox_module = { "outbox", start, stop };
