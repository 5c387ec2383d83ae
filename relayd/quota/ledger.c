#include "relayd/quota/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "relayd/conf.h"
#include "relayd/fleet/fleet.h"
#include "relayd/quota/calendar.h"
#include "relayd/quota/denial.h"
#include "relayd/quota/ledger_open.lua.h"
#include "relayd/quota/ledger_take.lua.h"
#include "relayd/quota/outbox.h"

#define NUMBER_SIZE 24
#define LOG_EVERY_MS 60000
#define ACCOUNTS 4
#define SHARED 2     /* every stream's last two ledgers: the instance's, and "global" */
#define WORDS_MAX 32 /* keys and arguments of a call */

static struct redis_script open_script = { ledger_open_lua, "" };
static struct redis_script take_script = { ledger_take_lua, "" };

static const struct relay_conf *conf;
static char *instance;  /* the relay's own ledger, owned */
static uint64_t leases; /* opened since the start; their numbers are part of keys */

#define VERDICT_NAME(constant, text) [constant] = text,
static const char *const verdict_names[] = { LEDGER_VERDICTS(VERDICT_NAME) };
static int64_t by_verdict[LEDGER_VERDICT_COUNT];
static struct metric calls_metric = {
	.name = "outrigger_relayd_lease_calls_total",
	.help = "Answers to calls for a lease, by verdict.",
	.kind = METRIC_COUNTER,
	.label = "verdict",
	.values = verdict_names,
	.series = LEDGER_VERDICT_COUNT,
	.numbers = by_verdict,
};
static int64_t leased;
static struct metric leased_metric = {
	.name = "outrigger_relayd_leased_bytes_total",
	.help = "Bytes that were taken from ledgers.",
	.kind = METRIC_COUNTER,
	.numbers = &leased,
};
static int64_t returned;
static struct metric returned_metric = {
	.name = "outrigger_relayd_returned_bytes_total",
	.help = "Bytes of leases that were given back.",
	.kind = METRIC_COUNTER,
	.numbers = &returned,
};

static int start(void *config)
{
	conf = config;
	instance = mem_printf("instance:%s", fleet_id());
	metrics_add(&calls_metric);
	metrics_add(&leased_metric);
	metrics_add(&returned_metric);
	return 0;
}

static void stop(void)
{
	free(instance);
	instance = NULL;
}

/* Takes NAME over. Returns its place: both parties may share a user or a domain. */
static uint8_t add_ledger(struct ledgers *ledgers, char *name)
{
	for (uint8_t i = 0; i < ledgers->count; i++) {
		if (strcmp(ledgers->names[i], name) == 0) {
			free(name);
			return i;
		}
	}
	ledgers->names[ledgers->count] = name;
	return ledgers->count++;
}

struct ledgers *ledger_new(const struct party parties[2])
{
	static char global[] = "global";
	struct ledgers *ledgers = mem_alloc(1, sizeof(*ledgers));

	for (int i = 0; i < 2; i++)
		ledgers->accounts[2 * i] =
		        add_ledger(ledgers, mem_printf("user:%s", parties[i].user));
	for (int i = 0; i < 2; i++)
		ledgers->accounts[2 * i + 1] =
		        add_ledger(ledgers, mem_printf("domain:%s", parties[i].domain));
	ledgers->names[ledgers->count++] = instance;
	ledgers->names[ledgers->count++] = global;
	ledgers->lease = ++leases;
	return ledgers;
}

void ledger_free(struct ledgers *ledgers)
{
	if (ledgers == NULL)
		return;
	for (uint8_t i = 0; i < ledgers->count - SHARED; i++)
		free(ledgers->names[i]);
	free(ledgers);
}

static const char *account(const struct ledgers *ledgers, size_t place)
{
	const char *found;

	(void)ledger_split(ledgers->names[ledgers->accounts[place]], &found);
	return found;
}

static char *lease_key(const struct ledgers *ledgers)
{
	return mem_printf("%slease:%s:%lld:%llu", redis_prefix(fleet_redis()), fleet_id(),
	                  (long long)fleet_epoch_ms(), (unsigned long long)ledgers->lease);
}

/* Calls */

/* Keys and arguments of a call; texts made by add_number() and add_key() are owned. */
struct words {
	const char *argv[WORDS_MAX];
	char *owned[WORDS_MAX];
	size_t argc, keys, owned_count;
};

static void add_owned(struct words *words, char *text)
{
	words->owned[words->owned_count++] = text;
	words->argv[words->argc++] = text;
}

static void add_key(struct words *words, const char *name, const char *rest)
{
	add_owned(words, mem_printf("%s%s%s", redis_prefix(fleet_redis()), name, rest));
	words->keys++;
}

static void add_number(struct words *words, int64_t number)
{
	add_owned(words, mem_printf("%lld", (long long)number));
}

/* The keys of MONTH and of the lease, with which both scripts begin. */
static void add_keys(struct words *words, const struct month *month, const struct ledgers *ledgers)
{
	char number[NUMBER_SIZE];

	snprintf(number, sizeof(number), "%u", month->number);
	add_key(words, "usage:", number);
	add_key(words, "ledgers:", number);
	add_owned(words, lease_key(ledgers));
	words->keys++;
}

