/*
 * The connections to one endpoint with one credential: as many as pool-size says, each with its own
 * window, and those that were taken out of use but still have something on them.
 */
#ifndef OG_PUSHD_SENDER_POOL_H
#define OG_PUSHD_SENDER_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/list.h"
#include "pushd/sender/connection.h"

struct pool {
	struct http_pool_options options; /* of every connection; texts are borrowed */
	struct connection **connections;
	size_t size;
	struct list retired; /* those that only finish what is on them */
};

/* OPTIONS: streams, ca_file, proxy, certificate and key count. */
void pool_init(struct pool *pool, size_t size, const struct http_pool_options *options);

/* Forgets what is on its connections. */
void pool_release(struct pool *pool);

/*
 * The connection with the fewest requests that has room, or NULL; with FIRST_ONLY none but the
 * first one comes into question.
 */
struct connection *pool_choose(const struct pool *pool, bool first_only);

/* How many requests there is room for. */
unsigned pool_room(const struct pool *pool, bool first_only);

/* Takes CONNECTION out of use and puts a new one in its place, unless it is out of use already. */
void pool_replace(struct pool *pool, struct connection *connection);

/* Replaces all, by ones with OPTIONS. */
void pool_renew(struct pool *pool, const struct http_pool_options *options);

/* All begin with one request at once again. */
void pool_narrow(struct pool *pool);

/* Frees those out of use that have finished. */
void pool_sweep(struct pool *pool);

#endif
