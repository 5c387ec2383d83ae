#include "relayd/io/pump.c"

#include <string.h>

#include "tests/unit/tcp_pair.h"
#include "tests/unit/unit.h"

#define PLENTY 100000

static int ends[2];

static void setup(void)
{
	loop_init();
	tcp_pair(ends);
}

static void teardown(void)
{
	pump_module.stop();
	close(ends[0]);
	close(ends[1]);
	loop_release();
	ck_assert_uint_eq(pool.descriptors, 0);
	ck_assert_uint_eq(pool.pages, 0);
	for (int tier = 0; tier < PIPE_TIERS; tier++)
		ck_assert_int_eq(lent[tier], 0);
}

/* Sends TEXT through PIPE from one end of the connection to itself and back. */
static void check_carries(struct pipe *pipe, const char *text)
{
	char got[64] = "";
	size_t len = strlen(text);

	ck_assert_int_eq(send(ends[0], text, len, 0), (ssize_t)len);
	ck_assert_int_eq(pipe_splice_in(pipe, ends[1], pipe->size), (ssize_t)len);
	ck_assert_uint_eq(pipe->held, len);
	ck_assert_int_eq(pipe_splice_out(pipe, ends[1]), (ssize_t)len);
	ck_assert_uint_eq(pipe->held, 0);
	ck_assert_int_eq(recv(ends[0], got, sizeof(got), 0), (ssize_t)len);
	ck_assert_str_eq(got, text);
}

START_TEST(every_kind_of_pipe_carries_bytes)
{
	static const unsigned pages[PIPE_TIERS] = { PLENTY, 512, 64, 0 };

	for (int tier = 0; tier < PIPE_TIERS; tier++) {
		struct pipe *pipe;

		open_pool(PLENTY, pages[tier]);
		pipe = pipe_take();
		ck_assert_int_eq(pipe->tier, tier);
		ck_assert_uint_eq(pipe->size, tier_bytes[tier]);
		check_carries(pipe, "some bytes");
		check_carries(pipe, "and some more");
		pipe_give(pipe);
		pump_module.stop();
	}
}
END_TEST

START_TEST(an_empty_socket_is_not_its_end)
{
	for (unsigned pages = 0; pages <= PLENTY; pages += PLENTY) {
		struct pipe *pipe;

		open_pool(PLENTY, pages);
		pipe = pipe_take();
		ck_assert_int_eq(pipe_splice_in(pipe, ends[1], 1000), -1);
		ck_assert_int_eq(errno, EAGAIN);
		pipe_give(pipe);
	}
}
END_TEST

START_TEST(the_end_of_a_socket_is_reported_by_every_kind)
{
	shutdown(ends[0], SHUT_WR);
	for (unsigned pages = 0; pages <= PLENTY; pages += PLENTY) {
		struct pipe *pipe;

		open_pool(PLENTY, pages);
		pipe = pipe_take();
		ck_assert_int_eq(pipe_splice_in(pipe, ends[1], 1000), 0);
		pipe_give(pipe);
	}
}
END_TEST

START_TEST(a_pipe_given_back_empty_is_lent_again)
{
	struct pipe *pipe, *other;

	open_pool(PLENTY, PLENTY);
	pipe = pipe_take();
	other = pipe_take();
	ck_assert_ptr_ne(pipe, other);
	pipe_give(pipe);
	ck_assert_ptr_eq(pipe_take(), pipe);
	pipe_give(other);
	pipe_give(pipe);
}
END_TEST

START_TEST(a_pipe_with_bytes_in_it_is_never_lent_again)
{
	struct pipe *pipe;

	open_pool(PLENTY, PLENTY);
	pipe = pipe_take();
	ck_assert_int_eq(send(ends[0], "secret", 6, 0), 6);
	ck_assert_int_eq(pipe_splice_in(pipe, ends[1], 100), 6);
	pipe_give(pipe);
	ck_assert_uint_eq(pool.descriptors, 0);
	pipe = pipe_take();
	ck_assert_uint_eq(pipe->held, 0);
	check_carries(pipe, "only this");
	pipe_give(pipe);
}
END_TEST

START_TEST(when_pages_run_short_pipes_get_smaller_and_then_are_memory)
{
	/*
	 * 512 pages: a quarter is less than one huge pipe, half is 4 large ones, seven eighths
	 * leave room for 12 small ones.
	 */
	struct pipe *pipes[20];
	unsigned count[PIPE_TIERS] = { 0 };

	open_pool(PLENTY, 512);
	for (size_t i = 0; i < ARRAY_LEN(pipes); i++) {
		pipes[i] = pipe_take();
		count[pipes[i]->tier]++;
	}
	ck_assert_uint_eq(count[PIPE_LARGE], 4);
	ck_assert_uint_eq(count[PIPE_SMALL], 12);
	ck_assert_uint_eq(count[PIPE_MEMORY], 4);
	for (size_t i = 0; i < ARRAY_LEN(pipes); i++)
		pipe_give(pipes[i]);
	pipes[0] = pipe_take();
	ck_assert_int_eq(pipes[0]->tier, PIPE_LARGE);
	pipe_give(pipes[0]);
}
END_TEST

START_TEST(when_descriptors_run_short_the_rest_is_memory)
{
	struct pipe *first, *second;

	open_pool(3, PLENTY);
	first = pipe_take();
	second = pipe_take();
	ck_assert_int_eq(first->tier, PIPE_HUGE);
	ck_assert_int_eq(second->tier, PIPE_MEMORY);
	pipe_give(first);
	pipe_give(second);
}
END_TEST

START_TEST(a_kernel_that_gives_no_pipe_is_asked_again_only_later)
{
	struct rlimit limit, none = { 3, 3 };
	struct pipe *pipe;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none.rlim_max = limit.rlim_max;
	open_pool(PLENTY, PLENTY);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	pipe = pipe_take();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(pipe->tier, PIPE_MEMORY);
	pipe_give(pipe);
	pipe = pipe_take();
	ck_assert_int_eq(pipe->tier, PIPE_MEMORY);
	pipe_give(pipe);
	pool.pause_until_ms = loop_now_ms();
	pipe = pipe_take();
	ck_assert_int_eq(pipe->tier, PIPE_HUGE);
	pipe_give(pipe);
}
END_TEST

START_TEST(no_more_idle_pipes_are_kept_than_are_useful)
{
	struct pipe *pipes[IDLE_MAX + 5];

	open_pool(PLENTY, PLENTY);
	for (size_t i = 0; i < ARRAY_LEN(pipes); i++)
		pipes[i] = pipe_take();
	for (size_t i = 0; i < ARRAY_LEN(pipes); i++)
		pipe_give(pipes[i]);
	ck_assert_uint_eq(pool.descriptors, 2 * IDLE_MAX);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_kind_of_pipe_carries_bytes,
		an_empty_socket_is_not_its_end,
		the_end_of_a_socket_is_reported_by_every_kind,
		a_pipe_given_back_empty_is_lent_again,
		a_pipe_with_bytes_in_it_is_never_lent_again,
		when_pages_run_short_pipes_get_smaller_and_then_are_memory,
		when_descriptors_run_short_the_rest_is_memory,
		a_kernel_that_gives_no_pipe_is_asked_again_only_later,
		no_more_idle_pipes_are_kept_than_are_useful,
	};

	return unit_run("pump pipes", tests, ARRAY_LEN(tests), setup, teardown);
}
