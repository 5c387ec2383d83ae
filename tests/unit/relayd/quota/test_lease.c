#include "relayd/quota/lease.c"

#include "tests/unit/relay_store.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)

static const struct party strangers[2] = { { "a@x", "x", true }, { "b@y", "y", true } };
static const struct party neighbours[2] = { { "a@x", "x", true }, { "b@x", "x", true } };
static const struct party one_user[2] = { { "a@x", "x", true }, { "a@x", "x", true } };
static const struct party first_only[2] = { { "a@x", "x", true }, { "b@y", "y", false } };
static const struct party second_only[2] = { { "b@y", "y", false }, { "a@x", "x", true } };
static const struct party neither[2] = { { "a@x", "x", false }, { "b@y", "y", false } };

static struct lease *lease;
static enum ledger_verdict verdict;
static int openings, renewals, exhaustions;

static void on_opened_here(struct lease *opened, enum ledger_verdict how)
{
	verdict = how;
	openings++;
}

static void on_renewed_here(struct lease *renewed)
{
	renewals++;
}

static void on_exhausted_here(struct lease *exhausted)
{
	exhaustions++;
}

/* Ledgers alone */

static struct ledgers *ledgers;
static struct ledger_answer answer;
static bool answered, lost;

static void on_answer(struct redis_call *call, const struct redisReply *reply)
{
	answered = true;
	if (!lost)
		answer = ledger_read(ledgers, reply, UINT64_MAX);
}

static struct redis_call call = { .done = on_answer };

static void free_ledgers(void)
{
	if (ledgers != NULL)
		ledger_free(ledgers);
	ledgers = NULL;
}

static void teardown(void)
{
	lease_free(lease);
	lease = NULL;
	free_ledgers();
	relay_store_teardown();
}

static void wait_for_answer(void)
{
	WAIT_UNTIL(answered);
	answered = false;
}

static enum ledger_verdict open_ledgers(const struct party *parties, int64_t wanted)
{
	free_ledgers();
	ledgers = ledger_new(parties);
	ledger_open(ledgers, &call, wanted);
	wait_for_answer();
	return answer.verdict;
}

static enum ledger_verdict take(int64_t wanted)
{
	ledger_take(ledgers, &call, wanted);
	wait_for_answer();
	return answer.verdict;
}

static int64_t granted(int64_t wanted)
{
	ck_assert_int_eq(take(wanted), LEDGER_GRANTED);
	return answer.bytes;
}

static void wait_for_outbox(void)
{
	WAIT_UNTIL(outbox_empty());
}

static int64_t limit_of(const char *name)
{
	for (size_t i = 0; i < ledgers->count; i++)
		if (strcmp(ledgers->names[i], name) == 0)
			return ledgers->limits[i];
	ck_abort_msg("no ledger %s", name);
	return 0;
}

START_TEST(everyone_involved_is_charged_once)
{
	ck_assert_int_eq(open_ledgers(strangers, 1000), LEDGER_GRANTED);
	ck_assert_int_eq(answer.bytes, 1000);
	ck_assert_uint_eq(answer.month, calendar_month()->number);
	ck_assert_uint_eq(ledgers->count, 6);
	relay_expect("1000 1000 1000 1000 1000 1000",
	             "HMGET og:usage:%M user:a@x user:b@y domain:x domain:y instance:relay-1 "
	             "global");
	ck_assert_int_eq(open_ledgers(neighbours, 500), LEDGER_GRANTED);
	ck_assert_uint_eq(ledgers->count, 5);
	ck_assert_int_eq(open_ledgers(one_user, 7), LEDGER_GRANTED);
	ck_assert_uint_eq(ledgers->count, 4);
	relay_expect("1507 500 1507 1507", "HMGET og:usage:%M user:a@x user:b@x domain:x global");
}
END_TEST

START_TEST(who_is_not_charged_has_no_ledger_and_no_limits)
{
	relay_ask("HSET og:limit:b@y user 5 file 7");
	relay_ask("HSET og:limit:y domain -1");
	ck_assert_int_eq(open_ledgers(first_only, 1000), LEDGER_GRANTED);
	ck_assert_int_eq(answer.bytes, 1000);
	ck_assert_uint_eq(ledgers->count, 4);
	ck_assert_int_eq(granted(500), 500);
	ck_assert_int_eq(open_ledgers(second_only, 30), LEDGER_GRANTED);
	ck_assert_int_eq(open_ledgers(neither, 7), LEDGER_GRANTED);
	ck_assert_uint_eq(ledgers->count, 2);
	ck_assert_int_eq(ledgers->file_limit, 0);
	relay_expect("1530 1530 1537 1537",
	             "HMGET og:usage:%M user:a@x domain:x instance:relay-1 global");
	relay_expect("domain:x global instance:relay-1 user:a@x", "ZRANGE og:ledgers:%M 0 -1");
	relay_ask("HSET og:limit:a@x user -1");
	ck_assert_int_eq(open_ledgers(second_only, 1), LEDGER_FORBIDDEN);
	ck_assert_int_eq(open_ledgers(neither, 1), LEDGER_GRANTED);
}
END_TEST

