#include "common/base/metrics.h"

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
	assert(metric->label == NULL || metric->numbers != NULL);
	assert(metric->second_label == NULL ||
	       (metric->label != NULL && metric->kind != METRIC_HISTOGRAM));
	for (const struct metric *known = first; known != NULL; known = known->next) {
		if (known == metric)
			return;
	}
	metric->next = NULL;
	*end = metric;
	end = &metric->next;
}

uint64_t metric_bound(size_t index)
{
	return LEAST_BOUND_US << index;
}

void metric_observe_in(struct metric *metric, size_t index, uint64_t microseconds)
{
	int64_t *numbers = metric->numbers + index * METRIC_HISTOGRAM_NUMBERS;
	size_t bucket = 0;

	assert(metric->kind == METRIC_HISTOGRAM);
	while (bucket < METRIC_BUCKETS - 1 && microseconds > metric_bound(bucket))
		bucket++;
	numbers[bucket]++;
	numbers[METRIC_BUCKETS] += (int64_t)microseconds;
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

/* "label="value"" with what stands before it. */
static void print_label(struct buf *out, const char *before, const char *label, const char *value)
{
	buf_printf(out, "%s%s=\"", before, label);
	print_value(out, value);
	buf_text(out, "\"");
}

/* "{label="value"}" of series INDEX, or nothing without a label. */
static void print_labels(const struct metric *metric, size_t index, struct buf *out)
{
	if (metric->label == NULL)
		return;
	print_label(out, "{", metric->label, metric->values[index]);
	buf_text(out, "}");
}

static void print_bucket(const struct metric *metric, size_t index, size_t bucket, struct buf *out)
{
	buf_printf(out, "%s_bucket", metric->name);
	if (metric->label != NULL)
		print_label(out, "{", metric->label, metric->values[index]);
	buf_text(out, metric->label != NULL ? ",le=\"" : "{le=\"");
	if (bucket < METRIC_BUCKETS - 1)
		print_seconds(out, metric_bound(bucket));
	else
		buf_text(out, "+Inf");
}

static void print_histogram(const struct metric *metric, size_t index, struct buf *out)
{
	const int64_t *numbers = metric->numbers + index * METRIC_HISTOGRAM_NUMBERS;
	int64_t count = 0;

	for (size_t i = 0; i < METRIC_BUCKETS; i++) {
		count += numbers[i];
		print_bucket(metric, index, i, out);
		buf_printf(out, "\"} %" PRId64 "\n", count);
	}
	buf_printf(out, "%s_sum", metric->name);
	print_labels(metric, index, out);
	buf_text(out, " ");
	print_seconds(out, (uint64_t)numbers[METRIC_BUCKETS]);
	buf_printf(out, "\n%s_count", metric->name);
	print_labels(metric, index, out);
	buf_printf(out, " %" PRId64 "\n", count);
}

/* Those of one value of the first label. */
static void print_second(const struct metric *metric, size_t index, struct buf *out)
{
	const int64_t *numbers = metric->numbers + index * metric->second_series;

	for (size_t i = 0; i < metric->second_series; i++) {
		if (metric->second_values[i] == NULL)
			continue;
		buf_text(out, metric->name);
		print_label(out, "{", metric->label, metric->values[index]);
		print_label(out, ",", metric->second_label, metric->second_values[i]);
		buf_printf(out, "} %" PRId64 "\n", numbers[i]);
	}
}

static void print_number(const struct metric *metric, size_t index, struct buf *out)
{
	buf_text(out, metric->name);
	print_labels(metric, index, out);
	buf_printf(out, " %" PRId64 "\n",
	           metric->read != NULL ? metric->read() : metric->numbers[index]);
}

static void print_metric(const struct metric *metric, struct buf *out)
{
	size_t series = metric->label == NULL && metric->series == 0 ? 1 : metric->series;

	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
	           kind_names[metric->kind]);
	for (size_t i = 0; i < series; i++) {
		if (metric->kind == METRIC_HISTOGRAM)
			print_histogram(metric, i, out);
		else if (metric->second_label != NULL)
			print_second(metric, i, out);
		else
			print_number(metric, i, out);
	}
}

void metrics_print(struct buf *out)
{
	for (const struct metric *metric = first; metric != NULL; metric = metric->next)
		print_metric(metric, out);
}