/* The arguments with which both scripts begin. */
static void add_common(struct words *words, const struct month *month, int64_t wanted)
{
	add_number(words, month->number);
	add_number(words, month->start_s);
	add_number(words, month->end_s);
	add_number(words, wanted);
}

static void call_script(struct words *words, struct redis_script *script, struct redis_call *call)
{
	redis_eval(fleet_redis(), call, script,
	           &(struct redis_args){ words->keys, words->argc, words->argv });
	while (words->owned_count > 0)
		free(words->owned[--words->owned_count]);
}

void ledger_open(struct ledgers *ledgers, struct redis_call *call, int64_t wanted)
{
	const struct month *month = calendar_month();
	struct words words = { 0 };

	add_keys(&words, month, ledgers);
	add_key(&words, "limits", "");
	for (size_t i = 0; i < ACCOUNTS; i++)
		add_key(&words, "limit:", account(ledgers, i));
	add_common(&words, month, wanted);
	add_number(&words, conf->default_file_limit);
	add_number(&words, conf->default_user_limit);
	add_number(&words, conf->default_domain_limit);
	add_number(&words, conf->instance_limit);
	add_number(&words, conf->global_limit);
	for (size_t i = 0; i < ACCOUNTS; i++)
		words.argv[words.argc++] = account(ledgers, i);
	words.argv[words.argc++] = instance;
	call_script(&words, &open_script, call);
}

void ledger_take(struct ledgers *ledgers, struct redis_call *call, int64_t wanted)
{
	const struct month *month = calendar_month();
	struct words words = { 0 };

	add_keys(&words, month, ledgers);
	add_common(&words, month, wanted);
	add_number(&words, ledgers->calls + 1);
	for (size_t i = 0; i < ledgers->count; i++) {
		words.argv[words.argc++] = ledgers->names[i];
		add_number(&words, ledgers->limits[i]);
	}
	call_script(&words, &take_script, call);
}

/* Answers */

/* Returns LEDGERS' own copy of NAME, which outlives the reply. */
static const char *find_name(const struct ledgers *ledgers, const char *name)
{
	for (size_t i = 0; name != NULL && i < ledgers->count; i++)
		if (strcmp(ledgers->names[i], name) == 0)
			return ledgers->names[i];
	return NULL;
}

static void read_grant(struct ledgers *ledgers, const struct redisReply *reply,
                       struct ledger_answer *answer)
{
	answer->bytes = redis_reply_integer(redis_reply_at(reply, 1), 0);
	answer->month = (unsigned)redis_reply_integer(redis_reply_at(reply, 2), MONTH_NONE);
	metric_add(&leased_metric, 0, answer->bytes);
	if (ledgers->calls++ > 0)
		return;
	ledgers->file_limit = redis_reply_integer(redis_reply_at(reply, 3), 0);
	for (size_t i = 0; i < ledgers->count; i++)
		ledgers->limits[i] = redis_reply_integer(redis_reply_at(reply, 4 + i), 0);
}

static enum ledger_verdict read_verdict(const struct redisReply *reply)
{
	const char *word = redis_reply_string(redis_reply_at(reply, 0), NULL);

	if (word == NULL)
		return LEDGER_UNKNOWN;
	switch (*word) {
	case 'g':
		return LEDGER_GRANTED;
	case 'o':
		return LEDGER_OVER;
	case 'f':
		return LEDGER_FORBIDDEN;
	case 'm':
		return LEDGER_OTHER_MONTH;
	default:
		return LEDGER_UNKNOWN;
	}
}

/* Every stream asks again and again, so this is logged once a minute. */
static void log_trouble(const char *why)
{
	static uint64_t logged_ms;

	if (why != NULL && loop_once_in(LOG_EVERY_MS, &logged_ms))
		log_warn("lease-trouble why=\"%s\"", why);
}

struct ledger_answer ledger_read(struct ledgers *ledgers, const struct redisReply *reply)
{
	struct ledger_answer answer = { .verdict = read_verdict(reply) };

	metric_add(&calls_metric, answer.verdict, 1);
	switch (answer.verdict) {
	case LEDGER_GRANTED:
		read_grant(ledgers, reply, &answer);
		break;
	case LEDGER_OVER:
	case LEDGER_FORBIDDEN:
		answer.ledger =
		        find_name(ledgers, redis_reply_string(redis_reply_at(reply, 1), NULL));
		answer.limit = redis_reply_integer(redis_reply_at(reply, 2), 0);
		break;
	case LEDGER_OTHER_MONTH:
		calendar_set(redis_reply_integer(redis_reply_at(reply, 1), loop_wall_ms()));
		break;
	case LEDGER_UNKNOWN:
		log_trouble(redis_reply_error(reply));
		break;
	case LEDGER_VERDICT_COUNT:
		break;
	}
	return answer;
}

void ledger_give_back(const struct ledgers *ledgers, unsigned month, uint64_t bytes, bool last)
{
	char *lease = lease_key(ledgers);

	metric_add(&returned_metric, 0, (int64_t)bytes);
	outbox_give_back(&(struct outbox_return){
	        .lease = lease,
	        .seen = ledgers->calls,
	        .last = last,
	        .month = month,
	        .bytes = bytes,
	        .ledgers = (const char *const *)ledgers->names,
	        .count = ledgers->count,
	});
	free(lease);
}

const struct daemon_module ledger_module = { "ledgers", start, stop };
