#include "relayd/quota/lease.h"

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

#define IDLE_MS 10000
#define RETRY_MS 200 /* a call that can't be sent waits for Redis by itself */
#define SIZE_MS 500  /* a lease lasts this long, within 1 to QUANTA_MAX quanta */
#define LEAD_MS 20   /* and more arrives so long before it is used up */
#define QUANTA_MAX 16
#define SIZE_LEAST_MS 50 /* a very fast stream's lasts so long, since each call costs CPU */
#define MONTHS_MAX 3     /* replies in a row that it is another month, each asked again at once */
#define ROLLOVERS_MAX 64 /* leases that change months in one turn of the loop */

#define LEDGERS_MAX 6
#define NUMBER_SIZE 24
#define LOG_EVERY_MS 60000
#define MONTH_LEAST 197001 /* of what Redis may say */
#define MONTH_MOST 999912
#define SHARED 2     /* every stream's last two ledgers: the instance's, and "global" */
#define WORDS_MAX 32 /* keys and arguments of a call */

/* The ledgers of one stream. */
struct ledgers {
	char *names[LEDGERS_MAX];    /* "user:a@b" and "domain:b", owned; "instance:ID"; "global" */
	int64_t limits[LEDGERS_MAX]; /* bytes a month; 0: none; known after the opening */
	int64_t file_limit;          /* bytes of this stream; 0: none; known likewise */
	uint64_t lease;              /* its number: part of the lease's key in Redis */
	uint32_t calls;              /* calls that were granted; 0 before the opening */
	bool doubt;                  /* a call got no reply, and may still be carried out */
	uint8_t count;
	uint8_t account_count;
	uint8_t accounts[4]; /* places of the first charged user, its domain, and of the second */
};

/* What a reply says. */
struct ledger_answer {
	enum ledger_verdict verdict;
	int64_t bytes;  /* granted */
	unsigned month; /* in which they were taken */
	const char
	        *ledger; /* that is over its limit or forbidden, borrowed from LEDGERS; or NULL */
	int64_t limit;   /* of that ledger */
};

static struct redis_script open_script = { ledger_open_lua, "" };
static struct redis_script take_script = { ledger_take_lua, "" };

static const struct relay_conf *limits; /* borrowed: its limits may change */
static char *instance;                  /* the relay's own ledger, owned */
static uint64_t last_number;            /* of a lease; part of its key in Redis */

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

static struct {
	uint64_t quantum;
	struct list all;     /* that are open */
	struct list closing; /* that were freed, and whose last call has no reply yet */
	size_t count;
	struct deadline_queue idle, retry;
	struct task rollover;
	size_t rolling; /* the first ones of ALL that have still to change months */
} leases;

#define STATE_NAME(constant, text, asks) [constant] = text,
#define STATE_ASKS(constant, text, asks) [constant] = asks,
static const char *const state_names[] = { LEASE_STATES(STATE_NAME) };
static const bool state_asks[] = { LEASE_STATES(STATE_ASKS) };

static int64_t waits;
static struct metric waits_metric = {
	.name = "outrigger_relayd_lease_waits_total",
	.help = "Times that a stream paused for want of a lease.",
	.kind = METRIC_COUNTER,
	.numbers = &waits,
};

/* The ledgers */

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

/*
 * The ledgers of those PARTIES (copied) that are charged, users before domains, and of this relay;
 * ledger_open() comes next.
 */
static struct ledgers *ledger_new(const struct party parties[2])
{
	static char global[] = "global";
	struct ledgers *ledgers = mem_alloc(1, sizeof(*ledgers));
	const struct party *charged[2];
	uint8_t count = 0;

	for (int i = 0; i < 2; i++)
		if (parties[i].charged)
			charged[count++] = &parties[i];
	ledgers->account_count = 2 * count;
	for (int i = 0; i < count; i++)
		ledgers->accounts[2 * i] =
		        add_ledger(ledgers, mem_printf("user:%s", charged[i]->user));
	for (int i = 0; i < count; i++)
		ledgers->accounts[2 * i + 1] =
		        add_ledger(ledgers, mem_printf("domain:%s", charged[i]->domain));
	ledgers->names[ledgers->count++] = instance;
	ledgers->names[ledgers->count++] = global;
	ledgers->lease = ++last_number;
	return ledgers;
}

