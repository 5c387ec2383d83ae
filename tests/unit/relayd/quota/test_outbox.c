#include "relayd/quota/outbox.c"

#include "tests/unit/logged.h"
#include "tests/unit/relay_store.h"

static void wait_until_empty(void)
{
	WAIT_UNTIL(outbox_empty());
}

static void add_records(int from, int to)
{
	char text[32];

	for (int i = from; i < to; i++) {
		snprintf(text, sizeof(text), "{\"n\":%d}", i);
		outbox_add(OUTBOX_RECORDS, text);
	}
}

/* A lease whose last call was VALUE, and what was used in its month. */
static void make_lease(const char *value)
{
	struct relay_question question = { .call.done = relay_on_answer };

	redis_command(fleet_redis(), &question.call, "SET og:lease:x %s", value);
	WAIT_UNTIL(question.answered);
	relay_ask("HSET og:usage:202601 user:a@x 900 global 2000");
}

static void give_back(unsigned seen, bool last, unsigned long long bytes)
{
	static const char *const ledgers[] = { "user:a@x", "global" };

	outbox_give_back(&(struct outbox_return){
	        .lease = "og:lease:x",
	        .seen = seen,
	        .last = last,
	        .month = 202601,
	        .bytes = bytes,
	        .ledgers = ledgers,
	        .count = ARRAY_LEN(ledgers),
	});
}

START_TEST(everything_is_written_in_its_order)
{
	add_records(0, 3);
	outbox_add(OUTBOX_EVENTS, "{\"type\":\"x\"}");
	wait_until_empty();
	relay_expect("3", "XLEN og:transfers");
	ck_assert_ptr_nonnull(
	        strstr(relay_ask("XRANGE og:transfers - + COUNT 1"), "record {\"n\":0}"));
	ck_assert_ptr_nonnull(
	        strstr(relay_ask("XREVRANGE og:transfers + - COUNT 1"), "record {\"n\":2}"));
	ck_assert_ptr_nonnull(strstr(relay_ask("XRANGE og:events - +"), "event {\"type\":\"x\"}"));
}
END_TEST

START_TEST(hundreds_go_out_in_batches_and_none_is_missing)
{
	add_records(0, 500);
	ck_assert(!outbox_empty());
	wait_until_empty();
	relay_expect("500", "XLEN og:transfers");
	ck_assert_uint_eq(outbox.written, 500);
}
END_TEST

START_TEST(what_waits_for_redis_is_written_when_it_is_back)
{
	redis_server_kill(&relay_server);
	WAIT_UNTIL(!fleet_ready());
	add_records(0, 100);
	turn_for(300);
	ck_assert_uint_eq(outbox.count, 100);
	redis_server_start(&relay_server);
	wait_until_empty();
	relay_expect("100", "XLEN og:transfers");
}
END_TEST

START_TEST(the_number_of_the_last_item_outlives_its_relay_by_a_day)
{
	char *command = mem_printf("TTL %s", outbox.keys[0]);

	add_records(0, 1);
	wait_until_empty();
	ck_assert_int_gt(strtol(relay_ask(command), NULL, 10), 80000);
	free(command);
}
END_TEST

START_TEST(what_was_written_before_its_answer_got_lost_is_not_written_again)
{
	add_records(0, 10);
	wait_until_empty();
	outbox.written = 4; /* as if the last answer had not come */
	add_records(4, 12);
	wait_until_empty();
	relay_expect("12", "XLEN og:transfers");
	ck_assert_ptr_nonnull(
	        strstr(relay_ask("XREVRANGE og:transfers + - COUNT 1"), "record {\"n\":11}"));
}
END_TEST

/* A call that was sent when LAST was the last item's number, and that arrives now. */
static const char *send_late(unsigned long long last, const char *record)
{
	static struct relay_question question;
	char number[24];
	const char *argv[] = {
		"EVAL",
		outbox_lua,
		"4",
		outbox.keys[0],
		outbox.keys[1],
		outbox.keys[2],
		outbox.keys[3],
		outbox.usage,
		"1000",
		number,
		"0",
		"",
		"2",
		"record",
		record,
	};

	question = (struct relay_question){ .call.done = relay_on_answer };
	snprintf(number, sizeof(number), "%llu", last + 1);
	redis_send(fleet_redis(), &question.call, ARRAY_LEN(argv), argv, NULL);
	WAIT_UNTIL(question.answered);
	return question.text;
}

