#include "relayd/api/activation.c"

#include <errno.h>

#include "common/http/http_client.h"
#include "relayd/api/server.h"
#include "relayd/io/pump.h"
#include "tests/unit/logged.h"
#include "tests/unit/relay_store.h"
#include "tests/unit/tcp_pair.h"

#define NAME "0123456789abcdefabcdef0123456789abcdef01"
#define PATH "/v1/streams/" NAME "/activate"
#define BODY                                                                                       \
	"{\"parties\":[{\"user\":\"a@x\",\"domain\":\"x\"},{\"user\":\"b@y\",\"domain\":\"y\"}],"  \
	"\"tag\":{\"some\":1},\"deadline_ms\":%d}"

static uint8_t hash[SOCKS5_HASH_LEN];
static int far[2];
static struct http_pool *pool;

static void setup(void)
{
	relay_store_setup();
	relay_conf.verifier = VERIFIER_LIMITS;
	relay_conf.idle_timeout_ms = 60000;
	relay_conf.control_listen = (char *)"127.0.0.1:0";
	relay_conf.api_token = (char *)"token";
	ck_assert_int_eq(socks5_hash_parse(NAME, SOCKS5_NAME_LEN, hash), 0);
	pump_module.start(&relay_conf);
	active_module.start(&relay_conf);
	activation_module.start(&relay_conf);
	claim_module.start(&relay_conf);
	pair_module.start(&relay_conf);
	stream_module.start(&relay_conf);
	ck_assert_int_eq(server_module.start(&relay_conf), 0);
	pool = http_pool_new(&(struct http_pool_options){ .connections = 10 });
}

static void teardown(void)
{
	http_pool_free(pool);
	server_module.stop();
	stream_module.stop();
	pair_module.stop();
	claim_module.stop();
	pump_module.stop();
	active_module.stop();
	relay_store_teardown();
}

/* Streams */

static void on_settled(struct conn *conn, const struct stream_verdict *verdict)
{
	ck_assert_int_eq(verdict->outcome, CLAIM_OURS);
}

static struct conn *join(int side)
{
	union net_address address;
	struct conn *conn;
	int ends[2];

	tcp_pair(ends);
	far[side] = ends[0];
	ck_assert_int_eq(net_local(ends[0], &address), 0);
	conn = conn_new(ends[1], &address, CONN_WAITING);
	(void)stream_join(conn, hash, on_settled);
	return conn;
}

static struct stream *join_both(void)
{
	(void)join(0);
	(void)join(1);
	WAIT_UNTIL(stream_find(hash)->state == STREAM_PAIRED);
	return stream_find(hash);
}

/* Requests */

struct asked {
	struct http_call call;
	char url[256], body[256];
	bool done;
};

static void on_asked(struct http_call *call)
{
	container_of(call, struct asked, call)->done = true;
}

static void ask(struct asked *asked, int deadline_ms)
{
	static const char *const headers[] = { "Authorization: Bearer token", NULL };
	char address[NET_TEXT_MAX];

	snprintf(asked->url, sizeof(asked->url), "http://%s" PATH,
	         net_format(server_address(), address));
	snprintf(asked->body, sizeof(asked->body), BODY, deadline_ms);
	asked->done = false;
	asked->call = (struct http_call){
		.done = on_asked,
		.method = "POST",
		.url = asked->url,
		.body = asked->body,
		.body_len = strlen(asked->body),
		.timeout_ms = 30000,
		.headers = headers,
	};
	http_send(pool, &asked->call);
}

static void expect(struct asked *asked, unsigned status, const char *part)
{
	WAIT_UNTIL(asked->done);
	ck_assert_str_eq(asked->call.error, "");
	ck_assert_uint_eq(asked->call.status, status);
	ck_assert_msg(strstr(asked->call.response, part) != NULL, "%s", asked->call.response);
	http_release(&asked->call);
}

static void activate_and_expect(unsigned status, const char *part)
{
	struct asked asked;

	ask(&asked, 20000);
	expect(&asked, status, part);
}

START_TEST(a_stream_with_a_lease_is_activated_and_that_again_is_no_error)
{
	struct stream *stream = join_both();

	activate_and_expect(200, "\"state\":\"active\"");
	ck_assert_int_eq(stream->state, STREAM_ACTIVE);
	ck_assert_ptr_nonnull(stream->lease);
	ck_assert_ptr_null(stream->watch);
	ck_assert_ptr_nonnull(strstr(stream->about, "\"tag\":{\"some\":1}"));
	activate_and_expect(200, "\"state\":\"active\"");
}
END_TEST

