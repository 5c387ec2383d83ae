#include "common/base/loop.h"

/* Deadlines of seconds become milliseconds while a test says so. */
static bool hurried;

static void start_hurried(struct timer *timer, uint64_t delay_ms)
{
	timer_start(timer, hurried ? delay_ms / 100 : delay_ms);
}

#define timer_start start_hurried
#include "common/http/http_server.c"
#undef timer_start

#include "tests/unit/http_server_fixture.h"
#include "tests/unit/logged.h"

/* ---- clients as they come ---- */

static const char whole[] = "POST /echo/p HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN
                            "\r\nX-Header: h\r\nContent-Length: 4\r\n\r\nbody";
static const char whole_answer[] =
        "{\"param\":\"p\",\"query\":null,\"header\":\"h\",\"body\":\"body\"}";

START_TEST(a_request_that_comes_byte_by_byte_is_served)
{
	int fd = dial();

	for (size_t i = 0; i < sizeof(whole) - 1; i++) {
		ck_assert_int_eq(send(fd, whole + i, 1, 0), 1);
		loop_turn(0);
		loop_turn(0);
	}
	ck_assert_ptr_nonnull(strstr(hear(fd, "}"), whole_answer));
	close(fd);
}
END_TEST

START_TEST(two_requests_in_one_segment_are_both_served_although_the_first_waits)
{
	int fd = dial();
	const char *heard;

	say(fd, "GET /later HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN "\r\n\r\n");
	say(fd, whole);
	WAIT_UNTIL(kept_count == 1);
	turn_for(20);
	http_reply(kept[0], 200, json_pack("{s:i}", "first", 1));
	heard = hear(fd, whole_answer);
	ck_assert_ptr_nonnull(strstr(heard, "{\"first\":1}"));
	ck_assert_ptr_nonnull(strstr(heard, whole_answer));
	close(fd);
}
END_TEST

START_TEST(garbage_is_refused_and_the_next_client_served)
{
	static const char *const garbage[] = {
		"\x16\x03\x01\x02\x05\x01\xfc\x03\x03",
		"GET\r\n\r\n",
		"\r\n\r\n\r\n",
		"GET / HTTP/9\r\n\r\n",
		"POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
		"POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: 5x\r\n\r\n",
		"GET /now HTTP/1.1\r\nno colon here\r\n\r\n",
		"GET http:// HTTP/1.1\r\n\r\n",
		"GET /now HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xff\r\n\r\n",
	};

	hurried = true; /* some of it is only the beginning of a request line */
	for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
		int fd = dial();

		say(fd, garbage[i]);
		shutdown(fd, SHUT_WR);
		hear(fd, NULL);
		close(fd);
	}
	expect_answer("GET", "/now", NULL, 200, NULL);
}
END_TEST

/*
 * What a proxy may read otherwise than we do. Behind each stands a second request, which must not
 * be served: where the first one ends is in doubt.
 */
START_TEST(a_request_whose_end_is_in_doubt_is_refused_and_its_connection_closed)
{
	static const char *const doubtful[] = {
		"Host: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"Host: x\r\nContent-Length: 2\r\nContent-Length: 0\r\n\r\n{}",
		"Host: x\r\nContent-Length: 2, 2\r\n\r\n{}",
		"Host: x\r\nContent-Length: +2\r\n\r\n{}",
		"Host: x\r\nContent-Length: 0x2\r\n\r\n{}",
		"Host: x\r\nContent-Length:\r\n\r\n{}",
		"Host: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
		"Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n",
		"Host: x\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
		"Host: x\r\nHost: y\r\nContent-Length: 2\r\n\r\n{}",
		"Host: x\r\nContent-Length : 2\r\n\r\n{}",
		"Host: x\r\nContent-Length: 2\r\nX Y: z\r\n\r\n{}",
		"Host: x\r\n Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"Content-Length: 2\r\n\r\n{}",
	};

	for (size_t i = 0; i < ARRAY_LEN(doubtful); i++) {
		int fd = dial();
		const char *heard;

		say(fd, "POST /json HTTP/1.1\r\nAuthorization: Bearer " TOKEN "\r\n");
		say(fd, doubtful[i]);
		say(fd, "GET /open HTTP/1.1\r\nHost: x\r\n\r\n");
		heard = hear(fd, NULL);
		ck_assert_msg(strncmp(heard, "HTTP/1.1 400", 12) == 0, "%s was answered %s",
		              doubtful[i], heard);
		ck_assert_msg(strstr(heard, "\"now\"") == NULL, "%s was answered %s", doubtful[i],
		              heard);
		close(fd);
	}
}
END_TEST

START_TEST(only_the_oldest_version_may_lack_a_host)
{
	int fd = dial();

	say(fd, "GET /open HTTP/1.0\r\n\r\n");
	ck_assert_ptr_nonnull(strstr(hear(fd, NULL), "\"now\""));
	close(fd);
}
END_TEST