/* Bytes that were taken and not given back stay taken. */
static void ledger_free(struct ledgers *ledgers)
{
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

/* Calls for bytes */

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

/* Asks for the limits and for a first lease of at most WANTED bytes. */
static void ledger_open(struct ledgers *ledgers, struct redis_call *call, int64_t wanted)
{
	const struct month *month = calendar_month();
	struct words words = { 0 };

	add_keys(&words, month, ledgers);
	for (size_t i = 0; i < ledgers->account_count; i++)
		add_key(&words, "limit:", account(ledgers, i));
	add_common(&words, month, wanted);
	add_number(&words, limits->default_file_limit);
	add_number(&words, limits->default_user_limit);
	add_number(&words, limits->default_domain_limit);
	add_number(&words, limits->instance_limit);
	add_number(&words, limits->global_limit);
	words.argv[words.argc++] = instance;
	for (size_t i = 0; i < ledgers->account_count; i++)
		words.argv[words.argc++] = account(ledgers, i);
	call_script(&words, &open_script, call);
}

/* Asks for another lease of at most WANTED bytes; after LEDGER_UNKNOWN it repeats that call. */
static void ledger_take(struct ledgers *ledgers, struct redis_call *call, int64_t wanted)
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

/* Replies */

/* Returns LEDGERS' own copy of NAME, which outlives the reply. */
static const char *find_name(const struct ledgers *ledgers, const char *name)
{
	for (size_t i = 0; name != NULL && i < ledgers->count; i++)
		if (strcmp(ledgers->names[i], name) == 0)
			return ledgers->names[i];
	return NULL;
}

/* Reads the number at INDEX into *NUMBER; false unless it is from LEAST to MOST. */
static bool read_number(const struct redisReply *reply, size_t index, int64_t least, int64_t most,
                        int64_t *number)
{
	*number = redis_reply_integer(redis_reply_at(reply, index), INT64_MIN);
	return *number >= least && *number <= most;
}

/* The limits, which the first grant has; false if they can't be right. */
static bool read_limits(struct ledgers *ledgers, const struct redisReply *reply, int64_t bytes)
{
	if (!read_number(reply, 3, 0, CONFIG_LIMIT_MOST, &ledgers->file_limit) ||
	    (ledgers->file_limit > 0 && bytes > ledgers->file_limit))
		return false;
	for (size_t i = 0; i < ledgers->count; i++)
		if (!read_number(reply, 4 + i, 0, CONFIG_LIMIT_MOST, &ledgers->limits[i]))
			return false;
	return true;
}

/* A stream can't be granted more than MOST bytes. */
static bool read_grant(struct ledgers *ledgers, const struct redisReply *reply, uint64_t most,
                       struct ledger_answer *answer)
{
	int64_t month;

	if (!read_number(reply, 1, 1, CONFIG_LIMIT_MOST, &answer->bytes) ||
	    (uint64_t)answer->bytes > most ||
	    !read_number(reply, 2, MONTH_LEAST, MONTH_MOST, &month) || month % 100 < 1 ||
	    month % 100 > 12)
		return false;
	answer->month = (unsigned)month;
	if (ledgers->calls == 0 && !read_limits(ledgers, reply, answer->bytes))
		return false;
	ledgers->calls++;
	metric_add(&leased_metric, 0, answer->bytes);
	return true;
}

/* A ledger that isn't the stream's is none that a denial can name. */
static bool read_denial(const struct ledgers *ledgers, const struct redisReply *reply,
                        struct ledger_answer *answer)
{
	answer->ledger = find_name(ledgers, redis_reply_string(redis_reply_at(reply, 1), NULL));
	return answer->ledger != NULL &&
	       read_number(reply, 2, -1, CONFIG_LIMIT_MOST, &answer->limit);
}

/* The script's words for its verdicts. */
static const char *const verdict_words[LEDGER_VERDICT_COUNT] = {
	[LEDGER_GRANTED] = "granted",
	[LEDGER_OVER] = "over",
	[LEDGER_FORBIDDEN] = "forbidden",
	[LEDGER_OTHER_MONTH] = "month",
};

static enum ledger_verdict read_verdict(const struct redisReply *reply)
{
	const char *word = redis_reply_string(redis_reply_at(reply, 0), NULL);

	for (int i = 0; word != NULL && i < LEDGER_VERDICT_COUNT; i++)
		if (verdict_words[i] != NULL && strcmp(word, verdict_words[i]) == 0)
			return (enum ledger_verdict)i;
	return LEDGER_UNKNOWN;
}

/* Every stream asks again and again, so this is logged once a minute. */
static void log_trouble(const char *why)
{
	static uint64_t logged_ms;

	if (why != NULL && loop_once_in(LOG_EVERY_MS, &logged_ms))
		log_warn("lease-trouble why=\"%s\"", why);
}

/*
 * Reads the reply to either call; the first one's has the limits too. If the reply says that it is
 * another month, the calendar is set. A reply that isn't one of the script's is LEDGER_UNKNOWN.
 */
static struct ledger_answer ledger_read(struct ledgers *ledgers, const struct redisReply *reply,
                                        uint64_t most)
{
	struct ledger_answer answer = { .verdict = read_verdict(reply) };
	int64_t now_ms = 0;
	bool right = true;

	switch (answer.verdict) {
	case LEDGER_GRANTED:
		right = read_grant(ledgers, reply, most, &answer);
		break;
	case LEDGER_OVER:
	case LEDGER_FORBIDDEN:
		right = read_denial(ledgers, reply, &answer);
		break;
	case LEDGER_OTHER_MONTH:
		now_ms = redis_reply_time_ms(redis_reply_at(reply, 1));
		right = now_ms != 0;
		break;
	case LEDGER_UNKNOWN:
		right = reply == NULL || redis_reply_error(reply) != NULL;
		break;
	case LEDGER_VERDICT_COUNT:
		break;
	}
	if (right && answer.verdict == LEDGER_OTHER_MONTH)
		calendar_set(now_ms);
	ledgers->doubt |= reply == NULL;
	log_trouble(right ? redis_reply_error(reply) : "the reply is none of the script's");
	if (!right)
		answer = (struct ledger_answer){ .verdict = LEDGER_UNKNOWN };
	metric_add(&calls_metric, answer.verdict, 1);
	return answer;
}

/* Gives back BYTES that were taken in MONTH; LAST: also those of a call whose reply got lost. */
static void ledger_give_back(const struct ledgers *ledgers, unsigned month, uint64_t bytes,
                             bool last)
{
	char *lease = lease_key(ledgers);

	metric_add(&returned_metric, 0, (int64_t)bytes);
	outbox_give_back(&(struct outbox_return){
	        .lease = lease,
	        .seen = ledgers->calls,
	        .last = last,
	        .doubt = ledgers->doubt,
	        .month = month,
	        .bytes = bytes,
	        .ledgers = (const char *const *)ledgers->names,
	        .count = ledgers->count,
	});
	free(lease);
}

/* States */

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void enter(struct lease *lease, enum lease_state state)
{
	if (lease->state == state)
		return;
	log_debug("lease number=%llu from=%s to=%s", (unsigned long long)lease->ledgers->lease,
	          state_names[lease->state], state_names[state]);
	lease->state = (uint8_t)state;
}

/* A reply, or the time to ask again, is waited for. */
static bool is_asking(const struct lease *lease)
{
	return state_asks[lease->state];
}

static bool is_open(const struct lease *lease)
{
	switch ((enum lease_state)lease->state) {
	case LEASE_NEW:
	case LEASE_OPENING:
	case LEASE_REFUSED:
	case LEASE_STATE_COUNT:
		return false;
	case LEASE_HELD:
	case LEASE_ASKING:
	case LEASE_STARVING:
	case LEASE_RETRYING:
	case LEASE_DENIED:
	case LEASE_EXHAUSTED:
		return true;
	}
	return false;
}

/* Asking for more */

/*
 * Bytes to ask for, after SPENT bytes in ELAPSED_MS: what goes through in half a second, from 1 to
 * 16 times QUANTUM; or more than 16 times, where that would not last for 50 ms.
 */
static uint64_t next_size(uint64_t quantum, uint64_t spent, uint64_t elapsed_ms)
{
	uint64_t time_ms = greater(elapsed_ms, LEAD_MS); /* what came in one burst is no rate */
	uint64_t soon = spent * SIZE_MS / time_ms, sooner = spent * SIZE_LEAST_MS / time_ms;
	uint64_t bytes = lesser(soon, greater(quantum * QUANTA_MAX, sooner));
	uint64_t quanta = bytes / quantum + (bytes % quantum != 0);

	return quantum * greater(quanta, 1);
}

/* The budget at which more is asked for: half of a lease, or more for a fast stream. */
static uint64_t low_water(uint64_t size, uint64_t spent, uint64_t elapsed_ms)
{
	uint64_t lead = spent * LEAD_MS / (elapsed_ms == 0 ? 1 : elapsed_ms);

	return lead > size / 2 ? lesser(lead, size) : size / 2;
}

static void ask(struct lease *lease)
{
	uint64_t now_ms = loop_now_ms(), elapsed_ms = now_ms - lease->asked_ms;
	uint64_t size = next_size(leases.quantum, lease->spent, elapsed_ms);

	enter(lease, lease->stream_waits ? LEASE_STARVING : LEASE_ASKING);
	lease->low = low_water(size, lease->spent, elapsed_ms);
	lease->spent = 0;
	lease->asked_ms = now_ms;
	size = lesser(size, lease->file_left);
	lease->asked = greater(lease->asked, size);
	ledger_take(lease->ledgers, &lease->call, (int64_t)size);
}

static void ask_later(struct lease *lease)
{
	enter(lease, LEASE_RETRYING);
	deadline_start(&leases.retry, &lease->deadline);
}

/* The month has changed. A Redis that says so again and again isn't asked without a pause. */
static void ask_in_month(struct lease *lease)
{
	if (lease->months < MONTHS_MAX)
		lease->months++;
	if (lease->months < MONTHS_MAX)
		ask(lease);
	else
		ask_later(lease);
}

static void exhaust(struct lease *lease, const char *ledger, int64_t limit)
{
	enter(lease, LEASE_EXHAUSTED);
	lease->denial = (struct denial){ ledger, limit };
	lease->exhausted(lease);
}

/* A lease that was denied asks again only when the stream has nothing left. */
static bool runs_low(const struct lease *lease)
{
	return lease->spent > 0 && lease->budget <= lease->low && lease->state != LEASE_DENIED;
}

static void ask_if_needed(struct lease *lease)
{
	if (lease->state == LEASE_EXHAUSTED || is_asking(lease))
		return;
	if (lease->file_left > 0 && (lease->stream_waits || runs_low(lease)))
		ask(lease);
	else if (lease->file_left == 0 && lease->stream_waits)
		exhaust(lease, "file", lease->ledgers->file_limit);
}

/* Notes what the stream has taken off the budget. */
static void count_spent(struct lease *lease)
{
	if (lease->budget == lease->seen)
		return;
	lease->spent += lease->seen - lease->budget;
	lease->month_spent += lease->seen - lease->budget;
	lease->seen = lease->budget;
	if (lease->state != LEASE_RETRYING)
		deadline_start(&leases.idle, &lease->deadline);
}

void lease_spent(struct lease *lease, bool starving)
{
	count_spent(lease);
	if (starving && !lease->stream_waits)
		metric_add(&waits_metric, 0, 1);
	lease->stream_waits = starving;
	ask_if_needed(lease);
}

/* Those that were read before the month changed go back to the month that they were taken in. */
void lease_refund(struct lease *lease, uint64_t bytes)
{
	uint64_t recent;

	count_spent(lease);
	recent = lesser(bytes, lease->month_spent);
	if (bytes > recent && lease->month_before != MONTH_NONE)
		ledger_give_back(lease->ledgers, lease->month_before, bytes - recent, false);
	lease->month_spent -= recent;
	lease->budget += recent;
	lease->seen = lease->budget;
}

/* Bytes that come and go */

static void add_bytes(struct lease *lease, uint64_t bytes)
{
	count_spent(lease);
	lease->budget += bytes;
	lease->file_left -= bytes;
	lease->seen = lease->budget;
}

static void give_all_back(struct lease *lease)
{
	count_spent(lease);
	if (lease->budget == 0)
		return;
	ledger_give_back(lease->ledgers, lease->month, lease->budget, false);
	lease->file_left += lease->budget;
	lease->budget = lease->seen = lease->spent = 0;
}

/*
 * Bytes that flow from now on count for the new month, so those of the old one go back. True if
 * there were any.
 */
static bool change_month(struct lease *lease)
{
	bool had_some = lease->budget > 0;

	if (lease->month == calendar_month()->number)
		return false;
	give_all_back(lease);
	lease->month_before = lease->month;
	lease->month_spent = 0;
	lease->month = calendar_month()->number;
	return had_some;
}

static void on_granted(struct lease *lease, const struct ledger_answer *answer)
{
	bool waited = lease->stream_waits;

	if (answer->month != lease->month) {
		/* The bytes were taken before the month was over, and arrive after it. */
		ledger_give_back(lease->ledgers, answer->month, (uint64_t)answer->bytes, false);
		ask_in_month(lease);
		return;
	}
	lease->months = 0;
	enter(lease, LEASE_HELD);
	lease->stream_waits = false;
	lease->low = lesser(lease->low, (uint64_t)answer->bytes);
	add_bytes(lease, (uint64_t)answer->bytes);
	deadline_start(&leases.idle, &lease->deadline);
	if (waited)
		lease->renewed(lease);
}

static void on_denied(struct lease *lease, const struct ledger_answer *answer)
{
	if (lease->state == LEASE_STARVING) {
		exhaust(lease, answer->ledger, answer->limit);
		return;
	}
	enter(lease, LEASE_DENIED);
	ask_if_needed(lease);
}

static void on_reply(struct redis_call *call, const struct redisReply *reply)
{
	struct lease *lease = container_of(call, struct lease, call);
	struct ledger_answer answer = ledger_read(lease->ledgers, reply, lease->asked);

	(void)change_month(lease);
	if (answer.verdict != LEDGER_UNKNOWN)
		lease->asked = 0;
	switch (answer.verdict) {
	case LEDGER_GRANTED:
		on_granted(lease, &answer);
		break;
	case LEDGER_UNKNOWN:
		ask_later(lease);
		break;
	case LEDGER_OTHER_MONTH:
		ask_in_month(lease);
		break;
	case LEDGER_OVER:
	case LEDGER_FORBIDDEN:
	case LEDGER_VERDICT_COUNT:
		on_denied(lease, &answer);
		break;
	}
}

/* Opening and freeing */

static void hold(struct lease *lease, const struct ledger_answer *answer)
{
	int64_t file_limit = lease->ledgers->file_limit;

	enter(lease, LEASE_HELD);
	lease->call.done = on_reply;
	lease->file_left = file_limit > 0 ? (uint64_t)file_limit : UINT64_MAX;
	lease->low = (uint64_t)answer->bytes / 2;
	lease->month = answer->month;
	add_bytes(lease, (uint64_t)answer->bytes);
	lease->asked_ms = loop_now_ms();
	deadline_start(&leases.idle, &lease->deadline);
	list_append(&leases.all, &lease->link);
	leases.count++;
	(void)change_month(lease);
}

static void on_opened(struct redis_call *call, const struct redisReply *reply);

static void call_open(struct lease *lease)
{
	enter(lease, LEASE_OPENING);
	lease->call.done = on_opened;
	ledger_open(lease->ledgers, &lease->call, (int64_t)leases.quantum);
}

/* Without a clear reply the lease stays opening: bytes may have been taken for it. */
static void on_opened(struct redis_call *call, const struct redisReply *reply)
{
	struct lease *lease = container_of(call, struct lease, call);
	struct ledger_answer answer = ledger_read(lease->ledgers, reply, leases.quantum);

	if (answer.verdict == LEDGER_OTHER_MONTH && ++lease->months < MONTHS_MAX) {
		call_open(lease);
		return;
	}
	lease->months = 0;
	if (answer.verdict == LEDGER_GRANTED)
		hold(lease, &answer);
	else if (answer.ledger != NULL)
		enter(lease, LEASE_REFUSED);
	lease->denial = (struct denial){ answer.ledger, answer.limit };
	lease->opened(lease, answer.verdict);
}

struct lease *lease_open(const struct party parties[2],
                         void (*opened)(struct lease *lease, enum ledger_verdict verdict))
{
	struct lease *lease = mem_alloc(1, sizeof(*lease));

	lease->opened = opened;
	lease->ledgers = ledger_new(parties);
	call_open(lease);
	return lease;
}

/* Nothing is under way. A call whose reply wasn't read, or got lost, may have taken bytes too. */
static void finish(struct lease *lease)
{
	list_remove(&lease->link);
	if (is_open(lease) || lease->state == LEASE_OPENING)
		ledger_give_back(lease->ledgers, lease->month, lease->budget, true);
	ledger_free(lease->ledgers);
	free(lease);
}

static void on_last_reply(struct redis_call *call, const struct redisReply *reply)
{
	struct lease *lease = container_of(call, struct lease, call);

	lease->ledgers->doubt |= reply == NULL;
	finish(lease);
}

/* With a call under way it is given back after the reply: then no call can come later. */
void lease_free(struct lease *lease)
{
	if (lease == NULL)
		return;
	if (is_open(lease))
		leases.count--;
	deadline_stop(&lease->deadline);
	if (!redis_busy(&lease->call)) {
		finish(lease);
		return;
	}
	lease->call.done = on_last_reply;
	list_remove(&lease->link);
	list_append(&leases.closing, &lease->link);
}

/* The module */

static void idle_expired(struct deadline *deadline)
{
	struct lease *lease = container_of(deadline, struct lease, deadline);

	if (is_asking(lease))
		deadline_start(&leases.idle, deadline);
	else
		give_all_back(lease);
}

static void retry_expired(struct deadline *deadline)
{
	struct lease *lease = container_of(deadline, struct lease, deadline);

	deadline_start(&leases.idle, deadline);
	ask(lease);
}

/* Some leases in each turn of the loop: thousands may be open. */
static void roll_over_some(struct task *task)
{
	for (int n = 0; n < ROLLOVERS_MAX && leases.rolling > 0; n++, leases.rolling--) {
		struct list_link *link = list_take(&leases.all);
		struct lease *lease;

		if (link == NULL)
			return;
		list_append(&leases.all, link);
		lease = container_of(link, struct lease, link);
		if (change_month(lease) && !is_asking(lease))
			ask(lease);
	}
	if (leases.rolling > 0)
		task_start(task);
}

static void on_rollover(void)
{
	leases.rolling = leases.count;
	task_start(&leases.rollover);
}

static int start(void *config)
{
	const struct relay_conf *conf = config;

	limits = conf;
	instance = mem_printf("instance:%s", fleet_id());
	leases.quantum = (uint64_t)conf->quantum_bytes;
	leases.rollover.run = roll_over_some;
	list_init(&leases.all);
	list_init(&leases.closing);
	deadline_queue_init(&leases.idle, IDLE_MS, idle_expired);
	deadline_queue_init(&leases.retry, RETRY_MS, retry_expired);
	calendar_on_rollover(on_rollover);
	metrics_add(&calls_metric);
	metrics_add(&leased_metric);
	metrics_add(&returned_metric);
	metrics_add(&waits_metric);
	return 0;
}

static void stop(void)
{
	list_for_each (link, &leases.closing) {
		struct lease *lease = container_of(link, struct lease, link);

		redis_cancel(&lease->call);
		lease->ledgers->doubt = true;
		finish(lease);
	}
	task_stop(&leases.rollover);
	deadline_queue_release(&leases.idle);
	deadline_queue_release(&leases.retry);
	free(instance);
	instance = NULL;
}

const struct daemon_module lease_module = { "leases", start, stop };
