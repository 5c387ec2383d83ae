#include "pushd/provider/counters.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"

#define REASON_OTHER (COUNTERS_REASONS_MAX - 1)

static struct {
	const struct conf *conf;
	int64_t since_ms;
	const char **ids;                    /* of the providers, then "-"; texts borrowed */
	char *reasons[COUNTERS_REASONS_MAX]; /* heap; NULL: not used yet */
	int64_t *sent, *removed;             /* by provider */
	int64_t *outcomes, *failures;        /* by provider, then by outcome or reason */
	int64_t *latencies;                  /* METRIC_HISTOGRAM_NUMBERS for each provider */
} self;

static struct metric outcomes_metric = {
	.name = "outrigger_pushd_provider_outcomes_total",
	.help = "Notifications by provider and outcome; provider -: the device isn't known.",
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
	.second_series = COUNTERS_REASONS_MAX,
};
static struct metric sent_metric = {
	.name = "outrigger_pushd_provider_sent_total",
	.help = "Requests that a provider accepted.",
	.kind = METRIC_COUNTER,
	.label = "provider",
};
static struct metric removed_metric = {
	.name = "outrigger_pushd_provider_devices_removed_total",
	.help = "Devices removed because the provider called their token dead.",
	.kind = METRIC_COUNTER,
	.label = "provider",
};
static struct metric latency_metric = {
	.name = "outrigger_pushd_provider_seconds",
	.help = "From sending a notification to the provider's answer.",
	.kind = METRIC_HISTOGRAM,
	.label = "provider",
};

/* SERIES providers with EACH numbers. */
static int64_t *make_numbers(struct metric *metric, size_t series, size_t each)
{
	metric->values = self.ids;
	metric->series = series;
	metric->numbers = mem_alloc(series + 1, each * sizeof(int64_t));
	metrics_add(metric);
	return metric->numbers;
}

static int start(void *config)
{
	size_t count;

	self.conf = config;
	self.since_ms = loop_wall_ms();
	count = self.conf->providers.count;
	self.ids = mem_alloc(count + 1, sizeof(*self.ids));
	for (size_t i = 0; i < count; i++)
		self.ids[i] = conf_provider(self.conf, i)->id;
	self.ids[count] = "-";
	self.reasons[REASON_OTHER] = mem_dup("other");
	self.outcomes = make_numbers(&outcomes_metric, count + 1, OUTCOME_COUNT);
	self.failures = make_numbers(&failures_metric, count, COUNTERS_REASONS_MAX);
	self.sent = make_numbers(&sent_metric, count, 1);
	self.removed = make_numbers(&removed_metric, count, 1);
	self.latencies = make_numbers(&latency_metric, count, METRIC_HISTOGRAM_NUMBERS);
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
	for (size_t i = 0; i < COUNTERS_REASONS_MAX; i++)
		free(self.reasons[i]);
	memset(&self, 0, sizeof(self));
}

/* Sets *INDEX to the place of PROVIDER's numbers; false when it isn't one of the configuration. */
static bool find(const struct conf_provider *provider, size_t *index)
{
	if (self.conf == NULL)
		return false;
	*index = conf_provider_index(self.conf, provider);
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

void counters_request(const struct conf_provider *provider, const struct judgement *judgement,
                      uint64_t duration_ns)
{
	const char *reason = judgement->reason;
	size_t index;

	if (!find(provider, &index))
		return;
	if (judgement->status != 0)
		metric_observe_in(&latency_metric, index, duration_ns / 1000);
	if (judgement->verdict == VERDICT_SENT) {
		self.sent[index]++;
		return;
	}
	if (*reason == '\0')
		reason = verdict_names[judgement->verdict];
	self.failures[index * COUNTERS_REASONS_MAX + find_reason(reason)]++;
}

void counters_outcome(const struct conf_provider *provider, enum outcome outcome)
{
	size_t index;

	if (provider == NULL && self.conf != NULL)
		index = self.conf->providers.count;
	else if (!find(provider, &index))
		return;
	self.outcomes[index * OUTCOME_COUNT + outcome]++;
}

void counters_removed(const struct conf_provider *provider, unsigned count)
{
	size_t index;

	if (find(provider, &index))
		self.removed[index] += count;
}

struct counters counters_of(size_t index)
{
	return (struct counters){
		.sent = self.sent + index,
		.removed = self.removed + index,
		.outcomes = self.outcomes + index * OUTCOME_COUNT,
		.failures = self.failures + index * COUNTERS_REASONS_MAX,
		.latency = self.latencies + index * METRIC_HISTOGRAM_NUMBERS,
	};
}

const char *const *counters_reasons(void)
{
	return (const char *const *)self.reasons;
}

int64_t counters_since_ms(void)
{
	return self.since_ms;
}

const struct daemon_module counters_module = { "counters", start, stop };
