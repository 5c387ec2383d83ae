#include "tests/unit/loop_owner.h"

START_TEST(timers_expire_by_deadline_and_equal_ones_in_order_of_start)
{
	static const uint64_t delays_ms[] = { 3, 1, 2, 1, 3, 2, 1, 3, 2 };
	struct owner owners[ARRAY_LEN(delays_ms)];

	freeze();
	for (size_t i = 0; i < ARRAY_LEN(delays_ms); i++) {
		owners[i] = make((char)('a' + i), NULL);
		timer_start(&owners[i].timer, delays_ms[i]);
	}
	loop_turn(0);
	ck_assert_str_eq(trace, "");
	advance_ms(2);
	loop_turn(0);
	ck_assert_str_eq(trace, "bdgcfi");
	advance_ms(1);
	loop_turn(0);
	ck_assert_str_eq(trace, "bdgcfiaeh");
}
END_TEST

START_TEST(a_timer_started_again_counts_from_then_and_goes_behind_its_equals)
{
	struct owner a = make('a', NULL);
	struct owner b = make('b', NULL);

	freeze();
	timer_start(&a.timer, 10);
	timer_start(&b.timer, 10);
	timer_start(&a.timer, 10);
	advance_ms(10);
	loop_turn(0);
	ck_assert_str_eq(trace, "ba");
	ck_assert(!timer_active(&a.timer));

	timer_start(&a.timer, 10);
	advance_ms(9);
	timer_start(&a.timer, 10);
	advance_ms(9);
	loop_turn(0);
	ck_assert_str_eq(trace, "ba");
	advance_ms(1);
	loop_turn(0);
	ck_assert_str_eq(trace, "baa");
}
END_TEST

static void work_long_then_start_partner(struct owner *owner)
{
	io_stop(&owner->io);
	advance_ms(100);
	timer_start(&owner->partner->timer, 50);
}

START_TEST(a_long_callback_does_not_shorten_the_delay_of_a_timer_it_starts)
{
	struct owner a = make('a', work_long_then_start_partner);
	struct owner b = make('b', NULL);

	freeze();
	watch(&a, EPOLLIN);
	a.partner = &b;
	loop_turn(0);
	ck_assert_str_eq(trace, "a");
	advance_ms(49);
	loop_turn(0);
	ck_assert_str_eq(trace, "a");
	advance_ms(1);
	loop_turn(0);
	ck_assert_str_eq(trace, "ab");
	close(a.io.fd);
}
END_TEST

START_TEST(a_timer_stopped_by_another_that_is_due_with_it_does_not_expire)
{
	struct owner a = make('a', stop_partner);
	struct owner b = make('b', NULL);
	struct owner c = make('c', NULL);

	freeze();
	a.partner = &b;
	timer_start(&a.timer, 5);
	timer_start(&b.timer, 5);
	timer_start(&c.timer, 5);
	advance_ms(5);
	loop_turn(0);
	ck_assert_str_eq(trace, "ac");
}
END_TEST

static void start_self_at_once(struct owner *owner)
{
	timer_start(&owner->timer, 0);
}

START_TEST(a_timer_restarted_in_its_callback_waits_for_the_next_turn)
{
	struct owner a = make('a', start_self_at_once);
	struct owner b = make('b', NULL);

	freeze();
	timer_start(&a.timer, 0);
	timer_start(&b.timer, 0);
	loop_turn(0);
	ck_assert_str_eq(trace, "ab");
	loop_turn(-1);
	ck_assert_str_eq(trace, "aba");
	timer_stop(&a.timer);
}
END_TEST

START_TEST(waiting_ends_when_a_timer_is_due_and_never_before)
{
	struct owner a = make('a', NULL);
	uint64_t start_ns = loop_now_ns();

	timer_start(&a.timer, 20);
	while (trace[0] == '\0')
		loop_turn(-1);
	ck_assert_uint_ge(loop_now_ns() - start_ns, 20 * NS_PER_MS);
}
END_TEST

START_TEST(a_delay_beyond_all_time_never_expires)
{
	struct owner a = make('a', NULL);

	timer_start(&a.timer, UINT64_MAX);
	ck_assert_int_eq(wait_ms(-1), INT32_MAX);
	loop_turn(0);
	ck_assert_str_eq(trace, "");
	timer_stop(&a.timer);
}
END_TEST

#define MANY 20000

static struct timer many[MANY];
static uint64_t last_due_ns;
static uint64_t last_order;
static size_t expired_count;

static void check_order(struct timer *timer)
{
	ck_assert(timer->due_ns > last_due_ns ||
	          (timer->due_ns == last_due_ns && timer->order > last_order));
	ck_assert_uint_le(timer->due_ns, frozen_ns);
	last_due_ns = timer->due_ns;
	last_order = timer->order;
	expired_count++;
}

static void check_heap(void)
{
	for (uint32_t i = 0; i < loop.timers; i++) {
		ck_assert_uint_eq(loop.heap[i]->slot, i + 1);
		ck_assert(i == 0 || is_before(loop.heap[(i - 1) / 2], loop.heap[i]));
	}
}

START_TEST(twenty_thousand_timers_started_moved_and_stopped_keep_their_order)
{
	uint32_t number = 12345;
	size_t active = 0;

	freeze();
	for (size_t i = 0; i < MANY; i++)
		many[i].expired = check_order;
	for (size_t step = 0; step < 6 * MANY; step++) {
		struct timer *timer;

		number = number * 1664525 + 1013904223;
		timer = &many[(number >> 8) % MANY];
		if (number >> 30 == 0)
			timer_stop(timer);
		else
			timer_start(timer, (number >> 4) % 1000);
	}
	check_heap();
	for (size_t i = 0; i < MANY; i++)
		active += timer_active(&many[i]);
	ck_assert_uint_eq(active, loop.timers);
	ck_assert_uint_gt(active, MANY / 2);
	for (int i = 0; i < 100; i++) {
		advance_ms(10);
		loop_turn(0);
	}
	ck_assert_uint_eq(expired_count, active);
	ck_assert_uint_eq(loop.timers, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		timers_expire_by_deadline_and_equal_ones_in_order_of_start,
		a_timer_started_again_counts_from_then_and_goes_behind_its_equals,
		a_long_callback_does_not_shorten_the_delay_of_a_timer_it_starts,
		a_timer_stopped_by_another_that_is_due_with_it_does_not_expire,
		a_timer_restarted_in_its_callback_waits_for_the_next_turn,
		waiting_ends_when_a_timer_is_due_and_never_before,
		a_delay_beyond_all_time_never_expires,
		twenty_thousand_timers_started_moved_and_stopped_keep_their_order,
	};

	return unit_run("loop timers", tests, ARRAY_LEN(tests), setup, teardown);
}
