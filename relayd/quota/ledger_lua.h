/* The Lua scripts that take from ledgers (ledger.c): each is one atomic call over all of them. */
#ifndef OG_RELAYD_QUOTA_LEDGER_LUA_H
#define OG_RELAYD_QUOTA_LEDGER_LUA_H

#include "common/redis/redis.h"

/*
 * The first lease of a stream. Keys: usage and ledgers of the month, the lease, limits, then the
 * rows of the first party's user and domain and of the second's. Arguments: the month, its first
 * second and that of the next one; bytes wanted; default limits of file, user and domain; limits of
 * the instance and of all; the four accounts whose rows these are; the instance's ledger.
 *
 * Answers {"granted", bytes, month, file limit, limits of the ledgers, each of them once…},
 * {"over", ledger, limit}, {"forbidden", ledger, -1} or {"month", milliseconds since 1970}: it is
 * another month.
 */
extern struct redis_script ledger_open_script;

/*
 * Another lease. Keys: usage and ledgers of the month, the lease. Arguments: the month, its first
 * second and that of the next one; bytes wanted; the number of this call of the lease; then name
 * and limit of each ledger. Answers as above, without limits. A call that was carried out before
 * gets the answer that was lost.
 */
extern struct redis_script ledger_take_script;

#endif