/* What the rows of a@x and of its domain say, in each field, and what is meant then. */
struct row {
	const char *user, *domain;
	int64_t fallback;
	int64_t limit; /* -1: forbidden */
};

static const struct row rows[] = {
	{ NULL, NULL, 0, 0 },         { NULL, NULL, 7000, 7000 },
	{ NULL, "6000", 7000, 6000 }, { "5000", "6000", 7000, 5000 },
	{ "5000", NULL, 0, 5000 },    { "0", "6000", 7000, 6000 },
	{ "0", "0", 7000, 7000 },     { "9000", "6000", 7000, 9000 },
	{ "5000", "-1", -1, 5000 },   { "-1", "6000", 7000, -1 },
	{ NULL, "-1", 7000, -1 },     { NULL, NULL, -1, -1 },
	{ NULL, "6000", -1, 6000 },
};

static void set_row(const char *account, const char *field, const char *value)
{
	char command[128];

	snprintf(command, sizeof(command), "DEL og:limit:%s", account);
	relay_ask(command);
	snprintf(command, sizeof(command), "HSET og:limit:%s %s %s", account, field,
	         value == NULL ? "" : value);
	if (value != NULL)
		relay_ask(command);
}

static int64_t resolve(const struct row *row, const char *field)
{
	static const char *const names[] = { "file", "user", "domain" };
	int64_t *fallbacks[] = { &relay_conf.default_file_limit, &relay_conf.default_user_limit,
		                 &relay_conf.default_domain_limit };
	int64_t limit = 0;

	set_row("a@x", field, row->user);
	set_row("x", field, row->domain);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		*fallbacks[i] = strcmp(names[i], field) == 0 ? row->fallback : 0;
	if (open_ledgers(one_user, 1) == LEDGER_FORBIDDEN)
		return -1;
	ck_assert_int_eq(answer.verdict, LEDGER_GRANTED);
	limit = *field == 'f' ? ledgers->file_limit
	                      : limit_of(*field == 'u' ? "user:a@x" : "domain:x");
	relay_conf.default_file_limit = relay_conf.default_user_limit = 0;
	relay_conf.default_domain_limit = 0;
	return limit;
}

START_TEST(each_field_is_the_users_else_the_domains_else_the_default)
{
	static const char *const fields[] = { "file", "user", "domain" };

	for (size_t f = 0; f < ARRAY_LEN(fields); f++)
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			ck_assert_msg(resolve(&rows[i], fields[f]) == rows[i].limit,
			              "%s of row %zu", fields[f], i);
	relay_conf.default_file_limit = relay_conf.default_user_limit = 0;
	relay_conf.default_domain_limit = 0;
}
END_TEST

START_TEST(what_is_forbidden_names_who_it_is_forbidden_to)
{
	set_row("b@y", "domain", "-1");
	ck_assert_int_eq(open_ledgers(strangers, 1000), LEDGER_FORBIDDEN);
	ck_assert_str_eq(answer.ledger, "user:b@y");
	ck_assert_int_eq(answer.limit, -1);
	relay_ask("DEL og:limit:b@y");
	relay_conf.instance_limit = -1;
	ck_assert_int_eq(open_ledgers(strangers, 1000), LEDGER_FORBIDDEN);
	ck_assert_str_eq(answer.ledger, "instance:relay-1");
	relay_conf.instance_limit = 0;
	relay_conf.global_limit = -1;
	ck_assert_int_eq(open_ledgers(strangers, 1000), LEDGER_FORBIDDEN);
	ck_assert_str_eq(answer.ledger, "global");
	relay_conf.global_limit = 0;
	relay_expect("0", "EXISTS og:usage:%M");
	relay_expect("0", "EXISTS og:limits");
}
END_TEST

START_TEST(two_parties_with_different_limits_of_one_file_or_domain_get_the_lower_one)
{
	set_row("a@x", "file", "900000");
	set_row("b@x", "file", "300000");
	ck_assert_int_eq(open_ledgers(neighbours, MIB), LEDGER_GRANTED);
	ck_assert_int_eq(answer.bytes, 300000);
	ck_assert_int_eq(ledgers->file_limit, 300000);
	set_row("a@x", "domain", "50000000");
	set_row("b@x", "domain", "40000000");
	ck_assert_int_eq(open_ledgers(neighbours, MIB), LEDGER_GRANTED);
	ck_assert_int_eq(limit_of("domain:x"), 40000000);
	set_row("a@x", "file", "200000");
	set_row("b@x", "file", "300000");
	ck_assert_int_eq(open_ledgers(neighbours, MIB), LEDGER_GRANTED);
	ck_assert_int_eq(ledgers->file_limit, 200000);
	set_row("a@x", "domain", "30000000");
	set_row("b@x", "domain", "40000000");
	ck_assert_int_eq(open_ledgers(neighbours, MIB), LEDGER_GRANTED);
	ck_assert_int_eq(limit_of("domain:x"), 30000000);
}
END_TEST

