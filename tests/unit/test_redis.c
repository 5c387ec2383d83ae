#include "common/redis.c"

#include "tests/unit/redis_server.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define TIMEOUT_MS 400

static struct redis_server server;
static struct redis *redis;

/* A call, and what came of it. */
struct asked {
	struct redis_call call;
	int answers;
	bool none; /* the answer was: no reply */
	char text[64];
	long long number;
	uint64_t at_ms;
};

static void on_asked(struct redis_call *call, const struct redisReply *reply)
{
	struct asked *asked = container_of(call, struct asked, call);
	const char *text = redis_reply_string(reply, NULL);

	asked->answers++;
	asked->none = reply == NULL;
	asked->number = redis_reply_integer(reply, -1);
	asked->at_ms = loop_now_ms();
	if (text == NULL)
		text = redis_reply_error(reply);
	snprintf(asked->text, sizeof(asked->text), "%s", text != NULL ? text : "");
}

static struct redis *open_url(const char *url)
{
	struct redis_options options = { .url = url, .prefix = "og:", .timeout_ms = TIMEOUT_MS };
	const char *why = "unset";
	struct redis *made = redis_new(&options, &why);

	ck_assert_msg(made != NULL, "%s", why);
	return made;
}

static void open_server(void)
{
	redis_server_start(&server);
	redis = open_url(server.url);
}

/* Waits for the answer of ASKED, which must be TEXT (NULL: no reply). */
static void expect(struct asked *asked, const char *text)
{
	WAIT_UNTIL(asked->answers > 0);
	ck_assert_int_eq(asked->answers, 1);
	ck_assert_int_eq(asked->none, text == NULL);
	ck_assert_str_eq(asked->text, text != NULL ? text : "");
	ck_assert(!redis_busy(&asked->call));
	asked->answers = 0;
}

static void expect_command(const char *command, const char *text)
{
	struct asked asked = { .call.done = on_asked };

	redis_command(redis, &asked.call, command);
	expect(&asked, text);
}

static int changes, last_change;

static void on_change(struct redis *changed, bool connected)
{
	changes++;
	last_change = connected;
}

static void setup(void)
{
	loop_init();
	redis_server_init(&server);
}

static void teardown(void)
{
	redis_free(redis);
	redis_server_release(&server);
	loop_release();
}

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

	open_server();
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
	redis = open_url(url);
	expect_command("SET where here", "OK");
	redis_free(redis);
	snprintf(url, sizeof(url), "redis://:p%%40ss%%20word@127.0.0.1:%d/3", port);
	redis = open_url(url);
	expect_command("GET where", "here");
	expect_command("SELECT 0", "OK");
	expect_command("EXISTS where", "");
}
END_TEST

