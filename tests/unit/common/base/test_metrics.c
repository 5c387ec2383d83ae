#include "common/base/metrics.c"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/unit/unit.h"

/* What is printed must hold EXPECTED; or be just that if WHOLE. */
static void check_print(const char *expected, bool whole)
{
	struct buf out = { 0 };
	char *text;

	metrics_print(&out);
	text = buf_take(&out);
	if (whole)
		ck_assert_str_eq(text, expected);
	ck_assert_msg(strstr(text, expected) != NULL, "no %s in:\n%s", expected, text);
	free(text);
}

START_TEST(metrics_print_in_the_order_in_which_they_were_added_once)
{
	static int64_t sent[1], open_streams[1];
	struct metric b = { "b_total", "Things sent.", METRIC_COUNTER, .numbers = sent };
	struct metric a = { "a", "Streams.", METRIC_GAUGE, .numbers = open_streams };

	metrics_add(&b);
	metrics_add(&a);
	metrics_add(&b);
	metric_add(&b, 0, 41);
	metric_add(&b, 0, 1);
	metric_add(&a, 0, -5);
	check_print("# HELP b_total Things sent.\n# TYPE b_total counter\nb_total 42\n"
	            "# HELP a Streams.\n# TYPE a gauge\na -5\n",
	            true);
}
END_TEST

START_TEST(a_label_has_one_series_for_each_value)
{
	static const char *const reasons[] = { "done", "say \"no\"\\\n" };
	static int64_t ended[2];
	struct metric metric = { .name = "ended_total",
		                 .help = "Ends.",
		                 .kind = METRIC_COUNTER,
		                 .label = "reason",
		                 .values = reasons,
		                 .series = 2,
		                 .numbers = ended };

	metrics_add(&metric);
	metric_add(&metric, 1, 3);
	check_print("ended_total{reason=\"done\"} 0\n"
	            "ended_total{reason=\"say \\\"no\\\"\\\\\\n\"} 3\n",
	            false);
}
END_TEST

static int64_t read_seven(void)
{
	return 7;
}

START_TEST(a_computed_gauge_is_read_when_asked)
{
	struct metric metric = { "seven", "Seven.", METRIC_GAUGE, .read = read_seven };

	metrics_add(&metric);
	check_print("\nseven 7\n", false);
}
END_TEST

START_TEST(a_histogram_counts_each_duration_in_all_buckets_that_hold_it)
{
	static int64_t numbers[METRIC_HISTOGRAM_NUMBERS];
	struct metric metric = { "d", "Durations.", METRIC_HISTOGRAM, .numbers = numbers };

	metrics_add(&metric);
	metric_observe(&metric, 0);
	metric_observe(&metric, 500);
	metric_observe(&metric, 501);
	metric_observe(&metric, 16384000);
	metric_observe(&metric, 16384001);
	check_print("# HELP d Durations.\n# TYPE d histogram\n"
	            "d_bucket{le=\"0.0005\"} 2\n"
	            "d_bucket{le=\"0.001\"} 3\n"
	            "d_bucket{le=\"0.002\"} 3\n"
	            "d_bucket{le=\"0.004\"} 3\n"
	            "d_bucket{le=\"0.008\"} 3\n"
	            "d_bucket{le=\"0.016\"} 3\n"
	            "d_bucket{le=\"0.032\"} 3\n"
	            "d_bucket{le=\"0.064\"} 3\n"
	            "d_bucket{le=\"0.128\"} 3\n"
	            "d_bucket{le=\"0.256\"} 3\n"
	            "d_bucket{le=\"0.512\"} 3\n"
	            "d_bucket{le=\"1.024\"} 3\n"
	            "d_bucket{le=\"2.048\"} 3\n"
	            "d_bucket{le=\"4.096\"} 3\n"
	            "d_bucket{le=\"8.192\"} 3\n"
	            "d_bucket{le=\"16.384\"} 4\n"
	            "d_bucket{le=\"+Inf\"} 5\n"
	            "d_sum 32.769002\n"
	            "d_count 5\n",
	            true);
}
END_TEST

START_TEST(two_labels_make_a_series_for_each_pair_but_unused_values)
{
	static const char *const providers[] = { "a", "b" };
	static const char *reasons[] = { "x", NULL, "z" };
	static int64_t numbers[6];
	struct metric metric = { .name = "failed_total",
		                 .help = "Failures.",
		                 .kind = METRIC_COUNTER,
		                 .label = "provider",
		                 .values = providers,
		                 .series = 2,
		                 .second_label = "reason",
		                 .second_values = reasons,
		                 .second_series = 3,
		                 .numbers = numbers };

	metrics_add(&metric);
	metric_add(&metric, 2, 5);
	metric_add(&metric, 3, 7);
	check_print("# TYPE failed_total counter\n"
	            "failed_total{provider=\"a\",reason=\"x\"} 0\n"
	            "failed_total{provider=\"a\",reason=\"z\"} 5\n"
	            "failed_total{provider=\"b\",reason=\"x\"} 7\n"
	            "failed_total{provider=\"b\",reason=\"z\"} 0\n",
	            false);
}
END_TEST

START_TEST(a_histogram_with_a_label_has_buckets_for_each_value)
{
	static const char *const providers[] = { "a", "b" };
	static int64_t numbers[2 * METRIC_HISTOGRAM_NUMBERS];
	struct metric metric = { .name = "d",
		                 .help = "Durations.",
		                 .kind = METRIC_HISTOGRAM,
		                 .label = "provider",
		                 .values = providers,
		                 .series = 2,
		                 .numbers = numbers };

	metrics_add(&metric);
	metric_observe_in(&metric, 1, 600);
	check_print("d_bucket{provider=\"a\",le=\"+Inf\"} 0\n"
	            "d_sum{provider=\"a\"} 0\nd_count{provider=\"a\"} 0\n"
	            "d_bucket{provider=\"b\",le=\"0.0005\"} 0\n"
	            "d_bucket{provider=\"b\",le=\"0.001\"} 1\n",
	            false);
	check_print("d_sum{provider=\"b\"} 0.0006\nd_count{provider=\"b\"} 1\n", false);
}
END_TEST

START_TEST(a_label_without_values_has_no_series)
{
	static int64_t numbers[1];
	struct metric metric = { .name = "none_total",
		                 .help = "Nothing.",
		                 .kind = METRIC_COUNTER,
		                 .label = "provider",
		                 .numbers = numbers };

	metrics_add(&metric);
	check_print("# HELP none_total Nothing.\n# TYPE none_total counter\n", true);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		metrics_print_in_the_order_in_which_they_were_added_once,
		a_label_has_one_series_for_each_value,
		a_computed_gauge_is_read_when_asked,
		a_histogram_counts_each_duration_in_all_buckets_that_hold_it,
		two_labels_make_a_series_for_each_pair_but_unused_values,
		a_histogram_with_a_label_has_buckets_for_each_value,
		a_label_without_values_has_no_series,
	};

	return unit_run("metrics", tests, ARRAY_LEN(tests), NULL, NULL);
}
