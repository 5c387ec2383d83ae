#include "common/base/log.c"

#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/base/mem.h"
#include "tests/unit/unit.h"

/* Standard error is a datagram socket: what one write() wrote is what one recv() gives. */
static int reader;
static int real_stderr;
static char line[8192];

static void setup(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	real_stderr = dup(STDERR_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	reader = fds[0];
	log_init("relayd", LOG_INFO);
}

static void teardown(void)
{
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(reader);
}

/* The bytes of the next write, or "" when there was none. */
static const char *next_write(void)
{
	ssize_t len = recv(reader, line, sizeof(line) - 1, MSG_DONTWAIT);

	line[len < 0 ? 0 : len] = '\0';
	return line;
}

/* What follows the date of the next line. */
static const char *next_text(void)
{
	const char *space = strchr(next_write(), ' ');

	return space == NULL ? "" : space + 1;
}

START_TEST(a_line_has_date_level_name_and_text_in_one_write)
{
	regex_t form;

	log_info("stream-ended id=%s bytes=%d", "ab12", 7);
	regcomp(&form,
	        "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "
	        "info relayd: stream-ended id=ab12 bytes=7\n$",
	        REG_EXTENDED | REG_NOSUB);
	ck_assert_int_eq(regexec(&form, next_write(), 0, NULL, 0), 0);
	ck_assert_str_eq(next_write(), "");
	regfree(&form);
}
END_TEST

START_TEST(lines_below_the_least_level_are_not_written)
{
	log_debug("a");
	ck_assert_str_eq(next_write(), "");
	ck_assert(!log_debugging());
	log_set_level(LOG_ERROR);
	log_info("b");
	log_warn("c");
	ck_assert_str_eq(next_write(), "");
	log_error("d");
	ck_assert_str_eq(next_text(), "error relayd: d\n");
	log_set_level(LOG_DEBUG);
	ck_assert(log_debugging());
	log_debug("e");
	ck_assert_str_eq(next_text(), "debug relayd: e\n");
	log_warn("f");
	ck_assert_str_eq(next_text(), "warn relayd: f\n");
}
END_TEST

START_TEST(levels_are_known_by_name)
{
	ck_assert_int_eq(log_level_by_name("debug"), LOG_DEBUG);
	ck_assert_int_eq(log_level_by_name("error"), LOG_ERROR);
	ck_assert_int_eq(log_level_by_name("loud"), -1);
	ck_assert_int_eq(log_level_by_name(""), -1);
}
END_TEST

START_TEST(control_codes_are_escaped_and_other_text_is_not)
{
	log_info("jid=%s", "a\nb\r\x1b[2J\x7f \xc2\x9b! \xc3\xa4\xe2\x82\xac \xff");
	ck_assert_str_eq(next_text(), "info relayd: jid=a\\x0ab\\x0d\\x1b[2J\\x7f \\xc2\\x9b! "
	                              "\xc3\xa4\xe2\x82\xac \xff\n");
	ck_assert_str_eq(next_write(), "");
}
END_TEST

START_TEST(characters_that_change_how_text_is_shown_are_escaped)
{
	log_info("jid=%s", "a\xe2\x80\xae"
	                   "b\xe2\x81\xa6\xe2\x80\x8b\xef\xbb\xbf\xd8\x9c"
	                   "\xe2\x80\xa8\xf3\xa0\x81\x81\xc2\xad|\xe2\x80\xa6\xe2\x80\x93");
	ck_assert_str_eq(next_text(),
	                 "info relayd: jid=a\\xe2\\x80\\xae"
	                 "b\\xe2\\x81\\xa6\\xe2\\x80\\x8b"
	                 "\\xef\\xbb\\xbf\\xd8\\x9c\\xe2\\x80\\xa8\\xf3\\xa0\\x81\\x81\\xc2\\xad|"
	                 "\xe2\x80\xa6\xe2\x80\x93\n");
}
END_TEST

/* Standard error becomes a pipe of one page. */
static void use_pipe(void)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_ge(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	close(reader);
	reader = fds[0];
	ck_assert_int_eq(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
}

static unsigned stalls;

static void on_stalled(int fd)
{
	ck_assert_int_ge(fd, 0);
	stalls++;
}

static int number_at(const char *text)
{
	return (int)strtol(text, NULL, 10);
}

/* Reads all that has been written: whole lines "n=1", "n=2"… The number of the last. */
static int read_numbers(int last, int *dropped)
{
	static char text[1 << 20];
	size_t len = 0;
	ssize_t n;

	do {
		while ((n = read(reader, text + len, sizeof(text) - 1 - len)) > 0)
			len += (size_t)n;
	} while (!log_flush());
	while ((n = read(reader, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	for (char *rest = text, *one; (one = strsep(&rest, "\n")) != NULL && *one != '\0';) {
		const char *number = strstr(one, "n="), *count = strstr(one, "dropped count=");

		if (count != NULL) {
			last += number_at(count + strlen("dropped count="));
			*dropped += number_at(count + strlen("dropped count="));
		} else {
			ck_assert_ptr_nonnull(number);
			ck_assert_int_eq(number_at(number + 2), last + 1);
			last++;
		}
	}
	return last;
}

static void check_stall(void)
{
	int dropped = 0;

	log_start(on_stalled);
	for (int i = 1; i <= 20000; i++)
		log_info("n=%d", i);
	ck_assert_uint_ge(stalls, 1);
	ck_assert_int_gt(log_dropped(), 0);
	ck_assert_int_eq(read_numbers(0, &dropped), 20000);
	ck_assert_int_eq(dropped, (int)log_dropped());
	log_info("n=20001");
	ck_assert_int_eq(read_numbers(20000, &dropped), 20001);
	ck_assert_int_eq(dropped, (int)log_dropped());
	log_stop();
}

START_TEST(a_reader_that_stalls_makes_no_line_wait_and_what_is_dropped_is_told)
{
	use_pipe();
	check_stall();
}
END_TEST

START_TEST(the_same_where_the_log_is_a_socket)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	close(reader);
	reader = fds[0];
	ck_assert_int_eq(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
	check_stall();
}
END_TEST

START_TEST(the_same_where_the_pipe_cannot_be_opened_anew)
{
	use_pipe();
	log_start(on_stalled);
	output.fd = STDERR_FILENO;
	output.may_block = true;
	stalls = 0;
	for (int i = 0; i < 1000; i++)
		log_info("n=%d", i);
	ck_assert_uint_ge(stalls, 1);
	ck_assert_int_eq(log_dropped(), 0);
	ck_assert(!log_flush());
}
END_TEST

START_TEST(lines_into_a_pipe_that_nobody_reads_any_more_are_dropped)
{
	signal(SIGPIPE, SIG_IGN);
	use_pipe();
	log_start(on_stalled);
	for (int i = 0; i < 1000; i++)
		log_info("n=%d", i);
	close(reader);
	ck_assert(log_flush());
	log_info("more");
	ck_assert_uint_gt(log_dropped(), 0);
	ck_assert(log_flush());
	log_stop();
	reader = open("/dev/null", O_RDONLY);
}
END_TEST

START_TEST(the_end_waits_for_a_reader_only_so_long)
{
	use_pipe();
	log_start(on_stalled);
	for (int i = 1; i <= 1000; i++)
		log_info("n=%d", i);
	log_stop();
	ck_assert_int_eq(output.fd, STDERR_FILENO);
}
END_TEST

/*
 * A line of PARTS times TEXT must be one bounded write that ends in dots, after only whole parts.
 */
static void check_cut(const char *text, size_t parts, const char *shown)
{
	char *message = mem_alloc(parts, strlen(text) + 1);
	size_t len = 0, shown_len = strlen(shown);

	for (size_t i = 0; i < parts; i++, len += strlen(text))
		memcpy(message + len, text, strlen(text));
	log_info("x=%s", message);
	free(message);
	len = strlen(next_write());
	ck_assert_uint_le(len, LINE_BYTES);
	ck_assert_uint_gt(len, MESSAGE_BYTES - 10);
	ck_assert_str_eq(line + len - 4, "...\n");
	for (len -= 4; line[len - 1] != '='; len -= shown_len) {
		ck_assert_uint_gt(len, shown_len);
		ck_assert_mem_eq(line + len - shown_len, shown, shown_len);
	}
	ck_assert_str_eq(next_write(), "");
}

START_TEST(a_long_line_is_cut_between_characters)
{
	check_cut("a", 100000, "a");
	check_cut("\n", 100000, "\\x0a");
	check_cut("\n", 700, "\\x0a");
	check_cut("\xe2\x82\xac", 40000, "\xe2\x82\xac");
	check_cut("\xf0\x9f\x98\x80", 40000, "\xf0\x9f\x98\x80");
}
END_TEST

START_TEST(a_line_that_escapes_made_long_is_cut_between_characters_too)
{
	char message[600 * 4 + 1] = "";

	for (size_t i = 0; i < 600; i++)
		memcpy(message + 4 * i, "\n\xe2\x82\xac", 4);
	for (int shift = 1; shift < 8; shift++) {
		const char *end;

		log_info("%*s%s", shift, "x", message);
		end = line + strlen(next_write()) - strlen("...\n");
		ck_assert_str_eq(end, "...\n");
		ck_assert(strncmp(end - 4, "\\x0a", 4) == 0 ||
		          strncmp(end - 3, "\xe2\x82\xac", 3) == 0);
	}
}
END_TEST

START_TEST(errno_is_left_alone_even_when_the_log_cannot_be_written)
{
	errno = EDOM;
	log_info("a");
	ck_assert_int_eq(errno, EDOM);
	close(STDERR_FILENO);
	log_info("b");
	ck_assert_int_eq(errno, EDOM);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_line_has_date_level_name_and_text_in_one_write,
		lines_below_the_least_level_are_not_written,
		levels_are_known_by_name,
		control_codes_are_escaped_and_other_text_is_not,
		characters_that_change_how_text_is_shown_are_escaped,
		a_reader_that_stalls_makes_no_line_wait_and_what_is_dropped_is_told,
		the_same_where_the_log_is_a_socket,
		the_same_where_the_pipe_cannot_be_opened_anew,
		lines_into_a_pipe_that_nobody_reads_any_more_are_dropped,
		the_end_waits_for_a_reader_only_so_long,
		a_long_line_is_cut_between_characters,
		a_line_that_escapes_made_long_is_cut_between_characters_too,
		errno_is_left_alone_even_when_the_log_cannot_be_written,
	};

	return unit_run("log", tests, ARRAY_LEN(tests), setup, teardown);
}