START_TEST(leases_shrink_towards_the_limit_and_reach_it_to_the_byte)
{
	int64_t limit = 20 * MIB + 777, total;
	int calls = 1;

	relay_conf.default_user_limit = limit;
	ck_assert_int_eq(open_ledgers(strangers, 16 * MIB), LEDGER_GRANTED);
	ck_assert_int_eq(answer.bytes, limit / 8);
	total = answer.bytes;
	while (take(16 * MIB) == LEDGER_GRANTED) {
		int64_t left = limit - total, share = left / 8 > 65536 ? left / 8 : 65536;

		ck_assert_int_eq(answer.bytes, share < left ? share : left);
		total += answer.bytes;
		ck_assert_int_lt(calls++, 100);
	}
	ck_assert_int_eq(total, limit);
	ck_assert_int_eq(answer.verdict, LEDGER_OVER);
	ck_assert_str_eq(answer.ledger, "user:a@x");
	ck_assert_int_eq(answer.limit, limit);
	ck_assert_int_eq(open_ledgers(strangers, 1), LEDGER_OVER);
	relay_conf.default_user_limit = 0;
}
END_TEST

START_TEST(the_ledger_with_the_least_left_decides_and_then_nothing_is_taken_from_any)
{
	relay_conf.global_limit = 3000;
	relay_conf.default_user_limit = 5000;
	ck_assert_int_eq(open_ledgers(strangers, 10000), LEDGER_GRANTED);
	ck_assert_int_eq(answer.bytes, 3000);
	ck_assert_int_eq(take(1), LEDGER_OVER);
	ck_assert_str_eq(answer.ledger, "global");
	relay_expect("3000 3000", "HMGET og:usage:%M user:a@x global");
	relay_conf.global_limit = relay_conf.default_user_limit = 0;
}
END_TEST

START_TEST(limits_are_those_of_the_opening)
{
	set_row("a@x", "user", "100000");
	ck_assert_int_eq(open_ledgers(strangers, 10000), LEDGER_GRANTED);
	set_row("a@x", "user", "-1");
	ck_assert_int_eq(granted(50000), 50000);
	set_row("a@x", "user", "1000000");
	ck_assert_int_eq(granted(50000), 40000);
	ck_assert_int_eq(take(50000), LEDGER_OVER);
}
END_TEST

START_TEST(a_call_whose_answer_got_lost_is_not_carried_out_twice)
{
	ck_assert_int_eq(open_ledgers(strangers, 1000), LEDGER_GRANTED);
	lost = true;
	ledger_take(ledgers, &call, 5000);
	wait_for_answer();
	lost = false;
	relay_expect("6000", "HGET og:usage:%M user:a@x");
	ck_assert_int_eq(granted(9000), 5000); /* what the first one got, whatever is wanted now */
	relay_expect("6000", "HGET og:usage:%M user:a@x");
	ck_assert_int_eq(granted(9000), 9000);
	relay_expect("15000", "HGET og:usage:%M user:a@x");
}
END_TEST

START_TEST(a_call_that_comes_after_a_later_one_takes_nothing)
{
	ck_assert_int_eq(open_ledgers(strangers, 1000), LEDGER_GRANTED);
	ck_assert_int_eq(granted(5000), 5000);
	ck_assert_int_eq(granted(3000), 3000);
	ledgers->calls = 1;
	ck_assert_int_eq(take(5000), LEDGER_UNKNOWN);
	relay_expect("9000", "HGET og:usage:%M user:a@x");
	ledgers->calls = 3;
	ck_assert_int_eq(granted(100), 100);
}
END_TEST

START_TEST(a_call_that_comes_after_the_end_takes_nothing)
{
	ck_assert_int_eq(open_ledgers(strangers, 1000), LEDGER_GRANTED);
	ledgers->doubt = true;
	ledger_give_back(ledgers, answer.month, 1000, true);
	wait_for_outbox();
	ck_assert_int_eq(take(5000), LEDGER_UNKNOWN);
	ledger_open(ledgers, &call, 1000);
	wait_for_answer();
	ck_assert_int_eq(answer.verdict, LEDGER_UNKNOWN);
	relay_expect("0", "HGET og:usage:%M user:a@x");
}
END_TEST

START_TEST(what_is_given_back_goes_to_the_month_it_was_taken_in)
{
	ck_assert_int_eq(open_ledgers(strangers, 1000), LEDGER_GRANTED);
	relay_ask("HSET og:usage:202001 user:a@x 600 user:b@y 600 domain:x 600 domain:y 600 "
	          "instance:relay-1 600 global 600");
	ledger_give_back(ledgers, 202001, 400, false);
	wait_for_outbox();
	relay_expect("200 200 200 200 200 200", "HVALS og:usage:202001");
	relay_expect("1000", "HGET og:usage:%M global");
	ledger_give_back(ledgers, answer.month, 250, true);
	wait_for_outbox();
	relay_expect("750", "HGET og:usage:%M global");
	relay_expect("(none)", "KEYS og:lease:*");
}
END_TEST

START_TEST(the_end_gives_back_also_what_an_unknown_call_had_taken)
{
	ck_assert_int_eq(open_ledgers(strangers, 1000), LEDGER_GRANTED);
	lost = true;
	ledger_take(ledgers, &call, 5000);
	wait_for_answer();
	lost = false;
	ledger_give_back(ledgers, answer.month, 300, true);
	wait_for_outbox();
	relay_expect("700", "HGET og:usage:%M user:a@x");
	relay_expect("(none)", "KEYS og:lease:*");
}
END_TEST

