#include "pushd/api/statistics.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "pushd/provider/kinds.h"
#include "pushd/queue/store.h"

#define REASONS_MAX 64 /* distinct ones; the documented ones of APNs and FCM are fewer */
#define REASON_OTHER (REASONS_MAX - 1)

static struct {
	const struct conf *conf;
	int64_t since_ms;
	const char **ids;             /* of the providers; texts borrowed */
	char *reasons[REASONS_MAX];   /* heap; NULL: not used yet */
	int64_t *sent, *removed;      /* by provider */
	int64_t *outcomes, *failures; /* by provider, then by outcome or reason */
	int64_t *latencies;           /* METRIC_HISTOGRAM_NUMBERS for each provider */
} self;

static struct metric outcomes_metric = {
	.name = "outrigger_pushd_provider_outcomes_total",
	.help = "Notifications by provider and outcome.",
	.kind = METRIC_COUNTER,
	.label = "provider",
	.second_label = "outcome",
	.second_values = outcome_names,
	.second_series = OUTCOME_COUNT,
};
static struct metric failures_metric = {
	.name = "outrigger_pushd_provider_failures_total",
	.help = "Requests that a provider didn't accept, by reason.",
	.kind = METRIC_COUNTER,
	.label = "provider",
	.second_label = "reason",
	.second_values = (const char *const *)self.reasons,
	.second_series = REASONS_MAX,
};
static struct metric sent_metric = {
	.name = "outrigger_pushd_provider_sent_total",
	.help = "Requests that a provider accepted.",
	.kind = METRIC_COUNTER,
	.label = "provider",
};
static struct metric removed_metric = {
	.name = "outrigger_pushd_provider_devices_removed_total",
	.help = "Devices removed because the provider called them dead.",
	.kind = METRIC_COUNTER,
	.label = "provider",
};
static struct metric latency_metric = {
	.name = "outrigger_pushd_provider_seconds",
	.help = "From sending a notification to the provider's answer.",
	.kind = METRIC_HISTOGRAM,
	.label = "provider",
};

static int64_t *make_numbers(struct metric *metric, size_t each)
{
	size_t count = self.conf->providers.count;

	metric->values = self.ids;
	metric->series = count;
	metric->numbers = mem_alloc(count + 1, each * sizeof(int64_t));
	metrics_add(metric);
	return metric->numbers;
}

static int start(void *config)
{
	self.conf = config;
	self.since_ms = loop_wall_ms();
	self.ids = mem_alloc(self.conf->providers.count + 1, sizeof(*self.ids));
	for (size_t i = 0; i < self.conf->providers.count; i++)
		self.ids[i] = conf_provider(self.conf, i)->id;
	self.reasons[REASON_OTHER] = mem_dup("other");
	self.outcomes = make_numbers(&outcomes_metric, OUTCOME_COUNT);
	self.failures = make_numbers(&failures_metric, REASONS_MAX);
	self.sent = make_numbers(&sent_metric, 1);
	self.removed = make_numbers(&removed_metric, 1);
	self.latencies = make_numbers(&latency_metric, METRIC_HISTOGRAM_NUMBERS);
	return 0;
}

static void stop(void)
{
	free(self.outcomes);
	free(self.failures);
	free(self.sent);
	free(self.removed);
	free(self.latencies);
	free(self.ids);
	for (size_t i = 0; i < REASONS_MAX; i++)
		free(self.reasons[i]);
	memset(&self, 0, sizeof(self));
}

/* ---- counting ---- */

/* Where PROVIDER's numbers are; false when it is none of ours. */
static bool find(const struct conf_provider *provider, size_t *index)
{
	if (self.conf == NULL)
		return false;
	*index = ((uintptr_t)provider - (uintptr_t)self.conf->providers.items) / sizeof(*provider);
	return *index < self.conf->providers.count;
}

