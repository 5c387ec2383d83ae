/*
 * This relay's connection to the Redis that the fleet shares, and its identity there.
 */
#ifndef OG_RELAYD_FLEET_FLEET_H
#define OG_RELAYD_FLEET_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/redis/redis.h"

#define FLEET_TIMEOUT_MS 2000 /* of a command; clients wait for a claim no longer than this */

/* Module: starts to connect; an unreachable Redis is no failure. -1 after logging a bad URL. */
extern const struct daemon_module fleet_module;

/* The connection (borrowed), or NULL with `redis = none`. */
struct redis *fleet_redis(void);

/* True while claims can be settled: Redis is connected, or there is none. */
bool fleet_ready(void);

/* The relay's id. */
const char *fleet_id(void);

/* When this process started, in milliseconds since 1970: tells a relay from its predecessor. */
int64_t fleet_epoch_ms(void);

#endif