START_TEST(an_opening_whose_answer_got_lost_leaves_nothing_taken)
{
	ledgers = ledger_new(one_user);
	lost = true;
	ledger_open(ledgers, &call, 1000);
	wait_for_answer();
	lost = false;
	relay_expect("1000", "HGET og:usage:%M domain:x");
	ledger_give_back(ledgers, MONTH_NONE, 0, true);
	wait_for_outbox();
	relay_expect("0 0 0", "HMGET og:usage:%M user:a@x domain:x global");
}
END_TEST

START_TEST(a_month_that_is_over_by_rediss_clock_is_not_charged)
{
	ck_assert_int_eq(open_ledgers(strangers, 1000), LEDGER_GRANTED);
	calendar_set(INT64_C(1577836800000)); /* 2020-01-01, as a clock that is behind says */
	ck_assert_uint_eq(calendar_month()->number, 202001);
	ck_assert_int_eq(take(1000), LEDGER_OTHER_MONTH);
	ck_assert_uint_eq(calendar_month()->number, month_of(loop_wall_ms() / 1000).number);
	relay_expect("0", "EXISTS og:usage:202001");
	ck_assert_int_eq(granted(1000), 1000);
}
END_TEST

/* Takes bytes in the second that ends the month, or begins it, by Redis's clock. */
static enum ledger_verdict take_at_edge(bool ends)
{
	struct month *month = (struct month *)calendar_month();
	const struct month real = *month;
	int64_t now_s;
	enum ledger_verdict taken;

	do {
		now_s = strtoll(relay_ask("TIME"), NULL, 10);
		*month = real;
		if (ends)
			month->end_s = now_s;
		else
			month->start_s = now_s;
		taken = take(1000);
	} while (strtoll(relay_ask("TIME"), NULL, 10) != now_s); /* it may have been later */
	*month = real;
	return taken;
}

START_TEST(a_second_belongs_to_the_month_that_it_begins)
{
	ck_assert_int_eq(open_ledgers(strangers, 1000), LEDGER_GRANTED);
	ck_assert_int_eq(take_at_edge(false), LEDGER_GRANTED);
	ck_assert_int_eq(take_at_edge(true), LEDGER_OTHER_MONTH);
}
END_TEST

START_TEST(usage_is_kept_for_400_days_and_its_ledgers_are_listed)
{
	ck_assert_int_eq(open_ledgers(strangers, 1000), LEDGER_GRANTED);
	relay_expect("34560000", "TTL og:usage:%M");
	relay_expect("34560000", "TTL og:ledgers:%M");
	relay_expect("domain:x domain:y global instance:relay-1 user:a@x user:b@y",
	             "ZRANGE og:ledgers:%M 0 -1");
	relay_expect("0", "EXISTS og:limits"); /* no limits were set */
}
END_TEST

START_TEST(trouble_in_redis_is_no_denial)
{
	relay_ask("SET og:limit:a@x text");
	ck_assert_int_eq(open_ledgers(strangers, 1000), LEDGER_UNKNOWN);
	relay_ask("DEL og:limit:a@x");
	redis_server_kill(&relay_server);
	ck_assert_int_eq(open_ledgers(strangers, 1000), LEDGER_UNKNOWN);
}
END_TEST

START_TEST(a_reply_that_is_not_the_scripts_is_no_verdict)
{
	/* clang-format off */
	static const char *const lies[] = {
		"return 1",
		"return {}",
		"return {'go'}",
		"return {'granted'}",
		"return {'granted', 0, 202601, 0, 0, 0, 0, 0, 0, 0}",
		"return {'granted', -5, 202601, 0, 0, 0, 0, 0, 0, 0}",
		"return {'granted', '9223372036854775807', 202601, 0, 0, 0, 0, 0, 0, 0}",
		"return {'granted', 5, 202613, 0, 0, 0, 0, 0, 0, 0}",
		"return {'granted', 5, '', 0, 0, 0, 0, 0, 0, 0}",
		"return {'granted', 5, 202601, 0, 0, 0, 0}",
		"return {'granted', 5, 202601, 4, 0, 0, 0, 0, 0, 0}",
		"return {'granted', 5, 202601, -1, 0, 0, 0, 0, 0, 0}",
		"return {'over'}",
		"return {'over', 'user:stranger@x', 5}",
		"return {'over', {'user:a@x'}, 5}",
		"return {'over', 'user:a@x', 'much'}",
		"return {'forbidden', 'nobody', -1}",
		"return {'month', -1}",
		"return {'month', '9223372036854775807'}",
	};
	/* clang-format on */
	const unsigned month = calendar_month()->number;

	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		open_script = (struct redis_script){ lies[i], "" };
		ck_assert_msg(open_ledgers(strangers, 1000) == LEDGER_UNKNOWN, "%s", lies[i]);
		ck_assert_ptr_null(answer.ledger);
		ck_assert_int_eq(answer.bytes, 0);
		ck_assert_uint_eq(ledgers->calls, 0);
	}
	ck_assert_uint_eq(calendar_month()->number, month);
}
END_TEST

/* Leases */

