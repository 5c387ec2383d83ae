#include "common/base/backoff.c"

#include <stdbool.h>

#include "common/base/mem.h"
#include "tests/unit/unit.h"

/* The next delay must lie in the upper half of 0 to TOP. */
static void check_next(struct backoff *backoff, uint32_t top)
{
	uint32_t delay = backoff_next(backoff);

	ck_assert_uint_ge(delay, top / 2);
	ck_assert_uint_le(delay, top);
}

START_TEST(delays_double_up_to_the_most)
{
	for (int i = 0; i < 200; i++) {
		struct backoff backoff = { .least_ms = 100, .most_ms = 1000 };

		check_next(&backoff, 100);
		check_next(&backoff, 200);
		check_next(&backoff, 400);
		check_next(&backoff, 800);
		check_next(&backoff, 1000);
		check_next(&backoff, 1000);
	}
}
END_TEST

START_TEST(a_success_starts_over)
{
	struct backoff backoff = { .least_ms = 100, .most_ms = 1000 };

	for (int i = 0; i < 10; i++)
		backoff_next(&backoff);
	backoff_reset(&backoff);
	check_next(&backoff, 100);
}
END_TEST

START_TEST(delays_spread_over_their_range)
{
	bool low = false, high = false;

	for (int i = 0; i < 1000; i++) {
		struct backoff backoff = { .least_ms = 1000, .most_ms = 1000 };
		uint32_t delay = backoff_next(&backoff);

		low = low || delay < 600;
		high = high || delay > 900;
	}
	ck_assert(low && high);
}
END_TEST

START_TEST(the_ends_of_the_range_do_not_overflow)
{
	struct backoff backoff = { .least_ms = UINT32_MAX / 2 + 7, .most_ms = UINT32_MAX };
	struct backoff none = { 0 };
	struct backoff swapped = { .least_ms = 10, .most_ms = 4 };

	check_next(&backoff, UINT32_MAX / 2 + 7);
	check_next(&backoff, UINT32_MAX);
	check_next(&backoff, UINT32_MAX);
	check_next(&none, 0);
	check_next(&swapped, 4);
}
END_TEST

START_TEST(the_delay_after_a_number_of_failures_is_that_of_the_schedule)
{
	static const uint32_t tops[] = { 100, 200, 400, 800, 1000, 1000 };

	for (unsigned attempts = 0; attempts < ARRAY_LEN(tops); attempts++) {
		for (int i = 0; i < 50; i++) {
			uint32_t delay = backoff_after(100, 1000, attempts);

			ck_assert_uint_ge(delay, tops[attempts] / 2);
			ck_assert_uint_le(delay, tops[attempts]);
		}
	}
	ck_assert_uint_ge(backoff_after(100, 1000, UINT32_MAX), 500);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		delays_double_up_to_the_most,
		a_success_starts_over,
		delays_spread_over_their_range,
		the_ends_of_the_range_do_not_overflow,
		the_delay_after_a_number_of_failures_is_that_of_the_schedule,
	};

	return unit_run("backoff", tests, ARRAY_LEN(tests), NULL, NULL);
}
