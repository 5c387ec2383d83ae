/*
 * One HTTP/2 connection to a provider, with our own window of requests on it: it starts at 1,
 * doubles with each success and falls to 1 after a rejection, as Apple's own limit does. Bodies on
 * it fit into HTTP/2's initial window (RFC 9113, section 6.9.2), which Apple never widens: Debian
 * 12's libcurl spins while that is used up. A retired connection serves what is on it and takes
 * nothing new.
 */
#ifndef OG_PUSHD_SENDER_CONNECTION_H
#define OG_PUSHD_SENDER_CONNECTION_H

#include <stdbool.h>

#include "common/base/list.h"
#include "common/http/http_client.h"

#define CONNECTION_BODIES_MAX 65535 /* bytes */
#define CONNECTION_BODY_MAX 6144    /* bytes of one: the largest payload and what is round it */

struct connection {
	struct http_pool *pool;
	unsigned window;
	unsigned window_max;
	unsigned in_flight;
	size_t body_bytes;     /* of those in flight */
	struct list_link link; /* where its owner keeps it once retired */
};

/* OPTIONS as for an HTTP/2 pool, of which streams is the largest window; all is copied. */
struct connection *connection_new(const struct http_pool_options *options);

/* Forgets what is on it; NULL is fine. */
void connection_free(struct connection *connection);

static inline bool connection_has_room(const struct connection *connection)
{
	return connection->in_flight < connection->window &&
	       connection->body_bytes + CONNECTION_BODY_MAX <= CONNECTION_BODIES_MAX;
}

void connection_send(struct connection *connection, struct http_call *call);

/* CALL, which was sent on it, is done or was cancelled. */
void connection_settled(struct connection *connection, const struct http_call *call);

void connection_widen(struct connection *connection);
void connection_narrow(struct connection *connection);

/* Makes the metrics of all connections known. */
void connection_metrics(void);

#endif