START_TEST(without_limits_no_lease_is_needed)
{
	struct stream *stream = join_both();

	relay_conf.verifier = VERIFIER_OPEN;
	activate_and_expect(200, "\"state\":\"active\"");
	ck_assert_ptr_null(stream->lease);
	ck_assert_int_eq(stream->state, STREAM_ACTIVE);
}
END_TEST

START_TEST(one_half_is_a_conflict_and_none_is_not_found)
{
	activate_and_expect(404, "not_found");
	(void)join(0);
	WAIT_UNTIL(stream_find(hash)->state == STREAM_WAITING);
	activate_and_expect(409, "conflict");
}
END_TEST

/* The reset that lies behind the end of what came before it, or 0. */
static int end_of(int side)
{
	char byte;

	return recv(far[side], &byte, 1, MSG_DONTWAIT) < 0 ? errno : 0;
}

START_TEST(a_denial_says_whose_limit_it_is_and_resets_both_halves)
{
	(void)join_both();
	relay_conf.default_user_limit = -1;
	activate_and_expect(403, "\"account\":\"a@x\"");
	ck_assert_ptr_null(stream_find(hash));
	WAIT_UNTIL(end_of(0) == ECONNRESET);
	WAIT_UNTIL(end_of(1) == ECONNRESET);
	activate_and_expect(404, "not_found");
}
END_TEST

START_TEST(requests_that_wait_for_one_lease_get_one_denial)
{
	struct asked first, second;
	struct stream *stream = join_both();

	redis_server_kill(&relay_server);
	turn_for(50);
	relay_conf.default_user_limit = -1;
	ask(&first, 20000);
	ask(&second, 20000);
	WAIT_UNTIL(stream->watch != NULL);
	turn_for(100);
	redis_server_start(&relay_server);
	expect(&first, 403, "forbidden");
	expect(&second, 403, "forbidden");
	ck_assert_ptr_null(stream_find(hash));
}
END_TEST

START_TEST(a_user_with_too_many_streams_is_told_so_and_both_halves_are_reset)
{
	static const struct party parties[2] = { { "a@x", "x", true }, { "z@z", "z", false } };
	struct active other = { 0 };
	struct active_excess excess;

	(void)join_both();
	relay_conf.streams_per_user_max = 1;
	ck_assert(active_take(&other, parties, &excess));
	activate_and_expect(403, "\"error\":\"too_many\"");
	ck_assert_ptr_null(stream_find(hash));
	(void)join_both();
	activate_and_expect(403, "User a@x has 1 transfers at this relay already");
	active_release(&other);
	(void)join_both();
	activate_and_expect(200, "active");
	activate_and_expect(200, "active");
	ck_assert(!active_take(&other, parties, &excess));
	stream_end(stream_find(hash), REASON_KILLED);
	ck_assert(active_take(&other, parties, &excess));
	active_release(&other);
}
END_TEST

START_TEST(denials_leave_ten_lines_a_second)
{
	static const char *const users[] = { "a@x", "z@z" };
	struct logged logged = logged_start();
	struct stream stream = { 0 };
	const char *text;

	log_set_level(LOG_INFO);
	for (int i = 0; i < 15; i++)
		log_denied(&stream, users, "ledger", "user:a@x", -1);
	log_rate_stop();
	text = logged_end(&logged);
	ck_assert_uint_eq(
	        logged_count(text, " requester=a@x target=z@z ledger=user:a@x limit=-1\n"), 10);
	ck_assert_uint_eq(logged_count(text, "what=activation-denied count=5\n"), 1);
}
END_TEST

START_TEST(an_activation_that_failed_does_not_count)
{
	(void)join_both();
	relay_conf.streams_per_user_max = 1;
	relay_conf.default_user_limit = -1;
	activate_and_expect(403, "forbidden");
	relay_conf.default_user_limit = 0;
	(void)join_both();
	activate_and_expect(200, "active");
}
END_TEST

START_TEST(requests_for_one_stream_wait_for_one_lease)
{
	struct asked first, second;
	struct stream *stream = join_both();

	redis_server_kill(&relay_server);
	turn_for(50);
	ask(&first, 20000);
	ask(&second, 20000);
	WAIT_UNTIL(stream->watch != NULL);
	turn_for(100);
	redis_server_start(&relay_server);
	expect(&first, 200, "active");
	expect(&second, 200, "active");
	relay_expect("1048576", "HGET og:usage:%M user:a@x");
}
END_TEST

