#include "pushd/provider/counters.c"

#include <stdio.h>

#include "common/base/buf.h"
#include "tests/unit/unit.h"

static struct conf_provider providers[] = {
	{ .id = (char *)"first" },
	{ .id = (char *)"second" },
};
static struct conf conf = { .providers = { providers, ARRAY_LEN(providers) } };

static void setup(void)
{
	ck_assert_int_eq(counters_module.start(&conf), 0);
}

static void teardown(void)
{
	counters_module.stop();
}

static void count(size_t provider, enum verdict verdict, const char *reason, unsigned status)
{
	struct judgement judgement = { .verdict = verdict, .status = status };

	snprintf(judgement.reason, sizeof(judgement.reason), "%s", reason);
	counters_request(&providers[provider], &judgement, 1500000);
}

static int64_t failed(size_t provider, const char *reason)
{
	for (size_t i = 0; i < COUNTERS_REASONS_MAX; i++)
		if (counters_reasons()[i] != NULL && strcmp(counters_reasons()[i], reason) == 0)
			return counters_of(provider).failures[i];
	return 0;
}

START_TEST(each_provider_has_numbers_of_its_own)
{
	count(0, VERDICT_SENT, "", 200);
	count(0, VERDICT_REJECTED, "PayloadEmpty", 400);
	count(1, VERDICT_REJECTED, "PayloadEmpty", 400);
	count(1, VERDICT_REJECTED, "BadTopic", 400);
	count(1, VERDICT_REJECTED, "PayloadEmpty", 400);
	counters_removed(&providers[1], 3);
	counters_outcome(&providers[0], OUTCOME_MERGED);
	ck_assert_int_eq(self.sent[0], 1);
	ck_assert_int_eq(self.sent[1], 0);
	ck_assert_int_eq(failed(0, "PayloadEmpty"), 1);
	ck_assert_int_eq(failed(1, "PayloadEmpty"), 2);
	ck_assert_int_eq(failed(1, "BadTopic"), 1);
	ck_assert_int_eq(failed(0, "BadTopic"), 0);
	ck_assert_int_eq(self.removed[1], 3);
	ck_assert_int_eq(self.outcomes[OUTCOME_MERGED], 1);
	ck_assert_int_eq(self.outcomes[OUTCOME_COUNT + OUTCOME_MERGED], 0);
}
END_TEST

START_TEST(a_failure_without_a_reason_is_named_by_its_verdict)
{
	count(0, VERDICT_UNREACHABLE, "", 0);
	ck_assert_int_eq(failed(0, verdict_names[VERDICT_UNREACHABLE]), 1);
}
END_TEST

START_TEST(only_answers_have_a_latency)
{
	const int64_t *latency;
	int64_t answers = 0;

	count(0, VERDICT_UNREACHABLE, "timed-out", 0);
	count(0, VERDICT_SENT, "", 200);
	count(0, VERDICT_REJECTED, "BadTopic", 400);
	latency = counters_of(0).latency;
	for (size_t i = 0; i < METRIC_BUCKETS; i++)
		answers += latency[i];
	ck_assert_int_eq(answers, 2);
	ck_assert_int_eq(latency[METRIC_BUCKETS], 3000);
}
END_TEST

START_TEST(an_outcome_without_a_known_device_has_a_series_of_its_own)
{
	struct buf out = { 0 };
	char *text;

	counters_outcome(NULL, OUTCOME_GONE);
	metrics_print(&out);
	text = buf_take(&out);
	ck_assert_ptr_nonnull(strstr(text, "outcomes_total{provider=\"-\",outcome=\"gone\"} 1"));
	ck_assert_int_eq(self.outcomes[OUTCOME_GONE], 0);
	free(text);
}
END_TEST

START_TEST(beyond_the_table_a_reason_is_other)
{
	char reason[16];

	for (int i = 0; i < 3 * COUNTERS_REASONS_MAX; i++) {
		snprintf(reason, sizeof(reason), "Reason%d", i);
		count(0, VERDICT_REJECTED, reason, 400);
	}
	count(1, VERDICT_REJECTED, "Reason5", 400);
	ck_assert_int_eq(failed(0, "Reason5"), 1);
	ck_assert_int_eq(failed(0, "other"), 3 * COUNTERS_REASONS_MAX - REASON_OTHER);
	ck_assert_int_eq(failed(1, "Reason5"), 1);
}
END_TEST

START_TEST(a_provider_of_somebody_else_is_not_counted)
{
	struct conf_provider stranger = { .id = (char *)"stranger" };
	struct judgement judgement = { .verdict = VERDICT_SENT, .status = 200 };

	counters_request(&stranger, &judgement, 1);
	counters_outcome(&stranger, OUTCOME_SENT);
	counters_removed(providers + ARRAY_LEN(providers), 1);
	ck_assert_int_eq(self.sent[0] + self.sent[1] + self.removed[0] + self.removed[1], 0);
	counters_module.stop();
	counters_request(&providers[0], &judgement, 1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		each_provider_has_numbers_of_its_own,
		a_failure_without_a_reason_is_named_by_its_verdict,
		only_answers_have_a_latency,
		an_outcome_without_a_known_device_has_a_series_of_its_own,
		beyond_the_table_a_reason_is_other,
		a_provider_of_somebody_else_is_not_counted,
	};

	return unit_run("counters", tests, ARRAY_LEN(tests), setup, teardown);
}
