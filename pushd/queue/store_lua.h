/*
 * The scripts of the store, each of which keeps notes, queues, slots and their number at one.
 * ARGV[1] is the prefix of push keys. They touch keys that
 * they find in other keys, so all is on one server.
 *
 * A provider's domains have turns, by priority: a domain's turn is never later than both the
 * earliest due time of its entries and the time at which it was last served. So domains that were
 * served stand behind those that wait, and one that has nothing due is looked at only when it may
 * have. Where a turn came too early (what was due has been settled), it is put right then.
 */
#ifndef OG_PUSHD_QUEUE_STORE_LUA_H
#define OG_PUSHD_QUEUE_STORE_LUA_H

#include "common/redis/redis.h"

/* What store_lua_take gives of an entry: its note's fields, and its id. */
enum store_field {
	STORE_FIELD_PROVIDER,
	STORE_FIELD_PRIORITY,
	STORE_FIELD_DOMAIN,
	STORE_FIELD_NODE,
	STORE_FIELD_SLOT,
	STORE_FIELD_ATTEMPTS,
	STORE_FIELD_COUNT,
	STORE_FIELD_EXPIRES,
	STORE_FIELD_CREATED,
	STORE_FIELD_ITEM,
	STORE_FIELD_ID,
	STORE_FIELD_END
};

/*
 * ARGV: prefix, id, node, provider, domain, priority, item, count, created and expires (from now),
 * attempts, delay, "1" if leased, decisions ("": no slot), most. Answers "done", "replaced",
 * "merged" or "full".
 */
extern struct redis_script store_lua_put;

/*
 * ARGV: prefix, provider, count, lease. Answers the time, how long until the next is due (-1:
 * none), the providers of those that were dropped, then the entries' fields.
 */
extern struct redis_script store_lua_take;

/* ARGV: prefix, lease, most. Drops what has expired; answers the providers of those. */
extern struct redis_script store_lua_sweep;

/* ARGV: prefix, id. Answers "done" or "absent". */
extern struct redis_script store_lua_settle;

/*
 * ARGV: prefix, id, delay, decisions, attempts to add. Answers "done", "replaced", "merged" or
 * "absent".
 */
extern struct redis_script store_lua_return;

#endif
