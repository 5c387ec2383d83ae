#include "relayd/io/pump.c"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/base/mem.h"
#include "common/daemon.h"
#include "tests/unit/tcp_pair.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define PLENTY 100000

/*
 * The sender writes to source[0]; the flow goes from source[1] to sink[0]; the receiver reads
 * sink[1].
 */
static int source[2], sink[2];
static struct flow flow;

static void setup_with(unsigned pages)
{
	loop_init();
	open_pool(PLENTY, pages);
	tcp_pair(source);
	tcp_pair(sink);
	flow = (struct flow){ .readable = true, .writable = true };
}

static void setup(void)
{
	setup_with(PLENTY);
}

static void setup_memory(void)
{
	setup_with(0);
}

static void teardown(void)
{
	ck_assert_ptr_null(flow.pipe);
	pump_module.stop();
	for (int i = 0; i < 2; i++) {
		close(source[i]);
		close(sink[i]);
	}
	loop_release();
}

/* As a loop's events would: all may have changed. Runs until nothing is left to do now. */
static void pump_with(uint64_t *budget)
{
	flow.readable = flow.writable = true;
	while (pump_run(&flow, source[1], sink[0], budget))
		;
}

static void pump(void)
{
	pump_with(NULL);
}

/* Waits until the kernel has carried COUNT unread bytes to FD. */
static void wait_for_bytes(int fd, int count)
{
	int waiting = 0;

	WAIT_UNTIL((ioctl(fd, FIONREAD, &waiting), waiting >= count));
}

static unsigned char pattern(uint64_t at)
{
	return (unsigned char)(at * 131 + (at >> 8) * 7);
}

/* Writes as much of the pattern as the kernel takes, up to LEFT bytes from place AT on. */
static size_t offer(uint64_t at, size_t left)
{
	static unsigned char bytes[100000];
	size_t len = left < sizeof(bytes) ? left : sizeof(bytes);
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		bytes[i] = pattern(at + i);
	n = len == 0 ? 0 : send(source[0], bytes, len, MSG_NOSIGNAL);
	return n > 0 ? (size_t)n : 0;
}

/* Reads at most MOST bytes and checks that they are those of the pattern from AT on. */
static size_t take(uint64_t at, size_t most)
{
	static unsigned char bytes[100000];
	ssize_t n = recv(sink[1], bytes, most < sizeof(bytes) ? most : sizeof(bytes), 0);

	for (ssize_t i = 0; i < n; i++)
		if (bytes[i] != pattern(at + (uint64_t)i))
			ck_abort_msg("wrong byte at %llu", (unsigned long long)at + i);
	return n > 0 ? (size_t)n : 0;
}

/* Carries TOTAL bytes through the flow with a receiver that reads at most MOST at once. */
static void carry(uint64_t total, size_t most)
{
	uint64_t sent = 0, got = 0;

	while (got < total) {
		sent += offer(sent, total - sent);
		pump();
		got += take(got, most);
	}
	ck_assert_uint_eq(flow.received, total);
	ck_assert_uint_eq(flow.delivered, total);
}

START_TEST(megabytes_arrive_unchanged)
{
	carry(20 * 1024 * 1024 + 3, 100000);
}
END_TEST

START_TEST(a_reader_slower_than_the_sender_gets_every_byte)
{
	carry(9 * 1024 * 1024 + 1, 3001);
}
END_TEST

START_TEST(no_pipe_is_held_while_nothing_is_in_flight)
{
	pump();
	ck_assert_ptr_null(flow.pipe);
	ck_assert(!flow.readable);
	carry(1000, 100000);
	ck_assert_ptr_null(flow.pipe);
}
END_TEST

START_TEST(bytes_sent_one_at_a_time_arrive_one_at_a_time)
{
	for (uint64_t at = 0; at < 300; at++) {
		ck_assert_uint_eq(offer(at, 1), 1);
		wait_for_bytes(source[1], 1);
		pump();
		wait_for_bytes(sink[1], 1);
		ck_assert_uint_eq(take(at, 10), 1);
	}
}
END_TEST

START_TEST(an_end_becomes_an_end_behind_the_last_byte)
{
	char byte;

	ck_assert_uint_eq(offer(0, 5000), 5000);
	shutdown(source[0], SHUT_WR);
	wait_for_bytes(source[1], 5000);
	WAIT_UNTIL((pump(), flow.state != FLOW_OPEN));
	ck_assert_int_eq(flow.state, FLOW_ENDED);
	wait_for_bytes(sink[1], 5000);
	ck_assert_uint_eq(take(0, 100000), 5000);
	ck_assert_int_eq(recv(sink[1], &byte, 1, 0), 0);
	/* The other direction is open still. */
	ck_assert_int_eq(send(sink[1], "x", 1, 0), 1);
	wait_for_bytes(sink[0], 1);
}
END_TEST

