#include "relayd/io/throttle.c"

#include <string.h>

#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define MIB (UINT64_C(1) << 20)
#define SLOW 1000 /* bytes per second: while a test runs, time gives no turn */

static struct relay_conf rates;
static struct bucket *user; /* of all pairs; NULL: none */
static int runs[3];

static void on_first(struct task *task)
{
	runs[0]++;
}

static void on_second(struct task *task)
{
	runs[1]++;
}

static void on_third(struct task *task)
{
	runs[2]++;
}

static struct task tasks[3] = { { .run = on_first }, { .run = on_second }, { .run = on_third } };
static struct throttle *throttles[3];

static void setup(void)
{
	rates = (struct relay_conf){ 0 };
	memset(runs, 0, sizeof(runs));
	loop_init();
	throttle_start(&rates);
}

static void drop(int place)
{
	throttle_free(throttles[place]);
	throttles[place] = NULL;
}

static void teardown(void)
{
	for (int i = 0; i < 3; i++) {
		drop(i);
		task_stop(&tasks[i]);
	}
	free(user);
	user = NULL;
	throttle_stop();
	loop_release();
}

static void make(int count)
{
	for (int i = 0; i < count; i++)
		throttles[i] = throttle_new(&tasks[i], (struct bucket *[2]){ NULL, user });
}

/* Reads all that THROTTLE may; how much that was. */
static uint64_t take(int place)
{
	uint64_t bytes = throttle_allows(throttles[place]);

	throttle_spend(throttles[place], bytes);
	return bytes;
}

START_TEST(without_rates_nothing_is_held_back)
{
	ck_assert(!throttle_has_rates());
	make(1);
	ck_assert_uint_eq(take(0), UINT64_MAX);
	ck_assert_uint_eq(take(0), UINT64_MAX);
	ck_assert(!throttle_wait(throttles[0]));
	ck_assert(!throttle_waits(throttles[0]) && !throttle_waits(NULL));
}
END_TEST

START_TEST(a_bucket_gives_its_rate_and_no_more_than_a_burst)
{
	struct bucket bucket;
	uint64_t given = 0, now_ns;

	rates.user_rate = 3333333;
	bucket_init(&bucket, &rates.user_rate);
	bucket.tokens = 0;
	now_ns = bucket.filled_ns;
	for (int i = 0; i < 100000; i++) {
		now_ns += 100 * 1000; /* 333.3333 bytes each */
		refill(&bucket, now_ns);
		given += bucket.tokens;
		bucket.tokens = 0;
	}
	ck_assert_uint_ge(given, 33333330 - 400); /* each step may be a nanosecond too short */
	ck_assert_uint_le(given, 33333330 + 400);
	refill(&bucket, now_ns + 3600 * SECOND_NS);
	ck_assert_uint_eq(bucket.tokens, burst(3333333));
}
END_TEST

START_TEST(turns_are_large_enough_for_the_pumps_chunks)
{
	ck_assert_uint_eq(grain(1000), 16 * 1024);
	ck_assert_uint_eq(grain(4 * MIB), 256 * 1024);
	ck_assert_uint_eq(grain(1000 * MIB), MIB);
	ck_assert_uint_eq(burst(1000), 32 * 1024);
	ck_assert_uint_eq(burst(100 * MIB), 25 * MIB);
}
END_TEST

START_TEST(a_stream_waits_until_there_is_enough_for_a_turn)
{
	rates.stream_rate = SLOW;
	ck_assert(throttle_has_rates());
	make(1);
	ck_assert_uint_eq(take(0), burst(SLOW));
	ck_assert_uint_eq(throttle_allows(throttles[0]), 0);
	ck_assert(throttle_wait(throttles[0]));
	ck_assert(throttle_waits(throttles[0]));
	ck_assert(throttle_wait(throttles[0])); /* once is enough */
	rates.stream_rate = 1 * MIB;
	WAIT_UNTIL(runs[0] == 1);
	ck_assert(!throttle_waits(throttles[0]));
	ck_assert_uint_ge(take(0), grain(MIB));
}
END_TEST

START_TEST(those_that_wait_for_one_bucket_take_turns)
{
	rates.relay_rate = SLOW;
	make(3);
	bucket_init(&relay, &rates.relay_rate);
	ck_assert_uint_eq(take(0), burst(SLOW));
	for (int i = 0; i < 3; i++)
		ck_assert(throttle_wait(throttles[i]));
	for (int turn = 0; turn < 9; turn++) {
		int whose = turn % 3, next = (turn + 1) % 3;

		relay.tokens = grain(SLOW);
		on_turn(&relay.timer);
		WAIT_UNTIL(runs[whose] == turn / 3 + 1);
		ck_assert_int_eq(runs[0] + runs[1] + runs[2], turn + 1);
		ck_assert_uint_eq(throttle_allows(throttles[next]), 0);
		ck_assert_uint_eq(take(whose), grain(SLOW));
		ck_assert(throttle_wait(throttles[whose]));
	}
}
END_TEST

START_TEST(a_stream_has_what_its_user_and_the_relay_have_too)
{
	rates.user_rate = SLOW;
	rates.stream_rate = 100 * MIB;
	rates.relay_rate = 2 * MIB;
	bucket_init(&relay, &rates.relay_rate);
	throttles[2] = throttle_new(&tasks[2], (struct bucket *[2]){ NULL, NULL });
	user = throttle_bucket_new();
	make(2);
	ck_assert_uint_eq(take(0), burst(SLOW));
	ck_assert_uint_eq(throttle_allows(throttles[1]), 0);
	ck_assert_uint_ge(throttle_allows(throttles[2]), burst(2 * MIB) - burst(SLOW));
	ck_assert(throttle_wait(throttles[1]));
	ck_assert_ptr_eq(list_first(&user->waiting), &throttles[1]->link);
	drop(1);
	ck_assert(list_empty(&user->waiting));
	ck_assert(!timer_active(&user->timer)); /* so it may be freed */
}
END_TEST

START_TEST(a_rate_that_is_taken_away_lets_all_go_on)
{
	rates.relay_rate = 1;
	make(3);
	(void)take(0);
	for (int i = 0; i < 3; i++)
		ck_assert(throttle_wait(throttles[i]));
	rates.relay_rate = 0;
	WAIT_UNTIL(runs[0] == 1 && runs[1] == 1 && runs[2] == 1);
	ck_assert_uint_eq(take(2), UINT64_MAX);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		without_rates_nothing_is_held_back,
		a_bucket_gives_its_rate_and_no_more_than_a_burst,
		turns_are_large_enough_for_the_pumps_chunks,
		a_stream_waits_until_there_is_enough_for_a_turn,
		those_that_wait_for_one_bucket_take_turns,
		a_stream_has_what_its_user_and_the_relay_have_too,
		a_rate_that_is_taken_away_lets_all_go_on,
	};

	return unit_run("throttle", tests, ARRAY_LEN(tests), setup, teardown);
}
