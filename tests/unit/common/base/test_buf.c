#include "common/base/buf.c"

#include <fcntl.h>
#include <signal.h>

#include "tests/unit/unit.h"

static void check_content(const struct buf *buf, const char *expected)
{
	ck_assert_uint_eq(buf_len(buf), strlen(expected));
	ck_assert_mem_eq(buf_data(buf), expected, strlen(expected));
}

START_TEST(what_is_appended_is_consumed_in_order)
{
	struct buf buf = { 0 };

	ck_assert_int_eq(buf_append(&buf, "one ", 4), 0);
	ck_assert_int_eq(buf_text(&buf, "two "), 0);
	ck_assert_int_eq(buf_printf(&buf, "%d", 3), 0);
	check_content(&buf, "one two 3");
	buf_consume(&buf, 4);
	check_content(&buf, "two 3");
	buf_release(&buf);
}
END_TEST

START_TEST(formatting_has_room_for_its_nul_at_every_length)
{
	for (int len = 1; len <= 2 * LEAST_BYTES; len++) {
		struct buf buf = { 0 };

		ck_assert_int_eq(buf_printf(&buf, "%*s", len, "x"), 0);
		ck_assert_uint_eq(buf_len(&buf), (size_t)len);
		ck_assert_int_eq(buf_data(&buf)[len - 1], 'x');
		buf_release(&buf);
	}
}
END_TEST

START_TEST(an_emptied_buffer_holds_no_memory)
{
	struct buf buf = { 0 };

	buf_text(&buf, "text");
	buf_consume(&buf, 1000);
	ck_assert_ptr_null(buf.bytes);
	ck_assert_uint_eq(buf.size, 0);
	ck_assert_int_eq(buf_append(&buf, NULL, 0), 0);
	ck_assert_int_eq(buf_printf(&buf, "%s", ""), 0);
	ck_assert_ptr_null(buf.bytes);
}
END_TEST

START_TEST(the_cap_counts_unconsumed_bytes_and_leaves_the_buffer_as_it_was)
{
	struct buf buf = { .max = 8 };

	ck_assert_int_eq(buf_text(&buf, "12345678"), 0);
	ck_assert_int_eq(buf_text(&buf, "9"), -1);
	ck_assert_int_eq(buf_printf(&buf, "%d", 9), -1);
	check_content(&buf, "12345678");
	buf_consume(&buf, 3);
	ck_assert_int_eq(buf_printf(&buf, "%s", "9ab"), 0);
	ck_assert_int_eq(buf_append(&buf, "c", 1), -1);
	check_content(&buf, "456789ab");
	buf_release(&buf);
	ck_assert_uint_eq(buf.max, 8);
}
END_TEST

START_TEST(a_queue_that_is_fed_and_drained_for_long_stays_small_and_true)
{
	struct buf buf = { 0 };
	unsigned char fed = 0, drained = 0;

	for (size_t i = 0; i < 700; i++, fed++)
		buf_append(&buf, &fed, 1);
	for (size_t round = 0; round < 20000; round++) {
		ck_assert_uint_eq((unsigned char)*buf_data(&buf), drained);
		drained++;
		buf_consume(&buf, 1);
		buf_append(&buf, &fed, 1);
		fed++;
	}
	ck_assert_uint_eq(buf_len(&buf), 700);
	ck_assert_uint_le(buf.size, 4 * 1024);
	buf_release(&buf);
}
END_TEST

START_TEST(bytes_fed_one_at_a_time_are_the_bytes_that_come_out)
{
	struct buf buf = { 0 };
	char *text;

	for (size_t i = 0; i < 5000; i++)
		buf_append(&buf, &"abcdefg"[i % 7], 1);
	buf_consume(&buf, 8);
	text = buf_take(&buf);
	ck_assert_uint_eq(strlen(text), 4992);
	ck_assert_int_eq(strncmp(text, "bcdefgabc", 9), 0);
	ck_assert_uint_eq(buf_len(&buf), 0);
	ck_assert_ptr_null(buf.bytes);
	free(text);
}
END_TEST

START_TEST(taking_from_an_empty_buffer_gives_an_empty_string)
{
	struct buf buf = { 0 };
	char *text = buf_take(&buf);

	ck_assert_str_eq(text, "");
	free(text);
}
END_TEST

START_TEST(flushing_stops_where_the_kernel_does_and_goes_on_later)
{
	struct buf buf = { 0 };
	char *block = mem_alloc(1, 300000);
	size_t got = 0;
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
	for (size_t i = 0; i < 300000; i++)
		block[i] = (char)(i % 251);
	buf_append(&buf, block, 300000);
	while (got < 300000) {
		unsigned char chunk[4096];
		ssize_t count;

		ck_assert_int_eq(buf_flush(&buf, fds[1]), 0);
		ck_assert(buf_len(&buf) == 0 || buf_len(&buf) < 300000);
		count = read(fds[0], chunk, sizeof(chunk));
		ck_assert_int_gt(count, 0);
		ck_assert_mem_eq(chunk, block + got, (size_t)count);
		got += (size_t)count;
	}
	ck_assert_uint_eq(buf_len(&buf), 0);
	ck_assert_ptr_null(buf.bytes);
	close(fds[0]);
	close(fds[1]);
	free(block);
}
END_TEST

START_TEST(flushing_to_a_closed_peer_fails_with_errno_and_keeps_the_bytes)
{
	struct buf buf = { 0 };
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe(fds), 0);
	close(fds[0]);
	buf_text(&buf, "lost");
	ck_assert_int_eq(buf_flush(&buf, fds[1]), -1);
	ck_assert_int_eq(errno, EPIPE);
	check_content(&buf, "lost");
	close(fds[1]);
	buf_release(&buf);
}
END_TEST

START_TEST(a_cleared_buffer_is_empty_and_takes_as_much_as_before)
{
	struct buf buf = { .max = 4 };
	const char *bytes;

	ck_assert_int_eq(buf_text(&buf, "abcd"), 0);
	buf_consume(&buf, 1);
	bytes = buf.bytes;
	buf_clear(&buf);
	ck_assert_uint_eq(buf_len(&buf), 0);
	ck_assert_int_eq(buf_text(&buf, "efgh"), 0);
	ck_assert_ptr_eq(buf.bytes, bytes);
	ck_assert_mem_eq(buf_data(&buf), "efgh", 4);
	buf_release(&buf);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_is_appended_is_consumed_in_order,
		formatting_has_room_for_its_nul_at_every_length,
		an_emptied_buffer_holds_no_memory,
		the_cap_counts_unconsumed_bytes_and_leaves_the_buffer_as_it_was,
		a_queue_that_is_fed_and_drained_for_long_stays_small_and_true,
		bytes_fed_one_at_a_time_are_the_bytes_that_come_out,
		taking_from_an_empty_buffer_gives_an_empty_string,
		flushing_stops_where_the_kernel_does_and_goes_on_later,
		flushing_to_a_closed_peer_fails_with_errno_and_keeps_the_bytes,
		a_cleared_buffer_is_empty_and_takes_as_much_as_before,
	};

	return unit_run("buf", tests, ARRAY_LEN(tests), NULL, NULL);
}