/* Fills the way to a receiver that doesn't read; how many bytes the sender got rid of. */
static uint64_t stall(void)
{
	uint64_t sent = 0;

	for (int idle = 0; idle < 50; idle++) {
		size_t n = offer(sent, 100000);

		sent += n;
		pump();
		if (n > 0)
			idle = 0;
		else
			loop_turn(1);
	}
	return sent;
}

START_TEST(an_end_waits_for_a_reader_that_stalls)
{
	uint64_t sent = stall(), got = 0;
	char byte;

	ck_assert_ptr_nonnull(flow.pipe);
	ck_assert_uint_le(flow.received - flow.delivered, PIPE_LARGE_BYTES);
	shutdown(source[0], SHUT_WR);
	pump();
	ck_assert_int_eq(flow.state, FLOW_OPEN);
	while (got < sent) {
		got += take(got, 100000);
		pump();
	}
	WAIT_UNTIL((pump(), flow.state != FLOW_OPEN));
	ck_assert_int_eq(flow.state, FLOW_ENDED);
	WAIT_UNTIL(recv(sink[1], &byte, 1, 0) == 0);
}
END_TEST

START_TEST(work_is_bounded_and_the_rest_is_announced)
{
	int rounds = 0;
	uint64_t sent = 0;
	size_t n;

	while ((n = offer(sent, 100000)) > 0)
		sent += n;
	wait_for_bytes(source[1], ROUNDS + 1);
	flow.chunk = 1;
	/* A pipe that is drained every time doubles the chunk; it is held at one byte here. */
	while (rounds < 3) {
		uint64_t before = flow.received;

		flow.chunk = 1;
		ck_assert(pump_run(&flow, source[1], sink[0], NULL));
		ck_assert_uint_ge(flow.received - before, 1);
		ck_assert_uint_lt(flow.received - before, 1 << ROUNDS);
		rounds++;
	}
}
END_TEST

START_TEST(a_chunk_grows_with_a_sink_that_keeps_up_and_shrinks_when_it_blocks)
{
	uint32_t grown;

	carry(8 * 1024 * 1024, 100000);
	grown = flow.chunk;
	ck_assert_uint_ge(grown, CHUNK_LEAST);
	(void)stall();
	ck_assert_uint_lt(flow.chunk, PIPE_LARGE_BYTES);
	pump_abandon(&flow);
}
END_TEST

START_TEST(what_came_before_a_reset_is_delivered_before_it_is_reported)
{
	ck_assert_uint_eq(offer(0, 30000), 30000);
	wait_for_bytes(source[1], 30000);
	tcp_reset(source[0]);
	source[0] = -1;
	WAIT_UNTIL((pump(), flow.state != FLOW_OPEN));
	ck_assert_int_eq(flow.state, FLOW_SOURCE_FAILED);
	ck_assert_int_eq(flow.error, ECONNRESET);
	wait_for_bytes(sink[1], 30000);
	ck_assert_uint_eq(take(0, 100000), 30000);
}
END_TEST

START_TEST(a_sink_that_is_gone_fails_the_flow_and_gives_the_pipe_back)
{
	uint64_t sent = 0;

	tcp_reset(sink[1]);
	sink[1] = -1;
	WAIT_UNTIL((sent += offer(sent, 1000), pump(), flow.state != FLOW_OPEN));
	ck_assert_int_eq(flow.state, FLOW_SINK_FAILED);
	ck_assert_int_ne(flow.error, 0);
}
END_TEST

