#include "common/http/http_client.c"

#include <sys/socket.h>
#include <unistd.h>

#include "common/net/net.h"
#include "tests/unit/http_client_fixture.h"

static void setup(void)
{
	loop_init();
	pool = http_pool_new(&(struct http_pool_options){ .connections = 4 });
}

static void teardown(void)
{
	http_pool_free(pool);
	loop_release();
}

/* ---- a server by hand: what it gets is kept, what it says is the test's ---- */

struct peer {
	struct io listener;
	struct io io[8];
	struct timer drip;
	unsigned connections;
	char heard[8][4096];
	const char *answer; /* to each request; NULL: none */
	size_t dripped;     /* bytes of ANSWER, one at a time, when it drips */
	bool drips, cuts;   /* cuts: closes after the answer */
	char url[64];
};

static struct peer peer;

static void close_peer(struct io *io)
{
	int fd = io->fd;

	io_stop(io);
	if (fd > 0)
		close(fd);
	io->fd = 0;
}

static void on_drip(struct timer *timer)
{
	ck_assert_int_eq(send(peer.io[0].fd, peer.answer + peer.dripped++, 1, MSG_NOSIGNAL), 1);
	if (peer.answer[peer.dripped] != '\0')
		timer_start(timer, 0);
}

static void on_request(struct io *io, uint32_t events)
{
	char *heard = peer.heard[io - peer.io];
	size_t len = strlen(heard);
	ssize_t n = recv(io->fd, heard + len, sizeof(peer.heard[0]) - 1 - len, 0);

	if (n <= 0) {
		close_peer(io);
		return;
	}
	if (strstr(heard, "\r\n\r\n") == NULL)
		return;
	if (peer.drips)
		timer_start(&peer.drip, 0);
	else if (peer.answer != NULL)
		send(io->fd, peer.answer, strlen(peer.answer), MSG_NOSIGNAL);
	if (peer.cuts)
		close_peer(io);
	else if (peer.answer != NULL && !peer.drips)
		heard[0] = '\0';
}

static void on_connection(struct io *listener, uint32_t events)
{
	struct io *io = &peer.io[peer.connections++ % ARRAY_LEN(peer.io)];
	int fd = accept(listener->fd, NULL, NULL);

	io->ready = on_request;
	ck_assert_int_eq(io_start(io, fd, EPOLLIN), 0);
}

static void start_peer(const char *scheme, const char *answer)
{
	union net_address address;
	char text[NET_TEXT_MAX];
	int fd;

	ck_assert_int_eq(net_parse("127.0.0.1:0", &address), 0);
	fd = net_listen(&address, 100);
	ck_assert_int_eq(net_local(fd, &address), 0);
	snprintf(peer.url, sizeof(peer.url), "%s://%s/path?q", scheme, net_format(&address, text));
	peer.answer = answer;
	peer.listener.ready = on_connection;
	peer.drip.expired = on_drip;
	ck_assert_int_eq(io_start(&peer.listener, fd, EPOLLIN), 0);
}

static void stop_peer(void)
{
	timer_stop(&peer.drip);
	close_peer(&peer.listener);
	for (size_t i = 0; i < ARRAY_LEN(peer.io); i++)
		close_peer(&peer.io[i]);
}

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: first\r\n\r\nok"

/* ---- what goes out ---- */

START_TEST(a_request_has_what_was_given_and_nothing_of_libcurls)
{
	static const char *const headers[] = { "X-A: 1", "content-TYPE: application/json", NULL };
	struct asked asked = { .call = { .headers = headers, .body = "{}", .body_len = 2 } };
	char expected[256];

	start_peer("http", NULL);
	ask(&asked, "POST", peer.url);
	ck_assert_int_eq(asked.done, 0);
	WAIT_UNTIL(strstr(peer.heard[0], "\r\n\r\n{}") != NULL);
	snprintf(expected, sizeof(expected),
	         "POST /path?q HTTP/1.1\r\nHost: %.*s\r\nX-A: 1\r\n"
	         "content-TYPE: application/json\r\nContent-Length: 2\r\n\r\n{}",
	         (int)strcspn(peer.url + 7, "/"), peer.url + 7);
	ck_assert_str_eq(peer.heard[0], expected);
	http_release(&asked.call);
	stop_peer();
}
END_TEST