START_TEST(strangers_cause_ten_lines_a_second_of_a_kind_and_a_count)
{
	struct logged logged = logged_start();
	const char *text, *count;
	unsigned lines = 0;

	for (int i = 0; i < 300; i++)
		expect_answer("GET", "/nothing", NULL, 404, NULL);
	http_server_free(server);
	server = NULL;
	text = logged_end(&logged);
	for (const char *at = text; (at = strstr(at, " request-refused ")) != NULL; at++)
		lines++;
	for (count = text; (count = strstr(count, "what=request-refused count=")) != NULL;) {
		count += strlen("what=request-refused count=");
		lines += (unsigned)strtoul(count, NULL, 10);
	}
	ck_assert_uint_eq(lines, 300);
	ck_assert_ptr_nonnull(strstr(text, "lines-withheld what=request-refused count="));
}
END_TEST

START_TEST(a_header_without_end_is_refused_with_bounded_memory)
{
	char line[1024];
	int fd = dial();

	memset(line, 'a', sizeof(line));
	say(fd, "GET /now HTTP/1.1\r\nX: ");
	for (int i = 0; i < 1000 && !closed(fd); i++) {
		if (send(fd, line, sizeof(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
		    errno != EAGAIN)
			break;
		loop_turn(0);
	}
	WAIT_UNTIL(closed(fd));
	close(fd);
}
END_TEST

START_TEST(clients_that_leave_in_mid_request_leave_nothing)
{
	for (size_t len = 1; len < sizeof(whole) - 1; len += 7) {
		int fd = dial();

		ck_assert_int_eq(send(fd, whole, len, 0), (ssize_t)len);
		loop_turn(0);
		loop_turn(0);
		close(fd);
		loop_turn(0);
	}
	turn_for(20);
	expect_answer("GET", "/now", NULL, 200, NULL);
}
END_TEST

START_TEST(a_client_that_left_while_it_waited_is_answered_into_the_void)
{
	int fd = dial();

	say(fd, "GET /later HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN "\r\n\r\n");
	WAIT_UNTIL(kept_count == 1);
	close(fd);
	turn_for(20);
	ck_assert_int_eq(released, 0);
	http_reply(kept[0], 200, json_pack("{}"));
	WAIT_UNTIL(released == 1);
	expect_answer("GET", "/now", NULL, 200, NULL);
}
END_TEST

/* ---- deadlines and limits ---- */

/* Sends a byte of TEXT now and then until the server closes. */
static void drip(int fd, const char *text)
{
	uint64_t end_ms = loop_now_ms() + unit_wait_s() * 1000ull;

	while (!closed(fd)) {
		ck_assert_uint_lt(loop_now_ms(), end_ms);
		send(fd, *text != '\0' ? text++ : "a", 1, MSG_NOSIGNAL);
		turn_for(5);
	}
}

START_TEST(a_client_that_drips_its_header_is_cut_at_the_deadline)
{
	uint64_t start_ms = loop_now_ms();
	int fd;

	hurried = true;
	fd = dial();
	drip(fd, "GET /now HTTP/1.1\r\nX: ");
	ck_assert_uint_ge(loop_now_ms() - start_ms, HEADER_MS / 100);
	close(fd);
}
END_TEST

START_TEST(a_client_that_drips_its_body_is_cut_at_the_deadline)
{
	struct http_server_options options = options_for_test();
	uint64_t start_ms = loop_now_ms();
	int fd;

	options.body_max = 60000; /* more than can drip while the test waits */
	start_with(&options);
	hurried = true;
	fd = dial();
	say(fd, "POST /json HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN
	        "\r\nContent-Length: 60000\r\n\r\n");
	drip(fd, "{");
	ck_assert_uint_ge(loop_now_ms() - start_ms, BODY_MS / 100);
	close(fd);
}
END_TEST

START_TEST(a_client_that_drips_its_second_request_is_cut_too)
{
	uint64_t start_ms = loop_now_ms();
	int fd;

	hurried = true;
	fd = dial();
	say(fd, whole);
	hear(fd, whole_answer);
	drip(fd, "GET /now HTTP/1.1\r\nX: ");
	ck_assert_uint_ge(loop_now_ms() - start_ms, (IDLE_S * 1000 + HEADER_MS) / 100);
	close(fd);
}
END_TEST

/* One that would never fit into the sockets' buffers. */
static char *long_text(void)
{
	size_t len = 16 * 1024 * 1024;
	char *text = mem_alloc(len + 1, 1);

	memset(text, 'x', len);
	return text;
}

START_TEST(a_client_that_reads_its_answer_in_drips_is_cut_at_the_deadline)
{
	struct http_server_options options = options_for_test();
	char byte;
	int fd;

	options.idle_s = 3600; /* the library's own patience */
	start_with(&options);
	fd = dial();
	say(fd, "GET /later HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN "\r\n\r\n");
	WAIT_UNTIL(kept_count == 1);
	hurried = true;
	http_reply_text(kept[0], 200, "text/plain", long_text());
	WAIT_UNTIL((recv(fd, &byte, 1, MSG_DONTWAIT), released == 1));
	close(fd);
}
END_TEST

START_TEST(a_handler_may_take_longer_than_any_deadline)
{
	struct asked asked = { 0 };

	hurried = true;
	ask(&asked, "GET", "/later", NULL);
	WAIT_UNTIL(kept_count == 1);
	turn_for(ANSWER_MS / 100 + 200);
	http_reply(kept[0], 200, json_pack("{}"));
	expect(&asked, 200, "{}");
	http_release(&asked.call);
}
END_TEST

static void fill_up(unsigned most)
{
	struct http_server_options options = options_for_test();
	int fds[20];

	options.connection_max = most;
	start_with(&options);
	for (unsigned i = 0; i < most; i++)
		fds[i] = dial();
	turn_for(20);
	expect_answer("GET", "/now", NULL, 200, NULL);
	for (unsigned i = 0; i < most; i++)
		close(fds[i]);
}

START_TEST(silent_clients_up_to_the_limit_keep_others_out_only_until_their_deadline)
{
	hurried = true;
	fill_up(1);
	fill_up(20);
}
END_TEST

START_TEST(one_client_more_than_the_limit_displaces_the_one_that_was_silent_the_longest)
{
	struct http_server_options options = options_for_test();
	int fds[10];

	options.connection_max = ARRAY_LEN(fds);
	start_with(&options);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = dial();
	WAIT_UNTIL(closed(fds[0]));
	expect_answer("GET", "/now", NULL, 200, NULL);
	WAIT_UNTIL(closed(fds[1]));
	/* Their deadline, which is the same for all, wasn't what closed those. */
	for (size_t i = 2; i < ARRAY_LEN(fds); i++)
		ck_assert(!closed(fds[i]));
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}
END_TEST

START_TEST(of_too_many_clients_the_one_with_a_request_in_parts_the_longest_is_displaced)
{
	struct http_server_options options = options_for_test();
	int fds[4];

	options.connection_max = ARRAY_LEN(fds);
	start_with(&options);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial();
		say(fds[i], "GET /now HTTP/1.1\r\n");
		turn_for(20);
	}
	WAIT_UNTIL(closed(fds[0]));
	ck_assert_uint_eq(server->slow_clients.lines, 0); /* no deadline closed it */
	for (size_t i = 1; i < ARRAY_LEN(fds); i++) {
		say(fds[i], "Host: x\r\nAuthorization: Bearer " TOKEN "\r\n\r\n");
		ck_assert_ptr_nonnull(strstr(hear(fds[i], "}"), "{\"now\":true}"));
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}
END_TEST

START_TEST(nobody_who_waits_for_an_answer_is_displaced)
{
	struct http_server_options options = options_for_test();
	struct asked asked = { 0 };
	int fds[20];

	options.connection_max = 5;
	start_with(&options);
	ask(&asked, "GET", "/later", NULL);
	WAIT_UNTIL(kept_count == 1);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = dial();
	WAIT_UNTIL(closed(fds[ARRAY_LEN(fds) - 5]));
	http_reply(kept[0], 200, json_pack("{}"));
	expect(&asked, 200, "{}");
	http_release(&asked.call);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}
END_TEST

START_TEST(a_kept_connection_that_is_silent_is_closed)
{
	struct http_server_options options = options_for_test();
	int fd;

	options.idle_s = 1;
	start_with(&options);
	fd = dial();
	say(fd, whole);
	hear(fd, whole_answer);
	ck_assert(!closed(fd));
	WAIT_UNTIL(closed(fd));
	close(fd);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_request_that_comes_byte_by_byte_is_served,
		two_requests_in_one_segment_are_both_served_although_the_first_waits,
		garbage_is_refused_and_the_next_client_served,
		a_request_whose_end_is_in_doubt_is_refused_and_its_connection_closed,
		only_the_oldest_version_may_lack_a_host,
		strangers_cause_ten_lines_a_second_of_a_kind_and_a_count,
		a_header_without_end_is_refused_with_bounded_memory,
		clients_that_leave_in_mid_request_leave_nothing,
		a_client_that_left_while_it_waited_is_answered_into_the_void,
		a_client_that_drips_its_header_is_cut_at_the_deadline,
		a_client_that_drips_its_body_is_cut_at_the_deadline,
		a_client_that_drips_its_second_request_is_cut_too,
		a_client_that_reads_its_answer_in_drips_is_cut_at_the_deadline,
		a_handler_may_take_longer_than_any_deadline,
		silent_clients_up_to_the_limit_keep_others_out_only_until_their_deadline,
		one_client_more_than_the_limit_displaces_the_one_that_was_silent_the_longest,
		of_too_many_clients_the_one_with_a_request_in_parts_the_longest_is_displaced,
		nobody_who_waits_for_an_answer_is_displaced,
		a_kept_connection_that_is_silent_is_closed,
	};

	return unit_run("http_server_clients", tests, ARRAY_LEN(tests), setup, teardown);
}
