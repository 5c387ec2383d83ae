#include "pushd/api/statistics.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/http/http_server.h"
#include "pushd/conf.h"
#include "pushd/provider/counters.h"
#include "pushd/provider/kinds.h"
#include "pushd/queue/queue.h"

static const struct conf *conf;

/* A request that is answered once Redis has. */
struct deferred {
	struct http_request *request;
	struct queue_counting counting;
};

static void release_deferred(void *state)
{
	struct deferred *deferred = state;

	redis_cancel(&deferred->counting.call);
	free(deferred);
}

static json_t *describe_outcomes(const int64_t *numbers)
{
	json_t *object = json_object();

	for (size_t i = 0; i < OUTCOME_COUNT; i++)
		json_object_set_new(object, outcome_names[i], json_integer(numbers[i]));
	return object;
}

/* Those that have happened. */
static json_t *describe_failures(const int64_t *numbers)
{
	const char *const *reasons = counters_reasons();
	json_t *object = json_object();

	for (size_t i = 0; i < COUNTERS_REASONS_MAX; i++)
		if (numbers[i] > 0)
			json_object_set_new(object, reasons[i], json_integer(numbers[i]));
	return object;
}

/* How many took as long as each bound says or less, as in a Prometheus histogram. */
static json_t *describe_latency(const int64_t *numbers)
{
	json_t *buckets = json_array();
	int64_t count = 0;

	for (size_t i = 0; i + 1 < METRIC_BUCKETS; i++) {
		count += numbers[i];
		json_array_append_new(buckets, json_pack("{s:I, s:I}", "up_to_us",
		                                         (json_int_t)metric_bound(i), "count",
		                                         (json_int_t)count));
	}
	count += numbers[METRIC_BUCKETS - 1];
	return json_pack("{s:I, s:I, s:o}", "count", (json_int_t)count, "sum_us",
	                 (json_int_t)numbers[METRIC_BUCKETS], "buckets", buckets);
}

/* How many entries the queue has; COUNTS is NULL when it is unavailable. */
struct waiting {
	const struct queue_count *counts;
	size_t count;
};

static json_t *describe_queued(const struct waiting *waiting, const char *id)
{
	if (waiting->counts == NULL)
		return json_null();
	for (size_t i = 0; i < waiting->count; i++)
		if (strcmp(waiting->counts[i].provider, id) == 0)
			return json_integer(waiting->counts[i].count);
	return json_integer(0);
}

static json_t *describe(size_t index, const struct waiting *waiting)
{
	const struct conf_provider *provider = conf_provider(conf, index);
	struct counters counters = counters_of(index);

	return json_pack(
	        "{s:s, s:s, s:I, s:o, s:o, s:I, s:o, s:o}", "id", provider->id, "kind",
	        provider_kinds[provider->kind]->conf.name, "sent", (json_int_t)*counters.sent,
	        "outcomes", describe_outcomes(counters.outcomes), "failed",
	        describe_failures(counters.failures), "removed", (json_int_t)*counters.removed,
	        "queued", describe_queued(waiting, provider->id), "latency",
	        describe_latency(counters.latency));
}

static void on_queue_counted(struct queue_counting *counting, enum queue_result result,
                             const struct queue_count *counts, size_t count)
{
	struct deferred *deferred = container_of(counting, struct deferred, counting);
	struct waiting waiting = { result == QUEUE_DONE ? counts : NULL, count };
	json_t *providers = json_array();

	for (size_t i = 0; i < conf->providers.count; i++)
		json_array_append_new(providers, describe(i, &waiting));
	http_reply(deferred->request, 200,
	           json_pack("{s:I, s:o}", "since_ms", (json_int_t)counters_since_ms(), "providers",
	                     providers));
}

static void serve_statistics(struct http_request *request)
{
	struct deferred *deferred = mem_alloc(1, sizeof(*deferred));

	deferred->request = request;
	deferred->counting.done = on_queue_counted;
	http_attach(request, deferred, release_deferred);
	queue_counts(&deferred->counting);
}

/* ---- the module ---- */

const struct http_route statistics_routes[] = {
	{ "GET", "/v1/statistics", serve_statistics },
	{ NULL },
};

static int start(void *config)
{
	conf = config;
	return 0;
}

const struct daemon_module statistics_module = { "statistics", start };
