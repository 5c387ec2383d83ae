#include "pushd/sender/guard.c"

#include <string.h>

#include "tests/unit/unit.h"

static struct guard guard;

static void setup(void)
{
	memset(&guard, 0, sizeof(guard));
}

static void send_many(unsigned count, uint64_t now_ms)
{
	for (unsigned i = 0; i < count; i++)
		guard_sent(&guard, now_ms);
}

START_TEST(nobody_is_believed_before_anything_was_sent)
{
	ck_assert(!guard_trusts(&guard, 1000));
	guard_accused(&guard);
	ck_assert(!guard_trusts(&guard, 1000));
}
END_TEST

START_TEST(one_accusation_in_ten_is_believed_and_the_next_is_not)
{
	send_many(8, 1000);
	guard_accused(&guard);
	ck_assert_msg(!guard_trusts(&guard, 1000), "one of nine");
	send_many(1, 1000);
	ck_assert_msg(guard_trusts(&guard, 1000), "one of ten");
	guard_accused(&guard);
	ck_assert_msg(!guard_trusts(&guard, 1000), "two of eleven");
}
END_TEST

START_TEST(a_mass_of_accusations_is_doubted_until_enough_arrives_again)
{
	send_many(10000, 1000);
	for (unsigned i = 0; i < 20; i++)
		guard_accused(&guard);
	ck_assert(guard_trusts(&guard, 1000));
	guard_accused(&guard);
	ck_assert_msg(!guard_trusts(&guard, 1000), "only the last %d count", GUARD_REMEMBERED);
	send_many(GUARD_REMEMBERED - 21, 2000);
	ck_assert(!guard_trusts(&guard, 2000));
	send_many(1, 2000);
	ck_assert_msg(guard_trusts(&guard, 2000), "the oldest accusation is forgotten");
	send_many(GUARD_REMEMBERED, 2000);
	ck_assert_uint_eq(guard.accusations, 0);
}
END_TEST

START_TEST(a_success_counts_for_an_hour)
{
	send_many(100, 1000);
	ck_assert(guard_trusts(&guard, 1000 + GUARD_LATELY_MS));
	ck_assert(!guard_trusts(&guard, 1001 + GUARD_LATELY_MS));
	guard_sent(&guard, 2000 + GUARD_LATELY_MS);
	ck_assert(guard_trusts(&guard, 2000 + GUARD_LATELY_MS));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		nobody_is_believed_before_anything_was_sent,
		one_accusation_in_ten_is_believed_and_the_next_is_not,
		a_mass_of_accusations_is_doubted_until_enough_arrives_again,
		a_success_counts_for_an_hour,
	};

	return unit_run("guard", tests, sizeof(tests) / sizeof(tests[0]), setup, NULL);
}
