#include "common/loop.h"

/* Deadlines of seconds become milliseconds while a test says so. */
static bool hurried;

static void start_hurried(struct timer *timer, uint64_t delay_ms)
{
	timer_start(timer, hurried ? delay_ms / 100 : delay_ms);
}

#define timer_start start_hurried
#include "common/http_server.c"
#undef timer_start

#include <errno.h>

#include "common/http_client.h"
#include "tests/unit/certificate.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define TOKEN "token-of-the-test"
#define BODY_MAX 1000

static struct http_server *server;
static struct http_pool *pool;
static struct http_request *kept[64];
static unsigned kept_count;
static int released;
static int context = 42;

/* ---- what the server serves ---- */

static void serve_now(struct http_request *request)
{
	ck_assert_ptr_eq(http_context(request), &context);
	ck_assert(net_is_loopback(http_client_address(request)));
	http_reply(request, 200, json_pack("{s:b}", "now", 1));
}

static void count_release(void *state)
{
	ck_assert_ptr_eq(state, &released);
	released++;
}

static void serve_later(struct http_request *request)
{
	http_attach(request, &released, count_release);
	kept[kept_count++] = request;
}

static void serve_echo(struct http_request *request)
{
	const char *query = http_query(request, "q"), *header = http_header(request, "x-header");
	size_t len;
	const char *body = http_body(request, &len);

	ck_assert_uint_eq(strlen(body), len);
	http_reply(request, 200,
	           json_pack("{s:s, s:s?, s:s?, s:s}", "param", http_param(request, 0), "query",
	                     query, "header", header, "body", body));
}

static void serve_json(struct http_request *request)
{
	const json_t *body = http_body_json(request);

	if (body == NULL)
		return;
	ck_assert_ptr_eq(http_body_json(request), body);
	http_reply(request, 200, json_pack("{s:O}", "is", (json_t *)body));
}

static void serve_delete(struct http_request *request)
{
	http_reply(request, 204, NULL);
}

static void serve_text(struct http_request *request)
{
	http_reply_text(request, 200, "text/plain; version=0.0.4", mem_dup("metric 1\n"));
}

static void serve_failure(struct http_request *request)
{
	http_fail(request, 409, "conflict", "no \"%s\" here: \xff", http_param(request, 0));
}

/* Answers what waits, and then itself. */
static void serve_release(struct http_request *request)
{
	for (unsigned i = 0; i < kept_count; i++)
		http_reply(kept[i], 200, json_pack("{s:i}", "number", i));
	kept_count = 0;
	http_reply(request, 204, NULL);
}

static const struct http_route routes[] = {
	{ "GET", "/now", serve_now, .open = false },
	{ "GET", "/open", serve_now, .open = true },
	{ "GET", "/later", serve_later, .open = false },
	{ "POST", "/echo/{text}", serve_echo, .open = false },
	{ "POST", "/json", serve_json, .open = false },
	{ "DELETE", "/things/{id}", serve_delete, .open = false },
	{ "GET", "/things/{id}", serve_failure, .open = false },
	{ "GET", "/text", serve_text, .open = true },
	{ "POST", "/release", serve_release, .open = false },
	{ NULL, NULL, NULL, false },
};

static struct http_server_options options_for_test(void)
{
	struct http_server_options options = {
		.routes = routes,
		.token = TOKEN,
		.body_max = BODY_MAX,
		.context = &context,
	};

	ck_assert_int_eq(net_parse("127.0.0.1:0", &options.listen), 0);
	return options;
}

static void start_with(const struct http_server_options *options)
{
	char *why = NULL;

	http_server_free(server);
	server = http_server_new(options, &why);
	ck_assert_msg(server != NULL, "%s", why);
}

static void setup(void)
{
	struct http_server_options options = options_for_test();

	loop_init();
	start_with(&options);
	pool = http_pool_new(&(struct http_pool_options){ .connections = 100 });
}

static void teardown(void)
{
	http_pool_free(pool);
	http_server_free(server);
	loop_release();
}

/* ---- a client with libcurl ---- */

static const char *const with_token[] = { "Authorization: Bearer " TOKEN, NULL };

struct asked {
	struct http_call call;
	char url[256];
	bool done;
};

static void on_asked(struct http_call *call)
{
	container_of(call, struct asked, call)->done = true;
}