/* What the first line and the length are for METHOD with BODY (NULL: none). */
static void expect_request(const char *method, const char *body, const char *length)
{
	struct asked asked = { .call.body = body,
		               .call.body_len = body != NULL ? strlen(body) : 0 };
	char line[64];

	start_peer("http", NULL);
	ask(&asked, method, peer.url);
	WAIT_UNTIL(strstr(peer.heard[0], "\r\n\r\n") != NULL);
	snprintf(line, sizeof(line), "%s /path?q HTTP/1.1\r\n", method);
	ck_assert_msg(strncmp(peer.heard[0], line, strlen(line)) == 0, "%s", peer.heard[0]);
	if (length != NULL)
		ck_assert_msg(strstr(peer.heard[0], length) != NULL, "%s", peer.heard[0]);
	else
		ck_assert_ptr_null(strcasestr(peer.heard[0], "content-length"));
	ck_assert_ptr_null(strcasestr(peer.heard[0], "content-type"));
	http_release(&asked.call);
	stop_peer();
	memset(&peer, 0, sizeof(peer));
}

START_TEST(every_method_goes_out_as_it_is_also_on_a_handle_that_had_another)
{
	for (int i = 0; i < 2; i++) {
		expect_request("GET", NULL, NULL);
		expect_request("POST", "abc", "Content-Length: 3\r\n");
		expect_request("POST", NULL, "Content-Length: 0\r\n");
		expect_request("DELETE", NULL, NULL);
		expect_request("PUT", "abcd", "Content-Length: 4\r\n");
		expect_request("HEAD", NULL, NULL);
		expect_request("PUT", NULL, NULL);
	}
	ck_assert_uint_eq(pool->idle_count, 1);
}
END_TEST

START_TEST(proxies_of_the_environment_and_redirects_are_not_followed)
{
	struct asked asked = { 0 };

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	start_peer("http", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
	                   "Content-Length: 0\r\n\r\n");
	ask(&asked, "GET", peer.url);
	expect(&asked, HTTP_OK, 302);
	http_release(&asked.call);
	stop_peer();
}
END_TEST

START_TEST(a_proxy_that_makes_no_sense_is_not_told_with_its_password)
{
	struct asked asked = { 0 };

	http_pool_free(pool);
	pool = http_pool_new(
	        &(struct http_pool_options){ .proxy = "http://push:s3cret@127.0.0.1:99999" });
	ask(&asked, "GET", "https://127.0.0.1:1/");
	expect(&asked, HTTP_UNREACHABLE, 0);
	ck_assert_ptr_null(strstr(asked.call.error, "s3cret"));
	http_release(&asked.call);
}
END_TEST

/* ---- what comes back ---- */

START_TEST(an_answer_is_given_whole_with_its_headers)
{
	struct asked asked = { 0 };

	start_peer("http", OK_ANSWER);
	ask(&asked, "GET", peer.url);
	expect(&asked, HTTP_OK, 200);
	ck_assert_str_eq(asked.call.response, "ok");
	ck_assert_str_eq(http_response_header(&asked.call, "x-oNE"), "first");
	ck_assert_ptr_null(http_response_header(&asked.call, "x-two"));
	http_release(&asked.call);
	ck_assert_ptr_null(http_response_header(&asked.call, "x-one"));
	http_release(&asked.call);
	stop_peer();
}
END_TEST

START_TEST(an_answer_that_comes_byte_by_byte_is_given_whole)
{
	struct asked asked = { 0 };

	peer.drips = true;
	start_peer("http", OK_ANSWER);
	ask(&asked, "GET", peer.url);
	expect(&asked, HTTP_OK, 200);
	ck_assert_str_eq(asked.call.response, "ok");
	http_release(&asked.call);
	stop_peer();
}
END_TEST

START_TEST(requests_one_after_another_share_a_connection_and_a_handle)
{
	struct asked asked = { 0 };

	start_peer("http", OK_ANSWER);
	for (int i = 0; i < 20; i++) {
		ask(&asked, "GET", peer.url);
		expect(&asked, HTTP_OK, 200);
	}
	ck_assert_uint_eq(peer.connections, 1);
	http_release(&asked.call);
	ck_assert_uint_eq(pool->idle_count, 1);
	stop_peer();
}
END_TEST

START_TEST(many_requests_at_once_keep_to_the_number_of_connections)
{
	struct asked asked[50] = { 0 };

	start_peer("http", OK_ANSWER);
	for (int i = 0; i < 50; i++)
		ask(&asked[i], "GET", peer.url);
	for (int i = 0; i < 50; i++) {
		expect(&asked[i], HTTP_OK, 200);
		http_release(&asked[i].call);
	}
	ck_assert_uint_eq(peer.connections, 4);
	stop_peer();
}
END_TEST

/* ---- failures ---- */

