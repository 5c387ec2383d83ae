#include "common/http/http_client.c"

#include "tests/unit/h2_server.h"
#include "tests/unit/http_client_fixture.h"

static struct certificate certificate;
static struct h2_server h2;

static void setup(void)
{
	loop_init();
	certificate_init(&certificate);
}

static void teardown(void)
{
	http_pool_free(pool);
	h2_server_stop(&h2);
	certificate_release(&certificate);
	loop_release();
}

static void start_h2(enum h2_manner manner, int asks, const struct http_pool_options *options)
{
	struct http_pool_options with_ca = *options;

	h2_server_start(&h2, &certificate, manner, asks);
	http_pool_free(pool);
	with_ca.http2 = true;
	with_ca.connections = 1;
	if (with_ca.ca_file == NULL)
		with_ca.ca_file = certificate.file;
	pool = http_pool_new(&with_ca);
}

START_TEST(a_certificate_that_nobody_trusts_is_untrusted)
{
	struct asked asked = { 0 };

	start_h2(H2_ANSWERS, 0,
	         &(struct http_pool_options){ .ca_file = "/etc/ssl/certs/ca-certificates.crt" });
	ask(&asked, "GET", h2.url);
	expect(&asked, HTTP_UNTRUSTED, 0);
	http_release(&asked.call);
}
END_TEST

START_TEST(a_hundred_requests_at_once_go_over_one_h2_connection)
{
	struct asked asked[100] = { 0 };

	start_h2(H2_ANSWERS, 0, &(struct http_pool_options){ 0 });
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++) {
			asked[i].call.body = i % 2 ? "{}" : NULL;
			asked[i].call.body_len = i % 2 ? 2 : 0;
			ask(&asked[i], i % 2 ? "POST" : "GET", h2.url);
		}
		for (int i = 0; i < 100; i++) {
			expect(&asked[i], HTTP_OK, 200);
			ck_assert_str_eq(asked[i].call.response, "1");
		}
	}
	for (int i = 0; i < 100; i++)
		http_release(&asked[i].call);
}
END_TEST

START_TEST(a_server_without_h2_is_told_nothing)
{
	struct asked asked[3] = { 0 };

	start_h2(H2_LACKS_ALPN, 0, &(struct http_pool_options){ 0 });
	for (int i = 0; i < 3; i++) {
		ask(&asked[i], "GET", h2.url);
		expect(&asked[i], HTTP_NOT_H2, 0);
		http_release(&asked[i].call);
	}
}
END_TEST

START_TEST(a_client_certificate_is_shown_from_memory)
{
	struct asked asked = { 0 };

	start_h2(H2_ANSWERS, 1, &(struct http_pool_options){ 0 });
	ask(&asked, "GET", h2.url);
	expect(&asked, HTTP_OK, 404);
	http_release(&asked.call);
	h2_server_stop(&h2);
	start_h2(H2_ANSWERS, 1,
	         &(struct http_pool_options){ .certificate = certificate.chain,
	                                      .key = certificate.key });
	ask(&asked, "GET", h2.url);
	expect(&asked, HTTP_OK, 200);
	http_release(&asked.call);
}
END_TEST

/* ---- a certificate of ours that the server doesn't take ---- */

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void show_certificate(struct asked *asked, enum h2_manner manner, int asks)
{
	start_h2(manner, asks,
	         &(struct http_pool_options){ .certificate = certificate.chain,
	                                      .key = certificate.key });
	ask(asked, "POST", h2.url);
	WAIT_UNTIL(asked->done > 0);
}

static void forget(struct asked *asked)
{
	http_release(&asked->call);
	h2_server_stop(&h2);
}

START_TEST(an_alert_that_refuses_our_certificate_is_told_with_its_name)
{
	static const struct {
		int fault;
		const char *name;
	} alerts[] = {
		{ X509_V_ERR_CERT_REVOKED, "certificate revoked" },
		{ X509_V_ERR_CERT_HAS_EXPIRED, "certificate expired" },
		{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "unknown CA" },
		{ X509_V_ERR_CERT_SIGNATURE_FAILURE, "decrypt error" },
		{ X509_V_ERR_CERT_UNTRUSTED, "bad certificate" },
		{ X509_V_ERR_INVALID_PURPOSE, "unsupported certificate" },
		{ X509_V_ERR_APPLICATION_VERIFICATION, "handshake failure" },
	};

	for (size_t i = 0; i < ARRAY_LEN(versions) * ARRAY_LEN(alerts); i++) {
		struct asked asked = { 0 };

		h2.tls_max = versions[i % ARRAY_LEN(versions)];
		h2.fault = alerts[i / ARRAY_LEN(versions)].fault;
		show_certificate(&asked, H2_REFUSES, 1);
		expect(&asked, HTTP_CERTIFICATE, 0);
		ck_assert_str_eq(asked.call.error, alerts[i / ARRAY_LEN(versions)].name);
		ck_assert(!asked.call.at_certificate);
		forget(&asked);
	}
}
END_TEST

