#include "relayd/quota/calendar.c"

#include "common/base/mem.h"
#include "relayd/conf.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define DECEMBER_MS INT64_C(1796083200000) /* 2026-12-01 00:00:00 */

static struct relay_conf conf = { .redis = (char *)"none", .id = (char *)"relay-1" };
static int rollovers;

static void on_rolled_over(void)
{
	rollovers++;
}

static void setup(void)
{
	loop_init();
	ck_assert_int_eq(fleet_module.start(&conf), 0);
	ck_assert_int_eq(calendar_module.start(&conf), 0);
	calendar_on_rollover(on_rolled_over);
}

static void teardown(void)
{
	calendar_module.stop();
	fleet_module.stop();
	loop_release();
}

START_TEST(without_redis_it_is_the_machines_month)
{
	ck_assert_uint_eq(calendar_month()->number, month_of(loop_wall_ms() / 1000).number);
	ck_assert_int_eq(rollovers, 0);
}
END_TEST

START_TEST(a_month_rolls_over_by_itself_once_and_not_before_its_end)
{
	uint64_t start_ms;

	start_ms = loop_now_ms();
	calendar_set(DECEMBER_MS - 1000);
	ck_assert_uint_eq(calendar_month()->number, 202611);
	rollovers = 0;
	WAIT_UNTIL(rollovers == 1);
	ck_assert_uint_ge(loop_now_ms() - start_ms, 1000);
	ck_assert_uint_eq(calendar_month()->number, 202612);
	turn_for(50);
	ck_assert_int_eq(rollovers, 1);
}
END_TEST

START_TEST(news_of_the_same_month_is_no_rollover_and_of_another_one_is)
{
	calendar_set(DECEMBER_MS);
	rollovers = 0;
	calendar_set(DECEMBER_MS + 1000);
	ck_assert_int_eq(rollovers, 0);
	calendar_set(DECEMBER_MS - 1);
	ck_assert_int_eq(rollovers, 1);
	ck_assert_uint_eq(calendar_month()->number, 202611);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		without_redis_it_is_the_machines_month,
		a_month_rolls_over_by_itself_once_and_not_before_its_end,
		news_of_the_same_month_is_no_rollover_and_of_another_one_is,
	};

	return unit_run("calendar", tests, ARRAY_LEN(tests), setup, teardown);
}
