/*
 * Counters, gauges and histograms, printed as Prometheus text. A metric is a static struct in the
 * module that counts; metrics_add() registers it. A family has at most two labels, whose values are
 * tables of fixed size, so no input can make the number of series grow without bound.
 */
#ifndef OG_COMMON_BASE_METRICS_H
#define OG_COMMON_BASE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
	const char *name; /* "outrigger_relayd_streams_ended_total" */
	const char *help;
	enum metric_kind kind;
	const char *label;                /* NULL: one series */
	const char *const *values;        /* the label's values */
	size_t series;                    /* how many; without a label 0 counts as 1 */
	const char *second_label;         /* NULL: none */
	const char *const *second_values; /* those that are NULL are unused and not printed */
	size_t second_series;
	/*
	 * Of each series, for its life: one, SECOND_SERIES of them, or those of a histogram, which
	 * see METRIC_BUCKETS.
	 */
	int64_t *numbers;
	int64_t (*read)(void); /* a gauge that is computed when asked; NULL otherwise */
	struct metric *next;   /* the module's own */
};

/*
 * A histogram's upper bounds in microseconds: 0.5 ms doubling to 16 s, then infinity; its numbers
 * are METRIC_BUCKETS counts and the sum in microseconds, printed in seconds.
 */
#define METRIC_BUCKETS 17
#define METRIC_HISTOGRAM_NUMBERS (METRIC_BUCKETS + 1)

/* Makes METRIC known; its order is that of the calls. Adding it twice changes nothing. */
void metrics_add(struct metric *metric);

/* Adds to a counter or gauge, in series INDEX (0 without a label). */
static inline void metric_add(struct metric *metric, size_t index, int64_t amount)
{
	metric->numbers[index] += amount;
}

/* Counts a duration of MICROSECONDS in series INDEX (0 without a label) of a histogram. */
void metric_observe_in(struct metric *metric, size_t index, uint64_t microseconds);

static inline void metric_observe(struct metric *metric, uint64_t microseconds)
{
	metric_observe_in(metric, 0, microseconds);
}

/* The upper bound of bucket INDEX (less than METRIC_BUCKETS - 1) in microseconds. */
uint64_t metric_bound(size_t index);

/* Appends all metrics as text (exposition format 0.0.4). */
void metrics_print(struct buf *out);

#endif
