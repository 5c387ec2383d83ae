/*
 * How full a Redis is whose memory is bounded (`maxmemory`), asked every ten seconds and shown by a
 * gauge. From 80 % on there is a line in the log, and an event of which the gateways tell admins,
 * once a day for all daemons together.
 *
 * A Redis that is full refuses a command that may take memory ("OOM …"), but in a script only where
 * that would be its first write. So what is new is refused, and a script that keeps a promise
 * (renews a record, takes what waits) begins with a write that takes none and changes nothing.
 */
#ifndef OG_COMMON_REDIS_REDIS_MEMORY_H
#define OG_COMMON_REDIS_REDIS_MEMORY_H

#include "common/base/loop.h"
#include "common/redis/redis.h"

/* All zeros: idle. */
struct redis_memory {
	struct redis *redis;
	struct redis_call info, tell;
	struct timer look;
	int percent;  /* of maxmemory, by the last answer; 0 where that isn't set */
	int warned;   /* the percentage (80, 100) that was logged; 0: none was */
	size_t place; /* among the gauge's series */
};

/* Asks the server of REDIS (borrowed until the stop) from now on; at most four at once. */
void redis_memory_start(struct redis_memory *memory, struct redis *redis);

/* Fine when idle. */
void redis_memory_stop(struct redis_memory *memory);

#endif
