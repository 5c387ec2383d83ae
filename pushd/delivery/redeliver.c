#include "pushd/delivery/redeliver.h"

#include <stdlib.h>

#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "pushd/delivery/delivery.h"
#include "pushd/queue/queue.h"
#include "pushd/sender/sender.h"

#define LOOK_MS 1000
#define UNDER_WAY_MAX 512 /* deliveries of one provider that were taken and haven't ended */
#define TRICKLE 16 /* taken at each look while the sender is busy: or the queue would starve */

/* The queue of one provider, as this process takes from it. */
struct redelivery {
	const struct sender *sender;
	struct queue_taking taking;
	bool busy;         /* TAKING is under way */
	bool more;         /* when it was last asked, the queue had more that was due */
	size_t under_way;  /* deliveries that were taken and haven't ended */
	struct timer look; /* for entries that another pushd left */
	struct timer due;  /* for entries that are known to become due */
	struct task again;
};

/* An entry that was taken. */
struct taken {
	struct delivery delivery;
	struct redelivery *redelivery;
};

static struct redelivery *redeliveries;
static size_t redeliveries_count;

static int64_t end_numbers[OUTCOME_COUNT];
static struct metric ends_metric = {
	.name = "outrigger_pushd_backlog_total",
	.help = "Notifications taken from the queue, by outcome; queued: given back.",
	.kind = METRIC_COUNTER,
	.label = "outcome",
	.values = outcome_names,
	.series = OUTCOME_COUNT,
	.numbers = end_numbers,
};

static void expect(struct redelivery *redelivery, uint64_t delay_ms);

static void on_delivery_ended(struct delivery *delivery)
{
	struct taken *taken = container_of(delivery, struct taken, delivery);
	struct redelivery *redelivery = taken->redelivery;

	metric_add(&ends_metric, delivery->outcome, 1);
	redelivery->under_way--;
	if (redelivery->more)
		task_start(&redelivery->again);
	free(taken);
}

static void resume(struct redelivery *redelivery, const struct queue_entry *entry)
{
	struct taken *taken = mem_alloc(1, sizeof(*taken));

	taken->redelivery = redelivery;
	taken->delivery.ended = on_delivery_ended;
	redelivery->under_way++;
	delivery_resume(&taken->delivery, entry);
}

static void on_queue_taken(struct queue_taking *taking, enum queue_result result,
                           const struct queue_entry *entries, size_t count, int64_t next_due_ms)
{
	struct redelivery *redelivery = container_of(taking, struct redelivery, taking);

	redelivery->busy = false;
	redelivery->more = result == QUEUE_DONE && next_due_ms == 0;
	for (size_t i = 0; result == QUEUE_DONE && i < count; i++)
		resume(redelivery, &entries[i]);
	if (redelivery->more && count > 0)
		task_start(&redelivery->again);
	if (next_due_ms > 0)
		expect(redelivery, (uint64_t)next_due_ms);
}

/* How many to ask for; at least LEAST while the sender takes any. */
static unsigned choose_count(const struct redelivery *redelivery, unsigned least)
{
	unsigned count = sender_room(redelivery->sender);

	if (redelivery->under_way >= UNDER_WAY_MAX || deliveries_count() >= deliveries_max() / 2 ||
	    sender_refusal(redelivery->sender) != SENDER_TAKES)
		return 0;
	if (count < least)
		count = least;
	if (count > UNDER_WAY_MAX - redelivery->under_way)
		count = (unsigned)(UNDER_WAY_MAX - redelivery->under_way);
	return count < QUEUE_TAKE_MAX ? count : QUEUE_TAKE_MAX;
}

static void take(struct redelivery *redelivery, unsigned least)
{
	unsigned count =
	        redelivery->busy || daemon_draining() ? 0 : choose_count(redelivery, least);

	if (count == 0)
		return;
	redelivery->busy = true;
	redelivery->taking.done = on_queue_taken;
	queue_take(&redelivery->taking, sender_provider(redelivery->sender)->id, count);
}

static void on_again(struct task *task)
{
	take(container_of(task, struct redelivery, again), 0);
}

static void on_look(struct timer *timer)
{
	struct redelivery *redelivery = container_of(timer, struct redelivery, look);

	timer_start(timer, LOOK_MS);
	take(redelivery, sender_queued(redelivery->sender) > 0 ? TRICKLE : 0);
}

static void on_due(struct timer *timer)
{
	take(container_of(timer, struct redelivery, due), 0);
}

static void expect(struct redelivery *redelivery, uint64_t delay_ms)
{
	uint64_t due_ns = loop_now_ns() + delay_ms * 1000000;

	if (!timer_active(&redelivery->due) || due_ns < redelivery->due.due_ns)
		timer_start(&redelivery->due, delay_ms);
}

static void on_queued(const struct sender *sender, uint64_t delay_ms)
{
	for (size_t i = 0; i < redeliveries_count; i++)
		if (redeliveries[i].sender == sender)
			expect(&redeliveries[i], delay_ms);
}

static int start(void *config)
{
	metrics_add(&ends_metric);
	deliveries_watch(on_queued);
	redeliveries_count = senders_count();
	redeliveries = mem_alloc(redeliveries_count + 1, sizeof(*redeliveries));
	for (size_t i = 0; i < redeliveries_count; i++) {
		redeliveries[i].sender = senders_at(i);
		redeliveries[i].again.run = on_again;
		redeliveries[i].look.expired = on_look;
		redeliveries[i].due.expired = on_due;
		timer_start(&redeliveries[i].look, 0);
	}
	return 0;
}

static void stop(void)
{
	deliveries_watch(NULL);
	for (size_t i = 0; i < redeliveries_count; i++) {
		timer_stop(&redeliveries[i].look);
		timer_stop(&redeliveries[i].due);
		task_stop(&redeliveries[i].again);
		redis_cancel(&redeliveries[i].taking.call);
	}
	redeliveries_count = 0;
	free(redeliveries);
	redeliveries = NULL;
}

const struct daemon_module redeliver_module = { "redeliver", start, stop };
