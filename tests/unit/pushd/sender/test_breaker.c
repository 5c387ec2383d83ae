#include "pushd/sender/breaker.c"

#include "tests/unit/unit.h"

static struct breaker breaker;
static unsigned passes;

static void on_passed(struct breaker *which)
{
	ck_assert_ptr_eq(which, &breaker);
	ck_assert(!breaker.open && !breaker_pausing(&breaker));
	passes++;
}

static void setup(void)
{
	loop_init();
	breaker.passed = on_passed;
	breaker_init(&breaker);
}

static void teardown(void)
{
	breaker_release(&breaker);
	loop_release();
}

static void wait_for_pass(void)
{
	unsigned before = passes;

	while (passes == before)
		loop_turn(-1);
}

START_TEST(a_failed_connection_makes_a_pause_and_the_third_is_one_too_many)
{
	ck_assert(!breaker_strike(&breaker));
	ck_assert(breaker_pausing(&breaker) && !breaker.open);
	ck_assert_msg(!breaker_strike(&breaker), "calls that fail together count once");
	wait_for_pass();
	ck_assert(!breaker_strike(&breaker));
	wait_for_pass();
	ck_assert(breaker_strike(&breaker));
}
END_TEST

START_TEST(a_success_in_between_forgives)
{
	ck_assert(!breaker_strike(&breaker));
	wait_for_pass();
	ck_assert(!breaker_strike(&breaker));
	wait_for_pass();
	ck_assert_msg(!breaker_success(&breaker), "it never was open");
	ck_assert_int_eq(breaker.since_ms, 0);
	ck_assert(!breaker_strike(&breaker));
}
END_TEST

START_TEST(an_open_one_is_tried_once_after_its_pause_and_opens_again_at_the_next_failure)
{
	uint32_t pause_ms = breaker_open(&breaker, BREAKER_UNREACHABLE, "no-route");

	ck_assert_uint_ge(pause_ms, OPEN_LEAST_MS / 2);
	ck_assert_uint_le(pause_ms, OPEN_LEAST_MS);
	ck_assert(breaker.open && breaker_pausing(&breaker));
	ck_assert_str_eq(breaker.reason, "no-route");
	breaker.since_ms = 7;
	wait_for_pass();
	ck_assert(breaker_probing(&breaker));
	ck_assert(breaker_strike(&breaker));
	ck_assert_uint_gt(breaker_open(&breaker, BREAKER_UNREACHABLE, "no-route"), pause_ms / 2);
	ck_assert_msg(breaker.since_ms == 7, "it is the same trouble");
	breaker_retry(&breaker);
	ck_assert_int_eq(breaker.since_ms, 0);
	ck_assert(!breaker.open && !breaker_pausing(&breaker) && breaker_probing(&breaker));
	ck_assert_msg(breaker_success(&breaker), "that is news");
	ck_assert(!breaker_probing(&breaker));
}
END_TEST

START_TEST(its_pauses_grow_to_a_minute_and_no_further)
{
	uint32_t pause_ms = 0;

	for (int i = 0; i < 20; i++)
		pause_ms = breaker_open(&breaker, BREAKER_UNREACHABLE, "no-route");
	ck_assert_uint_ge(pause_ms, OPEN_MOST_MS / 2);
	ck_assert_uint_le(pause_ms, OPEN_MOST_MS);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_failed_connection_makes_a_pause_and_the_third_is_one_too_many,
		a_success_in_between_forgives,
		an_open_one_is_tried_once_after_its_pause_and_opens_again_at_the_next_failure,
		its_pauses_grow_to_a_minute_and_no_further,
	};

	return unit_run("breaker", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
}