static void open_lease(void)
{
	lease = lease_open(strangers, on_opened_here);
	lease->renewed = on_renewed_here;
	lease->exhausted = on_exhausted_here;
	WAIT_UNTIL(openings == 1);
}

/* The stream reads BYTES, or as many as it may; true if it could read more. */
static bool spend(uint64_t bytes)
{
	bool starving = bytes > lease->budget;

	lease->budget -= starving ? lease->budget : bytes;
	lease_spent(lease, starving);
	return !starving;
}

static void expect_used(uint64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	relay_expect(text, "HGET og:usage:%M user:a@x");
}

START_TEST(a_lease_lasts_half_a_second_and_is_one_to_sixteen_quanta)
{
	ck_assert_uint_eq(next_size(MIB, 0, 1000), MIB);
	ck_assert_uint_eq(next_size(MIB, MIB, 1000), MIB);
	ck_assert_uint_eq(next_size(MIB, 2 * MIB, 1000), MIB);
	ck_assert_uint_eq(next_size(MIB, 2 * MIB + 2, 1000), 2 * MIB);
	ck_assert_uint_eq(next_size(MIB, 10 * MIB, 1000), 5 * MIB);
	ck_assert_uint_eq(next_size(MIB, MIB, 100), 5 * MIB);
	ck_assert_uint_eq(next_size(MIB, MIB, 1), 16 * MIB);
	ck_assert_uint_eq(next_size(MIB, MIB, 0), 16 * MIB);
	ck_assert_uint_eq(next_size(MIB, 16 * MIB, 60), 16 * MIB);
	ck_assert_uint_eq(next_size(1, 0, 0), 1);
}
END_TEST

START_TEST(a_lease_lasts_50_ms_at_any_speed)
{
	ck_assert_uint_eq(next_size(MIB, 256 * MIB, 50), 256 * MIB);
	ck_assert_uint_eq(next_size(MIB, 16 * MIB, 25), 32 * MIB);
	ck_assert_uint_eq(next_size(1000, 20000, 1), 50000);
}
END_TEST

START_TEST(the_next_lease_is_asked_for_at_half_or_20_ms_before_the_end)
{
	ck_assert_uint_eq(low_water(MIB, 0, 1000), MIB / 2);
	ck_assert_uint_eq(low_water(16 * MIB, 20 * MIB, 1000), 8 * MIB);
	ck_assert_uint_eq(low_water(16 * MIB, 12 * MIB, 20), 12 * MIB);
	ck_assert_uint_eq(low_water(16 * MIB, 40 * MIB, 20), 16 * MIB);
	ck_assert_uint_eq(low_water(16 * MIB, 40 * MIB, 0), 16 * MIB);
}
END_TEST

START_TEST(the_first_lease_is_one_quantum_and_the_next_comes_before_it_is_used_up)
{
	open_lease();
	ck_assert_int_eq(verdict, LEDGER_GRANTED);
	ck_assert_uint_eq(lease->budget, MIB);
	ck_assert(spend(MIB / 2 - 1));
	ck_assert(!redis_busy(&lease->call));
	ck_assert(spend(1));
	ck_assert(redis_busy(&lease->call));
	WAIT_UNTIL(!redis_busy(&lease->call));
	ck_assert_uint_ge(lease->budget, MIB / 2 + MIB);
	ck_assert_int_eq(renewals, 0); /* it never starved */
}
END_TEST

START_TEST(a_stream_that_starves_is_told_when_there_is_budget_again)
{
	open_lease();
	ck_assert(!spend(5 * MIB));
	ck_assert_uint_eq(lease->budget, 0);
	WAIT_UNTIL(renewals == 1);
	ck_assert_uint_gt(lease->budget, 0);
	ck_assert_int_eq(exhaustions, 0);
}
END_TEST

START_TEST(a_limit_is_used_up_to_the_byte_before_the_stream_is_told)
{
	uint64_t total = 0;

	relay_conf.default_user_limit = 3 * (int64_t)MIB + 5;
	open_lease();
	while (exhaustions == 0) {
		total += lease->budget;
		spend(lease->budget + 1);
		WAIT_UNTIL(!redis_busy(&lease->call) || exhaustions > 0);
	}
	relay_conf.default_user_limit = 0;
	ck_assert_uint_eq(total, 3 * MIB + 5);
	ck_assert_str_eq(lease->denial.ledger, "user:a@x");
	ck_assert_int_eq(lease->denial.limit, 3 * (int64_t)MIB + 5);
	expect_used(total);
	spend(1); /* nothing more is asked */
	ck_assert(!redis_busy(&lease->call));
	ck_assert_int_eq(exhaustions, 1);
}
END_TEST

START_TEST(a_denial_by_a_ledger_that_is_not_the_streams_is_asked_about_again)
{
	open_lease();
	take_script = (struct redis_script){ "return {'over', 'user:stranger@x', 5}", "" };
	spend(lease->budget + 1);
	WAIT_UNTIL(lease->state == LEASE_RETRYING);
	take_script = (struct redis_script){ ledger_take_lua, "" };
	WAIT_UNTIL(renewals == 1);
	ck_assert_int_eq(exhaustions, 0);
}
END_TEST

