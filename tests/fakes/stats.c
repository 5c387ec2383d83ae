#include "tests/fakes/stats.h"

#include <stdio.h>
#include <string.h>

void stats_answered(struct stats *stats, enum provider provider, const struct answer *answer)
{
	struct stats_provider *row = &stats->providers[provider];

	row->requests++;
	row->faults[answer->fault]++;
	if (answer->fault == FAULT_NONE && answer->status < STATS_STATUS_MAX)
		row->statuses[answer->status]++;
}

static void raise_to(uint64_t *most, uint64_t value)
{
	if (value > *most)
		*most = value;
}

void stats_connection_opened(struct stats *stats)
{
	stats->connections_accepted++;
	raise_to(&stats->connections_most, ++stats->connections_open);
}

void stats_connection_closed(struct stats *stats)
{
	stats->connections_open--;
}

void stats_stream_opened(struct stats *stats, uint64_t on_connection)
{
	raise_to(&stats->streams_most, ++stats->streams_open);
	raise_to(&stats->streams_most_per_connection, on_connection);
}

void stats_stream_closed(struct stats *stats)
{
	stats->streams_open--;
}

static void set_number(json_t *object, const char *name, uint64_t number)
{
	json_object_set_new(object, name, json_integer((json_int_t)number));
}

static json_t *show_provider(const struct stats_provider *row)
{
	json_t *shown = json_object(), *statuses = json_object(), *faults = json_object();
	char name[8];

	for (unsigned i = 0; i < STATS_STATUS_MAX; i++) {
		snprintf(name, sizeof(name), "%u", i);
		if (row->statuses[i] > 0)
			set_number(statuses, name, row->statuses[i]);
	}
	for (unsigned i = FAULT_NONE + 1; i < FAULTS; i++) {
		if (row->faults[i] > 0)
			set_number(faults, fault_names[i], row->faults[i]);
	}
	set_number(shown, "requests", row->requests);
	json_object_set_new(shown, "statuses", statuses);
	json_object_set_new(shown, "faults", faults);
	return shown;
}

json_t *stats_show(const struct stats *stats)
{
	json_t *shown = json_object(), *providers = json_object();
	json_t *connections = json_object(), *streams = json_object();

	for (int i = 0; i < PROVIDERS; i++)
		json_object_set_new(providers, provider_names[i],
		                    show_provider(&stats->providers[i]));
	set_number(connections, "open", stats->connections_open);
	set_number(connections, "most", stats->connections_most);
	set_number(connections, "accepted", stats->connections_accepted);
	set_number(connections, "failed", stats->connections_failed);
	set_number(connections, "http1", stats->connections_http1);
	set_number(connections, "bytes_without_h2", stats->bytes_without_h2);
	set_number(streams, "open", stats->streams_open);
	set_number(streams, "most", stats->streams_most);
	set_number(streams, "most_per_connection", stats->streams_most_per_connection);
	json_object_set_new(shown, "providers", providers);
	json_object_set_new(shown, "connections", connections);
	json_object_set_new(shown, "streams", streams);
	set_number(shown, "pings", stats->pings);
	return shown;
}

void stats_reset(struct stats *stats)
{
	uint64_t connections = stats->connections_open, streams = stats->streams_open;

	memset(stats, 0, sizeof(*stats));
	stats->connections_open = stats->connections_most = connections;
	stats->streams_open = stats->streams_most = streams;
}
