/*
 * The connections that aren't active yet, counted in all and by the address that they come from
 * (IPv6: by its /64), with a cap on either: strangers can make them, so they must not grow without
 * bounds. When there are too many in all, the address that has most of them loses its oldest.
 * Everything costs the same however many there are.
 */
#ifndef OG_RELAYD_FRONT_PENDING_H
#define OG_RELAYD_FRONT_PENDING_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/list.h"

struct half;
struct source;

/* The place of one connection. */
struct pending {
	struct list_link link; /* among its source's, the oldest first; not linked: over the cap */
	struct source *source; /* its address, shared */
	union {
		struct half *half;    /* borrowed */
		struct pending *next; /* while the place is free */
	};
};

/*
 * MAX connections in all and PER_ADDRESS_MAX of one address; EVICT has to close the half that it is
 * given, in doing which it calls pending_remove().
 */
void pending_open(size_t max, size_t per_address_max, void (*evict)(struct half *half));

/* As a module, before the streams: caps from the configuration, half_evict(). */
extern const struct daemon_module pending_module;

/*
 * Counts HALF, which comes from ADDRESS (IPv4 mapped); may evict another one. NULL when its address
 * has so many already that the connection isn't worth an answer. The place is this module's.
 */
struct pending *pending_add(struct half *half, const struct in6_addr *address);

/* The address had as many as it may have when this one came: it is to be refused. */
bool pending_is_over(const struct pending *pending);

/* The connection is active, or gone; NULL is fine. */
void pending_remove(struct pending *pending);

/* How many there are in all, without those over their address's cap. */
size_t pending_count(void);

#endif
