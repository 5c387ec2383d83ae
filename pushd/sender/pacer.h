/*
 * How fast notifications may go to a provider: at most so many in a second, and none at all for as
 * long as the provider says that the whole project sends too much.
 */
#ifndef OG_PUSHD_SENDER_PACER_H
#define OG_PUSHD_SENDER_PACER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"

struct pacer {
	void (*passed)(struct pacer *pacer); /* who had to wait may try again */
	struct timer wait;
	int64_t rate;       /* in a second; 0: any number */
	uint64_t next_ns;   /* when the next may go */
	uint64_t paused_ms; /* nothing goes before; by loop_now_ms() */
};

/* pacer->passed is set. */
void pacer_init(struct pacer *pacer, int64_t rate);

void pacer_release(struct pacer *pacer);

/* How many could go now. */
unsigned pacer_room(const struct pacer *pacer);

/* One wants to go: true, or false and passed will be called when one may. */
bool pacer_take(struct pacer *pacer);

/* Nothing goes for PAUSE_MS. */
void pacer_pause(struct pacer *pacer, uint64_t pause_ms);

/* True while nothing goes because of pacer_pause(). */
bool pacer_paused(const struct pacer *pacer);

#endif
