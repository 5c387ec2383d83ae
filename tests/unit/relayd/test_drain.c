#include "relayd/drain.c"

#include "tests/unit/relay_halves.h"

static void teardown(void)
{
	drain_module.stop();
	halves_teardown();
}

START_TEST(an_empty_relay_exits_but_lets_the_last_reply_leave)
{
	uint64_t start = loop_now_ms();

	drain();
	loop_run();
	ck_assert_uint_ge(loop_now_ms() - start, ASK_EVERY_MS);
}
END_TEST

static struct timer later;
static int far;
static bool ended;

static void end_stream(struct timer *timer)
{
	ended = true;
	stream_end(stream_find(halves_hash()), REASON_KILLED);
}

START_TEST(a_stream_is_served_to_its_end)
{
	uint64_t end_ms;

	far = halves_join();
	drain();
	later.expired = end_stream;
	timer_start(&later, 5 * ASK_EVERY_MS);
	end_ms = loop_now_ms() + 5 * ASK_EVERY_MS;
	loop_run();
	ck_assert(ended);
	ck_assert_uint_ge(loop_now_ms(), end_ms + ASK_EVERY_MS);
	close(far);
}
END_TEST

START_TEST(a_relay_that_was_empty_once_only_goes_on)
{
	drain();
	ck_assert(was_empty);
	far = halves_join();
	on_timer(&ask_timer);
	ck_assert(!was_empty);
	stream_end(stream_find(halves_hash()), REASON_KILLED);
	loop_run();
	close(far);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_empty_relay_exits_but_lets_the_last_reply_leave,
		a_stream_is_served_to_its_end,
		a_relay_that_was_empty_once_only_goes_on,
	};

	return unit_run("drain", tests, ARRAY_LEN(tests), halves_setup, teardown);
}
