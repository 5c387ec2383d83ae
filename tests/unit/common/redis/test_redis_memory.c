#include "common/redis/redis_memory.c"

#include "tests/unit/redis_fixture.h"

static struct redis_memory memory;

static void open_memory(void)
{
	setup();
	open_server();
}

static void close_memory(void)
{
	redis_memory_stop(&memory);
	teardown();
}

static void look(void)
{
	if (memory.redis == NULL)
		redis_memory_start(&memory, redis);
	else
		timer_start(&memory.look, 0);
	WAIT_UNTIL(redis_busy(&memory.info));
	WAIT_UNTIL(!redis_busy(&memory.info) && !redis_busy(&memory.tell));
}

static long long ask(const char *command)
{
	struct asked asked = { .call.done = on_asked };

	redis_command(redis, &asked.call, command);
	WAIT_UNTIL(asked.answers > 0);
	return asked.number;
}

/* maxmemory, so that much more than what the server itself needs is PERCENT of it. */
static void fill(int percent)
{
	char *command = mem_printf("CONFIG SET maxmemory %lld", (64LL << 20) * 100 / percent);

	expect_command("CONFIG SET maxmemory 0", "OK");
	ask("SETRANGE filler 62999999 x"); /* takes 64 MiB */
	expect_command(command, "OK");
	free(command);
}

START_TEST(the_numbers_are_read_from_whole_lines)
{
	static const char text[] = "# Memory\r\nused_memory_rss:7\r\nused_memory:830\r\n"
	                           "total_system_maxmemory:1\r\nmaxmemory:1000\r\n";

	ck_assert_int_eq(find_percent(text), 83);
	ck_assert_int_eq(find_percent("used_memory:5\r\nmaxmemory:0\r\n"), 0);
	ck_assert_int_eq(find_percent("used_memory:5\r\n"), 0);
	ck_assert_int_eq(find_percent(""), 0);
	ck_assert_int_eq(find_percent("used_memory:2000000\r\nmaxmemory:1\r\n"), 1000);
	ck_assert_int_eq(find_percent("used_memory:1001\r\nmaxmemory:1000\r\n"), 100);
}
END_TEST

START_TEST(without_a_bound_nothing_is_told)
{
	look();
	ck_assert_int_eq(memory.percent, 0);
	ck_assert_int_eq(memory.warned, 0);
	ck_assert_int_eq(ask("EXISTS og:events"), 0);
}
END_TEST

START_TEST(from_80_percent_on_admins_are_told_once)
{
	fill(70);
	look();
	ck_assert_int_eq(memory.warned, 0);
	ck_assert_int_eq(ask("EXISTS og:events"), 0);
	fill(85);
	look();
	ck_assert_int_ge(memory.percent, 85);
	ck_assert_int_eq(percents[0], memory.percent);
	ck_assert_int_eq(memory.warned, FILLING);
	look();
	ck_assert_int_eq(ask("XLEN og:events"), 1);
	fill(60);
	look();
	ck_assert_int_eq(memory.warned, 0);
}
END_TEST

START_TEST(the_levels_begin_where_they_say)
{
	static const struct {
		int percent, warned;
	} steps[] = {
		{ FILLING - 1, 0 }, { FILLING, FILLING }, { FULL - 1, FILLING }, { FULL, FULL },
		{ FILLING, FULL },  { ROOM, FULL },       { ROOM - 1, 0 },
	};

	look();
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		memory.percent = steps[i].percent;
		judge(&memory);
		ck_assert_int_eq(memory.warned, steps[i].warned);
	}
}
END_TEST

START_TEST(admins_are_told_by_a_server_that_is_full)
{
	expect_command("CONFIG SET maxmemory 1", "OK");
	look();
	ck_assert_int_eq(memory.warned, FULL);
	ck_assert_int_eq(ask("XLEN og:events"), 1);
	ck_assert_int_gt(ask("TTL og:warned:memory"), 80000);
}
END_TEST

START_TEST(a_server_that_is_away_is_asked_again)
{
	look();
	redis_server_kill(&server);
	timer_start(&memory.look, 0);
	WAIT_UNTIL(redis_busy(&memory.info));
	WAIT_UNTIL(!redis_busy(&memory.info));
	ck_assert(timer_active(&memory.look));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_numbers_are_read_from_whole_lines,    without_a_bound_nothing_is_told,
		from_80_percent_on_admins_are_told_once,  the_levels_begin_where_they_say,
		admins_are_told_by_a_server_that_is_full, a_server_that_is_away_is_asked_again,
	};

	return unit_run("redis_memory", tests, ARRAY_LEN(tests), open_memory, close_memory);
}
