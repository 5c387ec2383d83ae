#include "common/redis/redis.c"

#include "tests/unit/redis_fixture.h"

#define TIMEOUT_MS 1000

static struct redis *open_hasty(const char *url)
{
	return open_patient(url, TIMEOUT_MS);
}

static void open_hasty_server(void)
{
	redis_server_start(&server);
	redis = open_hasty(server.url);
}

/* ---- trouble ---- */

START_TEST(a_server_that_is_absent_at_the_start_is_used_once_it_is_there)
{
	uint64_t start_ms = loop_now_ms();
	struct asked asked = { .call.done = on_asked };

	redis = open_hasty(server.url);
	redis_on_change(redis, on_change);
	redis_command(redis, &asked.call, "PING");
	expect(&asked, NULL);
	ck_assert_uint_ge(asked.at_ms - start_ms, TIMEOUT_MS);
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

	redis_server_start(&server);
	redis = open_patient(server.url, NEVER_MS);
	redis_on_change(redis, on_change);
	expect_command("PING", "PONG");
	for (int i = 0; i < 3; i++) {
		blocked[i].call.done = on_asked;
		redis_command(redis, &blocked[i].call, "BLPOP nothing 0");
	}
	turn_for(20);
	redis_server_kill(&server);
	for (int i = 0; i < 3; i++)
		expect(&blocked[i], NULL);
	ck_assert_int_eq(changes, 2);
	ck_assert(!redis_connected(redis));
	redis_server_start(&server);
	redis_command(redis, &waiting.call, "PING");
	expect(&waiting, "PONG");
	ck_assert_int_eq(changes, 3);
}
END_TEST

/* A server by hand, which answers the login's PING and says what it likes. */
static int impostor, client;

static void open_impostor(void)
{
	union net_address address;
	char text[NET_TEXT_MAX], url[NET_TEXT_MAX + 16];

	ck_assert_int_eq(net_parse("127.0.0.1:0", &address), 0);
	impostor = net_listen(&address, 16);
	ck_assert_int_ge(impostor, 0);
	ck_assert_int_eq(net_local(impostor, &address), 0);
	snprintf(url, sizeof(url), "redis://%s", net_format(&address, text));
	redis = open_patient(url, NEVER_MS);
}

/* Takes the next connection and lets it log in. */
static void let_in(void)
{
	char bytes[200];

	WAIT_UNTIL((client = accept(impostor, NULL, NULL)) >= 0);
	WAIT_UNTIL(recv(client, bytes, sizeof(bytes), MSG_DONTWAIT) > 0);
	ck_assert_int_eq(send(client, "+PONG\r\n", 7, 0), 7);
	WAIT_UNTIL(redis_connected(redis));
}