START_TEST(what_arrives_after_later_items_is_not_written_again)
{
	add_records(0, 10);
	wait_until_empty();
	ck_assert_str_eq(send_late(3, "{\"n\":3}"), "10  0");
	relay_expect("10", "XLEN og:transfers");
	add_records(10, 12);
	wait_until_empty();
	relay_expect("12", "XLEN og:transfers");
}
END_TEST

START_TEST(a_return_lowers_every_ledger_of_its_lease_and_ends_it_with_the_last)
{
	make_lease("3 500 202601");
	give_back(3, false, 100);
	wait_until_empty();
	relay_expect("800 1900", "HMGET og:usage:202601 user:a@x global");
	relay_expect("1", "EXISTS og:lease:x");
	give_back(3, true, 50);
	wait_until_empty();
	relay_expect("750 1850", "HMGET og:usage:202601 user:a@x global");
	relay_expect("0", "EXISTS og:lease:x");
	give_back(3, true, 50); /* the lease is over */
	wait_until_empty();
	relay_expect("750 1850", "HMGET og:usage:202601 user:a@x global");
}
END_TEST

START_TEST(the_last_return_takes_in_what_a_call_without_answer_has_taken)
{
	make_lease("4 500 202601");
	give_back(3, true, 50);
	wait_until_empty();
	relay_expect("350 1450", "HMGET og:usage:202601 user:a@x global");
}
END_TEST

START_TEST(no_ledger_falls_below_nothing)
{
	make_lease("1 500 202601");
	relay_ask("HSET og:usage:202601 user:a@x 30"); /* after a credit */
	give_back(1, true, 100);
	wait_until_empty();
	relay_expect("0 1900", "HMGET og:usage:202601 user:a@x global");
	make_lease("1 500 202601");
	relay_ask("DEL og:usage:202601");
	give_back(1, true, 100);
	wait_until_empty();
	relay_expect("0", "EXISTS og:usage:202601");
}
END_TEST

START_TEST(a_key_of_another_type_does_not_hold_the_others_up)
{
	relay_ask("SET og:transfers text");
	add_records(0, 2);
	outbox_add(OUTBOX_EVENTS, "{}");
	wait_until_empty();
	relay_expect("1", "XLEN og:events");
	relay_expect("2", "XLEN og:outbox-aside");
	ck_assert_int_eq(set_aside, 2);
}
END_TEST

START_TEST(what_is_set_aside_can_be_put_back)
{
	char command[200];

	relay_ask("SET og:transfers text");
	add_records(7, 8);
	wait_until_empty();
	snprintf(command, sizeof(command), "relay %s:%lld kind record item {\"n\":7} why ",
	         fleet_id(), (long long)fleet_epoch_ms());
	ck_assert_ptr_nonnull(strstr(relay_ask("XRANGE og:outbox-aside - +"), command));
	ck_assert_int_gt(atoi(relay_ask("TTL og:outbox-aside")), 2500000);
}
END_TEST

START_TEST(what_is_set_aside_has_an_end_and_finds_its_key_again)
{
	relay_ask("SET og:transfers text");
	relay_ask("SET og:outbox-aside text");
	add_records(0, 3000);
	wait_until_empty();
	ck_assert_int_lt(atoi(relay_ask("XLEN og:outbox-aside")), 1200);
	ck_assert_int_eq(set_aside, 3000);
}
END_TEST

START_TEST(a_reply_that_is_not_the_scripts_drops_nothing)
{
	static const char *const lies[] = {
		"return {99999, '', 0}",
		"return {'9223372036854775807', '', 0}",
		"return {}",
		"return 'done'",
		"return {-1, '', 0}",
	};

	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		script = (struct redis_script){ lies[i], "" };
		add_records(0, 3);
		turn_for(50);
		ck_assert_uint_eq(outbox.count, 3);
		script = (struct redis_script){ outbox_lua, "" };
		wait_until_empty();
	}
	relay_expect("15", "XLEN og:transfers");
}
END_TEST

