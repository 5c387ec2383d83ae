#include "common/base/file.c"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

static char path[] = "/tmp/og-file-XXXXXX";

static void enter(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "two\0words", 9), 9);
	close(fd);
}

static void leave(void)
{
	unlink(path);
}

START_TEST(a_file_is_read_whole_with_a_zero_behind_it)
{
	size_t len = 0;
	char *data = file_read(path, 9, &len);

	ck_assert_ptr_nonnull(data);
	ck_assert_uint_eq(len, 9);
	ck_assert_mem_eq(data, "two\0words", 10);
	free(data);
}
END_TEST

START_TEST(a_file_that_is_larger_than_allowed_is_refused)
{
	size_t len;

	ck_assert_ptr_null(file_read(path, 8, &len));
	ck_assert_int_eq(errno, EFBIG);
	ck_assert_ptr_null(file_read("/dev/zero", 8, &len));
	ck_assert_int_eq(errno, EFBIG);
}
END_TEST

START_TEST(what_cannot_be_read_says_why)
{
	size_t len;

	ck_assert_ptr_null(file_read("/nowhere/file", 8, &len));
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_ptr_null(file_read("/tmp", 8, &len));
	ck_assert_int_eq(errno, EISDIR);
}
END_TEST

START_TEST(a_pipe_that_comes_in_pieces_is_read_to_its_end)
{
	int ends[2];
	char name[32];
	size_t len;
	char *data;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(write(ends[1], "abc", 3), 3);
	close(ends[1]);
	snprintf(name, sizeof(name), "/dev/fd/%d", ends[0]);
	data = file_read(name, 100, &len);
	ck_assert_str_eq(data, "abc");
	ck_assert_uint_eq(len, 3);
	free(data);
	close(ends[0]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_file_is_read_whole_with_a_zero_behind_it,
		a_file_that_is_larger_than_allowed_is_refused,
		what_cannot_be_read_says_why,
		a_pipe_that_comes_in_pieces_is_read_to_its_end,
	};

	return unit_run("file", tests, ARRAY_LEN(tests), enter, leave);
}
