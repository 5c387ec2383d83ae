#include "pushd/queue/queue.c"

#include "tests/unit/logged.h"
#include "tests/unit/push_queue.h"
#include "tests/unit/redis_tell.h"

START_TEST(a_script_that_the_server_has_forgotten_is_loaded_anew)
{
	put_due("a", "example.org", PRIORITY_HIGH);
	ask("SCRIPT FLUSH");
	put_due("b", "example.org", PRIORITY_HIGH);
	ask("SCRIPT FLUSH");
	ck_assert_str_eq(take(10), "a b");
	ask("SCRIPT FLUSH");
	ck_assert_int_eq(settle("a"), QUEUE_DONE);
	ask("SCRIPT FLUSH");
	ck_assert_int_eq(give_back("b", (struct queue_place){ 0 }), QUEUE_DONE);
}
END_TEST

/* ---- Redis away ---- */

static void kill_server(void)
{
	WAIT_UNTIL(redis_connected(self.redis));
	redis_server_kill(&server);
	WAIT_UNTIL(!redis_connected(self.redis));
}

START_TEST(without_redis_a_put_and_a_take_say_so)
{
	struct asked asked = { .call.done = on_asked };
	struct queue_entry entry = entry_of("a", "example.org", PRIORITY_HIGH);

	kill_server();
	queue_put(&asked.call, &entry, &(struct queue_place){ 0 });
	taken.taking.done = on_take;
	queue_take(&taken.taking, "apns", 1);
	WAIT_UNTIL(asked.answers > 0 && taken.answers > 0);
	ck_assert_int_eq(asked.result, QUEUE_UNAVAILABLE);
	ck_assert_int_eq(taken.result, QUEUE_UNAVAILABLE);
}
END_TEST

START_TEST(a_put_waits_for_a_redis_that_comes_back_soon)
{
	struct asked asked = { .call.done = on_asked };
	struct queue_entry entry = entry_of("a", "example.org", PRIORITY_HIGH);

	kill_server();
	queue_put(&asked.call, &entry, &(struct queue_place){ 0 });
	redis_server_start(&server);
	ck_assert_int_eq(await(&asked), QUEUE_DONE);
	ck_assert_str_eq(take(1), "a");
}
END_TEST

START_TEST(a_verdict_that_redis_did_not_hear_is_told_again)
{
	struct asked asked = { .call.done = on_asked };

	put_due("a", "example.org", PRIORITY_HIGH);
	take(1);
	kill(server.pid, SIGSTOP);
	queue_settle(&asked.call, "a");
	WAIT_UNTIL(list_linked(&asked.call.link));
	ck_assert(queue_busy(&asked.call));
	kill(server.pid, SIGCONT);
	ck_assert_int_ne(await(&asked), QUEUE_UNAVAILABLE);
	check_empty();
}
END_TEST

START_TEST(a_verdict_is_told_again_for_no_longer_than_a_lease)
{
	struct asked asked = { .call.done = on_asked };

	conf.daemon.lease_ms = 100;
	kill_server();
	queue_settle(&asked.call, "a");
	WAIT_UNTIL(asked.answers > 0);
	ck_assert_int_eq(asked.result, QUEUE_UNAVAILABLE);
	ck_assert(!timer_active(&self.again));
}
END_TEST

START_TEST(a_server_that_refuses_to_write_is_away)
{
	struct asked asked = { .call.done = on_asked };
	struct queue_entry entry = entry_of("a", "example.org", PRIORITY_HIGH);

	ask("CONFIG SET maxmemory 1");
	queue_put(&asked.call, &entry, &(struct queue_place){ 0 });
	WAIT_UNTIL(asked.answers > 0);
	ck_assert_int_eq(asked.result, QUEUE_UNAVAILABLE);
	ask("CONFIG SET maxmemory 0");
	check_empty();
}
END_TEST

START_TEST(an_entry_that_somebody_spoiled_is_set_aside_and_stops_no_other)
{
	static const char *const spoils[] = {
		"HDEL og:push:note:a expires",     "HDEL og:push:note:a item",
		"HSET og:push:note:a created nan", "HSET og:push:note:a attempts text",
		"HSET og:push:note:a priority 1",  "EVAL %s 0",
	};
	const char *retype = "redis.call('DEL', 'og:push:note:a') "
	                     "redis.call('LPUSH', 'og:push:note:a', 'x')";

	for (size_t i = 0; i < ARRAY_LEN(spoils); i++) {
		struct logged logged = logged_start();
		struct question question = { .call.done = on_answer };

		put_due("a", "x.example", PRIORITY_HIGH);
		put_due("b", "y.example", PRIORITY_HIGH);
		redis_command(self.redis, &question.call, spoils[i], retype);
		WAIT_UNTIL(question.answered);
		taken.answers = 0;
		taken.taking.done = on_take;
		queue_take(&taken.taking, "apns", 10);
		WAIT_UNTIL(taken.answers > 0);
		ck_assert_str_eq(taken.ids, "b");
		ck_assert_int_gt(ask("TTL og:push:note:a")->number, 0);
		ck_assert_int_eq(ask("DEL og:push:note:a")->number, 1);
		check_queue();
		ck_assert_int_eq(settle("b"), QUEUE_DONE);
		check_empty();
		ck_assert_ptr_nonnull(strstr(logged_end(&logged), "queue-entry-set-aside id=a"));
	}
}
END_TEST

