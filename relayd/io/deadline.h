/*
 * Deadlines for tens of thousands of owners: all with the same delay wait in one queue, in the
 * order in which they were started. So one timer serves them, and starting, moving or stopping one
 * costs a few pointers. Nothing fails.
 */
#ifndef OG_RELAYD_IO_DEADLINE_H
#define OG_RELAYD_IO_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/loop.h"

/* Embedded in its owner; all zeros is idle. */
struct deadline {
	struct list_link link;
	uint64_t due_ms;
};

struct deadline_queue {
	void (*expired)(struct deadline *deadline); /* the deadline is idle when this is called */
	uint64_t delay_ms;
	struct list waiting; /* the first is due first */
	struct timer timer;
};

/* Makes an empty queue. */
void deadline_queue_init(struct deadline_queue *queue, uint64_t delay_ms,
                         void (*expired)(struct deadline *deadline));

/* Stops the timer; deadlines that still wait are forgotten, and never expire. */
void deadline_queue_release(struct deadline_queue *queue);

/* Puts DEADLINE into QUEUE, out of any other; it expires delay_ms from now. */
void deadline_start(struct deadline_queue *queue, struct deadline *deadline);

/* Takes it out; does nothing when idle. */
void deadline_stop(struct deadline *deadline);

#endif