START_TEST(a_lease_never_exceeds_what_is_left_of_the_file)
{
	relay_conf.default_file_limit = 3 * (int64_t)MIB;
	open_lease();
	relay_conf.default_file_limit = 0;
	take_script = (struct redis_script){ "return {'granted', 4194304, tonumber(ARGV[1])}", "" };
	spend(lease->budget + 1);
	WAIT_UNTIL(lease->state == LEASE_RETRYING);
	ck_assert_uint_eq(lease->budget, 0);
	ck_assert_uint_lt(lease->file_left, 3 * MIB);
}
END_TEST

START_TEST(a_denial_with_budget_left_is_asked_about_again_when_it_is_used_up)
{
	relay_conf.default_user_limit = 100000;
	open_lease();
	relay_conf.default_user_limit = 0;
	ck_assert_uint_eq(lease->budget, 65536);
	spend(60000);
	WAIT_UNTIL(!redis_busy(&lease->call));
	ck_assert_uint_eq(lease->budget, 5536 + 34464);
	spend(30000);
	WAIT_UNTIL(!redis_busy(&lease->call));
	ck_assert_uint_eq(lease->budget, 10000);
	spend(1);
	ck_assert(!redis_busy(&lease->call)); /* it would be denied again */
	ck_assert_int_eq(exhaustions, 0);
	ck_assert(spend(9999));
	ck_assert(!spend(1));
	WAIT_UNTIL(exhaustions == 1);
}
END_TEST

START_TEST(a_credit_in_the_meantime_saves_a_stream_that_was_denied)
{
	char command[80];

	relay_conf.global_limit = 65536;
	open_lease();
	relay_conf.global_limit = 0;
	spend(60000);
	WAIT_UNTIL(!redis_busy(&lease->call));
	ck_assert(lease->state == LEASE_DENIED);
	snprintf(command, sizeof(command), "HINCRBY og:usage:%u global -1000",
	         calendar_month()->number);
	relay_ask(command);
	spend(6000);
	WAIT_UNTIL(renewals == 1);
	ck_assert_uint_eq(lease->budget, 1000);
	ck_assert_int_eq(exhaustions, 0);
}
END_TEST

START_TEST(the_limit_of_one_file_needs_no_redis_to_be_reached)
{
	relay_conf.default_file_limit = 3 * MIB / 2;
	open_lease();
	relay_conf.default_file_limit = 0;
	spend(MIB);
	WAIT_UNTIL(!redis_busy(&lease->call));
	ck_assert_uint_eq(lease->budget, MIB / 2);
	redis_server_kill(&relay_server);
	ck_assert(!spend(MIB));
	ck_assert_int_eq(exhaustions, 1);
	ck_assert_str_eq(lease->denial.ledger, DENIAL_FILE);
	ck_assert_int_eq(lease->denial.limit, 3 * MIB / 2);
}
END_TEST

START_TEST(without_redis_the_lease_is_spent_and_then_the_stream_waits_until_it_is_back)
{
	open_lease();
	redis_server_kill(&relay_server);
	ck_assert(spend(MIB));
	turn_for(300);
	ck_assert(!spend(1));
	turn_for(300);
	ck_assert_int_eq(renewals, 0);
	ck_assert_int_eq(exhaustions, 0);
	redis_server_start(&relay_server);
	WAIT_UNTIL(renewals == 1);
	ck_assert_uint_ge(lease->budget, MIB);
}
END_TEST

START_TEST(an_idle_lease_goes_back_and_the_next_byte_takes_another)
{
	open_lease();
	spend(1000);
	idle_expired(&lease->deadline); /* as after ten seconds */
	ck_assert_uint_eq(lease->budget, 0);
	WAIT_UNTIL(outbox_empty());
	expect_used(1000);
	ck_assert(!redis_busy(&lease->call));
	ck_assert(!spend(1));
	WAIT_UNTIL(renewals == 1);
	expect_used(1000 + MIB);
}
END_TEST

START_TEST(the_limit_of_one_file_counts_leases_that_went_back_only_once)
{
	relay_conf.default_file_limit = MIB;
	open_lease();
	relay_conf.default_file_limit = 0;
	spend(1000);
	idle_expired(&lease->deadline);
	ck_assert(!spend(1));
	WAIT_UNTIL(renewals == 1);
	ck_assert_uint_eq(lease->budget, MIB - 1000);
	ck_assert(!spend(MIB));
	ck_assert_int_eq(exhaustions, 1);
}
END_TEST

/* As if the month that it was were over. */
static void turn_month(void)
{
	lease->month = 202601;
	relay_ask("HSET og:usage:202601 user:a@x 5000000 global 5000000");
	on_rollover();
}

START_TEST(at_the_turn_of_the_month_the_lease_goes_back_and_a_new_one_is_taken)
{
	open_lease();
	spend(1000);
	turn_month();
	WAIT_UNTIL(lease->budget > 0 && lease->month == calendar_month()->number);
	WAIT_UNTIL(outbox_empty());
	ck_assert_uint_eq(lease->budget, MIB);
	relay_expect("3952424 3952424", "HMGET og:usage:202601 user:a@x global");
	expect_used(2 * MIB);
}
END_TEST

