/*
 * The caps of connections by where they come from: an address is an IPv4 address or an IPv6 /64, a
 * network is an IPv4 /24 or an IPv6 /48. An address has a cap of its connections in any state, and
 * one of those that aren't active yet, which strangers can make. These have a cap in all, too:
 * above it the network that has most of them loses the oldest one of its address that has most. So
 * somebody with a whole network at hand evicts only connections of that network. Every operation
 * takes constant time.
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
 * Module, before the handshakes: pending-max, pending-per-address-max and
 * connections-per-address-max.
 */
extern const struct daemon_module source_limit_module;

/*
 * Counts CONN, which comes from ADDRESS (IPv4 mapped). When there are too many in all, EVICT has to
 * close the connection that it is given, and calls source_limit_remove() in doing so. NULL when the
 * address has so many already that CONN isn't worth an answer. The place is this module's. Unless
 * source_limit_is_over(), the caller calls source_limit_closed() when CONN is closed, in whatever
 * state.
 */
struct source_place *source_limit_add(struct conn *conn, const struct in6_addr *address,
                                      void (*evict)(struct conn *conn));

/* A connection of ADDRESS that was counted, and not over the cap, is closed. */
void source_limit_closed(const struct in6_addr *address);

/*
 * Makes room for a connection of ADDRESS (NULL: a relay's), which isn't counted yet. If any network
 * has two that aren't active yet, EVICT closes one as above; else OTHERWISE is called, and returns
 * true if it has made room. False: there is no room, or ADDRESS has its maximum.
 */
bool source_limit_make_room(const struct in6_addr *address, void (*evict)(struct conn *conn),
                            bool (*otherwise)(void));

/* True if the address had its maximum when this connection came, which is to be refused then. */
bool source_limit_is_over(const struct source_place *place);

/* The connection is active, or closed; NULL is fine. */
void source_limit_remove(struct source_place *place);

/* How many there are in all, without those over their address's cap. */
size_t source_limit_count(void);

#endif
