/*
 * How full a Redis is whose memory is bounded (`maxmemory`), looked at every ten seconds. At 80 % a
 * line in the log, and an event of which the gateways tell admins, once a day for all daemons
 * together; a gauge at any time.
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
	int percent;  /* of maxmemory, as it was told last; 0 where that isn't set */
	int warned;   /* from how many percent on that was logged; 0: it wasn't */
	size_t place; /* among the gauge's series */
};

/* Looks from now on at the server of REDIS (borrowed until the stop); at most four at once. */
void redis_memory_start(struct redis_memory *memory, struct redis *redis);

/* Fine when idle. */
void redis_memory_stop(struct redis_memory *memory);

#endif