START_TEST(what_was_not_delivered_goes_back_to_the_month_it_was_read_in)
{
	open_lease();
	spend(1000);
	turn_month();
	WAIT_UNTIL(lease->budget > 0 && lease->month == calendar_month()->number);
	spend(30);
	lease_refund(lease, 430);
	WAIT_UNTIL(outbox_empty());
	ck_assert_uint_eq(lease->budget, MIB);
	relay_expect("3952024 3952024", "HMGET og:usage:202601 user:a@x global");
	expect_used(2 * MIB);
}
END_TEST

START_TEST(a_lease_that_was_asked_for_before_the_turn_does_not_count_after_it)
{
	open_lease();
	spend(MIB / 2);
	ck_assert(redis_busy(&lease->call));
	lease->budget += 1000; /* so that the turn finds some */
	lease->seen += 1000;
	calendar_set(INT64_C(1577836800000)); /* the answer is of another month than this one */
	WAIT_UNTIL(calendar_month()->number != 202001);
	WAIT_UNTIL(!redis_busy(&lease->call) && lease->budget > 0);
	WAIT_UNTIL(outbox_empty());
	ck_assert_uint_eq(lease->month, calendar_month()->number);
	lease_free(lease);
	lease = NULL;
	WAIT_UNTIL(outbox_empty());
	relay_expect("(none)", "KEYS og:lease:*");
}
END_TEST

START_TEST(what_is_granted_after_the_turn_goes_back_to_the_month_it_was_taken_in)
{
	struct month *month = (struct month *)calendar_month();
	const struct month before = *month;

	open_lease();
	spend(MIB / 2);
	ck_assert(redis_busy(&lease->call));
	*month = month_of(before.end_s); /* the turn comes before the reply */
	WAIT_UNTIL(!redis_busy(&lease->call) && lease->budget > 0);
	lease_free(lease);
	lease = NULL;
	WAIT_UNTIL(outbox_empty());
	*month = before;
	expect_used(MIB / 2);
}
END_TEST

START_TEST(a_redis_that_always_says_another_month_is_not_asked_without_a_pause)
{
	static const char *const lies[] = {
		"return {'month', redis.call('INCR', 'lies') % 1000 * 2678400000}",
		"return {'granted', 5, 199001 + redis.call('INCR', 'lies') % 12}",
	};
	struct redis_script right = take_script;

	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		int64_t before;

		openings = 0;
		open_lease();
		take_script = (struct redis_script){ lies[i], "" };
		before = by_verdict[LEDGER_OTHER_MONTH] + by_verdict[LEDGER_GRANTED];
		ck_assert(!spend(2 * MIB));
		WAIT_UNTIL(lease->state == LEASE_RETRYING);
		ck_assert_int_eq(by_verdict[LEDGER_OTHER_MONTH] + by_verdict[LEDGER_GRANTED],
		                 before + MONTHS_MAX);
		take_script = right;
		WAIT_UNTIL(lease->budget > 0);
		lease_free(lease);
		lease = NULL;
	}
}
END_TEST

START_TEST(a_grant_of_more_than_was_asked_for_is_none)
{
	struct redis_script right = take_script;

	open_lease();
	take_script = (struct redis_script){ "return {'granted', 9007199254740991, 202601}", "" };
	ck_assert(!spend(2 * MIB));
	WAIT_UNTIL(lease->state == LEASE_RETRYING);
	take_script = right;
	WAIT_UNTIL(lease->budget > 0);
	ck_assert_uint_le(lease->budget, 16 * MIB);
}
END_TEST

START_TEST(an_idle_stream_takes_nothing_at_the_turn)
{
	open_lease();
	idle_expired(&lease->deadline);
	turn_month();
	turn_for(100);
	ck_assert(!redis_busy(&lease->call));
	ck_assert_uint_eq(lease->budget, 0);
}
END_TEST

START_TEST(the_end_gives_back_what_was_not_spent_and_what_was_not_delivered)
{
	open_lease();
	spend(300000);
	lease_refund(lease, 12345);
	lease_free(lease);
	lease = NULL;
	WAIT_UNTIL(outbox_empty());
	expect_used(300000 - 12345);
	relay_expect("(none)", "KEYS og:lease:*");
}
END_TEST

START_TEST(the_end_in_the_middle_of_a_call_gives_back_what_that_takes)
{
	open_lease();
	spend(600000);
	ck_assert(redis_busy(&lease->call));
	lease_free(lease);
	lease = NULL;
	WAIT_UNTIL(list_empty(&leases.closing) && outbox_empty());
	expect_used(600000);
}
END_TEST

START_TEST(an_opening_that_nobody_waits_for_any_more_takes_nothing)
{
	open_lease(); /* so that Redis knows the script */
	lease_free(lease);
	lease = lease_open(strangers, on_opened_here);
	lease_free(lease);
	lease = NULL;
	WAIT_UNTIL(list_empty(&leases.closing) && outbox_empty());
	expect_used(0);
	relay_expect("(none)", "KEYS og:lease:*");
}
END_TEST

