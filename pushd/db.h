/*
 * The connection to Redis that all of pushd uses but the store, which has its own: started first,
 * stopped last. A server that may evict keys forgets what was promised, so it is refused: at the
 * first connection the daemon exits 1, later it does not serve until the server's policy is
 * noeviction.
 */
#ifndef OG_PUSHD_DB_H
#define OG_PUSHD_DB_H

#include <stdbool.h>

#include "common/redis/redis.h"

struct conf;

/* For the daemon's table of modules. */
extern const struct daemon_module db_module;

struct redis *db_redis(void);

/* A connection of one's own to the same server, or NULL. */
struct redis *db_connect(const struct conf *conf);

/* False once the server was seen to evict keys, until it was seen not to. */
bool db_keeps(void);

/* True while the server is there and keeps what it is given. */
bool db_serving(void);

#endif
