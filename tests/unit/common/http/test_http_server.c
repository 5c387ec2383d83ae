#include <microhttpd.h>

/* So many answers the library doesn't take. */
static unsigned answers_refused;

static enum MHD_Result test_queue_response(struct MHD_Connection *connection, unsigned status,
                                           struct MHD_Response *response)
{
	if (answers_refused == 0)
		return MHD_queue_response(connection, status, response);
	answers_refused--;
	return MHD_NO;
}

#define MHD_queue_response test_queue_response
#include "common/http/http_server.c"
#undef MHD_queue_response

#include "common/text/percent.h"
#include "tests/unit/certificate.h"
#include "tests/unit/http_server_fixture.h"

static const char whole[] = "POST /echo/p HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN
                            "\r\nX-Header: h\r\nContent-Length: 4\r\n\r\nbody";
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

	ask(&asked, "GET", "/later", NULL);
	WAIT_UNTIL(kept_count == 1);
	turn_for(50);
	ck_assert(!asked.done);
	http_reply(kept[0], 200, json_pack("{}"));
	expect(&asked, 200, "{}");
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

static void expect_cut_off(struct asked *asked)
{
	WAIT_UNTIL(asked->done);
	ck_assert_int_eq(asked->call.failure, HTTP_BROKEN);
	ck_assert_uint_eq(answers_refused, 0);
	http_release(&asked->call);
	expect_answer("GET", "/now", NULL, 200, "{\"now\":true}");
}

START_TEST(an_answer_that_the_library_does_not_take_ends_its_connection_alone)
{
	struct asked now = { 0 }, later = { 0 };

	answers_refused = 1;
	ask(&now, "GET", "/now", NULL);
	expect_cut_off(&now);
	http_pool_free(pool);
	pool = http_pool_new(&(struct http_pool_options){ 0 });
	ask(&later, "GET", "/later", NULL);
	WAIT_UNTIL(kept_count == 1);
	answers_refused = 1;
	http_reply(kept[0], 200, json_pack("{}"));
	expect_cut_off(&later);
	WAIT_UNTIL(released == 1);
}
END_TEST

START_TEST(what_was_asked_comes_decoded)
{
	static const char *const headers[] = { with_token[0], "X-Header: value", "X-Other: 1",
		                               "x-header: more, values", NULL };
	struct asked asked = { .call.headers = headers };

	ask(&asked, "POST", "/echo/a%2Fb%40c?other=1&q=x%20y+z%26", "the body");
	expect(&asked, 200,
	       "{\"param\":\"a/b@c\",\"query\":\"x y z&\",\"header\":\"value, more, "
	       "values\",\"body\":\"the "
	       "body\"}");
	http_release(&asked.call);
	expect_answer("POST", "/echo/x", "", 200,
	              "{\"param\":\"x\",\"query\":null,\"header\":\"\",\"body\":\"\"}");
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

/* ---- start and stop ---- */

START_TEST(a_page_has_1_to_1000_rows)
{
	static const char *const wrong[] = { "0", "1001", "-1", "x", "1x", "", " 1" };

	expect_answer("GET", "/page", NULL, 200, "{\"limit\":100}");
	expect_answer("GET", "/page?limit=1", NULL, 200, "{\"limit\":1}");
	expect_answer("GET", "/page?limit=1000", NULL, 200, "{\"limit\":1000}");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char path[32];
		char *encoded = percent_encode(wrong[i]);
		struct asked asked = { 0 };

		snprintf(path, sizeof(path), "/page?limit=%s", encoded);
		ask(&asked, "GET", path, NULL);
		expect_failure(&asked, 400, "bad_request");
		free(encoded);
	}
}
END_TEST

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

/* ---- TLS ---- */

static void start_tls(const struct certificate *certificate)
{
	struct http_server_options options = options_for_test();

	options.certificate = certificate->chain;
	options.key = certificate->key;
	start_with(&options);
}

/* A pool that trusts CERTIFICATE alone. */
static struct http_pool *new_pool(const struct certificate *certificate)
{
	return http_pool_new(&(struct http_pool_options){ .ca_file = certificate->file });
}

static void ask_tls(struct asked *asked, struct http_pool *from, const char *path)
{
	char address[NET_TEXT_MAX];

	snprintf(asked->url, sizeof(asked->url), "https://%s%s",
	         net_format(http_server_address(server), address), path);
	asked->call = (struct http_call){
		.done = on_asked,
		.method = "GET",
		.url = asked->url,
		.headers = with_token,
		.timeout_ms = 60000,
	};
	asked->done = false;
	http_send(from, &asked->call);
}