/* The reply to its opening never comes. */
START_TEST(a_lease_whose_last_call_has_no_reply_stays_closed)
{
	open_lease();
	lease_free(lease);
	WAIT_UNTIL(outbox_empty());
	lease = lease_open(strangers, on_opened_here);
	ledgers = ledger_new(strangers);
	ledgers->lease = lease->ledgers->lease;
	lease_free(lease);
	lease = NULL;
	redis_server_kill(&relay_server);
	WAIT_UNTIL(list_empty(&leases.closing));
	redis_server_start(&relay_server);
	WAIT_UNTIL(outbox_empty());
	ledger_open(ledgers, &call, 1000);
	wait_for_answer();
	ck_assert_int_eq(answer.verdict, LEDGER_UNKNOWN);
	relay_expect("(nil)", "HGET og:usage:%M global");
}
END_TEST

START_TEST(an_opening_is_denied_with_the_reason)
{
	relay_conf.global_limit = -1;
	open_lease();
	relay_conf.global_limit = 0;
	ck_assert_int_eq(verdict, LEDGER_FORBIDDEN);
	ck_assert_str_eq(lease->denial.ledger, "global");
	ck_assert_int_eq(lease->denial.limit, -1);
}
END_TEST

START_TEST(an_opening_in_a_month_that_is_over_finds_the_right_one)
{
	calendar_set(INT64_C(1577836800000));
	open_lease();
	ck_assert_int_eq(verdict, LEDGER_GRANTED);
	ck_assert_uint_eq(lease->month, month_of(loop_wall_ms() / 1000).number);
	expect_used(MIB);
}
END_TEST

static int run_ledgers(void)
{
	const TTest *const tests[] = {
		everyone_involved_is_charged_once,
		who_is_not_charged_has_no_ledger_and_no_limits,
		each_field_is_the_users_else_the_domains_else_the_default,
		what_is_forbidden_names_who_it_is_forbidden_to,
		two_parties_with_different_limits_of_one_file_or_domain_get_the_lower_one,
		leases_shrink_towards_the_limit_and_reach_it_to_the_byte,
		the_ledger_with_the_least_left_decides_and_then_nothing_is_taken_from_any,
		limits_are_those_of_the_opening,
		a_call_whose_answer_got_lost_is_not_carried_out_twice,
		a_call_that_comes_after_a_later_one_takes_nothing,
		a_call_that_comes_after_the_end_takes_nothing,
		what_is_given_back_goes_to_the_month_it_was_taken_in,
		the_end_gives_back_also_what_an_unknown_call_had_taken,
		an_opening_whose_answer_got_lost_leaves_nothing_taken,
		a_month_that_is_over_by_rediss_clock_is_not_charged,
		a_second_belongs_to_the_month_that_it_begins,
		usage_is_kept_for_400_days_and_its_ledgers_are_listed,
		trouble_in_redis_is_no_denial,
		a_reply_that_is_not_the_scripts_is_no_verdict,
		a_denial_by_a_ledger_that_is_not_the_streams_is_asked_about_again,
		a_lease_never_exceeds_what_is_left_of_the_file,
	};

	return unit_run("ledgers", tests, ARRAY_LEN(tests), relay_store_setup, teardown);
}

static int run_leases(void)
{
	const TTest *const tests[] = {
		a_lease_lasts_half_a_second_and_is_one_to_sixteen_quanta,
		a_lease_lasts_50_ms_at_any_speed,
		the_next_lease_is_asked_for_at_half_or_20_ms_before_the_end,
		the_first_lease_is_one_quantum_and_the_next_comes_before_it_is_used_up,
		a_stream_that_starves_is_told_when_there_is_budget_again,
		a_limit_is_used_up_to_the_byte_before_the_stream_is_told,
		a_denial_with_budget_left_is_asked_about_again_when_it_is_used_up,
		a_credit_in_the_meantime_saves_a_stream_that_was_denied,
		the_limit_of_one_file_needs_no_redis_to_be_reached,
		without_redis_the_lease_is_spent_and_then_the_stream_waits_until_it_is_back,
		an_idle_lease_goes_back_and_the_next_byte_takes_another,
		the_limit_of_one_file_counts_leases_that_went_back_only_once,
		at_the_turn_of_the_month_the_lease_goes_back_and_a_new_one_is_taken,
		a_redis_that_always_says_another_month_is_not_asked_without_a_pause,
		a_grant_of_more_than_was_asked_for_is_none,
		what_was_not_delivered_goes_back_to_the_month_it_was_read_in,
		a_lease_that_was_asked_for_before_the_turn_does_not_count_after_it,
		what_is_granted_after_the_turn_goes_back_to_the_month_it_was_taken_in,
		an_idle_stream_takes_nothing_at_the_turn,
		the_end_gives_back_what_was_not_spent_and_what_was_not_delivered,
		the_end_in_the_middle_of_a_call_gives_back_what_that_takes,
		an_opening_that_nobody_waits_for_any_more_takes_nothing,
		a_lease_whose_last_call_has_no_reply_stays_closed,
		an_opening_is_denied_with_the_reason,
		an_opening_in_a_month_that_is_over_finds_the_right_one,
	};

	return unit_run("lease", tests, ARRAY_LEN(tests), relay_store_setup, teardown);
}

int main(void)
{
	int ledgers_alone = run_ledgers();
	int whole = run_leases();

	return ledgers_alone == EXIT_SUCCESS ? whole : ledgers_alone;
}