START_TEST(an_answer_over_the_cap_is_too_large_and_one_of_its_size_is_not)
{
	struct asked asked = { .call.response_max = 10 };

	start_peer("http", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
	ask(&asked, "GET", peer.url);
	expect(&asked, HTTP_OK, 200);
	ck_assert_str_eq(asked.call.response, "0123456789");
	peer.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	              "b\r\n0123456789a\r\n0\r\n\r\n";
	ask(&asked, "GET", peer.url);
	expect(&asked, HTTP_TOO_LARGE, 200);
	http_release(&asked.call);
	stop_peer();
}
END_TEST

START_TEST(where_nobody_listens_is_unreachable)
{
	struct asked asked = { 0 };

	start_peer("http", NULL);
	stop_peer();
	ask(&asked, "GET", peer.url);
	expect(&asked, HTTP_UNREACHABLE, 0);
	http_release(&asked.call);
}
END_TEST

START_TEST(what_is_no_url_or_no_http_is_unreachable)
{
	static const char *const urls[] = { "",        "nonsense://x", "file:///etc/passwd",
		                            "http://", "http://[::1",  "ftp://127.0.0.1/" };

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct asked asked = { 0 };

		ask(&asked, "GET", urls[i]);
		expect(&asked, HTTP_UNREACHABLE, 0);
		http_release(&asked.call);
	}
}
END_TEST

START_TEST(no_answer_in_time_is_timed_out_but_unreachable_where_nothing_was_sent)
{
	struct asked asked = { .call.timeout_ms = 2000 };
	uint64_t start_ms = loop_now_ms();

	start_peer("http", NULL);
	ask(&asked, "GET", peer.url);
	expect(&asked, HTTP_TIMED_OUT, 0);
	ck_assert_uint_ge(loop_now_ms() - start_ms, 1990);
	memmove(peer.url + 5, peer.url + 4, strlen(peer.url + 4) + 1);
	peer.url[4] = 's'; /* to a server that never begins with TLS */
	ask(&asked, "GET", peer.url);
	expect(&asked, HTTP_UNREACHABLE, 0);
	http_release(&asked.call);
	stop_peer();
}
END_TEST

START_TEST(a_connection_that_ends_before_the_status_is_broken)
{
	struct asked asked = { 0 };

	peer.cuts = true;
	start_peer("http", NULL);
	ask(&asked, "GET", peer.url);
	expect(&asked, HTTP_BROKEN, 0);
	peer.answer = "this is no HTTP\r\n\r\n";
	ask(&asked, "GET", peer.url);
	expect(&asked, HTTP_BROKEN, 0);
	http_release(&asked.call);
	stop_peer();
}
END_TEST

/* COUNT connections that are kept idle. */
static void keep_connections(struct asked *asked, size_t count)
{
	start_peer("http", OK_ANSWER);
	for (size_t i = 0; i < count; i++)
		ask(&asked[i], "GET", peer.url);
	for (size_t i = 0; i < count; i++)
		expect(&asked[i], HTTP_OK, 200);
	ck_assert_uint_eq(peer.connections, count);
}

START_TEST(what_goes_out_on_kept_connections_that_were_closed_was_not_processed)
{
	struct asked asked[4] = { 0 };

	keep_connections(asked, ARRAY_LEN(asked));
	stop_peer();
	ask(&asked[0], "POST", peer.url);
	expect(&asked[0], HTTP_UNREACHABLE, 0);
	for (size_t i = 0; i < ARRAY_LEN(asked); i++)
		http_release(&asked[i].call);
}
END_TEST

START_TEST(a_request_that_is_not_read_before_the_end_was_not_processed)
{
	struct asked asked = { 0 };

	keep_connections(&asked, 1);
	io_stop(&peer.io[0]);
	ask(&asked, "POST", peer.url);
	WAIT_UNTIL(http_begun(&asked.call) && recv(peer.io[0].fd, peer.heard[0], 1, MSG_PEEK) == 1);
	stop_peer();
	expect(&asked, HTTP_UNREACHABLE, 0);
	http_release(&asked.call);
}
END_TEST

START_TEST(a_request_that_was_read_before_the_end_may_have_been_processed)
{
	struct asked asked = { 0 };

	keep_connections(&asked, 1);
	peer.answer = NULL;
	ask(&asked, "POST", peer.url);
	WAIT_UNTIL(strstr(peer.heard[0], "\r\n\r\n") != NULL);
	stop_peer();
	expect(&asked, HTTP_BROKEN, 0);
	http_release(&asked.call);
}
END_TEST

