#include "pushd/sender/pool.h"

#include <stdlib.h>

#include "common/base/mem.h"

void pool_init(struct pool *pool, size_t size, const struct http_pool_options *options)
{
	list_init(&pool->retired);
	pool->options = *options;
	pool->size = size;
	pool->connections = mem_alloc(size, sizeof(struct connection *));
	for (size_t i = 0; i < size; i++)
		pool->connections[i] = connection_new(&pool->options);
}

void pool_release(struct pool *pool)
{
	for (size_t i = 0; i < pool->size; i++)
		connection_free(pool->connections[i]);
	list_for_each (link, &pool->retired)
		connection_free(container_of(link, struct connection, link));
	free(pool->connections);
	pool->connections = NULL;
	pool->size = 0;
}

struct connection *pool_choose(const struct pool *pool, bool first_only)
{
	size_t count = first_only ? 1 : pool->size;
	struct connection *best = NULL;

	for (size_t i = 0; i < count; i++) {
		struct connection *connection = pool->connections[i];

		if (connection_has_room(connection) &&
		    (best == NULL || connection->in_flight < best->in_flight))
			best = connection;
	}
	return best;
}

unsigned pool_room(const struct pool *pool, bool first_only)
{
	size_t count = first_only ? 1 : pool->size;
	unsigned room = 0;

	for (size_t i = 0; i < count; i++)
		if (connection_has_room(pool->connections[i]))
			room += pool->connections[i]->window - pool->connections[i]->in_flight;
	return room;
}

static void replace(struct pool *pool, size_t i)
{
	list_append(&pool->retired, &pool->connections[i]->link);
	pool->connections[i] = connection_new(&pool->options);
}

void pool_replace(struct pool *pool, struct connection *connection)
{
	for (size_t i = 0; i < pool->size; i++)
		if (pool->connections[i] == connection)
			replace(pool, i);
}

void pool_renew(struct pool *pool, const struct http_pool_options *options)
{
	pool->options = *options;
	for (size_t i = 0; i < pool->size; i++)
		replace(pool, i);
}

void pool_narrow(struct pool *pool)
{
	for (size_t i = 0; i < pool->size; i++)
		connection_narrow(pool->connections[i]);
}

void pool_sweep(struct pool *pool)
{
	list_for_each (link, &pool->retired) {
		struct connection *connection = container_of(link, struct connection, link);

		if (connection->in_flight == 0)
			connection_free(connection);
	}
}
