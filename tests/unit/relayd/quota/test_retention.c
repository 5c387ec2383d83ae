#include "relayd/quota/retention.c"

#include "tests/unit/relay_store.h"

#define DAY_MS 86400000

static void setup(void)
{
	relay_store_setup();
	relay_conf.transfers_keep_ms = 90 * (int64_t)DAY_MS;
}

static void teardown(void)
{
	retention_module.stop();
	relay_store_teardown();
}

/* A record that was written DAYS days ago. */
static void add_record(int days)
{
	char *command = mem_printf("XADD og:transfers %lld-0 record {}",
	                           (long long)loop_wall_ms() - (long long)days * DAY_MS - 60000);

	relay_ask(command);
	free(command);
}

START_TEST(records_older_than_they_may_be_go_at_the_start_and_later)
{
	add_record(91);
	add_record(90);
	add_record(89);
	add_record(0);
	ck_assert_int_eq(retention_module.start(&relay_conf), 0);
	WAIT_UNTIL(timer_active(&self.look) && !redis_busy(&self.call) &&
	           strcmp(relay_ask("XLEN og:transfers"), "2") == 0);
	self.keep_ms = 89 * (int64_t)DAY_MS;
	timer_start(&self.look, 0);
	WAIT_UNTIL(strcmp(relay_ask("XLEN og:transfers"), "1") == 0);
}
END_TEST

START_TEST(without_records_nothing_is_made)
{
	ck_assert_int_eq(retention_module.start(&relay_conf), 0);
	timer_start(&self.look, 0);
	WAIT_UNTIL(redis_busy(&self.call));
	WAIT_UNTIL(timer_active(&self.look));
	relay_expect("0", "EXISTS og:transfers");
}
END_TEST

START_TEST(a_key_of_another_type_is_told_and_left_alone)
{
	relay_ask("SET og:transfers x");
	ck_assert_int_eq(retention_module.start(&relay_conf), 0);
	WAIT_UNTIL(self.complained);
	relay_expect("x", "GET og:transfers");
	relay_ask("DEL og:transfers");
	timer_start(&self.look, 0);
	WAIT_UNTIL(!self.complained);
}
END_TEST

START_TEST(looks_are_a_24th_of_the_life_apart_at_most_an_hour)
{
	relay_conf.transfers_keep_ms = 1000;
	retention_module.start(&relay_conf);
	ck_assert_uint_eq(self.look_ms, LOOK_MIN_MS);
	retention_module.stop();
	relay_conf.transfers_keep_ms = 48000;
	retention_module.start(&relay_conf);
	ck_assert_uint_eq(self.look_ms, 2000);
	retention_module.stop();
	relay_conf.transfers_keep_ms = 90 * (int64_t)DAY_MS;
	retention_module.start(&relay_conf);
	ck_assert_uint_eq(self.look_ms, LOOK_MAX_MS);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		records_older_than_they_may_be_go_at_the_start_and_later,
		without_records_nothing_is_made,
		a_key_of_another_type_is_told_and_left_alone,
		looks_are_a_24th_of_the_life_apart_at_most_an_hour,
	};

	return unit_run("retention", tests, ARRAY_LEN(tests), setup, teardown);
}
