#include "pushd/sender/connection.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/metrics.h"

static int64_t in_flight_number;
static struct metric in_flight_metric = {
	.name = "outrigger_pushd_requests_in_flight",
	.help = "Requests that a provider has not answered yet.",
	.kind = METRIC_GAUGE,
	.numbers = &in_flight_number,
};

void connection_metrics(void)
{
	metrics_add(&in_flight_metric);
}

struct connection *connection_new(const struct http_pool_options *options)
{
	struct http_pool_options own = *options;
	struct connection *connection = mem_alloc(1, sizeof(*connection));

	own.connections = 1;
	connection->pool = http_pool_new(&own);
	connection->window = 1;
	connection->window_max = options->streams;
	return connection;
}

void connection_free(struct connection *connection)
{
	if (connection == NULL)
		return;
	list_remove(&connection->link);
	http_pool_free(connection->pool);
	free(connection);
}

void connection_send(struct connection *connection, struct http_call *call)
{
	connection->in_flight++;
	connection->body_bytes += call->body_len;
	metric_add(&in_flight_metric, 0, 1);
	http_send(connection->pool, call);
}

void connection_settled(struct connection *connection, const struct http_call *call)
{
	assert(connection->in_flight > 0 && connection->body_bytes >= call->body_len);
	connection->in_flight--;
	connection->body_bytes -= call->body_len;
	metric_add(&in_flight_metric, 0, -1);
}

void connection_grow_window(struct connection *connection)
{
	connection->window *= 2;
	if (connection->window > connection->window_max)
		connection->window = connection->window_max;
}

void connection_reset_window(struct connection *connection)
{
	connection->window = 1;
}

/* ---- all connections to one origin ---- */

void connections_init(struct connections *all, size_t size, const struct http_pool_options *options)
{
	list_init(&all->retired);
	all->options = *options;
	all->size = size;
	all->items = mem_alloc(size, sizeof(struct connection *));
	for (size_t i = 0; i < size; i++)
		all->items[i] = connection_new(&all->options);
}

void connections_release(struct connections *all)
{
	for (size_t i = 0; i < all->size; i++)
		connection_free(all->items[i]);
	list_for_each (link, &all->retired)
		connection_free(container_of(link, struct connection, link));
	free(all->items);
	all->items = NULL;
	all->size = 0;
}

struct connection *connections_choose(const struct connections *all, bool first_only)
{
	size_t count = first_only ? 1 : all->size;
	struct connection *best = NULL;

	for (size_t i = 0; i < count; i++) {
		struct connection *connection = all->items[i];

		if (connection_has_room(connection) &&
		    (best == NULL || connection->in_flight < best->in_flight))
			best = connection;
	}
	return best;
}

unsigned connections_room(const struct connections *all, bool first_only)
{
	size_t count = first_only ? 1 : all->size;
	unsigned room = 0;

	for (size_t i = 0; i < count; i++)
		if (connection_has_room(all->items[i]))
			room += all->items[i]->window - all->items[i]->in_flight;
	return room;
}

static void replace(struct connections *all, size_t i)
{
	list_append(&all->retired, &all->items[i]->link);
	all->items[i] = connection_new(&all->options);
}

void connections_replace(struct connections *all, struct connection *connection)
{
	for (size_t i = 0; i < all->size; i++)
		if (all->items[i] == connection)
			replace(all, i);
}

void connections_renew(struct connections *all, const struct http_pool_options *options)
{
	all->options = *options;
	for (size_t i = 0; i < all->size; i++)
		replace(all, i);
}

void connections_reset_windows(struct connections *all)
{
	for (size_t i = 0; i < all->size; i++)
		connection_reset_window(all->items[i]);
}

void connections_sweep(struct connections *all)
{
	list_for_each (link, &all->retired) {
		struct connection *connection = container_of(link, struct connection, link);

		if (connection->in_flight == 0)
			connection_free(connection);
	}
}
