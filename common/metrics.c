#include "common/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>

#define LEAST_BOUND_US UINT64_C(500)

static struct metric *first;
static struct metric **end = &first;
static const char *const kind_names[] = { "counter", "gauge", "histogram" };

void metrics_add(struct metric *metric)
{
	assert(metric->name != NULL && metric->help != NULL);
	assert(metric->numbers != NULL || metric->read != NULL);
	assert(metric->label == NULL ||
	       (metric->kind != METRIC_HISTOGRAM && metric->numbers != NULL));
	for (const struct metric *known = first; known != NULL; known = known->next) {
		if (known == metric)
			return;
	}
	metric->next = NULL;
	*end = metric;
	end = &metric->next;
}

void metric_observe(struct metric *metric, uint64_t microseconds)
{
	size_t bucket = 0;

	assert(metric->kind == METRIC_HISTOGRAM);
	while (bucket < METRIC_BUCKETS - 1 && microseconds > LEAST_BOUND_US << bucket)
		bucket++;
	metric->numbers[bucket]++;
	metric->numbers[METRIC_BUCKETS] += (int64_t)microseconds;
}

/* Microseconds as seconds, exactly, without a trailing zero: "0.0005", "16.384", "2". */
static void print_seconds(struct buf *out, uint64_t microseconds)
{
	uint64_t fraction = microseconds % 1000000;
	int digits = 6;

	buf_printf(out, "%" PRIu64, microseconds / 1000000);
	if (fraction == 0)
		return;
	for (; fraction % 10 == 0; fraction /= 10)
		digits--;
	buf_printf(out, ".%0*" PRIu64, digits, fraction);
}

static void print_histogram(const struct metric *metric, struct buf *out)
{
	int64_t count = 0;

	for (size_t i = 0; i < METRIC_BUCKETS; i++) {
		count += metric->numbers[i];
		buf_printf(out, "%s_bucket{le=\"", metric->name);
		if (i < METRIC_BUCKETS - 1)
			print_seconds(out, LEAST_BOUND_US << i);
		else
			buf_text(out, "+Inf");
		buf_printf(out, "\"} %" PRId64 "\n", count);
	}
	buf_printf(out, "%s_sum ", metric->name);
	print_seconds(out, (uint64_t)metric->numbers[METRIC_BUCKETS]);
	buf_printf(out, "\n%s_count %" PRId64 "\n", metric->name, count);
}

/* A label's value as the format wants it: backslash, quote and newline escaped. */
static void print_value(struct buf *out, const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			buf_text(out, "\\n");
		else if (*value == '\\' || *value == '"')
			buf_printf(out, "\\%c", *value);
		else
			buf_append(out, value, 1);
	}
}

static void print_series(const struct metric *metric, struct buf *out)
{
	size_t series = metric->series == 0 ? 1 : metric->series;

	for (size_t i = 0; i < series; i++) {
		buf_printf(out, "%s{%s=\"", metric->name, metric->label);
		print_value(out, metric->values[i]);
		buf_printf(out, "\"} %" PRId64 "\n", metric->numbers[i]);
	}
}

static void print_metric(const struct metric *metric, struct buf *out)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
	           kind_names[metric->kind]);
	if (metric->kind == METRIC_HISTOGRAM)
		print_histogram(metric, out);
	else if (metric->label != NULL)
		print_series(metric, out);
	else
		buf_printf(out, "%s %" PRId64 "\n", metric->name,
		           metric->read != NULL ? metric->read() : metric->numbers[0]);
}

void metrics_print(struct buf *out)
{
	for (const struct metric *metric = first; metric != NULL; metric = metric->next)
		print_metric(metric, out);
}
