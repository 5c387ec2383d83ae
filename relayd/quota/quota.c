#include "relayd/quota/quota.h"

#include <stdlib.h>

#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "relayd/conf.h"
#include "relayd/quota/calendar.h"

#define IDLE_MS 10000
#define RETRY_MS 200 /* a call that isn't sent waits for Redis by itself */
#define WISH_MS 500  /* a lease is to last this long */
#define LEAD_MS 20   /* and the next one is to come so long before it is used up */
#define QUANTA_MAX 16
#define WISH_LEAST_MS 50 /* but a very fast stream's lasts so long, for each call costs */
#define OPENINGS_MAX 3   /* each after the news that it is another month */
#define TURNS_MAX 64     /* quotas that change months in one turn of the loop */

static struct {
	uint64_t quantum;
	struct list all; /* that run */
	size_t count;
	struct deadline_queue idle, retry;
	struct task turn;
	size_t turning; /* first ones of ALL that have still to change months */
} quotas;

static int64_t waits;
static struct metric waits_metric = {
	.name = "outrigger_relayd_lease_waits_total",
	.help = "Times that a stream paused for want of a lease.",
	.kind = METRIC_COUNTER,
	.numbers = &waits,
};

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t quota_wish(uint64_t quantum, uint64_t spent, uint64_t elapsed_ms)
{
	uint64_t time_ms = greater(elapsed_ms, LEAD_MS); /* what came in one burst is no rate */
	uint64_t soon = spent * WISH_MS / time_ms, sooner = spent * WISH_LEAST_MS / time_ms;
	uint64_t bytes = lesser(soon, greater(quantum * QUANTA_MAX, sooner));
	uint64_t quanta = bytes / quantum + (bytes % quantum != 0);

	return quantum * greater(quanta, 1);
}

/* The budget at which the next lease is asked for: half of a lease, or more for a fast stream. */
static uint64_t low_water(uint64_t wish, uint64_t spent, uint64_t elapsed_ms)
{
	uint64_t lead = spent * LEAD_MS / (elapsed_ms == 0 ? 1 : elapsed_ms);

	return lead > wish / 2 ? lesser(lead, wish) : wish / 2;
}

static void ask(struct quota *quota)
{
	uint64_t now_ms = loop_now_ms(), elapsed_ms = now_ms - quota->asked_ms;
	uint64_t wish = quota_wish(quotas.quantum, quota->spent, elapsed_ms);

	quota->low = low_water(wish, quota->spent, elapsed_ms);
	quota->spent = 0;
	quota->asked_ms = now_ms;
	quota->asked_starving = quota->starving;
	ledger_take(quota->ledgers, &quota->call, (int64_t)lesser(wish, quota->file_left));
}

static void exhaust(struct quota *quota, const char *ledger, int64_t limit)
{
	quota->over = true;
	quota->denial = (struct denial){ ledger, limit };
	quota->exhausted(quota);
}

/* True while an answer, or the time to ask again, is waited for. */
static bool is_asking(const struct quota *quota)
{
	return redis_busy(&quota->call) || quota->retrying;
}

/* The lease runs low. A stream that was denied asks again only when it has nothing left. */
static bool runs_low(const struct quota *quota)
{
	return quota->spent > 0 && quota->budget <= quota->low && !quota->dry;
}

/* Asks for a lease if one is needed. */
static void consider(struct quota *quota)
{
	if (quota->over || is_asking(quota))
		return;
	if (quota->file_left > 0 && (quota->starving || runs_low(quota)))
		ask(quota);
	else if (quota->file_left == 0 && quota->starving)
		exhaust(quota, "file", quota->ledgers->file_limit);
}

static void look(struct quota *quota)
{
	if (quota->budget == quota->seen)
		return;
	quota->spent += quota->seen - quota->budget;
	quota->seen = quota->budget;
	if (!quota->retrying)
		deadline_start(&quotas.idle, &quota->deadline);
}

void quota_spent(struct quota *quota, bool starving)
{
	look(quota);
	if (starving && !quota->starving)
		metric_add(&waits_metric, 0, 1);
	quota->starving = starving;
	consider(quota);
}

void quota_refund(struct quota *quota, uint64_t bytes)
{
	quota->budget += bytes;
	quota->seen = quota->budget;
}

/* Leases that come and go */

static void put(struct quota *quota, uint64_t bytes)
{
	look(quota);
	quota->budget += bytes;
	quota->file_left -= bytes;
	quota->seen = quota->budget;
}

static void give_all_back(struct quota *quota)
{
	look(quota);
	if (quota->budget == 0)
		return;
	ledger_give_back(quota->ledgers, quota->month, quota->budget, false);
	quota->file_left += quota->budget;
	quota->budget = quota->seen = quota->spent = 0;
}

/*
 * Bytes that flow from now on are the new month's, so the old one's lease is of no use any more.
 * True if there was one.
 */
static bool change_month(struct quota *quota)
{
	bool had_some = quota->budget > 0;

	if (quota->month == calendar_month()->number)
		return false;
	give_all_back(quota);
	quota->month = calendar_month()->number;
	return had_some;
}

