/*
 * The one schedule of retries: delays that double from LEAST_MS to MOST_MS, each drawn at random
 * from the upper half of its range so that many clients spread.
 */
#ifndef OG_COMMON_BASE_BACKOFF_H
#define OG_COMMON_BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
	uint32_t least_ms;
	uint32_t most_ms;
	uint32_t current_ms; /* the top of the last range; 0 after a success */
};

/* The next delay in milliseconds; least_ms/2 … most_ms. */
uint32_t backoff_next(struct backoff *backoff);

/* The delay after ATTEMPTS failures (0: the first), for an owner that keeps only their number. */
uint32_t backoff_after(uint32_t least_ms, uint32_t most_ms, unsigned attempts);

/* Starts over after a success. */
void backoff_reset(struct backoff *backoff);

/* A random 32-bit number (getrandom), also for jitter elsewhere. */
uint32_t backoff_random(void);

#endif
