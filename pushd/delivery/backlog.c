#include "pushd/delivery/backlog.h"

#include <stdlib.h>

#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "pushd/delivery/delivery.h"
#include "pushd/queue/store.h"
#include "pushd/sender/sender.h"

#define LOOK_MS 1000
#define UNDER_WAY_MAX 512 /* that were taken for one provider and haven't ended */
#define TRICKLE 16 /* taken each look when others wait for the sender: or what is stored starves */

struct backlog {
	const struct sender *sender;
	struct store_taking taking;
	bool busy;         /* TAKING is under way */
	bool more;         /* when it was last asked, the store had more */
	size_t under_way;  /* deliveries that were taken and haven't ended */
	struct timer look; /* for what others stored */
	struct timer due;  /* for what is known to be due */
	struct task again;
};

/* One that was taken. */
struct taken {
	struct delivery delivery;
	struct backlog *backlog;
};

static struct backlog *backlogs;
static size_t backlogs_count;

static int64_t end_numbers[OUTCOME_COUNT];
static struct metric ends_metric = {
	.name = "outrigger_pushd_backlog_total",
	.help = "Stored notifications that were taken, by outcome; queued: given back.",
	.kind = METRIC_COUNTER,
	.label = "outcome",
	.values = outcome_names,
	.series = OUTCOME_COUNT,
	.numbers = end_numbers,
};

static void expect(struct backlog *backlog, uint64_t delay_ms);

static void on_ended(struct delivery *delivery)
{
	struct taken *taken = container_of(delivery, struct taken, delivery);
	struct backlog *backlog = taken->backlog;

	metric_add(&ends_metric, delivery->outcome, 1);
	backlog->under_way--;
	if (backlog->more)
		task_start(&backlog->again);
	free(taken);
}

static void resume(struct backlog *backlog, const struct store_entry *entry)
{
	struct taken *taken = mem_alloc(1, sizeof(*taken));

	taken->backlog = backlog;
	taken->delivery.ended = on_ended;
	backlog->under_way++;
	delivery_resume(&taken->delivery, entry);
}

static void on_taken(struct store_taking *taking, enum store_result result,
                     const struct store_entry *entries, size_t count, int64_t next_due_ms)
{
	struct backlog *backlog = container_of(taking, struct backlog, taking);

	backlog->busy = false;
	backlog->more = result == STORE_DONE && next_due_ms == 0;
	for (size_t i = 0; result == STORE_DONE && i < count; i++)
		resume(backlog, &entries[i]);
	if (backlog->more && count > 0)
		task_start(&backlog->again);
	if (next_due_ms > 0)
		expect(backlog, (uint64_t)next_due_ms);
}

/* How many to ask for; at least LEAST while the sender takes any. */
static unsigned choose_count(const struct backlog *backlog, unsigned least)
{
	unsigned count = sender_room(backlog->sender);

	if (backlog->under_way >= UNDER_WAY_MAX || deliveries_count() >= deliveries_max() / 2 ||
	    sender_refusal(backlog->sender) != SENDER_TAKES)
		return 0;
	if (count < least)
		count = least;
	if (count > UNDER_WAY_MAX - backlog->under_way)
		count = (unsigned)(UNDER_WAY_MAX - backlog->under_way);
	return count < STORE_TAKE_MAX ? count : STORE_TAKE_MAX;
}

static void take(struct backlog *backlog, unsigned least)
{
	unsigned count = backlog->busy || daemon_draining() ? 0 : choose_count(backlog, least);

	if (count == 0)
		return;
	backlog->busy = true;
	backlog->taking.done = on_taken;
	store_take(&backlog->taking, sender_provider(backlog->sender)->id, count);
}

static void on_again(struct task *task)
{
	take(container_of(task, struct backlog, again), 0);
}

static void on_look(struct timer *timer)
{
	struct backlog *backlog = container_of(timer, struct backlog, look);

	timer_start(timer, LOOK_MS);
	take(backlog, sender_queued(backlog->sender) > 0 ? TRICKLE : 0);
}

static void on_due(struct timer *timer)
{
	take(container_of(timer, struct backlog, due), 0);
}

static void expect(struct backlog *backlog, uint64_t delay_ms)
{
	uint64_t due_ns = loop_now_ns() + delay_ms * 1000000;

	if (!timer_active(&backlog->due) || due_ns < backlog->due.due_ns)
		timer_start(&backlog->due, delay_ms);
}

void backlog_expect(const struct sender *sender, uint64_t delay_ms)
{
	for (size_t i = 0; i < backlogs_count; i++)
		if (backlogs[i].sender == sender)
			expect(&backlogs[i], delay_ms);
}

static int start(void *config)
{
	metrics_add(&ends_metric);
	backlogs_count = senders_count();
	backlogs = mem_alloc(backlogs_count + 1, sizeof(*backlogs));
	for (size_t i = 0; i < backlogs_count; i++) {
		backlogs[i].sender = senders_at(i);
		backlogs[i].again.run = on_again;
		backlogs[i].look.expired = on_look;
		backlogs[i].due.expired = on_due;
		timer_start(&backlogs[i].look, 0);
	}
	return 0;
}

static void stop(void)
{
	for (size_t i = 0; i < backlogs_count; i++) {
		timer_stop(&backlogs[i].look);
		timer_stop(&backlogs[i].due);
		task_stop(&backlogs[i].again);
		redis_cancel(&backlogs[i].taking.call);
	}
	backlogs_count = 0;
	free(backlogs);
	backlogs = NULL;
}

const struct daemon_module backlog_module = { "backlog", start, stop };
