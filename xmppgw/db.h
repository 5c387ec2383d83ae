/*
 * The gateway's connections to Redis: its own, that of the relays and that of the push daemons,
 * which are one unless the configuration names several servers. Started first, stopped last.
 */
#ifndef OG_XMPPGW_DB_H
#define OG_XMPPGW_DB_H

#include "common/redis/redis.h"

enum db {
	DB_OWN,   /* the gateways' own: leases */
	DB_RELAY, /* the relays': their records, claims and events */
	DB_PUSH,  /* the push daemons': their records and events */
	DBS,
};

/* Module. */
extern const struct daemon_module db_module;

/* The connection, which two of them may share; NULL with redis = none. */
struct redis *db_redis(enum db which);

#endif