START_TEST(another_alert_is_no_refusal)
{
	static const enum http_failure failures[] = { HTTP_UNTRUSTED, HTTP_BROKEN };

	h2.fault = X509_V_ERR_UNSPECIFIED; /* "internal error" */
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct asked asked = { 0 };

		h2.tls_max = versions[i];
		show_certificate(&asked, H2_REFUSES, 1);
		expect(&asked, failures[i], 0);
		ck_assert(!asked.call.at_certificate);
		forget(&asked);
	}
}
END_TEST

START_TEST(a_refusal_says_nothing_of_the_next_connection)
{
	struct asked asked = { 0 };

	h2.fault = X509_V_ERR_CERT_REVOKED;
	show_certificate(&asked, H2_REFUSES, 1);
	expect(&asked, HTTP_CERTIFICATE, 0);
	forget(&asked);
	ask(&asked, "POST", h2.url); /* where nobody listens any more */
	WAIT_UNTIL(asked.done > 0);
	ck_assert_int_ne(asked.call.failure, HTTP_CERTIFICATE);
	ck_assert(!asked.call.at_certificate);
	http_release(&asked.call);
}
END_TEST

START_TEST(a_connection_that_ends_at_our_certificate_is_told)
{
	static const enum http_failure failures[] = { HTTP_UNTRUSTED, HTTP_BROKEN };

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct asked asked = { 0 };

		h2.tls_max = versions[i];
		show_certificate(&asked, H2_HANGS_UP, 1);
		expect(&asked, failures[i], 0);
		ck_assert(asked.call.at_certificate);
		forget(&asked);
	}
}
END_TEST

/* The server's settings have come by then, so it has taken the certificate, if it asked for one. */
START_TEST(a_connection_that_ends_later_or_without_a_certificate_is_only_broken)
{
	for (size_t i = 0; i < 2 * ARRAY_LEN(versions); i++) {
		struct asked asked = { 0 };

		h2.tls_max = versions[i / 2];
		show_certificate(&asked, H2_CUTS, i % 2);
		expect(&asked, HTTP_BROKEN, 0);
		ck_assert(!asked.call.at_certificate);
		forget(&asked);
	}
}
END_TEST

START_TEST(a_server_that_goes_away_after_each_answer_is_dialled_again)
{
	struct asked asked = { 0 };

	start_h2(H2_GOES_AWAY, 0, &(struct http_pool_options){ 0 });
	for (int i = 1; i <= 5; i++) {
		ask(&asked, "GET", h2.url);
		expect(&asked, HTTP_OK, 200);
		ck_assert_int_eq(asked.call.response[0], '0' + i);
	}
	http_release(&asked.call);
}
END_TEST

static unsigned told;

static void on_told(struct http_pool_watch *watch)
{
	told++;
}

START_TEST(a_goaway_that_leaves_a_request_open_is_told_once_and_the_others_go_elsewhere)
{
	struct http_pool_watch watch = { .draining = on_told };
	struct asked asked[4] = { 0 };

	told = 0;
	start_h2(H2_LEAVES, 0, &(struct http_pool_options){ .watch = &watch });
	ask(&asked[0], "GET", h2.url);
	ck_assert(!http_begun(&asked[0].call));
	WAIT_UNTIL(told > 0);
	ck_assert(http_begun(&asked[0].call));
	for (size_t i = 1; i < ARRAY_LEN(asked); i++)
		ask(&asked[i], "GET", h2.url);
	for (size_t i = 1; i < ARRAY_LEN(asked); i++) {
		expect(&asked[i], HTTP_OK, 200);
		ck_assert_str_ne(asked[i].call.response, "1"); /* the connection's number */
		http_release(&asked[i].call);
	}
	ck_assert_int_eq(asked[0].done, 0);
	ck_assert_uint_eq(told, 1);
	http_release(&asked[0].call);
}
END_TEST

/* Asks until the requests have gone out, and has nothing read afterwards. */
static void send_all(struct asked *asked, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ask(&asked[i], "GET", h2.url);
	while (!http_begun(&asked[count - 1].call))
		loop_turn(20);
	h2_server_wait_left(&h2);
}

START_TEST(a_goaway_that_a_request_reads_where_it_goes_out_is_told)
{
	struct http_pool_watch watch = { .draining = on_told };
	struct asked asked[2] = { 0 };

	told = 0;
	start_h2(H2_LEAVES, 0, &(struct http_pool_options){ .watch = &watch });
	send_all(asked, 1);
	ask(&asked[1], "GET", h2.url);
	on_timer(&pool->timer); /* before the loop sees that there is something to read */
	ck_assert_uint_eq(told, 1);
	expect(&asked[1], HTTP_OK, 200);
	ck_assert_str_eq(asked[1].call.response, "2");
	ck_assert_int_eq(asked[0].done, 0);
	http_release(&asked[0].call);
	http_release(&asked[1].call);
}
END_TEST

