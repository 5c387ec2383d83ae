#include "common/redis/redis.c"

#include "tests/unit/logged.h"
#include "tests/unit/redis_fixture.h"

/* ---- calls on a healthy server ---- */

START_TEST(a_call_given_before_the_connection_is_there_is_answered_in_a_later_turn)
{
	struct asked asked = { .call.done = on_asked };

	open_server();
	ck_assert(!redis_connected(redis));
	redis_command(redis, &asked.call, "SET %s %s", "key", "value with spaces");
	ck_assert(redis_busy(&asked.call));
	ck_assert_int_eq(asked.answers, 0);
	expect(&asked, "OK");
	ck_assert(redis_connected(redis));
	expect_command("GET key", "value with spaces");
}
END_TEST

START_TEST(byte_strings_go_and_come_back_whole)
{
	const char *argv[] = { "SET", "bin", "a\0b\r\n" };
	const size_t lens[] = { 3, 3, 5 };
	struct asked asked = { .call.done = on_asked };

	open_server();
	redis_send(redis, &asked.call, 3, argv, lens);
	expect(&asked, "OK");
	redis_command(redis, &asked.call, "STRLEN bin");
	WAIT_UNTIL(asked.answers > 0);
	ck_assert_int_eq(asked.number, 5);
}
END_TEST

START_TEST(twenty_thousand_pipelined_calls_are_answered_in_order)
{
	enum { COUNT = 20000 };
	struct asked *all = mem_alloc(COUNT, sizeof(*all));

	redis_server_start(&server);
	redis = open_patient(server.url, NEVER_MS);
	for (int i = 0; i < COUNT; i++) {
		all[i].call.done = on_asked;
		redis_command(redis, &all[i].call, "INCR n");
	}
	WAIT_UNTIL(all[COUNT - 1].answers > 0);
	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq(all[i].answers, 1);
		ck_assert_int_eq(all[i].number, i + 1);
	}
	free(all);
}
END_TEST

static struct asked chained = { .call.done = on_asked };

static void ask_again(struct redis_call *call, const struct redisReply *reply)
{
	on_asked(call, reply);
	redis_command(redis, &chained.call, "GET chained");
}

START_TEST(a_callback_may_send_another_call)
{
	struct asked first = { .call.done = ask_again };

	open_server();
	redis_command(redis, &first.call, "SET chained yes");
	expect(&chained, "yes");
}
END_TEST

static void send_same(struct redis_call *call, const struct redisReply *reply)
{
	struct asked *asked = container_of(call, struct asked, call);

	on_asked(call, reply);
	if (asked->answers < 10)
		redis_command(redis, call, "PING");
}

START_TEST(a_callback_may_send_its_own_call_again)
{
	struct asked asked = { .call.done = send_same };

	open_server();
	redis_command(redis, &asked.call, "PING");
	WAIT_UNTIL(asked.answers == 10);
}
END_TEST

START_TEST(an_error_of_redis_is_given_as_it_is)
{
	open_server();
	expect_command("NOSUCH", "ERR unknown command 'NOSUCH', with args beginning with: ");
}
END_TEST

START_TEST(login_and_database_come_from_the_url)
{
	char url[256];
	int port = redis_server_free_port();

	redis_server_start_with(&server, port, "p@ss word");
	snprintf(url, sizeof(url), "redis://default:p%%40ss%%20word@localhost:%d/3", port);
	redis = open_patient(url, PATIENT_MS);
	expect_command("SET where here", "OK");
	redis_free(redis);
	snprintf(url, sizeof(url), "redis://:p%%40ss%%20word@127.0.0.1:%d/3", port);
	redis = open_patient(url, PATIENT_MS);
	expect_command("GET where", "here");
	expect_command("SELECT 0", "OK");
	expect_command("EXISTS where", "");
	expect_command("ACL SETUSER alice on >secret ~* +@all", "OK");
	redis_free(redis);
	snprintf(url, sizeof(url), "redis://alice:secret@127.0.0.1:%d", port);
	redis = open_patient(url, PATIENT_MS);
	expect_command("ACL WHOAMI", "alice");
}
END_TEST

START_TEST(with_a_wrong_password_nothing_is_sent_and_calls_end_in_time)
{
	char url[256];
	int port = redis_server_free_port();

	redis_server_start_with(&server, port, "right");
	snprintf(url, sizeof(url), "redis://:wrong@127.0.0.1:%d", port);
	redis = open_patient(url, PATIENT_MS);
	expect_command("SET key value", NULL);
	ck_assert(!redis_connected(redis));
}
END_TEST

/* ---- scripts ---- */

static struct redis_script adder = { .text = "return redis.call('INCRBY', KEYS[1], ARGV[1])" };

static void add(struct asked *asked, const char *amount)
{
	const char *argv[] = { "sum", amount };

	asked->call.done = on_asked;
	redis_eval(redis, &asked->call, &adder, &(struct redis_args){ 1, 2, argv });
}

