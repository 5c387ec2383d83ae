#include "relayd/quota/lease.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "relayd/conf.h"
#include "relayd/quota/calendar.h"

#define IDLE_MS 10000
#define RETRY_MS 200 /* a call that can't be sent waits for Redis by itself */
#define SIZE_MS 500  /* a lease lasts this long, within 1 to QUANTA_MAX quanta */
#define LEAD_MS 20   /* and more arrives so long before it is used up */
#define QUANTA_MAX 16
#define SIZE_LEAST_MS 50 /* a very fast stream's lasts so long, since each call costs CPU */
#define OPENINGS_MAX 3   /* each after a reply that it is another month */
#define ROLLOVERS_MAX 64 /* leases that change months in one turn of the loop */

static struct {
	uint64_t quantum;
	struct list all; /* that are open */
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

uint64_t lease_size(uint64_t quantum, uint64_t spent, uint64_t elapsed_ms)
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
	uint64_t size = lease_size(leases.quantum, lease->spent, elapsed_ms);

	enter(lease, lease->stream_waits ? LEASE_STARVING : LEASE_ASKING);
	lease->low = low_water(size, lease->spent, elapsed_ms);
	lease->spent = 0;
	lease->asked_ms = now_ms;
	ledger_take(lease->ledgers, &lease->call, (int64_t)lesser(size, lease->file_left));
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

void lease_refund(struct lease *lease, uint64_t bytes)
{
	lease->budget += bytes;
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
	lease->month = calendar_month()->number;
	return had_some;
}

static void on_granted(struct lease *lease, const struct ledger_answer *answer)
{
	bool waited = lease->stream_waits;

	if (answer->month != lease->month) {
		/* The bytes were taken before the month was over, and arrive after it. */
		ledger_give_back(lease->ledgers, answer->month, (uint64_t)answer->bytes, false);
		ask(lease);
		return;
	}
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
	struct ledger_answer answer = ledger_read(lease->ledgers, reply);

	(void)change_month(lease);
	switch (answer.verdict) {
	case LEDGER_GRANTED:
		on_granted(lease, &answer);
		break;
	case LEDGER_UNKNOWN:
		enter(lease, LEASE_RETRYING);
		deadline_start(&leases.retry, &lease->deadline);
		break;
	case LEDGER_OTHER_MONTH:
		ask(lease);
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

/* Without a clear reply the lease stays opening: bytes may have been taken for it. */
static void on_opened(struct redis_call *call, const struct redisReply *reply)
{
	struct lease *lease = container_of(call, struct lease, call);
	struct ledger_answer answer = ledger_read(lease->ledgers, reply);

	if (answer.verdict == LEDGER_OTHER_MONTH && lease->openings < OPENINGS_MAX) {
		lease_open(lease);
		return;
	}
	if (answer.verdict == LEDGER_GRANTED)
		hold(lease, &answer);
	else if (answer.ledger != NULL)
		enter(lease, LEASE_REFUSED);
	lease->denial = (struct denial){ answer.ledger, answer.limit };
	lease->opened(lease, answer.verdict);
}

void lease_open(struct lease *lease)
{
	enter(lease, LEASE_OPENING);
	lease->openings++;
	lease->call.done = on_opened;
	ledger_open(lease->ledgers, &lease->call, (int64_t)leases.quantum);
}

struct lease *lease_new(const struct party parties[2])
{
	struct lease *lease = mem_alloc(1, sizeof(*lease));

	lease->ledgers = ledger_new(parties);
	return lease;
}

/* A call that was cancelled, or whose reply got lost, may have taken bytes too. */
void lease_free(struct lease *lease)
{
	if (lease == NULL)
		return;
	if (is_open(lease))
		leases.count--;
	redis_cancel(&lease->call);
	deadline_stop(&lease->deadline);
	list_remove(&lease->link);
	if (is_open(lease) || lease->state == LEASE_OPENING)
		ledger_give_back(lease->ledgers, lease->month, lease->budget, true);
	ledger_free(lease->ledgers);
	free(lease);
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

	leases.quantum = (uint64_t)conf->quantum_bytes;
	leases.rollover.run = roll_over_some;
	list_init(&leases.all);
	deadline_queue_init(&leases.idle, IDLE_MS, idle_expired);
	deadline_queue_init(&leases.retry, RETRY_MS, retry_expired);
	calendar_on_rollover(on_rollover);
	metrics_add(&waits_metric);
	return 0;
}

static void stop(void)
{
	task_stop(&leases.rollover);
	deadline_queue_release(&leases.idle);
	deadline_queue_release(&leases.retry);
}

const struct daemon_module lease_module = { "leases", start, stop };
