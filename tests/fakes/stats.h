/*
 * What was counted since the start or the last reset.
 */
#ifndef OG_TESTS_FAKES_STATS_H
#define OG_TESTS_FAKES_STATS_H

#include <jansson.h>
#include <stdint.h>

#include "tests/fakes/answer.h"
#include "tests/fakes/request.h"

#define STATS_STATUS_MAX 600

struct stats {
	struct stats_provider {
		uint64_t requests;
		uint64_t statuses[STATS_STATUS_MAX];
		uint64_t faults[FAULTS];
	} providers[PROVIDERS];
	uint64_t connections_accepted, connections_failed; /* failed: before HTTP was agreed on */
	uint64_t connections_http1;
	uint64_t bytes_without_h2; /* what clients sent to APNs, or to no HTTP, without h2 */
	uint64_t connections_open, connections_most;
	uint64_t streams_open, streams_most;
	uint64_t streams_most_per_connection;
	uint64_t pings;
};

/* Counts one answer. */
void stats_answered(struct stats *stats, enum provider provider, const struct answer *answer);

void stats_connection_opened(struct stats *stats);
void stats_connection_closed(struct stats *stats);

/* ON_CONNECTION: streams open on the same connection, this one among them. */
void stats_stream_opened(struct stats *stats, uint64_t on_connection);
void stats_stream_closed(struct stats *stats);

/* All of it; the caller owns it. */
json_t *stats_show(const struct stats *stats);

/* Starts over; what is open stays counted. */
void stats_reset(struct stats *stats);

#endif
