/*
 * How often an address or a domain may do something: a bucket of tokens for each, in a table of
 * bounded size that forgets the one that has been quiet the longest. Pure: the caller passes the
 * time, a monotonic one in nanoseconds.
 */
#ifndef OG_PUSHD_API_RATE_H
#define OG_PUSHD_API_RATE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/map.h"

struct rate {
	uint32_t burst;       /* how many at once, at least 1 */
	uint64_t interval_ns; /* for one more, at least 1 */
	size_t keys_max;      /* at least 1 */
	struct map map;
	struct list recent; /* the one that was quiet the longest first */
};

/* Sets up an empty table whose numbers are set. */
void rate_init(struct rate *rate);

/* How long KEY has to wait until rate_take() is 0, in nanoseconds. */
uint64_t rate_wait(const struct rate *rate, const void *key, size_t key_len, uint64_t now_ns);

/* 0: KEY may do it now, which takes a token; else how long it has to wait, in nanoseconds. */
uint64_t rate_take(struct rate *rate, const void *key, size_t key_len, uint64_t now_ns);

void rate_release(struct rate *rate);

#endif
