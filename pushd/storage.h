/* The connection to Redis that all of pushd uses: started first, stopped last. */
#ifndef OG_PUSHD_STORAGE_H
#define OG_PUSHD_STORAGE_H

#include "common/redis.h"

/* For the daemon's table of modules. */
int storage_start(void *config);
void storage_stop(void);

struct redis *storage_redis(void);

#endif
