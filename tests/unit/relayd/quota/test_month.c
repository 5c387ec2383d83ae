#include "relayd/quota/month.c"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

#define DAY_S 86400

START_TEST(a_month_begins_and_ends_at_midnight_utc)
{
	struct month month = month_of(1795351758); /* 2026-11-22 12:49:18 */

	ck_assert_uint_eq(month.number, 202611);
	ck_assert_int_eq(month.start_s, 1793491200); /* 2026-11-01 00:00:00 */
	ck_assert_int_eq(month.end_s, 1796083200);   /* 2026-12-01 00:00:00 */
}
END_TEST

START_TEST(the_first_second_is_the_months_and_the_last_is_the_one_before_it)
{
	ck_assert_uint_eq(month_of(1796083199).number, 202611);
	ck_assert_uint_eq(month_of(1796083200).number, 202612);
	ck_assert_uint_eq(month_of(0).number, 197001);
	ck_assert_int_eq(month_of(0).start_s, 0);
}
END_TEST

START_TEST(months_follow_each_other_for_a_century_without_a_gap)
{
	struct month month = month_of(1767225600); /* 2026-01-01 */
	unsigned years = 0;

	while (years < 100) {
		struct month next = month_of(month.end_s);
		int64_t days = (month.end_s - month.start_s) / DAY_S;

		ck_assert_int_eq(next.start_s, month.end_s);
		ck_assert_int_eq(month.start_s % DAY_S, 0);
		ck_assert_int_ge(days, 28);
		ck_assert_int_le(days, 31);
		ck_assert_uint_eq(month_of(month.start_s + 1000000).number, month.number);
		if (next.number % 100 == 1)
			years++;
		ck_assert_uint_eq(next.number,
		                  month.number % 100 == 12 ? month.number + 89 : month.number + 1);
		month = next;
	}
}
END_TEST

START_TEST(february_has_its_29th_in_leap_years_alone)
{
	ck_assert_int_eq(month_of(1835395200).end_s - month_of(1835395200).start_s,
	                 29 * DAY_S); /* 2028-02-29 */
	ck_assert_int_eq(month_of(1771200000).end_s - month_of(1771200000).start_s,
	                 28 * DAY_S); /* 2026-02-16 */
}
END_TEST

START_TEST(a_number_of_six_digits_with_a_month_in_it_is_read)
{
	const char *const wrong[] = { "",       "2026",   "202600",  "202613", "20261",
		                      "2026 1", "+20261", "2026011", "20261a", "-20261" };

	ck_assert_uint_eq(month_parse("202611"), 202611);
	ck_assert_uint_eq(month_parse("000001"), 1);
	ck_assert_uint_eq(month_parse("999912"), 999912);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		ck_assert_msg(month_parse(wrong[i]) == MONTH_NONE, "%s", wrong[i]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_month_begins_and_ends_at_midnight_utc,
		the_first_second_is_the_months_and_the_last_is_the_one_before_it,
		months_follow_each_other_for_a_century_without_a_gap,
		february_has_its_29th_in_leap_years_alone,
		a_number_of_six_digits_with_a_month_in_it_is_read,
	};

	return unit_run("month", tests, ARRAY_LEN(tests), NULL, NULL);
}
