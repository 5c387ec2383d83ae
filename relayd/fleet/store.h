/*
 * This relay's connection to the Redis that the fleet shares, and the name by which the relay signs
 * there.
 */
#ifndef OG_RELAYD_FLEET_STORE_H
#define OG_RELAYD_FLEET_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/redis/redis.h"

#define STORE_TIMEOUT_MS 2000 /* of a command; clients wait for a claim no longer than this */

/* Module: starts to connect; fine while Redis is away. -1 after logging why the URL is none. */
extern const struct daemon_module store_module;

/* The connection (borrowed), or NULL with `redis = none`. */
struct redis *store_redis(void);

/* True while handshakes can be settled: connected, or there is no Redis to ask. */
bool store_ready(void);

/* "ID EPOCH", the value of this relay's claims. */
const char *store_owner(void);

/* The relay's id. */
const char *store_id(void);

/* When this process started, in milliseconds since 1970: tells a relay from its predecessor. */
int64_t store_epoch_ms(void);

#endif