/* libcurl processes what it has read up to the answer for another request, the rest later. */
START_TEST(a_goaway_that_waits_in_libcurl_until_a_request_goes_out_is_told)
{
	struct http_pool_watch watch = { .draining = on_told };
	struct asked asked[4] = { 0 };

	told = 0;
	start_h2(H2_LEAVES_BEHIND, 0, &(struct http_pool_options){ .watch = &watch });
	send_all(asked, 3);
	ask(&asked[3], "GET", h2.url);
	WAIT_UNTIL(told > 0);
	expect(&asked[1], HTTP_OK, 200);
	expect(&asked[3], HTTP_OK, 200);
	ck_assert_str_eq(asked[3].call.response, "2");
	ck_assert_int_eq(asked[0].done + asked[2].done, 0);
	ck_assert_uint_eq(told, 1);
	for (size_t i = 0; i < ARRAY_LEN(asked); i++)
		http_release(&asked[i].call);
}
END_TEST

static void free_told(struct http_pool_watch *watch)
{
	told++;
	http_pool_free(pool);
	pool = NULL;
}

START_TEST(a_pool_may_be_freed_where_it_is_told_that_it_drains)
{
	struct http_pool_watch watch = { .draining = free_told };
	struct asked asked = { 0 };

	told = 0;
	start_h2(H2_LEAVES, 0, &(struct http_pool_options){ .watch = &watch });
	ask(&asked, "GET", h2.url);
	WAIT_UNTIL(told > 0);
	ck_assert_int_eq(asked.done, 0);
}
END_TEST

START_TEST(an_h2_connection_cut_before_the_status_is_broken_and_after_it_the_status_counts)
{
	struct asked asked = { 0 };

	start_h2(H2_CUTS, 0, &(struct http_pool_options){ 0 });
	ask(&asked, "POST", h2.url);
	expect(&asked, HTTP_BROKEN, 0);
	http_release(&asked.call);
	h2_server_stop(&h2);
	start_h2(H2_CUTS_ANSWERS, 0, &(struct http_pool_options){ 0 });
	ask(&asked, "POST", h2.url);
	expect(&asked, HTTP_OK, 200);
	http_release(&asked.call);
}
END_TEST

START_TEST(an_h2_server_that_says_nothing_is_timed_out)
{
	struct asked asked[10] = { 0 };

	start_h2(H2_SILENT, 0, &(struct http_pool_options){ 0 });
	for (int i = 0; i < 10; i++) {
		asked[i].call.timeout_ms = 8000;
		ask(&asked[i], "POST", h2.url);
	}
	for (int i = 0; i < 10; i++) {
		expect(&asked[i], HTTP_TIMED_OUT, 0);
		http_release(&asked[i].call);
	}
}
END_TEST

START_TEST(a_pool_is_freed_in_every_stage_of_a_call)
{
	struct asked asked = { 0 };

	start_h2(H2_ANSWERS, 0, &(struct http_pool_options){ 0 });
	for (int turns = 0; turns < 12; turns++) {
		ask(&asked, "POST", h2.url);
		for (int i = 0; i < turns && asked.done == 0; i++)
			loop_turn(20);
		http_pool_free(pool);
		http_release(&asked.call);
		pool = http_pool_new(
		        &(struct http_pool_options){ .http2 = true, .ca_file = certificate.file });
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_certificate_that_nobody_trusts_is_untrusted,
		a_hundred_requests_at_once_go_over_one_h2_connection,
		a_server_without_h2_is_told_nothing,
		a_client_certificate_is_shown_from_memory,
		an_alert_that_refuses_our_certificate_is_told_with_its_name,
		another_alert_is_no_refusal,
		a_refusal_says_nothing_of_the_next_connection,
		a_connection_that_ends_at_our_certificate_is_told,
		a_connection_that_ends_later_or_without_a_certificate_is_only_broken,
		a_server_that_goes_away_after_each_answer_is_dialled_again,
		a_goaway_that_leaves_a_request_open_is_told_once_and_the_others_go_elsewhere,
		a_goaway_that_a_request_reads_where_it_goes_out_is_told,
		a_goaway_that_waits_in_libcurl_until_a_request_goes_out_is_told,
		a_pool_may_be_freed_where_it_is_told_that_it_drains,
		an_h2_connection_cut_before_the_status_is_broken_and_after_it_the_status_counts,
		an_h2_server_that_says_nothing_is_timed_out,
		a_pool_is_freed_in_every_stage_of_a_call,
	};

	return unit_run("http_client_h2", tests, ARRAY_LEN(tests), setup, teardown);
}
