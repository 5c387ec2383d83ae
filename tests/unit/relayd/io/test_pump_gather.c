#include "relayd/io/pump.c"

#include <unistd.h>

#include "tests/unit/tcp_pair.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

/* The sender writes to ends[0], the flow's source is ends[1]. */
static int ends[2];
static struct flow flow;
static struct io source;
static unsigned woken;

static void on_source(struct io *io, uint32_t events)
{
	woken++;
}

static void setup(void)
{
	loop_init();
	tcp_pair(ends);
	flow = (struct flow){ 0 };
	source = (struct io){ .ready = on_source };
	ck_assert_int_eq(io_start(&source, ends[1], EPOLLIN | EPOLLRDHUP | EPOLLET), 0);
	loop_turn(0);
	woken = 0;
}

static void teardown(void)
{
	forget_gather(&flow);
	ck_assert(list_empty(&gathered));
	ck_assert(!timer_active(&pause_timer));
	io_stop(&source);
	close(ends[0]);
	close(ends[1]);
	loop_release();
}

static int low_water(void)
{
	int bytes = 0;
	socklen_t len = sizeof(bytes);

	ck_assert_int_eq(getsockopt(ends[1], SOL_SOCKET, SO_RCVLOWAT, &bytes, &len), 0);
	return bytes;
}

static void say(const char *text, size_t len)
{
	ck_assert_int_eq(send(ends[0], text, len, 0), (ssize_t)len);
}

START_TEST(a_slow_source_is_left_alone)
{
	gather_if_fast(&flow, ends[1], GATHER_BURST_BYTES - 1);
	ck_assert_ptr_null(flow.gather);
	ck_assert_int_eq(low_water(), 1);
}
END_TEST

START_TEST(a_fast_source_gathers_before_it_wakes)
{
	static const char bytes[GATHER_LEAST_BYTES];

	gather_if_fast(&flow, ends[1], GATHER_BURST_BYTES);
	timer_stop(&pause_timer); /* or a slow machine would see it pause */
	ck_assert_int_eq(low_water(), GATHER_LEAST_BYTES);
	say("some", 4);
	turn_for(50);
	ck_assert_uint_eq(woken, 0);
	for (size_t sent = 4; woken == 0; loop_turn(1)) {
		ssize_t n = send(ends[0], bytes, 4096, MSG_DONTWAIT);

		ck_assert_uint_le(sent, 2 * sizeof(bytes));
		sent += n > 0 ? (size_t)n : 0;
	}
}
END_TEST

START_TEST(what_a_source_sent_before_it_paused_comes_soon)
{
	gather_if_fast(&flow, ends[1], GATHER_BURST_BYTES);
	say("the last words", 14);
	WAIT_UNTIL(woken > 0);
	ck_assert_ptr_null(flow.gather);
	ck_assert_int_eq(low_water(), 1);
}
END_TEST

START_TEST(a_source_that_goes_on_stays_fast)
{
	gather_if_fast(&flow, ends[1], GATHER_BURST_BYTES);
	for (int i = 0; i < 3; i++) {
		flow.received += 1000;
		end_pauses(&pause_timer);
		ck_assert_ptr_nonnull(flow.gather);
	}
	end_pauses(&pause_timer);
	ck_assert_ptr_null(flow.gather);
}
END_TEST

START_TEST(the_end_of_a_fast_source_wakes_at_once)
{
	gather_if_fast(&flow, ends[1], GATHER_BURST_BYTES);
	timer_stop(&pause_timer);
	say("the end", 7);
	shutdown(ends[0], SHUT_WR);
	WAIT_UNTIL(woken > 0);
	ck_assert_ptr_nonnull(flow.gather);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_slow_source_is_left_alone,
		a_fast_source_gathers_before_it_wakes,
		what_a_source_sent_before_it_paused_comes_soon,
		a_source_that_goes_on_stays_fast,
		the_end_of_a_fast_source_wakes_at_once,
	};

	return unit_run("pump gathering", tests, ARRAY_LEN(tests), setup, teardown);
}
