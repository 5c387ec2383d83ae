#include "pushd/provider/provider.c"

#include "tests/unit/unit.h"

static struct arena arena;

static void teardown(void)
{
	arena_release(&arena);
}

static void check_short(const char *unit, size_t times, size_t kept)
{
	size_t len = strlen(unit);
	char *body = arena_alloc(&arena, len * times + 1);
	const char *cut;

	for (size_t i = 0; i < times; i++)
		memcpy(body + i * len, unit, len);
	cut = provider_short_body(body, &arena);
	if (kept == times) {
		ck_assert_ptr_eq(cut, body);
		return;
	}
	ck_assert_uint_eq(strlen(cut), kept * len + 3);
	ck_assert_int_eq(memcmp(cut, body, kept * len), 0);
	ck_assert_str_eq(cut + kept * len, "...");
}

START_TEST(a_body_of_more_than_512_characters_keeps_500)
{
	static const char *const units[] = { "x", "é", "€", "😀", NULL };

	for (size_t i = 0; units[i] != NULL; i++) {
		check_short(units[i], 0, 0);
		check_short(units[i], 500, 500);
		check_short(units[i], 512, 512);
		check_short(units[i], 513, 500);
		check_short(units[i], 5000, 500);
	}
}
END_TEST

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

	ck_assert_int_eq(provider_retry_after_ms("1"), 1000);
	ck_assert_int_eq(provider_retry_after_ms("86400"), 86400000);
	ck_assert_int_eq(provider_retry_after_ms(NULL), 0);
	for (size_t i = 0; nothing[i] != NULL; i++)
		ck_assert_int_eq(provider_retry_after_ms(nothing[i]), 0);
}
END_TEST

START_TEST(a_name_ends_at_the_first_byte_that_no_name_has)
{
	char to[8];

	provider_copy_text(to, sizeof(to), "Reason\nforged");
	ck_assert_str_eq(to, "Reason");
	provider_copy_text(to, sizeof(to), "TooLongForIt");
	ck_assert_str_eq(to, "TooLong");
	provider_copy_text(to, sizeof(to), NULL);
	ck_assert_str_eq(to, "");
	provider_copy_text(to, sizeof(to), "\xc3\xa9");
	ck_assert_str_eq(to, "");
}
END_TEST

START_TEST(the_first_row_that_fits_gives_the_verdict)
{
	static const struct verdict_row table[] = {
		{ 400, "A", VERDICT_GONE, EFFECT_RECONNECT, 10 },
		{ 400, NULL, VERDICT_SUSPECT, EFFECT_DOUBTFUL },
		{ 0, NULL, VERDICT_REJECTED },
	};
	struct provider_answer answer = { .status = 400 };
	struct judgement judgement = { 0 };

	judgement_look_up(&judgement, table, &answer, "A");
	ck_assert_int_eq(judgement.verdict, VERDICT_GONE);
	ck_assert(judgement.reconnect && !judgement.doubtful);
	ck_assert_msg(judgement.retry_after_ms == 10000, "the row's wait is the least");
	answer.retry_after = "20";
	judgement_look_up(&judgement, table, &answer, "A");
	ck_assert_int_eq(judgement.retry_after_ms, 20000);
	judgement_look_up(&judgement, table, &answer, "B");
	ck_assert_int_eq(judgement.verdict, VERDICT_SUSPECT);
	ck_assert(!judgement.reconnect && judgement.doubtful);
	ck_assert_str_eq(judgement.reason, "B");
	answer.status = 410;
	judgement_look_up(&judgement, table, &answer, "");
	ck_assert_int_eq(judgement.verdict, VERDICT_REJECTED);
	ck_assert_str_eq(judgement.reason, "status-410");
}
END_TEST

START_TEST(every_kind_and_every_verdict_has_its_name)
{
	ck_assert_str_eq(provider_kinds[0]->name, "apns");
	ck_assert_str_eq(provider_kinds[1]->name, "fcm");
	ck_assert_ptr_null(provider_kinds[2]);
	for (size_t i = 0; i < VERDICT_COUNT; i++)
		ck_assert_ptr_nonnull(verdict_names[i]);
	ck_assert_ptr_null(verdict_names[VERDICT_COUNT]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_body_of_more_than_512_characters_keeps_500,
		retry_after_is_read_as_seconds_and_nothing_else,
		a_name_ends_at_the_first_byte_that_no_name_has,
		the_first_row_that_fits_gives_the_verdict,
		every_kind_and_every_verdict_has_its_name,
	};

	return unit_run("provider", tests, sizeof(tests) / sizeof(tests[0]), NULL, teardown);
}