START_TEST(a_script_runs_although_the_server_has_never_seen_it_or_has_forgotten_it)
{
	struct asked before[3] = { 0 }, after[50] = { 0 };

	open_server();
	for (int i = 0; i < 3; i++)
		add(&before[i], "1");
	WAIT_UNTIL(before[2].answers > 0);
	ck_assert_int_eq(before[2].number, 3);
	expect_command("SCRIPT FLUSH", "OK");
	for (int i = 0; i < 50; i++)
		add(&after[i], "1");
	WAIT_UNTIL(after[49].answers > 0);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(after[i].number, 4 + i);
}
END_TEST

START_TEST(a_script_that_the_server_cannot_compile_ends_with_its_error)
{
	struct redis_script broken = { .text = "this is no Lua" };
	struct asked asked = { .call.done = on_asked };

	open_server();
	redis_eval(redis, &asked.call, &broken, &(struct redis_args){ 0 });
	WAIT_UNTIL(asked.answers > 0);
	ck_assert_ptr_nonnull(strstr(asked.text, "NOSCRIPT"));
}
END_TEST

/* ---- what replies say ---- */

START_TEST(readers_answer_only_for_the_type_they_read)
{
	redisReply integer = { .type = REDIS_REPLY_INTEGER, .integer = 7 };
	char digits[] = "-12", mixed[] = "12a", complaint[] = "ERR";
	redisReply number = { .type = REDIS_REPLY_STRING, .str = digits, .len = 3 };
	redisReply text = { .type = REDIS_REPLY_STATUS, .str = mixed, .len = 3 };
	redisReply error = { .type = REDIS_REPLY_ERROR, .str = complaint, .len = 3 };
	redisReply nil = { .type = REDIS_REPLY_NIL };
	redisReply *elements[] = { &integer, &number };
	redisReply array = { .type = REDIS_REPLY_ARRAY, .elements = 2, .element = elements };
	size_t len = 0;

	ck_assert_int_eq(redis_reply_integer(&integer, 0), 7);
	ck_assert_int_eq(redis_reply_integer(&number, 0), -12);
	ck_assert_int_eq(redis_reply_integer(&text, 5), 5);
	ck_assert_int_eq(redis_reply_integer(NULL, 5), 5);
	ck_assert_str_eq(redis_reply_string(&text, &len), "12a");
	ck_assert_uint_eq(len, 3);
	ck_assert_ptr_null(redis_reply_string(&error, NULL));
	ck_assert_str_eq(redis_reply_error(&error), "ERR");
	ck_assert_ptr_null(redis_reply_error(NULL));
	ck_assert(redis_reply_nil(&nil) && redis_reply_nil(NULL) && !redis_reply_nil(&text));
	ck_assert_uint_eq(redis_reply_count(&array), 2);
	ck_assert_uint_eq(redis_reply_count(&text), 0);
	ck_assert_ptr_eq(redis_reply_at(&array, 1), &number);
	ck_assert_ptr_null(redis_reply_at(&array, 2));
	ck_assert_ptr_null(redis_reply_at(NULL, 0));
}
END_TEST

START_TEST(a_url_that_is_none_is_refused_with_a_reason)
{
	struct redis_options options = { .url = "http://redis", .prefix = "og:", .timeout_ms = 1 };
	struct logged logged = logged_start();
	const char *text;

	ck_assert_ptr_null(redis_new(&options));
	text = logged_end(&logged);
	ck_assert_ptr_nonnull(strstr(text, "it must begin with redis:// or unix://"));
}
END_TEST

START_TEST(an_error_is_logged_once_until_its_owner_says_that_redis_serves_again)
{
	char complaint[] = "OOM command not allowed";
	redisReply error = { .type = REDIS_REPLY_ERROR,
		             .str = complaint,
		             .len = strlen(complaint) };
	redisReply nil = { .type = REDIS_REPLY_NIL };
	struct logged logged = logged_start();
	bool said = false;
	const char *text;

	redis_log_error(NULL, "queue-refused", &said);
	redis_log_error(&nil, "queue-refused", &said);
	ck_assert(!said);
	redis_log_error(&error, "queue-refused", &said);
	ck_assert(said);
	redis_log_error(&error, "again", &said);
	said = false;
	redis_log_error(&error, "anew", &said);
	text = logged_end(&logged);
	ck_assert_ptr_nonnull(strstr(text, "queue-refused reason=\"OOM command not allowed\""));
	ck_assert_ptr_null(strstr(text, "again"));
	ck_assert_ptr_nonnull(strstr(text, "anew"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_call_given_before_the_connection_is_there_is_answered_in_a_later_turn,
		byte_strings_go_and_come_back_whole,
		twenty_thousand_pipelined_calls_are_answered_in_order,
		a_callback_may_send_another_call,
		a_callback_may_send_its_own_call_again,
		an_error_of_redis_is_given_as_it_is,
		login_and_database_come_from_the_url,
		with_a_wrong_password_nothing_is_sent_and_calls_end_in_time,
		a_script_runs_although_the_server_has_never_seen_it_or_has_forgotten_it,
		a_script_that_the_server_cannot_compile_ends_with_its_error,
		readers_answer_only_for_the_type_they_read,
		a_url_that_is_none_is_refused_with_a_reason,
		an_error_is_logged_once_until_its_owner_says_that_redis_serves_again,
	};

	return unit_run("redis", tests, ARRAY_LEN(tests), setup, teardown);
}
