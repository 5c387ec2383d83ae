/*
 * How often an address may do something: a bucket of tokens for each, in a table of bounded size
 * that forgets the address that has been quiet the longest. IPv6 counts by /64. Pure: the caller
 * brings the time.
 */
#ifndef OG_PUSHD_RATE_H
#define OG_PUSHD_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "common/map.h"
#include "common/net.h"

struct rate {
	uint32_t burst;       /* how many at once */
	uint32_t interval_ms; /* for one more */
	size_t addresses_max;
	struct map map;     /* by address */
	struct list recent; /* the one that was quiet the longest first */
};

/* Sets up an empty table whose numbers are set. */
void rate_init(struct rate *rate);

/* True if ADDRESS may do it now; that counts as done. */
bool rate_allow(struct rate *rate, const union net_address *address, uint64_t now_ms);

void rate_release(struct rate *rate);

#endif