START_TEST(a_number_of_the_last_item_that_is_none_stops_nothing)
{
	char command[200];

	static const char *const others[][2] = {
		{ "LPUSH", "x" }, { "SET", "text" },  { "HSET", "a b" },
		{ "SET", "nan" }, { "SET", "99999" }, { "SET", "-5" },
	};

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		relay_ask("DEL og:transfers");
		snprintf(command, sizeof(command), "DEL %s", outbox.keys[0]);
		relay_ask(command);
		snprintf(command, sizeof(command), "%s %s %s", others[i][0], outbox.keys[0],
		         others[i][1]);
		relay_ask(command);
		add_records(0, 3);
		wait_until_empty();
		relay_expect("3", "XLEN og:transfers");
	}
}
END_TEST

START_TEST(an_item_that_redis_refuses_again_and_again_is_set_aside_and_told)
{
	struct logged logged = logged_start();
	const char *text;

	make_lease("3 500 202601");
	relay_ask("HSET og:usage:202601 user:a@x 900 global text");
	give_back(3, false, 100);
	add_records(0, 2);
	wait_until_empty();
	text = logged_end(&logged);
	relay_expect("2", "XLEN og:transfers");
	ck_assert_int_eq(set_aside, 1);
	ck_assert_ptr_nonnull(strstr(text, "outbox-item-set-aside items=1 "));
	relay_expect("900", "HGET og:usage:202601 user:a@x"); /* all ledgers or none */
	ck_assert_ptr_nonnull(
	        strstr(relay_ask("XRANGE og:outbox-aside - +"),
	               "kind back item [\"og:lease:x\",\"3\",\"\",\"202601\",\"100\","));
}
END_TEST

START_TEST(any_other_trouble_is_waited_out)
{
	relay_ask("CONFIG SET maxmemory 1");
	add_records(0, 3);
	turn_for(200);
	ck_assert_uint_eq(outbox.count, 3);
	relay_ask("CONFIG SET maxmemory 0");
	wait_until_empty();
	relay_expect("3", "XLEN og:transfers");
}
END_TEST

START_TEST(the_box_has_an_end)
{
	char *large = mem_alloc(1, 1 << 20);

	redis_server_kill(&relay_server);
	WAIT_UNTIL(!fleet_ready());
	memset(large, 'x', (1 << 20) - 1);
	for (int i = 0; i < 70; i++)
		outbox_add(OUTBOX_RECORDS, large);
	free(large);
	ck_assert_uint_le(outbox.bytes, BYTES_MAX);
	ck_assert_uint_ge(outbox.count, 60);
	ck_assert_int_eq(dropped, 70 - (int)outbox.count);
}
END_TEST

START_TEST(the_end_of_the_process_writes_what_is_left)
{
	add_records(0, 200);
	calendar_module.stop();
	outbox_module.stop();
	fleet_module.stop();
	ck_assert_int_eq(fleet_module.start(&relay_conf), 0);
	ck_assert_int_eq(outbox_module.start(&relay_conf), 0);
	ck_assert_int_eq(calendar_module.start(&relay_conf), 0);
	WAIT_UNTIL(fleet_ready());
	relay_expect("200", "XLEN og:transfers");
	ck_assert_ptr_nonnull(strstr(relay_ask("XREVRANGE og:transfers + - COUNT 1"), "199"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		everything_is_written_in_its_order,
		hundreds_go_out_in_batches_and_none_is_missing,
		what_waits_for_redis_is_written_when_it_is_back,
		what_was_written_before_its_answer_got_lost_is_not_written_again,
		the_number_of_the_last_item_outlives_its_relay_by_a_day,
		what_arrives_after_later_items_is_not_written_again,
		a_return_lowers_every_ledger_of_its_lease_and_ends_it_with_the_last,
		the_last_return_takes_in_what_a_call_without_answer_has_taken,
		no_ledger_falls_below_nothing,
		a_key_of_another_type_does_not_hold_the_others_up,
		what_is_set_aside_can_be_put_back,
		what_is_set_aside_has_an_end_and_finds_its_key_again,
		a_reply_that_is_not_the_scripts_drops_nothing,
		a_number_of_the_last_item_that_is_none_stops_nothing,
		an_item_that_redis_refuses_again_and_again_is_set_aside_and_told,
		any_other_trouble_is_waited_out,
		the_box_has_an_end,
		the_end_of_the_process_writes_what_is_left,
	};

	return unit_run("outbox", tests, ARRAY_LEN(tests), relay_store_setup, relay_store_teardown);
}