START_TEST(an_answer_cut_after_its_status_counts)
{
	struct asked asked = { 0 };

	peer.cuts = true;
	start_peer("http", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin");
	ask(&asked, "GET", peer.url);
	expect(&asked, HTTP_OK, 200);
	ck_assert_str_eq(asked.call.response, "begin");
	http_release(&asked.call);
	stop_peer();
}
END_TEST

/* ---- forgetting ---- */

START_TEST(a_call_released_under_way_is_not_called_back_and_others_go_on)
{
	struct asked gone = { 0 }, stays = { 0 };

	start_peer("http", NULL);
	ask(&gone, "GET", peer.url);
	ask(&stays, "GET", peer.url);
	WAIT_UNTIL(peer.heard[0][0] != '\0' && peer.heard[1][0] != '\0');
	http_release(&gone.call);
	ask(&gone, "GET", peer.url);
	http_release(&gone.call);
	send(peer.io[0].fd, OK_ANSWER, sizeof(OK_ANSWER) - 1, MSG_NOSIGNAL);
	send(peer.io[1].fd, OK_ANSWER, sizeof(OK_ANSWER) - 1, MSG_NOSIGNAL);
	expect(&stays, HTTP_OK, 200);
	ck_assert_int_eq(gone.done, 0);
	http_release(&stays.call);
	stop_peer();
}
END_TEST

static struct asked partner;

static void release_partner(struct http_call *call)
{
	on_asked(call);
	http_release(call);
	http_release(&partner.call);
}

START_TEST(a_callback_may_release_itself_and_another)
{
	struct asked asked = { .call.done = release_partner };

	start_peer("http", OK_ANSWER);
	ask(&asked, "GET", peer.url);
	ask(&partner, "GET", peer.url);
	WAIT_UNTIL(asked.done == 1);
	turn_for(20);
	ck_assert_int_eq(partner.done, 0);
	stop_peer();
}
END_TEST

static void send_again(struct http_call *call)
{
	struct asked *asked = container_of(call, struct asked, call);

	if (++asked->done < 5)
		http_send(pool, call);
}

START_TEST(a_callback_may_send_its_own_call_again)
{
	struct asked asked = { .call.done = send_again };

	start_peer("http", OK_ANSWER);
	ask(&asked, "GET", peer.url);
	WAIT_UNTIL(asked.done == 5);
	http_release(&asked.call);
	stop_peer();
}
END_TEST

static void free_pool(struct http_call *call)
{
	on_asked(call);
	http_pool_free(pool);
	pool = NULL;
}

START_TEST(the_pool_may_be_freed_inside_a_callback_which_keeps_its_answer)
{
	struct asked asked = { .call.done = free_pool }, other = { 0 };

	start_peer("http", OK_ANSWER);
	ask(&asked, "GET", peer.url);
	ask(&other, "GET", peer.url);
	WAIT_UNTIL(asked.done == 1);
	turn_for(20);
	ck_assert_str_eq(asked.call.response, "ok");
	ck_assert_str_eq(http_response_header(&asked.call, "x-one"), "first");
	http_release(&asked.call);
	http_release(&other.call);
	ck_assert_int_eq(other.done, 0);
	stop_peer();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_request_has_what_was_given_and_nothing_of_libcurls,
		every_method_goes_out_as_it_is_also_on_a_handle_that_had_another,
		proxies_of_the_environment_and_redirects_are_not_followed,
		a_proxy_that_makes_no_sense_is_not_told_with_its_password,
		an_answer_is_given_whole_with_its_headers,
		an_answer_that_comes_byte_by_byte_is_given_whole,
		requests_one_after_another_share_a_connection_and_a_handle,
		many_requests_at_once_keep_to_the_number_of_connections,
		an_answer_over_the_cap_is_too_large_and_one_of_its_size_is_not,
		where_nobody_listens_is_unreachable,
		what_is_no_url_or_no_http_is_unreachable,
		no_answer_in_time_is_timed_out_but_unreachable_where_nothing_was_sent,
		a_connection_that_ends_before_the_status_is_broken,
		what_goes_out_on_kept_connections_that_were_closed_was_not_processed,
		a_request_that_is_not_read_before_the_end_was_not_processed,
		a_request_that_was_read_before_the_end_may_have_been_processed,
		an_answer_cut_after_its_status_counts,
		a_call_released_under_way_is_not_called_back_and_others_go_on,
		a_callback_may_release_itself_and_another,
		a_callback_may_send_its_own_call_again,
		the_pool_may_be_freed_inside_a_callback_which_keeps_its_answer,
	};

	return unit_run("http_client", tests, ARRAY_LEN(tests), setup, teardown);
}