static void check_refused(const char *bytes, size_t len)
{
	ck_assert_int_eq(send(client, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	WAIT_UNTIL(!redis_connected(redis));
	close(client);
}

START_TEST(a_reply_that_nobody_asked_for_ends_the_connection_and_nothing_else)
{
	static const char *const replies[] = {
		"+OK\r\n",
		":5\r\n",
		"$1\r\nx\r\n",
		"$-1\r\n",
		"*0\r\n",
		"*-1\r\n",
		"*2\r\n:1\r\n:2\r\n",
		"-ERR max number of clients reached\r\n",
		"!\r\n",
	};

	open_impostor();
	for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
		let_in();
		check_refused(replies[i], strlen(replies[i]));
	}
	let_in();
	close(client);
	close(impostor);
}
END_TEST

START_TEST(a_reply_behind_the_one_that_was_asked_for_is_refused_too)
{
	struct asked asked = { .call.done = on_asked };

	open_impostor();
	let_in();
	redis_command(redis, &asked.call, "GET x");
	check_refused("$1\r\nx\r\n$1\r\ny\r\n", 14);
	ck_assert_int_eq(asked.answers, 1);
	ck_assert_str_eq(asked.text, "x");
	close(impostor);
}
END_TEST

/* Waits until the client has sent a check; the word in it. */
static const char *read_word(void)
{
	static char bytes[400];
	char *word = NULL;
	ssize_t n;

	memset(bytes, 0, sizeof(bytes));
	WAIT_UNTIL((n = recv(client, bytes, sizeof(bytes) - 1, MSG_DONTWAIT | MSG_PEEK)) > 0 &&
	           (word = strstr(bytes, "PING\r\n$8\r\n")) != NULL && strlen(word) >= 20);
	ck_assert_int_eq(recv(client, bytes, (size_t)n, MSG_DONTWAIT), n);
	word[18] = '\0';
	return word + 10;
}

static void answer_text(const char *text)
{
	char reply[100];
	int len = snprintf(reply, sizeof(reply), "$%zu\r\n%s\r\n", strlen(text), text);

	ck_assert_int_eq(send(client, reply, (size_t)len, MSG_NOSIGNAL), len);
}

START_TEST(a_server_that_leaves_out_a_reply_is_left_at_the_next_check)
{
	struct asked asked = { .call.done = on_asked };

	open_impostor();
	let_in();
	timer_start(&redis->step, 0);
	answer_text(read_word());
	WAIT_UNTIL(timer_active(&redis->step));
	ck_assert(redis_connected(redis));
	redis_command(redis, &asked.call, "GET x");
	timer_start(&redis->step, 0);
	answer_text(read_word());
	WAIT_UNTIL(asked.answers == 1);
	ck_assert(redis_connected(redis));
	answer_text("another reply");
	WAIT_UNTIL(!redis_connected(redis));
	close(client);
	close(impostor);
}
END_TEST

/* hiredis 1 reads them, and hiredis 0.14 doesn't know them. */
START_TEST(a_reply_of_another_protocol_is_no_reply)
{
	static const char *const replies[] = { ",1.5\r\n", "#t\r\n", "*1\r\n,1.5\r\n",
		                               "*1\r\n#f\r\n" };

	open_impostor();
	for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
		struct asked asked = { .call.done = on_asked };

		let_in();
		redis_command(redis, &asked.call, "GET x");
		check_refused(replies[i], strlen(replies[i]));
		ck_assert_int_eq(asked.answers, 1);
		ck_assert(asked.none);
	}
	close(impostor);
}
END_TEST

START_TEST(a_reply_that_is_too_large_is_no_reply)
{
	struct asked asked = { .call.done = on_asked };

	open_impostor();
	let_in();
	redis_command(redis, &asked.call, "GET x");
	ck_assert_int_eq(send(client, "*2147483647\r\n", 13, 0), 13);
	WAIT_UNTIL(asked.answers == 1);
	ck_assert(asked.none);
	close(client);
	let_in();
	close(client);
	close(impostor);
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

START_TEST(after_each_loss_the_same_address_is_tried_again_as_soon_as_after_the_first)
{
	int port = redis_server_free_port();
	char url[64];

	snprintf(url, sizeof(url), "redis://127.0.0.1:%d", port);
	redis_server_start_with(&server, port, NULL);
	redis = open_patient(url, NEVER_MS);
	redis_on_change(redis, on_change);
	for (int losses = 0; losses < 4; losses++) {
		WAIT_UNTIL(changes == 2 * losses + 1);
		ck_assert_uint_eq(redis->backoff.current_ms, 0);
		ck_assert_uint_eq(redis->attempt, 0);
		redis_server_kill(&server);
		WAIT_UNTIL(changes == 2 * losses + 2);
		redis_server_start_with(&server, port, NULL);
	}
}
END_TEST

START_TEST(a_stalled_server_means_no_reply_after_the_timeout_for_all_and_recovery_later)
{
	struct asked asked[10] = { 0 }, late = { .call.done = on_asked };
	uint64_t start_ms;

	open_hasty_server();
	redis_on_change(redis, on_change);
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
	/* The kernel accepts for a stopped process: that isn't enough to be connected. */
	redis_command(redis, &late.call, "PING");
	expect(&late, NULL);
	ck_assert_int_eq(changes, 2);
	kill(server.pid, SIGCONT);
	WAIT_UNTIL(changes == 3);
	expect_command("PING", "PONG");
}
END_TEST

static struct asked chained = { .call.done = on_asked };

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

	redis_server_start(&server);
	redis = open_patient(server.url, NEVER_MS);
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
	struct asked *all = mem_alloc(CALLS_MAX + 2, sizeof(*all));

	redis = open_patient(server.url, NEVER_MS);
	for (int i = 0; i < CALLS_MAX + 2; i++) {
		all[i].call.done = on_asked;
		redis_command(redis, &all[i].call, "PING");
	}
	ck_assert_int_eq(all[CALLS_MAX + 1].answers, 0);
	redis_cancel(&all[CALLS_MAX + 1].call);
	expect(&all[CALLS_MAX], NULL);
	ck_assert_int_eq(all[0].answers, 0);
	ck_assert_int_eq(all[CALLS_MAX + 1].answers, 0);
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
	enum { HALF = CALLS_MAX_BYTES / 2 };
	char *big = mem_alloc(HALF, 1);
	struct asked fits = { .call.done = on_asked }, doesnt = { .call.done = on_asked };

	redis = open_patient(server.url, NEVER_MS);
	redis_command(redis, &fits.call, "SET big %b", big, (size_t)HALF);
	redis_command(redis, &doesnt.call, "SET big %b", big, (size_t)HALF);
	loop_turn(0);
	expect(&doesnt, NULL);
	ck_assert(redis_busy(&fits.call));
	redis_cancel(&fits.call); /* it goes with this frame, before the connection */
	free(big);
}
END_TEST