START_TEST(a_reply_that_is_not_the_scripts_takes_nothing)
{
	static const char *const lies[] = {
		"return {}",
		"return {1, 2}",
		"return {'9223372036854775807', -1, {}}",
		"return {-1, -1, {}}",
	};
	struct redis_script right = take_script;

	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		take_script = (struct redis_script){ lies[i], "" };
		ck_assert_str_eq(take(10), "");
		ck_assert_int_eq(taken.result, QUEUE_UNAVAILABLE);
	}
	take_script = right;
}
END_TEST

START_TEST(times_that_can_not_be_are_none)
{
	struct redis_script right = take_script;

	take_script = (struct redis_script){
		"return {1, -1, {}, {'p', 'high', 'd', 'n', '', '0', '0', '9223372036854775807', "
		"'-9223372036854775808', 'a', 'a'}}",
		""
	};
	ck_assert_str_eq(take(10), "a");
	ck_assert_int_eq(taken.last.expires_ms, taken.last.created_ms);
	take_script = right;
}
END_TEST

START_TEST(a_call_that_was_cancelled_is_not_answered)
{
	struct asked calls[4] = { 0 };
	struct queue_entry entry = entry_of("a", "example.org", PRIORITY_HIGH);
	char *item = mem_alloc(1, QUEUE_ITEM_MAX + 2);

	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		calls[i].call.done = on_asked;
	put_due("a", "example.org", PRIORITY_HIGH);
	memset(item, 'x', QUEUE_ITEM_MAX + 1);
	queue_give_back(&calls[1].call, "a", &(struct queue_place){ 0 });
	queue_settle(&calls[2].call, "a");
	entry.item = item;
	queue_put(&calls[3].call, &entry, &(struct queue_place){ 0 });
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		ck_assert_int_eq(queue_busy(&calls[i].call), i > 0);
		queue_cancel(&calls[i].call);
		ck_assert(!queue_busy(&calls[i].call));
	}
	turn_for(20);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		ck_assert_int_eq(calls[i].answers, 0);
	check_queue();
	free(item);
}
END_TEST

/* ---- a server that evicts ---- */

START_TEST(nothing_is_put_into_a_server_that_evicts)
{
	ask("CONFIG SET maxmemory-policy allkeys-lru");
	ck_assert_int_eq(db_module.start(&conf), 0);
	WAIT_UNTIL(!db_keeps());
	ck_assert_int_eq(
	        put(entry_of("a", "example.org", PRIORITY_HIGH), (struct queue_place){ 0 }),
	        QUEUE_UNAVAILABLE);
	check_empty();
	db_module.stop();
}
END_TEST

/* ---- replicas ---- */

static struct redis_server replica;
static char replica_of[64];

/*
 * Has the replica follow the server, and waits until it acknowledges what is written from then on:
 * the first WAIT may be about a write that was before it came.
 */
static void attach_replica(void)
{
	redis_server_start(&replica);
	redis_tell(replica.url, replica_of);
	for (int i = 0; i < 2; i++)
		WAIT_UNTIL((ask("SET greeting hello"), ask("WAIT 1 100")->number) == 1);
	ask("DEL greeting");
}

/* It has written down what it was given at first. */
static void release_replica(void)
{
	char path[96];

	redis_server_kill(&replica);
	snprintf(path, sizeof(path), "%s/dump.rdb", replica.dir);
	unlink(path);
	redis_server_release(&replica);
}

static void start_with_replicas(int wanted)
{
	int port = redis_server_free_port();

	conf.daemon.wait_replicas = wanted;
	queue_module.stop();
	redis_server_kill(&server);
	redis_server_start_with(&server, port, NULL);
	open_queue();
	ask("CONFIG SET repl-diskless-sync-delay 0");
	redis_server_init(&replica);
	snprintf(replica_of, sizeof(replica_of), "REPLICAOF 127.0.0.1 %d", port);
}

