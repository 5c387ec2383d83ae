/* The Lua script that writes what is in the outbox (outbox.c). */
#ifndef OG_RELAYD_QUOTA_OUTBOX_LUA_H
#define OG_RELAYD_QUOTA_OUTBOX_LUA_H

#include "common/redis/redis.h"

/*
 * Keys: the outbox's last number, transfers, events. Arguments: what keys of usage begin with,
 * records to keep, number of the first item; then of each item the count of its words, and these.
 * Answers the number of the last item that is done, and what was wrong ("" if nothing).
 */
extern struct redis_script outbox_script;

#endif