static void on_granted(struct quota *quota, const struct ledger_answer *answer)
{
	bool starved = quota->starving;

	if (answer->month != quota->month) {
		/* It was taken before the turn, and comes after it. */
		ledger_give_back(quota->ledgers, answer->month, (uint64_t)answer->bytes, false);
		ask(quota);
		return;
	}
	quota->dry = false;
	quota->starving = false;
	quota->low = lesser(quota->low, (uint64_t)answer->bytes);
	put(quota, (uint64_t)answer->bytes);
	deadline_start(&quotas.idle, &quota->deadline);
	if (starved)
		quota->renewed(quota);
}

static void on_answer(struct redis_call *call, const struct redisReply *reply)
{
	struct quota *quota = container_of(call, struct quota, call);
	struct ledger_answer answer = ledger_read(quota->ledgers, reply);

	(void)change_month(quota);
	switch (answer.verdict) {
	case LEDGER_GRANTED:
		on_granted(quota, &answer);
		break;
	case LEDGER_UNKNOWN:
		quota->retrying = true;
		deadline_start(&quotas.retry, &quota->deadline);
		break;
	case LEDGER_OTHER_MONTH:
		if (!is_asking(quota))
			ask(quota);
		break;
	case LEDGER_OVER:
	case LEDGER_FORBIDDEN:
	case LEDGER_VERDICT_COUNT:
		quota->dry = true;
		if (quota->asked_starving)
			exhaust(quota, answer.ledger, answer.limit);
		else
			consider(quota);
		break;
	}
}

/* Opening and freeing */

static void run(struct quota *quota, const struct ledger_answer *answer)
{
	int64_t file_limit = quota->ledgers->file_limit;

	quota->running = true;
	quota->call.done = on_answer;
	quota->file_left = file_limit > 0 ? (uint64_t)file_limit : UINT64_MAX;
	quota->low = (uint64_t)answer->bytes / 2;
	quota->month = answer->month;
	put(quota, (uint64_t)answer->bytes);
	quota->asked_ms = loop_now_ms();
	deadline_start(&quotas.idle, &quota->deadline);
	list_append(&quotas.all, &quota->link);
	quotas.count++;
	(void)change_month(quota);
}

static void on_opened(struct redis_call *call, const struct redisReply *reply)
{
	struct quota *quota = container_of(call, struct quota, call);
	struct ledger_answer answer = ledger_read(quota->ledgers, reply);

	if (answer.verdict == LEDGER_OTHER_MONTH && quota->openings < OPENINGS_MAX) {
		quota_open(quota);
		return;
	}
	if (answer.verdict == LEDGER_GRANTED)
		run(quota, &answer);
	quota->denial = (struct denial){ answer.ledger, answer.limit };
	quota->opened(quota, answer.verdict);
}

void quota_open(struct quota *quota)
{
	quota->openings++;
	quota->call.done = on_opened;
	ledger_open(quota->ledgers, &quota->call, (int64_t)quotas.quantum);
}

struct quota *quota_new(const struct party parties[2])
{
	struct quota *quota = mem_alloc(1, sizeof(*quota));

	quota->ledgers = ledger_new(parties);
	return quota;
}

/* Also a call that was cancelled, or whose answer got lost, may have taken something. */
void quota_free(struct quota *quota)
{
	if (quota == NULL)
		return;
	if (quota->running)
		quotas.count--;
	redis_cancel(&quota->call);
	deadline_stop(&quota->deadline);
	list_remove(&quota->link);
	if (quota->running || (quota->openings > 0 && quota->denial.ledger == NULL))
		ledger_give_back(quota->ledgers, quota->month, quota->budget, true);
	ledger_free(quota->ledgers);
	free(quota);
}

/* The module */

static void idle_expired(struct deadline *deadline)
{
	struct quota *quota = container_of(deadline, struct quota, deadline);

	if (is_asking(quota))
		deadline_start(&quotas.idle, deadline);
	else
		give_all_back(quota);
}

static void retry_expired(struct deadline *deadline)
{
	struct quota *quota = container_of(deadline, struct quota, deadline);

	quota->retrying = false;
	deadline_start(&quotas.idle, deadline);
	ask(quota);
}

static void on_turning(struct task *task)
{
	for (int n = 0; n < TURNS_MAX && quotas.turning > 0; n++, quotas.turning--) {
		struct list_link *link = list_take(&quotas.all);
		struct quota *quota;

		if (link == NULL)
			return;
		list_append(&quotas.all, link);
		quota = container_of(link, struct quota, link);
		if (change_month(quota) && !is_asking(quota))
			ask(quota);
	}
	if (quotas.turning > 0)
		task_start(task);
}

static void on_turn(void)
{
	quotas.turning = quotas.count;
	task_start(&quotas.turn);
}

static int start(void *config)
{
	const struct relay_conf *conf = config;

	quotas.quantum = (uint64_t)conf->quantum_bytes;
	quotas.turn.run = on_turning;
	list_init(&quotas.all);
	deadline_queue_init(&quotas.idle, IDLE_MS, idle_expired);
	deadline_queue_init(&quotas.retry, RETRY_MS, retry_expired);
	calendar_on_turn(on_turn);
	metrics_add(&waits_metric);
	return 0;
}

static void stop(void)
{
	task_stop(&quotas.turn);
	deadline_queue_release(&quotas.idle);
	deadline_queue_release(&quotas.retry);
}

const struct daemon_module quota_module = { "quotas", start, stop };