START_TEST(answered_calls_leave_the_room_that_they_had)
{
	enum { THIRD = CALLS_MAX_BYTES / 3 };
	char *big = mem_alloc(THIRD, 1);
	struct asked asked = { .call.done = on_asked };

	redis_server_start(&server);
	redis = open_patient(server.url, NEVER_MS);
	for (int i = 0; i < 4; i++) { /* more than there is room for at once */
		redis_command(redis, &asked.call, "SET big %b", big, (size_t)THIRD);
		expect(&asked, "OK");
	}
	ck_assert_uint_eq(redis->calls.count, 0);
	ck_assert_uint_eq(redis->calls.bytes, 0);
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

	open_hasty_server();
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

	open_hasty_server();
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
		redis = open_patient(server.url, NEVER_MS);
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
	redis = open_patient(server.url, NEVER_MS);
	expect_command("GET farewell", "yes");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_server_that_is_absent_at_the_start_is_used_once_it_is_there,
		a_server_killed_in_mid_command_means_no_reply_at_once_and_then_a_new_connection,
		a_reply_that_nobody_asked_for_ends_the_connection_and_nothing_else,
		a_reply_behind_the_one_that_was_asked_for_is_refused_too,
		a_server_that_leaves_out_a_reply_is_left_at_the_next_check,
		a_reply_of_another_protocol_is_no_reply,
		a_reply_that_is_too_large_is_no_reply,
		an_idle_connection_that_is_cut_is_made_anew,
		after_each_loss_the_same_address_is_tried_again_as_soon_as_after_the_first,
		a_stalled_server_means_no_reply_after_the_timeout_for_all_and_recovery_later,
		what_a_callback_sends_as_the_connection_ends_waits_for_the_next_one,
		calls_that_are_too_many_end_with_no_reply_in_a_later_turn,
		bytes_of_calls_are_bounded_too,
		answered_calls_leave_the_room_that_they_had,
		a_cancelled_call_is_not_called_back_wherever_it_was,
		a_cancelled_call_may_be_sent_again_before_its_first_answer_comes,
		a_cancelled_call_whose_server_stalls_does_not_keep_others_from_their_timeout,
		the_connection_may_be_freed_inside_a_callback,
		the_connection_may_be_freed_inside_the_callback_that_tells_of_its_loss,
		the_connection_may_be_freed_as_its_change_is_told,
		freeing_forgets_calls_in_every_state_of_the_connection,
		what_was_sent_in_the_last_turn_goes_out_before_the_end,
	};

	return unit_run("redis_trouble", tests, ARRAY_LEN(tests), setup, teardown);
}
