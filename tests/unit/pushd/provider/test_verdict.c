#include "pushd/provider/verdict.c"

#include "pushd/provider/kinds.h"
#include "tests/unit/unit.h"

START_TEST(retry_after_is_read_as_seconds_and_nothing_else)
{
	static const char *const nothing[] = { "",
		                               "x",
		                               "0",
		                               "-1",
		                               "1.5",
		                               "86401",
		                               "99999999999999999999",
		                               "5s",
		                               "Wed, 21 Oct 2026 07:28:00 GMT",
		                               NULL };

	ck_assert_int_eq(retry_after_ms("1"), 1000);
	ck_assert_int_eq(retry_after_ms("86400"), 86400000);
	ck_assert_int_eq(retry_after_ms(NULL), 0);
	for (size_t i = 0; nothing[i] != NULL; i++)
		ck_assert_int_eq(retry_after_ms(nothing[i]), 0);
}
END_TEST

START_TEST(the_first_row_that_fits_gives_the_verdict)
{
	static const struct verdict_row table[] = {
		{ 400, "A", VERDICT_GONE, EFFECT_RECONNECT, 10 },
		{ 400, NULL, VERDICT_SUSPECT, EFFECT_TOKEN_FAULT },
		{ 0, NULL, VERDICT_REJECTED },
	};
	struct provider_answer answer = { .status = 400 };
	struct judgement judgement = { 0 };

	verdict_look_up(&judgement, table, &answer, "A");
	ck_assert_int_eq(judgement.verdict, VERDICT_GONE);
	ck_assert(judgement.reconnect && !judgement.token_fault);
	ck_assert_msg(judgement.retry_after_ms == 10000, "the row's wait is the least");
	answer.retry_after = "20";
	verdict_look_up(&judgement, table, &answer, "A");
	ck_assert_int_eq(judgement.retry_after_ms, 20000);
	verdict_look_up(&judgement, table, &answer, "B");
	ck_assert_int_eq(judgement.verdict, VERDICT_SUSPECT);
	ck_assert(!judgement.reconnect && judgement.token_fault);
	ck_assert_str_eq(judgement.reason, "B");
	answer.status = 410;
	verdict_look_up(&judgement, table, &answer, "");
	ck_assert_int_eq(judgement.verdict, VERDICT_REJECTED);
	ck_assert_str_eq(judgement.reason, "status-410");
}
END_TEST

START_TEST(every_kind_and_every_verdict_has_its_name)
{
	ck_assert_str_eq(provider_kinds[0]->conf.name, "apns");
	ck_assert_str_eq(provider_kinds[1]->conf.name, "fcm");
	ck_assert_ptr_null(provider_kinds[2]);
	for (size_t i = 0; i < VERDICT_COUNT; i++)
		ck_assert_ptr_nonnull(verdict_names[i]);
	ck_assert_ptr_null(verdict_names[VERDICT_COUNT]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		retry_after_is_read_as_seconds_and_nothing_else,
		the_first_row_that_fits_gives_the_verdict,
		every_kind_and_every_verdict_has_its_name,
	};

	return unit_run("verdict", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