static void expect_tls(struct http_pool *from, const char *path, unsigned status)
{
	struct asked asked;

	ask_tls(&asked, from, path);
	WAIT_UNTIL(asked.done);
	ck_assert_uint_eq(asked.call.status, status);
	http_release(&asked.call);
}

START_TEST(with_a_certificate_it_serves_tls)
{
	struct certificate certificate;
	struct http_pool *trusting;
	struct asked asked;

	certificate_init(&certificate);
	start_tls(&certificate);
	trusting = new_pool(&certificate);
	ask_tls(&asked, trusting, "/later");
	WAIT_UNTIL(kept_count == 1);
	http_reply(kept[0], 200, json_pack("{s:s}", "over", "TLS"));
	expect(&asked, 200, "{\"over\":\"TLS\"}");
	http_release(&asked.call);
	http_pool_free(trusting);
	certificate_release(&certificate);
}
END_TEST

START_TEST(a_renewed_certificate_serves_new_connections_while_old_ones_finish)
{
	struct certificate before, after;
	struct http_pool *old, *fresh;
	struct asked asked;
	char *why;

	certificate_init(&before);
	certificate_init(&after);
	start_tls(&before);
	old = new_pool(&before);
	fresh = new_pool(&after);
	ask_tls(&asked, old, "/later");
	WAIT_UNTIL(kept_count == 1);
	ck_assert_int_eq(http_server_renew(server, after.chain, after.key, &why), 0);
	expect_tls(fresh, "/now", 200);
	ck_assert(!asked.done);
	http_reply(kept[0], 200, json_pack("{}"));
	expect(&asked, 200, "{}");
	ck_assert_str_eq(http_response_header(&asked.call, "connection"), "close");
	http_release(&asked.call);
	expect_tls(old, "/now", 0);
	WAIT_UNTIL(list_empty(&server->retired));
	expect_tls(fresh, "/now", 200);
	http_pool_free(fresh);
	http_pool_free(old);
	certificate_release(&after);
	certificate_release(&before);
}
END_TEST

START_TEST(a_certificate_that_does_not_fit_its_key_changes_nothing)
{
	struct certificate ours, other;
	struct http_pool *trusting;
	char *why;

	certificate_init(&ours);
	certificate_init(&other);
	start_tls(&ours);
	ck_assert_int_eq(http_server_renew(server, other.chain, ours.key, &why), -1);
	ck_assert_str_ne(why, "");
	free(why);
	ck_assert_int_eq(http_server_renew(server, "no PEM", ours.key, &why), -1);
	free(why);
	trusting = new_pool(&ours);
	expect_tls(trusting, "/now", 200);
	http_pool_free(trusting);
	certificate_release(&other);
	certificate_release(&ours);
}
END_TEST

START_TEST(stopping_ends_what_old_certificates_still_serve)
{
	struct certificate before, after;
	struct http_pool *old;
	struct asked asked;
	char *why;

	certificate_init(&before);
	certificate_init(&after);
	start_tls(&before);
	old = new_pool(&before);
	ask_tls(&asked, old, "/later");
	WAIT_UNTIL(kept_count == 1);
	ck_assert_int_eq(http_server_renew(server, after.chain, after.key, &why), 0);
	http_server_free(server);
	server = NULL;
	ck_assert_int_eq(released, 1);
	expect_failure(&asked, 503, "unavailable");
	http_pool_free(old);
	certificate_release(&after);
	certificate_release(&before);
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
		an_answer_that_the_library_does_not_take_ends_its_connection_alone,
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
		a_page_has_1_to_1000_rows,
		stopping_answers_what_waits_with_503_and_releases_it,
		stopping_ends_connections_in_every_stage,
		an_address_in_use_is_an_error_with_a_reason,
		a_certificate_that_is_none_is_an_error_with_a_reason,
		with_a_certificate_it_serves_tls,
		a_renewed_certificate_serves_new_connections_while_old_ones_finish,
		a_certificate_that_does_not_fit_its_key_changes_nothing,
		stopping_ends_what_old_certificates_still_serve,
		without_a_token_every_route_is_open,
	};

	return unit_run("http_server", tests, ARRAY_LEN(tests), setup, teardown);
}
