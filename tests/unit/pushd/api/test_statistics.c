#include "pushd/api/statistics.c"

#include <stdio.h>

#include "tests/unit/unit.h"

static struct conf_provider providers[] = {
	{ .id = (char *)"first" },
	{ .id = (char *)"second" },
};
static struct conf conf = { .providers = { providers, ARRAY_LEN(providers) } };

static void setup(void)
{
	ck_assert_int_eq(statistics_module.start(&conf), 0);
}

static void teardown(void)
{
	statistics_module.stop();
}

static void count(size_t provider, enum verdict verdict, const char *reason, unsigned status)
{
	struct judgement judgement = { .verdict = verdict };

	snprintf(judgement.reason, sizeof(judgement.reason), "%s", reason);
	statistics_verdict(&providers[provider], &judgement, status, 1500000);
}

static int64_t failed(size_t provider, const char *reason)
{
	json_t *object = describe_failures(provider);
	int64_t number = json_integer_value(json_object_get(object, reason));

	json_decref(object);
	return number;
}

START_TEST(each_provider_has_numbers_of_its_own)
{
	count(0, VERDICT_SENT, "", 200);
	count(0, VERDICT_REJECTED, "PayloadEmpty", 400);
	count(1, VERDICT_REJECTED, "PayloadEmpty", 400);
	count(1, VERDICT_REJECTED, "BadTopic", 400);
	count(1, VERDICT_REJECTED, "PayloadEmpty", 400);
	statistics_removed(&providers[1]);
	statistics_outcome(&providers[0], OUTCOME_MERGED);
	ck_assert_int_eq(self.sent[0], 1);
	ck_assert_int_eq(self.sent[1], 0);
	ck_assert_int_eq(failed(0, "PayloadEmpty"), 1);
	ck_assert_int_eq(failed(1, "PayloadEmpty"), 2);
	ck_assert_int_eq(failed(1, "BadTopic"), 1);
	ck_assert_int_eq(failed(0, "BadTopic"), 0);
	ck_assert_int_eq(self.removed[1], 1);
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
	json_t *latency;

	count(0, VERDICT_UNREACHABLE, "timed-out", 0);
	count(0, VERDICT_SENT, "", 200);
	count(0, VERDICT_REJECTED, "BadTopic", 400);
	latency = describe_latency(0);
	ck_assert_int_eq(json_integer_value(json_object_get(latency, "count")), 2);
	ck_assert_int_eq(json_integer_value(json_object_get(latency, "sum_us")), 3000);
	json_decref(latency);
}
END_TEST

START_TEST(beyond_the_table_a_reason_is_other)
{
	char reason[16];

	for (int i = 0; i < 3 * REASONS_MAX; i++) {
		snprintf(reason, sizeof(reason), "Reason%d", i);
		count(0, VERDICT_REJECTED, reason, 400);
	}
	count(1, VERDICT_REJECTED, "Reason5", 400);
	ck_assert_int_eq(failed(0, "Reason5"), 1);
	ck_assert_int_eq(failed(0, "other"), 3 * REASONS_MAX - REASON_OTHER);
	ck_assert_int_eq(failed(1, "Reason5"), 1);
}
END_TEST

START_TEST(a_provider_of_somebody_else_is_not_counted)
{
	struct conf_provider stranger = { .id = (char *)"stranger" };
	struct judgement judgement = { .verdict = VERDICT_SENT };

	statistics_verdict(&stranger, &judgement, 200, 1);
	statistics_outcome(&stranger, OUTCOME_SENT);
	statistics_removed(providers + ARRAY_LEN(providers));
	ck_assert_int_eq(self.sent[0] + self.sent[1] + self.removed[0] + self.removed[1], 0);
	statistics_module.stop();
	statistics_verdict(&providers[0], &judgement, 200, 1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		each_provider_has_numbers_of_its_own,
		a_failure_without_a_reason_is_named_by_its_verdict,
		only_answers_have_a_latency,
		beyond_the_table_a_reason_is_other,
		a_provider_of_somebody_else_is_not_counted,
	};

	return unit_run("statistics", tests, ARRAY_LEN(tests), setup, teardown);
}
