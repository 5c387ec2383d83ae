/*
 * One HTTP/2 connection to a provider, with our own window of requests on it: it starts at 1,
 * doubles with each success and falls to 1 after a rejection, as Apple's own limit does. A retired
 * connection serves what is on it and takes nothing new.
 */
#ifndef OG_PUSHD_CONNECTION_H
#define OG_PUSHD_CONNECTION_H

#include <stdbool.h>

#include "common/http_client.h"
#include "common/list.h"

struct connection {
	struct http_pool *pool;
	unsigned window;
	unsigned window_max;
	unsigned in_flight;
	struct list_link link; /* where its owner keeps it once retired */
};

/* OPTIONS as for an HTTP/2 pool, of which streams is the largest window; all is copied. */
struct connection *connection_new(const struct http_pool_options *options);

/* Forgets what is on it; NULL is fine. */
void connection_free(struct connection *connection);

static inline bool connection_has_room(const struct connection *connection)
{
	return connection->in_flight < connection->window;
}

void connection_send(struct connection *connection, struct http_call *call);

/* A call that was sent is done or was cancelled. */
void connection_settled(struct connection *connection);

/* Counts how long an answer took. */
void connection_observe(uint64_t duration_ns);

void connection_widen(struct connection *connection);
void connection_narrow(struct connection *connection);

/* Makes the metrics of all connections known. */
void connection_metrics(void);

#endif