START_TEST(the_end_of_a_broken_source_is_no_end)
{
	char byte;

	flow.source_broken = true;
	shutdown(source[0], SHUT_WR);
	WAIT_UNTIL((pump(), flow.state != FLOW_OPEN));
	ck_assert_int_eq(flow.state, FLOW_SOURCE_FAILED);
	ck_assert_int_eq(recv(sink[1], &byte, 1, 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

START_TEST(a_flow_that_is_over_stays_as_it_is)
{
	shutdown(source[0], SHUT_WR);
	WAIT_UNTIL((pump(), flow.state == FLOW_ENDED));
	ck_assert(!pump_run(&flow, source[1], sink[0], NULL));
	pump_abandon(&flow);
	ck_assert_int_eq(flow.state, FLOW_ENDED);
}
END_TEST

START_TEST(no_byte_is_read_beyond_the_budget)
{
	uint64_t budget = 0, sent = 0, allowed = 0, got = 0;

	for (uint64_t more = 1; allowed < 300000; more += allowed / 3) {
		budget += more;
		allowed += more;
		while (got < allowed || !flow.starving) {
			sent += offer(sent, allowed + 1 - sent);
			pump_with(&budget);
			ck_assert_uint_eq(flow.received + budget, allowed);
			got += take(got, 100000);
		}
		ck_assert_uint_eq(budget, 0);
		ck_assert_uint_eq(flow.delivered, allowed);
	}
}
END_TEST

START_TEST(without_budget_a_source_with_nothing_to_say_does_not_starve)
{
	uint64_t budget = 5;

	ck_assert_uint_eq(offer(0, 5), 5);
	wait_for_bytes(source[1], 5);
	pump_with(&budget);
	ck_assert_uint_eq(budget, 0);
	ck_assert(!flow.starving);
	ck_assert_int_eq(flow.state, FLOW_OPEN);
	ck_assert_uint_eq(offer(5, 1), 1);
	wait_for_bytes(source[1], 1);
	pump_with(&budget);
	ck_assert(flow.starving);
	ck_assert_uint_eq(flow.received, 5);
	budget = 100;
	pump_with(&budget);
	ck_assert(!flow.starving);
	ck_assert_uint_eq(flow.received, 6);
	ck_assert_uint_eq(budget, 99);
}
END_TEST

START_TEST(without_budget_an_end_is_seen)
{
	uint64_t budget = 0;
	char byte;

	shutdown(source[0], SHUT_WR);
	WAIT_UNTIL((pump_with(&budget), flow.state != FLOW_OPEN));
	ck_assert_int_eq(flow.state, FLOW_ENDED);
	WAIT_UNTIL(recv(sink[1], &byte, 1, 0) == 0);
}
END_TEST

START_TEST(without_budget_a_reset_is_seen)
{
	uint64_t budget = 0;

	tcp_reset(source[0]);
	source[0] = -1;
	WAIT_UNTIL((pump_with(&budget), flow.state != FLOW_OPEN));
	ck_assert_int_eq(flow.state, FLOW_SOURCE_FAILED);
}
END_TEST

START_TEST(a_stopped_flow_delivers_what_it_has_read_and_no_end)
{
	uint64_t sent = stall(), got = 0, received = flow.received;
	char byte;

	ck_assert_uint_gt(sent, received);
	flow.stopped = true;
	while (flow.state == FLOW_OPEN) {
		got += take(got, 100000);
		pump();
	}
	ck_assert_int_eq(flow.state, FLOW_STOPPED);
	while (got < received)
		got += take(got, 100000);
	ck_assert_uint_eq(flow.received, received);
	ck_assert_uint_eq(flow.delivered, received);
	ck_assert_int_eq(recv(sink[1], &byte, 1, MSG_DONTWAIT), -1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		no_byte_is_read_beyond_the_budget,
		without_budget_a_source_with_nothing_to_say_does_not_starve,
		without_budget_an_end_is_seen,
		without_budget_a_reset_is_seen,
		a_stopped_flow_delivers_what_it_has_read_and_no_end,
		megabytes_arrive_unchanged,
		a_reader_slower_than_the_sender_gets_every_byte,
		no_pipe_is_held_while_nothing_is_in_flight,
		bytes_sent_one_at_a_time_arrive_one_at_a_time,
		an_end_becomes_an_end_behind_the_last_byte,
		an_end_waits_for_a_reader_that_stalls,
		work_is_bounded_and_the_rest_is_announced,
		a_chunk_grows_with_a_sink_that_keeps_up_and_shrinks_when_it_blocks,
		what_came_before_a_reset_is_delivered_before_it_is_reported,
		a_sink_that_is_gone_fails_the_flow_and_gives_the_pipe_back,
		the_end_of_a_broken_source_is_no_end,
		a_flow_that_is_over_stays_as_it_is,
	};
	int with_pipes = unit_run("pump", tests, ARRAY_LEN(tests), setup, teardown);
	int with_memory =
	        unit_run("pump in memory", tests, ARRAY_LEN(tests), setup_memory, teardown);

	return with_pipes == EXIT_SUCCESS ? with_memory : with_pipes;
}
