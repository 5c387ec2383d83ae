/*
 * The rate at which notifications go to a provider: at most rate-max in a second, and none while
 * the provider says that the whole project sends too much.
 */
#ifndef OG_PUSHD_SENDER_PACER_H
#define OG_PUSHD_SENDER_PACER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"

struct pacer {
	void (*passed)(struct pacer *pacer); /* what pacer_take() refused may be tried again */
	struct timer wait;
	int64_t rate;       /* in a second; 0: any number */
	uint64_t next_ns;   /* when the next may be sent */
	uint64_t paused_ms; /* nothing is sent before; by loop_now_ms() */
};

/* pacer->passed is set. */
void pacer_init(struct pacer *pacer, int64_t rate);

void pacer_release(struct pacer *pacer);

/* How many may be sent now. */
unsigned pacer_room(const struct pacer *pacer);

/* Takes one from the rate: true, or false, and passed will be called when one may be sent. */
bool pacer_take(struct pacer *pacer);

/* Nothing is sent for PAUSE_MS. */
void pacer_pause(struct pacer *pacer, uint64_t pause_ms);

/* True while nothing is sent because of pacer_pause(). */
bool pacer_paused(const struct pacer *pacer);

#endif
