#include "xmppgw/component/outage.c"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

static struct outage outage;

static void setup(void)
{
	log_init("test_outage", LOG_ERROR);
	outage_init(&outage);
}

static uint32_t ended(enum outage_reason reason, uint64_t up_ms)
{
	return outage_begin(&outage, "x.example", reason, "detail", up_ms);
}

START_TEST(the_first_attempt_is_at_once_and_the_next_ones_wait_longer_and_longer)
{
	uint32_t top = 1000;

	ck_assert_uint_eq(ended(OUTAGE_LOST, 0), 0);
	for (int i = 0; i < 8; i++) {
		uint32_t wait_ms = ended(OUTAGE_CONNECT, 0);

		ck_assert_uint_ge(wait_ms, top / 2);
		ck_assert_uint_le(wait_ms, top);
		top = top * 2 > 30000 ? 30000 : top * 2;
	}
}
END_TEST

START_TEST(a_stream_that_lived_is_rebuilt_at_once_and_a_short_one_is_not)
{
	for (int i = 0; i < 5; i++)
		ended(OUTAGE_CONNECT, 0);
	ck_assert_uint_gt(ended(OUTAGE_CLOSED, STEADY_MS - 1), 0);
	ck_assert_uint_eq(ended(OUTAGE_CLOSED, STEADY_MS), 0);
	ck_assert_uint_le(ended(OUTAGE_CLOSED, 0), 1000);
}
END_TEST

START_TEST(a_conflict_and_a_refusal_wait_longer_even_the_first_time)
{
	uint32_t wait_ms = ended(OUTAGE_CONFLICT, STEADY_MS);

	ck_assert_uint_ge(wait_ms, 5000);
	ck_assert_uint_lt(wait_ms, 6000);
	wait_ms = ended(OUTAGE_REFUSED, STEADY_MS);
	ck_assert_uint_ge(wait_ms, 60000);
	ck_assert_uint_lt(wait_ms, 61000);
}
END_TEST

START_TEST(every_reason_has_a_name)
{
	for (size_t i = 0; i < OUTAGE_REASONS; i++)
		ck_assert_ptr_nonnull(reason_names[i]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_first_attempt_is_at_once_and_the_next_ones_wait_longer_and_longer,
		a_stream_that_lived_is_rebuilt_at_once_and_a_short_one_is_not,
		a_conflict_and_a_refusal_wait_longer_even_the_first_time,
		every_reason_has_a_name,
	};

	return unit_run("outage", tests, ARRAY_LEN(tests), setup, NULL);
}
