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

/* Module, before the handshakes: pending-max and pending-per-address-max. */
extern const struct daemon_module source_limit_module;

/*
 * Counts CONN, which comes from ADDRESS (IPv4 mapped). When there are too many in all, EVICT has to
 * close the connection that it is given, and calls source_limit_remove() in doing so. NULL when the
 * address has so many already that CONN isn't worth an answer. The place is this module's.
 */
struct source_place *source_limit_add(struct conn *conn, const struct in6_addr *address,
                                      void (*evict)(struct conn *conn));

/* True if the address had its maximum when this connection came, which is to be refused then. */
bool source_limit_is_over(const struct source_place *place);

/* The connection is active, or closed; NULL is fine. */
void source_limit_remove(struct source_place *place);

/* How many there are in all, without those over their address's cap. */
size_t source_limit_count(void);

#endif