/* The place of REASON, a new one if there is room. */
static size_t find_reason(const char *reason)
{
	for (size_t i = 0; i < REASON_OTHER; i++) {
		if (self.reasons[i] == NULL)
			self.reasons[i] = mem_dup(reason);
		if (strcmp(self.reasons[i], reason) == 0)
			return i;
	}
	return REASON_OTHER;
}

void statistics_verdict(const struct conf_provider *provider, const struct judgement *judgement,
                        unsigned status, uint64_t duration_ns)
{
	const char *reason = judgement->reason;
	size_t index;

	if (!find(provider, &index))
		return;
	if (status != 0)
		metric_observe_in(&latency_metric, index, duration_ns / 1000);
	if (judgement->verdict == VERDICT_SENT) {
		self.sent[index]++;
		return;
	}
	if (*reason == '\0')
		reason = verdict_names[judgement->verdict];
	self.failures[index * REASONS_MAX + find_reason(reason)]++;
}

void statistics_outcome(const struct conf_provider *provider, enum outcome outcome)
{
	size_t index;

	if (find(provider, &index))
		self.outcomes[index * OUTCOME_COUNT + outcome]++;
}

void statistics_removed(const struct conf_provider *provider)
{
	size_t index;

	if (find(provider, &index))
		self.removed[index]++;
}

/* ---- showing ---- */

struct visit {
	struct http_request *request;
	struct store_counting counting;
};

static void release_visit(void *state)
{
	struct visit *visit = state;

	redis_cancel(&visit->counting.call);
	free(visit);
}

static json_t *describe_outcomes(size_t index)
{
	const int64_t *numbers = self.outcomes + index * OUTCOME_COUNT;
	json_t *object = json_object();

	for (size_t i = 0; i < OUTCOME_COUNT; i++)
		json_object_set_new(object, outcome_names[i], json_integer(numbers[i]));
	return object;
}

/* Those that have happened. */
static json_t *describe_failures(size_t index)
{
	const int64_t *numbers = self.failures + index * REASONS_MAX;
	json_t *object = json_object();

	for (size_t i = 0; i < REASONS_MAX; i++)
		if (numbers[i] > 0)
			json_object_set_new(object, self.reasons[i], json_integer(numbers[i]));
	return object;
}

/* How many took as long as each bound says or less, as in a Prometheus histogram. */
static json_t *describe_latency(size_t index)
{
	const int64_t *numbers = self.latencies + index * METRIC_HISTOGRAM_NUMBERS;
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

/* What the store counted; COUNTS is NULL when it is away. */
struct waiting {
	const struct store_count *counts;
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
	const struct conf_provider *provider = conf_provider(self.conf, index);

	return json_pack("{s:s, s:s, s:I, s:o, s:o, s:I, s:o, s:o}", "id", provider->id, "kind",
	                 provider_kinds[provider->kind]->name, "sent", (json_int_t)self.sent[index],
	                 "outcomes", describe_outcomes(index), "failed", describe_failures(index),
	                 "removed", (json_int_t)self.removed[index], "queued",
	                 describe_queued(waiting, provider->id), "latency",
	                 describe_latency(index));
}

static void on_counted(struct store_counting *counting, enum store_result result,
                       const struct store_count *counts, size_t count)
{
	struct visit *visit = container_of(counting, struct visit, counting);
	struct waiting waiting = { result == STORE_DONE ? counts : NULL, count };
	json_t *providers = json_array();

	for (size_t i = 0; i < self.conf->providers.count; i++)
		json_array_append_new(providers, describe(i, &waiting));
	http_reply(visit->request, 200,
	           json_pack("{s:I, s:o}", "since_ms", (json_int_t)self.since_ms, "providers",
	                     providers));
}

void statistics_serve(struct http_request *request)
{
	struct visit *visit = mem_alloc(1, sizeof(*visit));

	visit->request = request;
	visit->counting.done = on_counted;
	http_attach(request, visit, release_visit);
	store_counts(&visit->counting);
}

const struct daemon_module statistics_module = { "statistics", start, stop };