static void ask(struct asked *asked, const char *method, const char *path, const char *body)
{
	char address[NET_TEXT_MAX];

	snprintf(asked->url, sizeof(asked->url), "http://%s%s",
	         net_format(http_server_address(server), address), path);
	asked->call.done = on_asked;
	asked->call.method = method;
	asked->call.url = asked->url;
	asked->call.body = body;
	asked->call.body_len = body != NULL ? strlen(body) : 0;
	asked->call.timeout_ms = 5000;
	if (asked->call.headers == NULL)
		asked->call.headers = with_token;
	asked->done = false;
	http_send(pool, &asked->call);
}

/* Waits for the answer, which must be STATUS with BODY. */
static void expect(struct asked *asked, unsigned status, const char *body)
{
	WAIT_UNTIL(asked->done);
	ck_assert_str_eq(asked->call.error, "");
	ck_assert_uint_eq(asked->call.status, status);
	if (body != NULL)
		ck_assert_str_eq(asked->call.response, body);
}

static void expect_answer(const char *method, const char *path, const char *body, unsigned status,
                          const char *response)
{
	struct asked asked = { 0 };

	ask(&asked, method, path, body);
	expect(&asked, status, response);
	http_release(&asked.call);
}

/* The answer must be a failure with this status and code. */
static void expect_failure(struct asked *asked, unsigned status, const char *code)
{
	json_t *body;

	expect(asked, status, NULL);
	ck_assert_str_eq(http_response_header(&asked->call, "content-type"), "application/json");
	body = json_loads(asked->call.response, 0, NULL);
	ck_assert_msg(body != NULL, "not JSON: %s", asked->call.response);
	ck_assert_str_eq(json_string_value(json_object_get(body, "error")), code);
	ck_assert_uint_gt(json_string_length(json_object_get(body, "message")), 0);
	ck_assert_uint_eq(json_object_size(body), 2);
	json_decref(body);
	http_release(&asked->call);
}

/* ---- a client by hand ---- */

