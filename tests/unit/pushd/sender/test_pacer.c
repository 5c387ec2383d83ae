#include "common/base/loop.h"

static uint64_t read_clock_ms(void), read_clock_ns(void);

#define loop_now_ms read_clock_ms
#define loop_now_ns read_clock_ns
#include "pushd/sender/pacer.c"
#undef loop_now_ms
#undef loop_now_ns

#include <string.h>

#include "tests/unit/unit.h"

static uint64_t stopped_ns;       /* where the clock stands still; 0: it runs */
static uint64_t lost_ms, lose_ms; /* what has passed besides, and what passes at each look */

static uint64_t read_clock_ns(void)
{
	return stopped_ns == 0 ? loop_now_ns() : stopped_ns;
}

static uint64_t read_clock_ms(void)
{
	uint64_t now_ms = read_clock_ns() / 1000000 + lost_ms;

	lost_ms += lose_ms;
	return now_ms;
}

static struct pacer pacer;
static unsigned passes;

static void on_passed(struct pacer *which)
{
	ck_assert_ptr_eq(which, &pacer);
	passes++;
}

static void setup(void)
{
	loop_init();
	memset(&pacer, 0, sizeof(pacer));
	stopped_ns = lost_ms = lose_ms = 0;
	passes = 0;
	pacer.passed = on_passed;
}

static void teardown(void)
{
	pacer_release(&pacer);
	loop_release();
}

static unsigned take_all(void)
{
	unsigned count = 0;

	while (pacer_take(&pacer))
		count++;
	return count;
}

static void wait_for_pass(void)
{
	unsigned before = passes;

	while (passes == before)
		loop_turn(-1);
}

START_TEST(without_a_rate_nothing_waits)
{
	pacer_init(&pacer, 0);
	ck_assert_uint_eq(pacer_room(&pacer), UINT_MAX);
	for (unsigned i = 0; i < 100000; i++)
		ck_assert(pacer_take(&pacer));
	ck_assert(!timer_active(&pacer.wait));
}
END_TEST

START_TEST(what_is_beyond_the_rate_waits_and_is_told)
{
	uint64_t begin_ns = loop_now_ns(), took_ns;
	unsigned count;

	pacer_init(&pacer, 100);
	ck_assert_uint_eq(pacer_room(&pacer), 11);
	count = take_all();
	while (count < 40) {
		wait_for_pass();
		count += take_all();
	}
	took_ns = loop_now_ns() - begin_ns;
	ck_assert_msg(took_ns >= (uint64_t)(count - 11) * 10000000, "%u in %llu ms", count,
	              (unsigned long long)took_ns / 1000000);
}
END_TEST

START_TEST(room_is_what_can_be_taken)
{
	unsigned room;

	stopped_ns = loop_now_ns();
	pacer_init(&pacer, 3);
	room = pacer_room(&pacer);
	ck_assert_uint_eq(room, 6);
	ck_assert_uint_eq(take_all(), room);
	ck_assert_uint_eq(pacer_room(&pacer), 0);
}
END_TEST

START_TEST(a_pause_holds_everything_back_and_a_shorter_one_changes_nothing)
{
	uint64_t begin_ms = loop_now_ms();

	stopped_ns = loop_now_ns();
	pacer_init(&pacer, 0);
	pacer_pause(&pacer, 60);
	pacer_pause(&pacer, 10);
	ck_assert(pacer_paused(&pacer) && !pacer_take(&pacer));
	ck_assert_uint_eq(pacer_room(&pacer), 0);
	stopped_ns = 0;
	wait_for_pass();
	ck_assert_uint_ge(loop_now_ms() - begin_ms, 60);
	ck_assert(!pacer_paused(&pacer) && pacer_take(&pacer));
}
END_TEST

START_TEST(a_pause_that_ends_while_it_is_looked_at_is_not_waited_for_forever)
{
	stopped_ns = loop_now_ns();
	pacer_init(&pacer, 0);
	pacer_pause(&pacer, 60);
	timer_stop(&pacer.wait);
	lose_ms = 100;
	ck_assert(!pacer_take(&pacer));
	ck_assert(timer_active(&pacer.wait));
	ck_assert_uint_le(pacer.wait.due_ns, loop_now_ns() + 60 * 1000000);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		without_a_rate_nothing_waits,
		what_is_beyond_the_rate_waits_and_is_told,
		room_is_what_can_be_taken,
		a_pause_holds_everything_back_and_a_shorter_one_changes_nothing,
		a_pause_that_ends_while_it_is_looked_at_is_not_waited_for_forever,
	};

	return unit_run("pacer", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
}
