#include "common/base/log_rate.c"
#include "common/base/mem.h"

#include "tests/unit/logged.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

static struct log_rate knocks = { "knock" }, falls = { "fall" };

static void setup(void)
{
	loop_init();
}

static void teardown(void)
{
	log_rate_stop();
	loop_release();
}

static unsigned allowed(struct log_rate *rate, unsigned times)
{
	unsigned count = 0;

	for (unsigned i = 0; i < times; i++)
		count += log_rate_allows(rate);
	return count;
}

START_TEST(ten_lines_of_a_kind_are_written_and_the_rest_is_counted)
{
	ck_assert_uint_eq(allowed(&knocks, 1000), LINES_A_SECOND);
	ck_assert_uint_eq(allowed(&falls, 3), 3);
	ck_assert_int_eq(log_rate_withheld(), 990);
}
END_TEST

START_TEST(the_count_is_told_after_the_second_without_another_line)
{
	struct logged logged = logged_start();

	allowed(&knocks, 25);
	WAIT_UNTIL(knocks.withheld == 0);
	ck_assert_ptr_nonnull(strstr(logged_end(&logged), "lines-withheld what=knock count=15\n"));
	ck_assert_uint_eq(allowed(&knocks, 11), LINES_A_SECOND);
	WAIT_UNTIL(!timer_active(&knocks.second));
	ck_assert(!list_linked(&knocks.link));
}
END_TEST

START_TEST(the_end_tells_what_is_left)
{
	struct logged logged = logged_start();
	const char *text;

	allowed(&knocks, 11);
	allowed(&falls, 12);
	log_rate_end(&falls);
	log_rate_stop();
	text = logged_end(&logged);
	ck_assert_ptr_nonnull(strstr(text, "lines-withheld what=knock count=1\n"));
	ck_assert_ptr_nonnull(strstr(text, "lines-withheld what=fall count=2\n"));
	ck_assert(!timer_active(&knocks.second) && !timer_active(&falls.second));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		ten_lines_of_a_kind_are_written_and_the_rest_is_counted,
		the_count_is_told_after_the_second_without_another_line,
		the_end_tells_what_is_left,
	};

	return unit_run("log_rate", tests, ARRAY_LEN(tests), setup, teardown);
}
