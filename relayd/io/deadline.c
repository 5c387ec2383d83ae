#include "relayd/io/deadline.h"

#include "common/base/mem.h"

#define EXPIRED_PER_TURN 256

static void on_timer(struct timer *timer)
{
	struct deadline_queue *queue = container_of(timer, struct deadline_queue, timer);
	uint64_t now = loop_now_ms();

	for (int n = 0; n < EXPIRED_PER_TURN && !list_empty(&queue->waiting); n++) {
		struct deadline *first =
		        container_of(list_first(&queue->waiting), struct deadline, link);

		if (first->due_ms > now) {
			timer_start(&queue->timer, first->due_ms - now);
			return;
		}
		list_remove(&first->link);
		queue->expired(first);
	}
	if (!list_empty(&queue->waiting))
		timer_start(&queue->timer, 0);
}

void deadline_queue_init(struct deadline_queue *queue, uint64_t delay_ms,
                         void (*expired)(struct deadline *deadline))
{
	*queue = (struct deadline_queue){ .expired = expired, .delay_ms = delay_ms };
	queue->timer.expired = on_timer;
	list_init(&queue->waiting);
}

void deadline_queue_release(struct deadline_queue *queue)
{
	if (queue->expired == NULL)
		return;
	timer_stop(&queue->timer);
	while (list_take(&queue->waiting) != NULL)
		;
}

void deadline_start(struct deadline_queue *queue, struct deadline *deadline)
{
	list_remove(&deadline->link);
	deadline->due_ms = loop_now_ms() + queue->delay_ms;
	list_append(&queue->waiting, &deadline->link);
	/*
	 * A running timer is due no later than this deadline, and starts itself again for the next
	 * one.
	 */
	if (!timer_active(&queue->timer))
		timer_start(&queue->timer, queue->delay_ms);
}

void deadline_stop(struct deadline *deadline)
{
	list_remove(&deadline->link);
}