START_TEST(with_a_wrong_password_nothing_is_sent_and_calls_end_in_time)
{
	char url[256];
	int port = redis_server_free_port();

	redis_server_start_with(&server, port, "right");
	snprintf(url, sizeof(url), "redis://:wrong@127.0.0.1:%d", port);
	redis = open_url(url);
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

/* ---- trouble ---- */

START_TEST(a_server_that_is_absent_at_the_start_is_used_once_it_is_there)
{
	uint64_t start_ms = loop_now_ms();
	struct asked asked = { .call.done = on_asked };

	redis = open_url(server.url);
	redis_on_change(redis, on_change);
	redis_command(redis, &asked.call, "PING");
	expect(&asked, NULL);
	ck_assert_uint_ge(asked.at_ms - start_ms, TIMEOUT_MS);
	ck_assert_uint_lt(asked.at_ms - start_ms, TIMEOUT_MS + 500);
	ck_assert_int_eq(changes, 0);
	redis_server_start(&server);
	WAIT_UNTIL(changes == 1);
	ck_assert_int_eq(last_change, 1);
	expect_command("PING", "PONG");
}
END_TEST

START_TEST(a_server_killed_in_mid_command_means_no_reply_at_once_and_then_a_new_connection)
{
	struct asked blocked[3] = { 0 }, waiting = { .call.done = on_asked };
	uint64_t killed_ms;

	open_server();
	redis_on_change(redis, on_change);
	expect_command("PING", "PONG");
	for (int i = 0; i < 3; i++) {
		blocked[i].call.done = on_asked;
		redis_command(redis, &blocked[i].call, "BLPOP nothing 0");
	}
	turn_for(20);
	redis_server_kill(&server);
	killed_ms = loop_now_ms();
	for (int i = 0; i < 3; i++)
		expect(&blocked[i], NULL);
	ck_assert_uint_lt(loop_now_ms() - killed_ms, TIMEOUT_MS);
	ck_assert_int_eq(changes, 2);
	ck_assert(!redis_connected(redis));
	redis_server_start(&server);
	redis_command(redis, &waiting.call, "PING");
	expect(&waiting, "PONG");
	ck_assert_int_eq(changes, 3);
}
END_TEST

START_TEST(an_idle_connection_that_is_cut_is_made_anew)
{
	open_server();
	redis_on_change(redis, on_change);
	expect_command("PING", "PONG");
	redis_server_kill(&server);
	WAIT_UNTIL(changes == 2);
	redis_server_start(&server);
	WAIT_UNTIL(changes == 3);
}
END_TEST

START_TEST(a_stalled_server_means_no_reply_after_the_timeout_for_all_and_recovery_later)
{
	struct asked asked[10] = { 0 }, late = { .call.done = on_asked };
	uint64_t start_ms;

	open_server();
	expect_command("PING", "PONG");
	kill(server.pid, SIGSTOP);
	start_ms = loop_now_ms();
	for (int i = 0; i < 10; i++) {
		asked[i].call.done = on_asked;
		redis_command(redis, &asked[i].call, "SET stalled %d", i);
	}
	for (int i = 0; i < 10; i++)
		expect(&asked[i], NULL);
	ck_assert_uint_ge(loop_now_ms() - start_ms, TIMEOUT_MS);
	ck_assert_uint_lt(loop_now_ms() - start_ms, TIMEOUT_MS + 500);
	/* The kernel accepts connections for a stopped process: that isn't enough to be connected. */
	redis_command(redis, &late.call, "PING");
	expect(&late, NULL);
	ck_assert(!redis_connected(redis));
	kill(server.pid, SIGCONT);
	WAIT_UNTIL(redis_connected(redis));
	expect_command("PING", "PONG");
}
END_TEST

static void ask_when_lost(struct redis_call *call, const struct redisReply *reply)
{
	on_asked(call, reply);
	ck_assert_ptr_null(reply);
	ck_assert(!redis_connected(redis));
	redis_command(redis, &chained.call, "PING");
}

START_TEST(what_a_callback_sends_as_the_connection_ends_waits_for_the_next_one)
{
	struct asked blocked = { .call.done = ask_when_lost };

	open_server();
	redis_command(redis, &blocked.call, "BLPOP nothing 0");
	WAIT_UNTIL(redis_connected(redis));
	turn_for(20);
	redis_server_kill(&server);
	WAIT_UNTIL(blocked.answers == 1);
	redis_server_start(&server);
	expect(&chained, "PONG");
}
END_TEST

START_TEST(calls_that_are_too_many_end_with_no_reply_in_a_later_turn)
{
	struct asked *all = mem_alloc(REDIS_CALLS_MAX + 2, sizeof(*all));

	redis = open_url(server.url);
	for (int i = 0; i < REDIS_CALLS_MAX + 2; i++) {
		all[i].call.done = on_asked;
		redis_command(redis, &all[i].call, "PING");
	}
	ck_assert_int_eq(all[REDIS_CALLS_MAX + 1].answers, 0);
	redis_cancel(&all[REDIS_CALLS_MAX + 1].call);
	expect(&all[REDIS_CALLS_MAX], NULL);
	ck_assert_int_eq(all[0].answers, 0);
	ck_assert_int_eq(all[REDIS_CALLS_MAX + 1].answers, 0);
	redis_cancel(&all[0].call);
	redis_command(redis, &all[0].call, "PING");
	loop_turn(0);
	loop_turn(0);
	ck_assert(redis_busy(&all[0].call));
	redis_free(redis);
	redis = NULL;
	ck_assert(!redis_busy(&all[1].call));
	free(all);
}
END_TEST

START_TEST(bytes_of_calls_are_bounded_too)
{
	enum { HALF = REDIS_CALLS_MAX_BYTES / 2 };
	char *big = mem_alloc(HALF, 1);
	struct asked fits = { .call.done = on_asked }, doesnt = { .call.done = on_asked };

	redis = open_url(server.url);
	redis_command(redis, &fits.call, "SET big %b", big, (size_t)HALF);
	redis_command(redis, &doesnt.call, "SET big %b", big, (size_t)HALF);
	loop_turn(0);
	expect(&doesnt, NULL);
	ck_assert(redis_busy(&fits.call));
	free(big);
}
END_TEST

/* ---- forgetting ---- */

START_TEST(a_cancelled_call_is_not_called_back_wherever_it_was)
{
	struct asked waiting = { .call.done = on_asked }, sent = { .call.done = on_asked };

	open_server();
	redis_command(redis, &waiting.call, "SET a 1");
	redis_cancel(&waiting.call);
	redis_cancel(&waiting.call);
	ck_assert(!redis_busy(&waiting.call));
	expect_command("PING", "PONG");
	redis_command(redis, &sent.call, "SET b 1");
	redis_cancel(&sent.call);
	expect_command("EXISTS a b", "");
	expect_command("GET b", "1");
	ck_assert_int_eq(waiting.answers + sent.answers, 0);
}
END_TEST

START_TEST(a_cancelled_call_may_be_sent_again_before_its_first_answer_comes)
{
	struct asked asked = { .call.done = on_asked };

	open_server();
	expect_command("PING", "PONG");
	redis_command(redis, &asked.call, "ECHO first");
	redis_cancel(&asked.call);
	redis_command(redis, &asked.call, "ECHO second");
	expect(&asked, "second");
	expect_command("PING", "PONG");
	ck_assert_int_eq(asked.answers, 0);
}
END_TEST

START_TEST(a_cancelled_call_whose_server_stalls_does_not_keep_others_from_their_timeout)
{
	struct asked cancelled = { .call.done = on_asked }, other = { .call.done = on_asked };

	open_server();
	expect_command("PING", "PONG");
	kill(server.pid, SIGSTOP);
	redis_command(redis, &cancelled.call, "PING");
	redis_command(redis, &other.call, "PING");
	redis_cancel(&cancelled.call);
	expect(&other, NULL);
	ck_assert_int_eq(cancelled.answers, 0);
}
END_TEST

static void free_redis(struct redis_call *call, const struct redisReply *reply)
{
	on_asked(call, reply);
	redis_free(redis);
	redis = NULL;
}

START_TEST(the_connection_may_be_freed_inside_a_callback)
{
	struct asked first = { .call.done = free_redis }, second = { .call.done = on_asked };

	open_server();
	redis_command(redis, &first.call, "PING");
	redis_command(redis, &second.call, "PING");
	WAIT_UNTIL(first.answers == 1);
	turn_for(20);
	ck_assert_int_eq(second.answers, 0);
	ck_assert(!redis_busy(&second.call));
}
END_TEST

START_TEST(the_connection_may_be_freed_inside_the_callback_that_tells_of_its_loss)
{
	struct asked first = { .call.done = free_redis }, second = { .call.done = on_asked };

	open_server();
	expect_command("PING", "PONG");
	redis_command(redis, &first.call, "BLPOP nothing 0");
	redis_command(redis, &second.call, "PING");
	turn_for(20);
	redis_server_kill(&server);
	WAIT_UNTIL(first.answers == 1);
	turn_for(20);
	ck_assert_int_eq(second.answers, 0);
}
END_TEST

static void free_on_timeout(struct redis *changed, bool connected)
{
	if (connected)
		return;
	redis_free(redis);
	redis = NULL;
}

START_TEST(the_connection_may_be_freed_as_its_change_is_told)
{
	struct asked asked = { .call.done = on_asked };

	open_server();
	redis_on_change(redis, free_on_timeout);
	expect_command("PING", "PONG");
	kill(server.pid, SIGSTOP);
	redis_command(redis, &asked.call, "PING");
	WAIT_UNTIL(redis == NULL);
	turn_for(20);
	ck_assert_int_eq(asked.answers, 0);
}
END_TEST

START_TEST(freeing_forgets_calls_in_every_state_of_the_connection)
{
	struct asked asked = { .call.done = on_asked };

	redis_server_start(&server);
	for (int turns = 0; turns < 8; turns++) {
		redis = open_url(server.url);
		redis_command(redis, &asked.call, "PING");
		for (int i = 0; i < turns && asked.answers == 0; i++)
			loop_turn(5);
		redis_free(redis);
		ck_assert(!redis_busy(&asked.call));
	}
	redis = NULL;
}
END_TEST

START_TEST(what_was_sent_in_the_last_turn_goes_out_before_the_end)
{
	struct asked asked = { .call.done = on_asked };

	open_server();
	expect_command("PING", "PONG");
	redis_command(redis, &asked.call, "SET farewell yes");
	redis_free(redis);
	redis = open_url(server.url);
	expect_command("GET farewell", "yes");
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
	const char *why = NULL;

	ck_assert_ptr_null(redis_new(&options, &why));
	ck_assert_str_eq(why, "it must begin with redis:// or unix://");
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
		a_server_that_is_absent_at_the_start_is_used_once_it_is_there,
		a_server_killed_in_mid_command_means_no_reply_at_once_and_then_a_new_connection,
		an_idle_connection_that_is_cut_is_made_anew,
		a_stalled_server_means_no_reply_after_the_timeout_for_all_and_recovery_later,
		what_a_callback_sends_as_the_connection_ends_waits_for_the_next_one,
		calls_that_are_too_many_end_with_no_reply_in_a_later_turn,
		bytes_of_calls_are_bounded_too,
		a_cancelled_call_is_not_called_back_wherever_it_was,
		a_cancelled_call_may_be_sent_again_before_its_first_answer_comes,
		a_cancelled_call_whose_server_stalls_does_not_keep_others_from_their_timeout,
		the_connection_may_be_freed_inside_a_callback,
		the_connection_may_be_freed_inside_the_callback_that_tells_of_its_loss,
		the_connection_may_be_freed_as_its_change_is_told,
		freeing_forgets_calls_in_every_state_of_the_connection,
		what_was_sent_in_the_last_turn_goes_out_before_the_end,
		readers_answer_only_for_the_type_they_read,
		a_url_that_is_none_is_refused_with_a_reason,
	};

	return unit_run("redis", tests, ARRAY_LEN(tests), setup, teardown);
}
