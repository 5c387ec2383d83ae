#include "pushd/delivery/seat.c"

#include <stdio.h>

#include "tests/unit/unit.h"

#define INTERVAL 2000

static struct seats seats;

static void setup(void)
{
	seats_init(&seats, 3);
}

static void teardown(void)
{
	seats_release(&seats);
}

static void send_one(const char *node, uint64_t now_ms)
{
	struct seat *seat = seat_hold(&seats, node);

	seat->taken = true;
	seat_vacate(seat, true, now_ms, INTERVAL);
	seat_drop(&seats, seat, now_ms);
}

static uint64_t wait_of(const char *node, uint64_t now_ms)
{
	struct seat *seat = seat_hold(&seats, node);
	uint64_t wait_ms = seat_wait_ms(seat, now_ms, INTERVAL);

	seat_drop(&seats, seat, now_ms);
	return wait_ms;
}

START_TEST(a_seat_is_free_at_first_and_taken_while_one_is_on_its_way)
{
	struct seat *seat = seat_hold(&seats, "a");

	ck_assert_uint_eq(seat_wait_ms(seat, 1000, INTERVAL), 0);
	seat->taken = true;
	ck_assert_uint_eq(wait_of("a", 1000), INTERVAL);
	ck_assert_uint_eq(wait_of("b", 1000), 0);
	seat_vacate(seat, false, 1100, INTERVAL);
	ck_assert_uint_eq(wait_of("a", 1100), 0);
	seat_drop(&seats, seat, 1100);
}
END_TEST

START_TEST(after_one_was_sent_the_next_waits_for_the_interval)
{
	send_one("a", 1000);
	ck_assert_uint_eq(wait_of("a", 1000), INTERVAL);
	ck_assert_uint_eq(wait_of("a", 2500), 500);
	ck_assert_uint_eq(wait_of("a", 3000), 0);
	ck_assert_uint_eq(wait_of("aa", 1000), 0);
}
END_TEST

START_TEST(one_that_came_to_nothing_does_not_shorten_what_is_left)
{
	struct seat *seat = seat_hold(&seats, "a");

	send_one("a", 1000);
	seat->taken = true;
	seat_vacate(seat, false, 1500, INTERVAL);
	ck_assert_uint_eq(seat_wait_ms(seat, 1500, INTERVAL), 1500);
	seat_drop(&seats, seat, 1500);
}
END_TEST

START_TEST(seats_whose_interval_has_passed_are_forgotten)
{
	send_one("a", 1000);
	send_one("b", 1100);
	ck_assert_uint_eq(seats.by_node.count, 2);
	send_one("c", 5000);
	ck_assert_uint_eq(seats.by_node.count, 1);
	ck_assert_ptr_nonnull(map_get(&seats.by_node, "c", 1));
}
END_TEST

START_TEST(when_there_are_too_many_the_longest_quiet_goes)
{
	char node[2] = "a";

	for (uint64_t now = 1000; now < 1010; now++, node[0]++)
		send_one(node, now);
	ck_assert_uint_eq(seats.by_node.count, 3);
	ck_assert_uint_eq(wait_of("j", 1010), 1999);
	ck_assert_uint_eq(wait_of("h", 1010), 1997);
	ck_assert_uint_eq(wait_of("g", 1010), 0);
}
END_TEST

START_TEST(what_is_used_again_is_not_the_longest_quiet)
{
	send_one("a", 1000);
	send_one("b", 1001);
	send_one("c", 1002);
	ck_assert_uint_eq(wait_of("a", 1003), 1997);
	send_one("d", 1004);
	ck_assert_uint_eq(wait_of("a", 1005), 1995);
	ck_assert_ptr_null(map_get(&seats.by_node, "b", 1));
}
END_TEST

START_TEST(held_seats_stay_however_many_they_are)
{
	struct seat *held[50];
	char node[8];

	for (int i = 0; i < 50; i++) {
		snprintf(node, sizeof(node), "n%d", i);
		held[i] = seat_hold(&seats, node);
		ck_assert_ptr_eq(seat_hold(&seats, node), held[i]);
	}
	for (int i = 0; i < 50; i++)
		seat_drop(&seats, held[i], 10);
	ck_assert_uint_eq(seats.by_node.count, 50);
	for (int i = 0; i < 50; i++)
		seat_drop(&seats, held[i], 10);
	ck_assert_uint_le(seats.by_node.count, 3);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_seat_is_free_at_first_and_taken_while_one_is_on_its_way,
		after_one_was_sent_the_next_waits_for_the_interval,
		one_that_came_to_nothing_does_not_shorten_what_is_left,
		seats_whose_interval_has_passed_are_forgotten,
		when_there_are_too_many_the_longest_quiet_goes,
		what_is_used_again_is_not_the_longest_quiet,
		held_seats_stay_however_many_they_are,
	};

	return unit_run("seat", tests, ARRAY_LEN(tests), setup, teardown);
}
