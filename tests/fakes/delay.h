/*
 * Answers that a script holds back (delay_ms), of all sessions: POST /hasten ends all delays.
 */
#ifndef OG_TESTS_FAKES_DELAY_H
#define OG_TESTS_FAKES_DELAY_H

#include <stdint.h>

#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/base/mem.h"

/* One of them; timer.expired is its owner's, and takes LINK out of its list. */
struct delay {
	struct timer timer;
	struct list_link link; /* in the list of those that run */
};

/* Starts DELAY, in the list ALL. */
static inline void delay_begin(struct delay *delay, struct list *all, uint32_t delay_ms)
{
	timer_start(&delay->timer, delay_ms);
	list_append(all, &delay->link);
}

/* Does nothing when it doesn't run. */
static inline void delay_stop(struct delay *delay)
{
	timer_stop(&delay->timer);
	list_remove(&delay->link);
}

/* Ends all in ALL in the next turn. */
static inline void delays_end(struct list *all)
{
	list_for_each (link, all)
		timer_start(&container_of(link, struct delay, link)->timer, 0);
}

#endif
