/*
 * The limit of connections that aren't active yet, in all and by the address that they come from
 * (IPv6: by its /64): strangers can make them, so there must be a cap. When there are too many in
 * all, the address that has most of them loses its oldest. Every operation takes constant time.
 */
#ifndef OG_RELAYD_FRONT_SOURCE_LIMIT_H
#define OG_RELAYD_FRONT_SOURCE_LIMIT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/list.h"

struct conn;
struct source;

/* The place of one connection. */
struct source_place {
	struct list_link link; /* among its source's, the oldest first; not linked: over the cap */
	struct source *source; /* its address, shared */
	union {
		struct conn *conn;         /* borrowed */
		struct source_place *next; /* while the place is free */
	};
};

/*
 * Allows MAX connections in all and PER_ADDRESS_MAX of one address. EVICT has to close the
 * connection that it is given, and calls source_limit_remove() in doing so.
 */
void source_limit_open(size_t max, size_t per_address_max, void (*evict)(struct conn *conn));

/* Frees everything; no connection is counted any more. */
void source_limit_close(void);

/*
 * Counts CONN, which comes from ADDRESS (IPv4 mapped); may evict another one. NULL when its address
 * has so many already that the connection isn't worth an answer. The place is this module's.
 */
struct source_place *source_limit_add(struct conn *conn, const struct in6_addr *address);

/* True if the address had its maximum when this connection came, which is to be refused then. */
bool source_limit_is_over(const struct source_place *place);

/* The connection is active, or closed; NULL is fine. */
void source_limit_remove(struct source_place *place);

/* How many there are in all, without those over their address's cap. */
size_t source_limit_count(void);

#endif
