/*
 * One connection to a provider, with our own window of requests on it: it starts at 1, doubles with
 * each success and falls to 1 after a rejection, as Apple's own limit does. The bodies in flight
 * fit into HTTP/2's initial flow-control window (RFC 9113, section 6.9.2), which Apple never
 * raises: Debian 12's libcurl spins while it is used up. A retired connection finishes the requests
 * on it and takes no new ones.
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
	struct list_link link; /* in its owner's list of retired ones */
};

/* OPTIONS: http2 as it must be, streams is the largest window; all is copied. */
struct connection *connection_new(const struct http_pool_options *options);

/* Cancels the requests on it; NULL is fine. */
void connection_free(struct connection *connection);

static inline bool connection_has_room(const struct connection *connection)
{
	return connection->in_flight < connection->window &&
	       connection->body_bytes + CONNECTION_BODY_MAX <= CONNECTION_BODIES_MAX;
}

void connection_send(struct connection *connection, struct http_call *call);

/* CALL, which was sent on it, is done or was cancelled. */
void connection_settled(struct connection *connection, const struct http_call *call);

void connection_grow_window(struct connection *connection);
void connection_reset_window(struct connection *connection);

/*
 * The connections to one origin with one credential: as many as pool-size says, each with its own
 * window, and the retired ones that still have requests on them.
 */
struct connections {
	struct http_pool_options options; /* of every connection; texts are borrowed */
	struct connection **items;
	size_t size;
	struct list retired; /* they finish the requests on them and are freed then */
};

/* OPTIONS: as for connection_new(). */
void connections_init(struct connections *all, size_t size,
                      const struct http_pool_options *options);

/* Cancels the requests on all of them. */
void connections_release(struct connections *all);

/*
 * The connection with the fewest requests that has room, or NULL; with FIRST_ONLY only the first
 * one is considered.
 */
struct connection *connections_choose(const struct connections *all, bool first_only);

/* How many requests there is room for. */
unsigned connections_room(const struct connections *all, bool first_only);

/* Retires CONNECTION and makes a new one in its place; nothing if it is retired already. */
void connections_replace(struct connections *all, struct connection *connection);

/* Retires all and makes new ones with OPTIONS. */
void connections_renew(struct connections *all, const struct http_pool_options *options);

/* Sets the window of each to 1. */
void connections_reset_windows(struct connections *all);

/* Frees the retired ones without requests. */
void connections_sweep(struct connections *all);

/* Registers the metrics of all connections. */
void connection_metrics(void);

#endif
