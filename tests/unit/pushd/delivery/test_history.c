#include "pushd/delivery/history.c"

#include "common/base/log.h"
#include "pushd/conf.h"
#include "tests/unit/redis_server.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define NODE "0123456789abcdef0123456789abcdef"

static struct redis_server server;
static struct conf conf;
static struct history_query query;
static json_t *found; /* by the last look, owned */

static void setup(void)
{
	log_init("unit", LOG_ERROR);
	loop_init();
	redis_server_init(&server);
	redis_server_start(&server);
	conf.daemon.redis = server.url;
	conf.daemon.redis_prefix = (char *)"og:";
	ck_assert_int_eq(db_module.start(&conf), 0);
	ck_assert_int_eq(history_module.start(&conf), 0);
	WAIT_UNTIL(redis_connected(db_redis()));
}

static void teardown(void)
{
	json_decref(found);
	history_module.stop();
	db_module.stop();
	redis_server_release(&server);
	loop_release();
}

static void on_answer(struct history_query *which, json_t *verdicts)
{
	ck_assert_ptr_eq(which, &query);
	found = json_incref(verdicts);
}

/* How many verdicts NODE's history has. */
static size_t look(const char *node)
{
	json_decref(found);
	found = NULL;
	query.done = on_answer;
	history_find(&query, node);
	WAIT_UNTIL(found != NULL);
	return json_array_size(found);
}

static void expect(size_t index, const char *reason, const char *outcome)
{
	const json_t *verdict = json_array_get(found, index);
	const char *text = json_string_value(json_object_get(verdict, "reason"));

	ck_assert_str_eq(text != NULL ? text : "none", reason);
	ck_assert_str_eq(json_string_value(json_object_get(verdict, "outcome")), outcome);
	ck_assert_str_eq(json_string_value(json_object_get(verdict, "provider")), "apns");
}

START_TEST(a_device_without_verdicts_has_an_empty_history)
{
	ck_assert_uint_eq(look(NODE), 0);
}
END_TEST

START_TEST(what_was_sent_stands_where_its_time_belongs)
{
	history_add(NODE, "apns", 400, "First", OUTCOME_UNAVAILABLE);
	turn_for(5);
	history_add(NODE, "apns", 200, "", OUTCOME_SENT);
	turn_for(5);
	history_add(NODE, "apns", 0, NULL, OUTCOME_QUEUED);
	WAIT_UNTIL(self.writes_count == 0);
	ck_assert_uint_eq(look(NODE), 3);
	expect(0, "none", "queued");
	expect(1, "none", "sent");
	expect(2, "First", "unavailable");
	ck_assert_uint_eq(look("another"), 0);
}
END_TEST

START_TEST(the_last_failures_are_kept_and_only_those)
{
	char reason[16];

	for (int i = 0; i < HISTORY_MAX + 5; i++) {
		snprintf(reason, sizeof(reason), "Reason%d", i);
		history_add(NODE, "apns", 400, reason, OUTCOME_UNAVAILABLE);
	}
	WAIT_UNTIL(self.writes_count == 0);
	ck_assert_uint_eq(look(NODE), HISTORY_MAX);
	expect(0, "Reason12", "unavailable");
	expect(HISTORY_MAX - 1, "Reason5", "unavailable");
}
END_TEST

START_TEST(the_table_of_what_was_sent_is_bounded_and_forgets_the_oldest)
{
	char node[16];

	for (int i = 0; i <= SENT_MAX; i++) {
		snprintf(node, sizeof(node), "node%d", i);
		history_add(node, "apns", 200, "", OUTCOME_SENT);
		history_add("node1", "apns", 200, "", OUTCOME_SENT);
	}
	ck_assert_uint_eq(self.sent.count, SENT_MAX);
	ck_assert_uint_eq(look("node0"), 0);
	ck_assert_uint_eq(look("node1"), 1);
	ck_assert_uint_eq(look("node4096"), 1);
}
END_TEST

START_TEST(a_slow_redis_gets_no_endless_queue)
{
	for (int i = 0; i < WRITES_MAX * 3; i++)
		history_add(NODE, "apns", 400, "Reason", OUTCOME_UNAVAILABLE);
	ck_assert_uint_eq(self.writes_count, WRITES_MAX);
	WAIT_UNTIL(self.writes_count == 0);
	history_add(NODE, "apns", 410, "Last", OUTCOME_GONE);
	WAIT_UNTIL(self.writes_count == 0);
	ck_assert_uint_eq(look(NODE), HISTORY_MAX);
	expect(0, "Last", "gone");
}
END_TEST

START_TEST(while_redis_is_away_failures_are_forgotten_and_what_was_sent_is_known)
{
	redis_server_kill(&server);
	WAIT_UNTIL(!redis_connected(db_redis()));
	history_add(NODE, "apns", 400, "Reason", OUTCOME_UNAVAILABLE);
	ck_assert_uint_eq(self.writes_count, 0);
	history_add(NODE, "apns", 200, "", OUTCOME_SENT);
	ck_assert_uint_eq(look(NODE), 1);
	expect(0, "none", "sent");
}
END_TEST

START_TEST(stopping_forgets_what_is_on_its_way)
{
	history_add(NODE, "apns", 400, "Reason", OUTCOME_UNAVAILABLE);
	ck_assert_uint_eq(self.writes_count, 1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_device_without_verdicts_has_an_empty_history,
		what_was_sent_stands_where_its_time_belongs,
		the_last_failures_are_kept_and_only_those,
		the_table_of_what_was_sent_is_bounded_and_forgets_the_oldest,
		a_slow_redis_gets_no_endless_queue,
		while_redis_is_away_failures_are_forgotten_and_what_was_sent_is_known,
		stopping_forgets_what_is_on_its_way,
	};

	return unit_run("history", tests, ARRAY_LEN(tests), setup, teardown);
}