static int dial(void)
{
	const union net_address *address = http_server_address(server);
	int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, &address->sa, net_length(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Turns the loop until UNTIL has come or the server has closed; what came. */
static const char *hear(int fd, const char *until)
{
	static char heard[8192];
	size_t len = 0;
	ssize_t n = -1;

	memset(heard, 0, sizeof(heard));
	for (int i = 0; i < 2000 && n != 0; i++) {
		loop_turn(5);
		n = recv(fd, heard + len, sizeof(heard) - 1 - len, MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			break;
		len += n > 0 ? (size_t)n : 0;
		if (until != NULL && strstr(heard, until) != NULL)
			break;
	}
	return heard;
}

/* True once the server has closed FD. */
static bool closed(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

/* ---- answers ---- */

START_TEST(a_handler_answers_at_once)
{
	struct asked asked = { 0 };

	ask(&asked, "GET", "/now", NULL);
	expect(&asked, 200, "{\"now\":true}");
	ck_assert_str_eq(http_response_header(&asked.call, "Content-Type"), "application/json");
	http_release(&asked.call);
	expect_answer("DELETE", "/things/7", NULL, 204, "");
	expect_answer("GET", "/text", NULL, 200, "metric 1\n");
}
END_TEST

START_TEST(a_handler_answers_later_and_the_answer_goes_out_at_once)
{
	struct asked asked = { 0 };
	uint64_t answered_ms;

	ask(&asked, "GET", "/later", NULL);
	WAIT_UNTIL(kept_count == 1);
	turn_for(50);
	ck_assert(!asked.done);
	http_reply(kept[0], 200, json_pack("{}"));
	answered_ms = loop_now_ms();
	expect(&asked, 200, "{}");
	ck_assert_uint_lt(loop_now_ms() - answered_ms, 200);
	WAIT_UNTIL(released == 1);
	http_release(&asked.call);
}
END_TEST

START_TEST(many_that_wait_are_answered_by_the_handler_of_another)
{
	enum { COUNT = 60 };
	struct asked asked[COUNT] = { 0 };

	for (int i = 0; i < COUNT; i++)
		ask(&asked[i], "GET", "/later", NULL);
	WAIT_UNTIL(kept_count == COUNT);
	expect_answer("POST", "/release", NULL, 204, "");
	for (int i = 0; i < COUNT; i++) {
		expect(&asked[i], 200, NULL);
		http_release(&asked[i].call);
	}
	WAIT_UNTIL(released == COUNT);
}
END_TEST

START_TEST(what_was_asked_comes_decoded)
{
	static const char *const headers[] = { with_token[0], "X-Header: value", NULL };
	struct asked asked = { .call.headers = headers };

	ask(&asked, "POST", "/echo/a%2Fb%40c?other=1&q=x%20y+z%26", "the body");
	expect(&asked, 200,
	       "{\"param\":\"a/b@c\",\"query\":\"x y z&\",\"header\":\"value\",\"body\":\"the "
	       "body\"}");
	http_release(&asked.call);
	expect_answer("POST", "/echo/x", "", 200,
	              "{\"param\":\"x\",\"query\":null,\"header\":null,\"body\":\"\"}");
}
END_TEST

START_TEST(a_failure_with_bytes_that_json_does_not_take_is_still_json)
{
	expect_answer("GET", "/things/%ff%22", NULL, 409,
	              "{\"error\":\"conflict\",\"message\":\"no \\\"?\\\"\\\" here: ?\"}");
}
END_TEST

/* ---- refusals ---- */

START_TEST(a_wrong_or_missing_token_is_401_but_not_where_none_is_needed)
{
	static const char *const wrong[] = {
		"Authorization: Bearer wrong",      "Authorization: Bearer token-of-the-tes",
		"Authorization: Bearer " TOKEN "s", "Authorization: Bearer",
		"Authorization: Basic " TOKEN,      "X: no authorization at all",
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		const char *const headers[] = { wrong[i], NULL };
		struct asked asked = { .call.headers = headers }, open = asked;

		ask(&asked, "GET", "/now", NULL);
		WAIT_UNTIL(asked.done);
		ck_assert_str_eq(http_response_header(&asked.call, "WWW-Authenticate"), "Bearer");
		expect_failure(&asked, 401, "unauthorized");
		ask(&open, "GET", "/open", NULL);
		expect(&open, 200, "{\"now\":true}");
		http_release(&open.call);
	}
}
END_TEST

START_TEST(the_scheme_bearer_is_taken_in_any_case)
{
	static const char *const headers[] = { "Authorization: bEARER " TOKEN, NULL };
	struct asked asked = { .call.headers = headers };

	ask(&asked, "GET", "/now", NULL);
	expect(&asked, 200, NULL);
	http_release(&asked.call);
}
END_TEST

START_TEST(an_unknown_path_is_404_and_a_wrong_method_405_with_allow)
{
	struct asked asked = { 0 };

	ask(&asked, "GET", "/nothing", NULL);
	expect_failure(&asked, 404, "not_found");
	ask(&asked, "GET", "/things/", NULL);
	expect_failure(&asked, 404, "not_found");
	ask(&asked, "PUT", "/things/7", "{}");
	WAIT_UNTIL(asked.done);
	ck_assert_str_eq(http_response_header(&asked.call, "Allow"), "DELETE, GET, HEAD");
	expect_failure(&asked, 405, "method_not_allowed");
	ask(&asked, "HEAD", "/now", NULL);
	expect(&asked, 200, "");
	http_release(&asked.call);
}
END_TEST

START_TEST(a_body_that_is_not_json_is_400_with_our_error)
{
	static const char *const bodies[] = { "",     "{",        "{\"a\":1,\"a\":2}", "nonsense",
		                              "{} x", "\xff\xfe", "\"only a string\"" };

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct asked asked = { 0 };

		ask(&asked, "POST", "/json", bodies[i]);
		expect_failure(&asked, 400, "bad_request");
	}
	expect_answer("POST", "/json", "{\"a\":[1]}", 200, "{\"is\":{\"a\":[1]}}");
}
END_TEST

START_TEST(a_body_over_the_cap_is_413_before_it_has_come)
{
	char *large = mem_alloc(BODY_MAX + 2, 1);
	struct asked asked = { 0 };
	int fd = dial();

	memset(large, 'x', BODY_MAX + 1);
	ask(&asked, "POST", "/echo/x", large);
	expect_failure(&asked, 413, "too_large");
	large[BODY_MAX] = '\0';
	expect_answer("POST", "/echo/x", large, 200, NULL);
	free(large);
	say(fd, "POST /echo/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN
	        "\r\nContent-Length: 52428800\r\n\r\nfirst bytes");
	ck_assert_ptr_nonnull(strstr(hear(fd, "too_large"), "HTTP/1.1 413"));
	close(fd);
}
END_TEST

START_TEST(a_body_of_megabytes_is_answered_413_while_it_comes)
{
	char *large = mem_alloc(8 << 20, 1);
	struct asked asked = { 0 };

	memset(large, 'x', (8 << 20) - 1);
	ask(&asked, "POST", "/echo/x", large);
	expect_failure(&asked, 413, "too_large");
	free(large);
}
END_TEST

START_TEST(a_length_beyond_all_numbers_is_refused)
{
	int fd = dial();

	say(fd, "POST /echo/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN
	        "\r\nContent-Length: 99999999999999999999999\r\n\r\n");
	ck_assert_ptr_nonnull(strstr(hear(fd, "\r\n\r\n"), "HTTP/1.1 4"));
	close(fd);
}
END_TEST

START_TEST(a_chunked_body_is_411_with_our_error)
{
	int fd = dial();
	const char *heard;

	say(fd, "POST /echo/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN
	        "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	heard = hear(fd, "}");
	ck_assert_ptr_nonnull(strstr(heard, "HTTP/1.1 411"));
	ck_assert_ptr_nonnull(strstr(heard, "{\"error\":\"length_required\""));
	close(fd);
}
END_TEST

START_TEST(a_nul_in_path_or_query_is_400)
{
	struct asked asked = { 0 };

	ask(&asked, "GET", "/things/a%00b", NULL);
	expect_failure(&asked, 400, "bad_request");
	ask(&asked, "GET", "/now?q=%00", NULL);
	expect_failure(&asked, 400, "bad_request");
}
END_TEST

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

/* Sends a byte of TEXT each turn until the server closes; how long that took. */
static uint64_t drip(int fd, const char *text)
{
	uint64_t start_ms = loop_now_ms();

	WAIT_UNTIL(closed(fd) || send(fd, *text != '\0' ? text++ : "a", 1, MSG_NOSIGNAL) < 0 ||
	           loop_now_ms() > start_ms + 5000);
	return loop_now_ms() - start_ms;
}

START_TEST(a_client_that_drips_its_header_is_cut_at_the_deadline)
{
	uint64_t took_ms;
	int fd;

	hurried = true;
	fd = dial();
	took_ms = drip(fd, "GET /now HTTP/1.1\r\nX: ");
	ck_assert_uint_ge(took_ms, HEADER_MS / 100 - 20);
	ck_assert_uint_lt(took_ms, HEADER_MS / 100 + 1000);
	close(fd);
}
END_TEST

START_TEST(a_client_that_drips_its_body_is_cut_at_the_deadline)
{
	uint64_t took_ms;
	int fd;

	hurried = true;
	fd = dial();
	say(fd, "POST /json HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN
	        "\r\nContent-Length: 1000\r\n\r\n");
	took_ms = drip(fd, "{");
	ck_assert_uint_ge(took_ms, BODY_MS / 100 - 20);
	ck_assert_uint_lt(took_ms, BODY_MS / 100 + 1000);
	close(fd);
}
END_TEST

START_TEST(a_client_that_drips_its_second_request_is_cut_too)
{
	int fd;

	hurried = true;
	fd = dial();
	say(fd, whole);
	hear(fd, whole_answer);
	ck_assert_uint_lt(drip(fd, "GET /now HTTP/1.1\r\nX: "), 3000);
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

START_TEST(silent_clients_up_to_the_limit_keep_others_out_only_until_their_deadline)
{
	struct http_server_options options = options_for_test();
	int fds[20];

	hurried = true;
	options.connection_max = ARRAY_LEN(fds);
	start_with(&options);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = dial();
	turn_for(20);
	expect_answer("GET", "/now", NULL, 200, NULL);
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

/* ---- start and stop ---- */

START_TEST(stopping_answers_what_waits_with_503_and_releases_it)
{
	struct asked asked[3] = { 0 };

	for (int i = 0; i < 3; i++)
		ask(&asked[i], "GET", "/later", NULL);
	WAIT_UNTIL(kept_count == 3);
	http_server_free(server);
	server = NULL;
	ck_assert_int_eq(released, 3);
	for (int i = 0; i < 3; i++)
		expect_failure(&asked[i], 503, "unavailable");
}
END_TEST

START_TEST(stopping_ends_connections_in_every_stage)
{
	int fds[6];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		size_t len = i * (sizeof(whole) - 1) / (ARRAY_LEN(fds) - 1);

		fds[i] = dial();
		ck_assert_int_eq(send(fds[i], whole, len, 0), (ssize_t)len);
	}
	turn_for(20);
	http_server_free(server);
	server = NULL;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}
END_TEST

START_TEST(an_address_in_use_is_an_error_with_a_reason)
{
	struct http_server_options options = options_for_test();
	char *why = NULL;

	options.listen = *http_server_address(server);
	ck_assert_ptr_null(http_server_new(&options, &why));
	ck_assert_str_eq(why, "can't listen: Address already in use");
	free(why);
}
END_TEST

START_TEST(a_certificate_that_is_none_is_an_error_with_a_reason)
{
	struct http_server_options options = options_for_test();
	char *why = NULL;

	options.certificate = "no certificate";
	options.key = "no key";
	ck_assert_ptr_null(http_server_new(&options, &why));
	ck_assert_ptr_nonnull(why);
	ck_assert_ptr_nonnull(strstr(why, "certificate"));
	free(why);
}
END_TEST

START_TEST(with_a_certificate_it_serves_tls)
{
	struct http_server_options options = options_for_test();
	struct certificate certificate;
	struct asked asked = { 0 };

	certificate_init(&certificate);
	options.certificate = certificate.chain;
	options.key = certificate.key;
	start_with(&options);
	http_pool_free(pool);
	pool = http_pool_new(&(struct http_pool_options){ .ca_file = certificate.file });
	asked.call.headers = with_token;
	ask(&asked, "GET", "/later", NULL);
	http_release(&asked.call);
	memmove(asked.url + 5, asked.url + 4, strlen(asked.url + 4) + 1);
	asked.url[4] = 's';
	http_send(pool, &asked.call);
	WAIT_UNTIL(kept_count == 1);
	http_reply(kept[0], 200, json_pack("{s:s}", "over", "TLS"));
	expect(&asked, 200, "{\"over\":\"TLS\"}");
	http_release(&asked.call);
	certificate_release(&certificate);
}
END_TEST

START_TEST(without_a_token_every_route_is_open)
{
	struct http_server_options options = options_for_test();
	static const char *const none[] = { NULL };
	struct asked asked = { .call.headers = none };

	options.token = NULL;
	start_with(&options);
	ask(&asked, "GET", "/now", NULL);
	expect(&asked, 200, NULL);
	http_release(&asked.call);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_handler_answers_at_once,
		a_handler_answers_later_and_the_answer_goes_out_at_once,
		many_that_wait_are_answered_by_the_handler_of_another,
		what_was_asked_comes_decoded,
		a_failure_with_bytes_that_json_does_not_take_is_still_json,
		a_wrong_or_missing_token_is_401_but_not_where_none_is_needed,
		the_scheme_bearer_is_taken_in_any_case,
		an_unknown_path_is_404_and_a_wrong_method_405_with_allow,
		a_body_that_is_not_json_is_400_with_our_error,
		a_body_over_the_cap_is_413_before_it_has_come,
		a_body_of_megabytes_is_answered_413_while_it_comes,
		a_length_beyond_all_numbers_is_refused,
		a_chunked_body_is_411_with_our_error,
		a_nul_in_path_or_query_is_400,
		a_request_that_comes_byte_by_byte_is_served,
		two_requests_in_one_segment_are_both_served_although_the_first_waits,
		garbage_is_refused_and_the_next_client_served,
		a_header_without_end_is_refused_with_bounded_memory,
		clients_that_leave_in_mid_request_leave_nothing,
		a_client_that_left_while_it_waited_is_answered_into_the_void,
		a_client_that_drips_its_header_is_cut_at_the_deadline,
		a_client_that_drips_its_body_is_cut_at_the_deadline,
		a_client_that_drips_its_second_request_is_cut_too,
		a_handler_may_take_longer_than_any_deadline,
		silent_clients_up_to_the_limit_keep_others_out_only_until_their_deadline,
		a_kept_connection_that_is_silent_is_closed,
		stopping_answers_what_waits_with_503_and_releases_it,
		stopping_ends_connections_in_every_stage,
		an_address_in_use_is_an_error_with_a_reason,
		a_certificate_that_is_none_is_an_error_with_a_reason,
		with_a_certificate_it_serves_tls,
		without_a_token_every_route_is_open,
	};

	return unit_run("http_server", tests, ARRAY_LEN(tests), setup, teardown);
}
