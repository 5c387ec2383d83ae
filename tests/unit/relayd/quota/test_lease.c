#include "relayd/quota/lease.c"

#include "tests/unit/relay_store.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)

static const struct party parties[2] = { { "a@x", "x" }, { "b@y", "y" } };

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

static void setup(void)
{
	relay_store_setup();
	relay_conf.quantum_bytes = MIB;
	lease_module.start(&relay_conf);
}

static void teardown(void)
{
	lease_free(lease);
	lease = NULL;
	lease_module.stop();
	relay_store_teardown();
}

static void open_lease(void)
{
	lease = lease_new(parties);
	lease->opened = on_opened_here;
	lease->renewed = on_renewed_here;
	lease->exhausted = on_exhausted_here;
	lease_open(lease);
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
	ck_assert_uint_eq(lease_size(MIB, 0, 1000), MIB);
	ck_assert_uint_eq(lease_size(MIB, MIB, 1000), MIB);
	ck_assert_uint_eq(lease_size(MIB, 2 * MIB, 1000), MIB);
	ck_assert_uint_eq(lease_size(MIB, 2 * MIB + 2, 1000), 2 * MIB);
	ck_assert_uint_eq(lease_size(MIB, 10 * MIB, 1000), 5 * MIB);
	ck_assert_uint_eq(lease_size(MIB, MIB, 100), 5 * MIB);
	ck_assert_uint_eq(lease_size(MIB, MIB, 1), 16 * MIB);
	ck_assert_uint_eq(lease_size(MIB, MIB, 0), 16 * MIB);
	ck_assert_uint_eq(lease_size(MIB, 16 * MIB, 60), 16 * MIB);
	ck_assert_uint_eq(lease_size(1, 0, 0), 1);
}
END_TEST

START_TEST(a_lease_lasts_50_ms_at_any_speed)
{
	ck_assert_uint_eq(lease_size(MIB, 256 * MIB, 50), 256 * MIB);
	ck_assert_uint_eq(lease_size(MIB, 16 * MIB, 25), 32 * MIB);
	ck_assert_uint_eq(lease_size(1000, 20000, 1), 50000);
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
	WAIT_UNTIL(outbox_empty());
	expect_used(600000);
}
END_TEST

START_TEST(an_opening_that_nobody_waits_for_any_more_takes_nothing)
{
	open_lease(); /* so that Redis knows the script */
	lease_free(lease);
	lease = lease_new(parties);
	lease_open(lease);
	lease_free(lease);
	lease = NULL;
	WAIT_UNTIL(outbox_empty());
	expect_used(0);
	relay_expect("(none)", "KEYS og:lease:*");
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

int main(void)
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
		a_lease_that_was_asked_for_before_the_turn_does_not_count_after_it,
		an_idle_stream_takes_nothing_at_the_turn,
		the_end_gives_back_what_was_not_spent_and_what_was_not_delivered,
		the_end_in_the_middle_of_a_call_gives_back_what_that_takes,
		an_opening_that_nobody_waits_for_any_more_takes_nothing,
		an_opening_is_denied_with_the_reason,
		an_opening_in_a_month_that_is_over_finds_the_right_one,
	};

	return unit_run("lease", tests, ARRAY_LEN(tests), setup, teardown);
}