START_TEST(a_caller_waits_no_longer_than_it_says)
{
	struct asked asked;
	struct stream *stream = join_both();

	redis_server_kill(&relay_server);
	turn_for(50);
	ask(&asked, 300);
	WAIT_UNTIL(stream->watch != NULL);
	ck_assert(timer_active(
	        &container_of(list_first(&activation_of(stream)->waiters), struct waiter, link)
	                 ->deadline));
	expect(&asked, 503, "unavailable");
	ck_assert_ptr_null(stream->watch);
	ck_assert_int_eq(stream->state, STREAM_PAIRED);
}
END_TEST

START_TEST(who_waits_for_a_stream_that_ends_is_told_so)
{
	struct asked asked;
	struct stream *stream = join_both();

	redis_server_kill(&relay_server);
	turn_for(50);
	ask(&asked, 20000);
	WAIT_UNTIL(stream->watch != NULL);
	stream_end(stream, REASON_KILLED);
	expect(&asked, 404, "the stream has ended");
}
END_TEST

START_TEST(a_half_that_leaves_meanwhile_makes_it_a_conflict)
{
	struct asked asked;
	struct stream *stream = join_both();
	struct conn *half = stream->pair.conns[1];

	redis_server_kill(&relay_server);
	turn_for(50);
	ask(&asked, 20000);
	WAIT_UNTIL(stream->watch != NULL);
	pair_leave(half, REASON_ABANDONED);
	conn_close(half, false);
	redis_server_start(&relay_server);
	expect(&asked, 409, "conflict");
	ck_assert_int_eq(stream->state, STREAM_WAITING);
	ck_assert_ptr_null(stream->lease);
}
END_TEST

START_TEST(a_body_that_is_wrong_is_a_bad_request)
{
	struct asked asked;

	(void)join_both();
	ask(&asked, 0); /* no time at all */
	expect(&asked, 400, "deadline_ms");
}
END_TEST

/* Has the second client send until bytes of it are stuck in the relay: the first one reads none. */
static void get_stuck(const struct stream *stream)
{
	static const char block[65536];
	const struct conn *half = stream->pair.conns[1];

	WAIT_UNTIL((send(far[1], block, sizeof(block), MSG_DONTWAIT),
	            conn_received(half) > conn_delivered(half)));
}

START_TEST(what_was_read_and_not_delivered_is_neither_charged_nor_recorded)
{
	struct stream *stream = join_both();
	unsigned long long sent;
	char text[100];

	activate_and_expect(200, "active");
	ck_assert_int_eq(send(far[0], "hello", 5, 0), 5);
	WAIT_UNTIL(conn_delivered(stream->pair.conns[0]) == 5);
	get_stuck(stream);
	sent = conn_delivered(stream->pair.conns[1]);
	stream_end(stream, REASON_KILLED);
	WAIT_UNTIL(outbox_empty());
	snprintf(text, sizeof(text), "%llu", sent + 5);
	relay_expect(text, "HGET og:usage:%M user:a@x");
	snprintf(text, sizeof(text), "\"bytes\":[5,%llu],", sent);
	ck_assert_ptr_nonnull(strstr(relay_ask("XRANGE og:transfers - +"), text));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_stream_with_a_lease_is_activated_and_that_again_is_no_error,
		without_limits_no_lease_is_needed,
		one_half_is_a_conflict_and_none_is_not_found,
		a_denial_says_whose_limit_it_is_and_resets_both_halves,
		requests_that_wait_for_one_lease_get_one_denial,
		a_user_with_too_many_streams_is_told_so_and_both_halves_are_reset,
		denials_leave_ten_lines_a_second,
		an_activation_that_failed_does_not_count,
		requests_for_one_stream_wait_for_one_lease,
		a_caller_waits_no_longer_than_it_says,
		who_waits_for_a_stream_that_ends_is_told_so,
		a_half_that_leaves_meanwhile_makes_it_a_conflict,
		a_body_that_is_wrong_is_a_bad_request,
		what_was_read_and_not_delivered_is_neither_charged_nor_recorded,
	};

	return unit_run("activation", tests, ARRAY_LEN(tests), setup, teardown);
}
