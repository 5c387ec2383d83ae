#include "common/health.c"

#include <sys/wait.h>

#include "common/base/mem.h"
#include "tests/unit/unit.h"

static int listener;
static char url[100];
static char why[200];

static void enter(void)
{
	union net_address address;
	char text[NET_TEXT_MAX];

	ck_assert_int_eq(net_parse("127.0.0.1:0", &address), 0);
	listener = net_listen(&address, 5);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(net_local(listener, &address), 0);
	snprintf(url, sizeof(url), "http://%s/healthz", net_format(&address, text));
}

static void leave(void)
{
	close(listener);
}

/*
 * A process that takes one connection, and sends ANSWER in single bytes once it has seen the
 * request. Who asked may leave when the status line is there.
 */
static pid_t serve(const char *answer)
{
	pid_t pid = fork();
	char request[512];
	int fd;

	if (pid != 0)
		return pid;
	wait_for(listener, POLLIN, loop_now_ms() + 10000);
	fd = accept(listener, NULL, NULL);
	if (fd < 0 || recv(fd, request, sizeof(request), 0) < 0 ||
	    strncmp(request, "GET /healthz HTTP/1.0\r\nHost: ", 29) != 0)
		_exit(1);
	for (; *answer != '\0'; answer++)
		if (send(fd, answer, 1, MSG_NOSIGNAL) != 1)
			_exit(errno == EPIPE || errno == ECONNRESET ? 0 : 2);
	_exit(0);
}

static int ask_one_that_answers(const char *answer)
{
	int status, result;
	pid_t pid = serve(answer);

	result = health_ask(url, 10000, why, sizeof(why));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	return result;
}

START_TEST(only_status_200_is_healthy)
{
	ck_assert_int_eq(ask_one_that_answers("HTTP/1.1 200 OK\r\n\r\nok"), 0);
	ck_assert_int_eq(ask_one_that_answers("HTTP/1.1 503 Unavailable\r\n\r\n"), -1);
	ck_assert_ptr_nonnull(strstr(why, "/healthz: status 503"));
}
END_TEST

START_TEST(a_status_line_may_come_in_segments)
{
	static const char *const segments[] = { "H", "TTP/1.1 20", "0 OK\r", "\nServer: x\r\n" };
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	for (size_t i = 0; i < ARRAY_LEN(segments); i++)
		ck_assert_int_gt(send(fds[1], segments[i], strlen(segments[i]), 0), 0);
	ck_assert_int_eq(read_status(fds[0], loop_now_ms() + 10000), 200);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(who_listens_anywhere_is_asked_on_loopback)
{
	union net_address address;

	ck_assert_int_eq(net_local(listener, &address), 0);
	snprintf(url, sizeof(url), "http://[::]:%u/healthz", net_port(&address));
	ck_assert_int_eq(ask_one_that_answers("HTTP/1.1 200 OK\r\n\r\nok"), 0);
	snprintf(url, sizeof(url), "http://0.0.0.0:%u/healthz", net_port(&address));
	ck_assert_int_eq(ask_one_that_answers("HTTP/1.1 200 OK\r\n\r\nok"), 0);
}
END_TEST

START_TEST(what_is_not_http_is_not_healthy)
{
	ck_assert_int_eq(ask_one_that_answers(""), -1);
	ck_assert_int_eq(ask_one_that_answers("+PONG\r\n"), -1);
	ck_assert_int_eq(ask_one_that_answers("HTTP/1.1"), -1);
	ck_assert_ptr_nonnull(strstr(why, "Bad message"));
}
END_TEST

START_TEST(silence_is_not_waited_for_beyond_the_deadline)
{
	ck_assert_int_eq(health_ask(url, 50, why, sizeof(why)), -1);
	ck_assert_ptr_nonnull(strstr(why, "Connection timed out"));
}
END_TEST

START_TEST(nobody_there_is_not_healthy)
{
	close(listener);
	ck_assert_int_eq(health_ask(url, 10000, why, sizeof(why)), -1);
	ck_assert_ptr_nonnull(strstr(why, "Connection refused"));
	listener = -1;
}
END_TEST

START_TEST(only_numeric_http_urls_are_asked)
{
	static const char *const wrong[] = { "",
		                             "https://127.0.0.1:1/",
		                             "http://",
		                             "http://127.0.0.1/",
		                             "http://localhost:80/healthz",
		                             "127.0.0.1:80" };

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		ck_assert_int_eq(health_ask(wrong[i], 1000, why, sizeof(why)), -1);
		ck_assert_ptr_nonnull(strstr(why, "not http://ADDRESS:PORT/"));
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		only_status_200_is_healthy,
		a_status_line_may_come_in_segments,
		who_listens_anywhere_is_asked_on_loopback,
		what_is_not_http_is_not_healthy,
		silence_is_not_waited_for_beyond_the_deadline,
		nobody_there_is_not_healthy,
		only_numeric_http_urls_are_asked,
	};

	return unit_run("health", tests, ARRAY_LEN(tests), enter, leave);
}