START_TEST(with_too_few_replicas_a_put_is_not_believed)
{
	uint64_t start_ms;

	start_with_replicas(1);
	start_ms = loop_now_ms();
	ck_assert_int_eq(
	        put(entry_of("a", "example.org", PRIORITY_HIGH), (struct queue_place){ 0 }),
	        QUEUE_UNAVAILABLE);
	ck_assert_uint_ge(loop_now_ms() - start_ms, 499);
	attach_replica();
	put_due("a", "example.org", PRIORITY_HIGH);
	put_due("b", "example.org", PRIORITY_HIGH);
	release_replica();
	ck_assert_int_eq(
	        put(entry_of("c", "example.org", PRIORITY_HIGH), (struct queue_place){ 0 }),
	        QUEUE_UNAVAILABLE);
}
END_TEST

/* How many the server has carried out. */
static long waits(void)
{
	const char *calls = strstr(ask("INFO commandstats")->text, "cmdstat_wait:calls=");

	ck_assert_ptr_nonnull(calls);
	return strtol(strchr(calls, '=') + 1, NULL, 10);
}

START_TEST(one_wait_is_for_all_that_were_put_together)
{
	struct asked calls[100] = { 0 };
	char id[QUEUE_ID_SIZE];
	long before;

	start_with_replicas(1);
	attach_replica();
	before = waits();
	for (int i = 0; i < 100; i++) {
		struct queue_entry entry = entry_of(id, "example.org", PRIORITY_HIGH);

		snprintf(id, sizeof(id), "%d", i);
		calls[i].call.done = on_asked;
		queue_put(&calls[i].call, &entry, &(struct queue_place){ 0 });
	}
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(await(&calls[i]), QUEUE_DONE);
	ck_assert_int_le(waits(), before + 3);
	release_replica();
}
END_TEST

/* What the new connection is told of replicas is about what it has written: nothing. */
START_TEST(a_connection_that_is_lost_while_replicas_are_awaited_leaves_no_put_believed)
{
	struct asked calls[2] = { { .call.done = on_asked }, { .call.done = on_asked } };
	struct queue_entry first = entry_of("a", "example.org", PRIORITY_HIGH);
	struct queue_entry second = entry_of("b", "example.org", PRIORITY_HIGH);

	start_with_replicas(1);
	attach_replica();
	put_due("c", "example.org", PRIORITY_HIGH);
	kill(replica.pid, SIGSTOP);
	queue_put(&calls[0].call, &first, &(struct queue_place){ 0 });
	queue_put(&calls[1].call, &second, &(struct queue_place){ 0 });
	WAIT_UNTIL(!list_empty(&self.waiting));
	WAIT_UNTIL(!list_empty(&self.written));
	redis_tell(server.url, "CLIENT KILL TYPE normal SKIPME yes");
	kill(replica.pid, SIGCONT);
	ck_assert_int_eq(await(&calls[0]), QUEUE_UNAVAILABLE);
	ck_assert_int_eq(await(&calls[1]), QUEUE_UNAVAILABLE);
	release_replica();
}
END_TEST

START_TEST(a_put_may_be_cancelled_while_replicas_are_awaited)
{
	struct asked asked = { .call.done = on_asked };
	struct queue_entry entry = entry_of("a", "example.org", PRIORITY_HIGH);

	start_with_replicas(1);
	redis_server_release(&replica);
	queue_put(&asked.call, &entry, &(struct queue_place){ 0 });
	WAIT_UNTIL(!list_empty(&self.waiting));
	ck_assert(queue_busy(&asked.call));
	queue_cancel(&asked.call);
	ck_assert(!queue_busy(&asked.call));
	WAIT_UNTIL(!redis_busy(&self.wait));
	ck_assert_int_eq(asked.answers, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_script_that_the_server_has_forgotten_is_loaded_anew,
		without_redis_a_put_and_a_take_say_so,
		a_put_waits_for_a_redis_that_comes_back_soon,
		a_verdict_that_redis_did_not_hear_is_told_again,
		a_verdict_is_told_again_for_no_longer_than_a_lease,
		a_server_that_refuses_to_write_is_away,
		an_entry_that_somebody_spoiled_is_set_aside_and_stops_no_other,
		a_reply_that_is_not_the_scripts_takes_nothing,
		times_that_can_not_be_are_none,
		a_call_that_was_cancelled_is_not_answered,
		nothing_is_put_into_a_server_that_evicts,
		with_too_few_replicas_a_put_is_not_believed,
		one_wait_is_for_all_that_were_put_together,
		a_connection_that_is_lost_while_replicas_are_awaited_leaves_no_put_believed,
		a_put_may_be_cancelled_while_replicas_are_awaited,
	};

	return unit_run("queue_trouble", tests, ARRAY_LEN(tests), setup, teardown);
}
