/*
 * The connection to Redis that all of pushd uses, except the queue, which has its own: started
 * first, stopped last. A server that may evict keys would lose queued notifications, so it is
 * refused: at the first connection the daemon exits 1; later it doesn't serve until the server's
 * maxmemory-policy is noeviction.
 */
#ifndef OG_PUSHD_DB_H
#define OG_PUSHD_DB_H

#include <stdbool.h>

#include "common/redis/redis.h"

struct conf;

/* For the daemon's table of modules. */
extern const struct daemon_module db_module;

struct redis *db_redis(void);

/* A new connection to the same server, owned by the caller, or NULL. */
struct redis *db_connect(const struct conf *conf);

/* False after the server said that it may evict keys, until it says that it doesn't. */
bool db_keeps(void);

/* True while the server is connected and doesn't evict keys. */
bool db_serving(void);

#endif
