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

	own.http2 = true;
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

void connection_widen(struct connection *connection)
{
	connection->window *= 2;
	if (connection->window > connection->window_max)
		connection->window = connection->window_max;
}

void connection_narrow(struct connection *connection)
{
	connection->window = 1;
}
