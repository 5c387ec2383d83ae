#include "pushd/delivery/coalesce.c"

#include <stdio.h>

#include "tests/unit/unit.h"

#define INTERVAL 2000

static struct gates gates;

static void setup(void)
{
	gates_init(&gates, 3);
}

static void teardown(void)
{
	gates_release(&gates);
}

static void send_one(const char *node, uint64_t now_ms)
{
	struct gate *gate = gate_hold(&gates, node);

	gate_enter(gate);
	gate_leave(gate, true, now_ms, INTERVAL);
	gate_drop(&gates, gate, now_ms);
}

static uint64_t wait_of(const char *node, uint64_t now_ms)
{
	struct gate *gate = gate_hold(&gates, node);
	uint64_t wait_ms = gate_wait_ms(gate, now_ms, INTERVAL);

	gate_drop(&gates, gate, now_ms);
	return wait_ms;
}

START_TEST(a_gate_is_free_at_first_and_taken_while_one_is_on_its_way)
{
	struct gate *gate = gate_hold(&gates, "a");

	ck_assert_uint_eq(gate_wait_ms(gate, 1000, INTERVAL), 0);
	gate_enter(gate);
	ck_assert_uint_eq(wait_of("a", 1000), INTERVAL);
	ck_assert_uint_eq(wait_of("b", 1000), 0);
	gate_leave(gate, false, 1100, INTERVAL);
	ck_assert_uint_eq(wait_of("a", 1100), 0);
	gate_drop(&gates, gate, 1100);
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
	struct gate *gate = gate_hold(&gates, "a");

	send_one("a", 1000);
	gate_enter(gate);
	gate_leave(gate, false, 1500, INTERVAL);
	ck_assert_uint_eq(gate_wait_ms(gate, 1500, INTERVAL), 1500);
	gate_drop(&gates, gate, 1500);
}
END_TEST

START_TEST(gates_whose_interval_has_passed_are_forgotten)
{
	send_one("a", 1000);
	send_one("b", 1100);
	ck_assert_uint_eq(gates.by_node.count, 2);
	send_one("c", 5000);
	ck_assert_uint_eq(gates.by_node.count, 1);
	ck_assert_ptr_nonnull(map_get(&gates.by_node, "c", 1));
}
END_TEST

START_TEST(when_there_are_too_many_the_longest_quiet_goes)
{
	char node[2] = "a";

	for (uint64_t now = 1000; now < 1010; now++, node[0]++)
		send_one(node, now);
	ck_assert_uint_eq(gates.by_node.count, 3);
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
	ck_assert_ptr_null(map_get(&gates.by_node, "b", 1));
}
END_TEST

START_TEST(held_gates_stay_however_many_they_are)
{
	struct gate *held[50];
	char node[8];

	for (int i = 0; i < 50; i++) {
		snprintf(node, sizeof(node), "n%d", i);
		held[i] = gate_hold(&gates, node);
		ck_assert_ptr_eq(gate_hold(&gates, node), held[i]);
	}
	for (int i = 0; i < 50; i++)
		gate_drop(&gates, held[i], 10);
	ck_assert_uint_eq(gates.by_node.count, 50);
	for (int i = 0; i < 50; i++)
		gate_drop(&gates, held[i], 10);
	ck_assert_uint_le(gates.by_node.count, 3);
}
END_TEST

/* ---- what coalesces ---- */

struct row {
	const char *what;
	struct notification notification;
	enum priority priority;
	bool bypasses;
	enum queue_class class; /* if it doesn't */
};

/* clang-format off */
static const struct row rows[] = {
	{ "a call", { .count = NOTIFICATION_ABSENT, .voip = true }, PRIORITY_VOIP, true },
	{ "a call that says 0", { .count = 0 }, PRIORITY_VOIP, true },
	{ "the end of an account", { .count = NOTIFICATION_ABSENT, .account_removed = true },
	  PRIORITY_LOW, true },
	{ "an urgent end of an account", { .count = NOTIFICATION_ABSENT, .account_removed = true },
	  PRIORITY_HIGH, true },
	{ "a message", { .count = 3, .body = "x" }, PRIORITY_HIGH, false, QUEUE_HIGH },
	{ "a message without a count", { .count = NOTIFICATION_ABSENT, .body = "x" }, PRIORITY_HIGH,
	  false, QUEUE_HIGH },
	{ "an urgent 0", { .count = 0 }, PRIORITY_HIGH, false, QUEUE_HIGH },
	{ "a count", { .count = 1 }, PRIORITY_LOW, false, QUEUE_LOW },
	{ "one without a count", { .count = NOTIFICATION_ABSENT }, PRIORITY_LOW, false,
	  QUEUE_LOW },
	{ "a dismissal", { .count = 0 }, PRIORITY_LOW, false, QUEUE_DISMISSAL },
};
/* clang-format on */

START_TEST(each_notification_waits_as_what_it_is)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];

		ck_assert_msg(coalesce_bypasses(&row->notification, row->priority) == row->bypasses,
		              "%s", row->what);
		ck_assert_msg(row->bypasses || queue_class(row->priority,
		                                           row->notification.count) == row->class,
		              "%s", row->what);
	}
}
END_TEST

/* ---- the line before the queue ---- */

struct one {
	struct waiter waiter;
	int64_t count;
};

static struct one make_one(enum queue_class class, int64_t count)
{
	return (struct one){ .waiter.class = class, .count = count };
}

static bool enqueue(struct gate *gate, struct one *one)
{
	list_init(&one->waiter.followers);
	one->waiter.count = &one->count;
	return gate_enqueue(gate, &one->waiter);
}

static size_t followers_of(const struct one *one)
{
	size_t count = 0;

	list_for_each (link, &one->waiter.followers)
		count++;
	return count;
}

START_TEST(one_is_put_at_a_time_and_then_the_newest_that_came_meanwhile)
{
	struct gate *gate = gate_hold(&gates, "a");
	struct one first = make_one(QUEUE_HIGH, 1), second = make_one(QUEUE_HIGH, 2);
	struct one third = make_one(QUEUE_HIGH, 3);

	ck_assert(enqueue(gate, &first));
	ck_assert(!enqueue(gate, &second));
	ck_assert(!enqueue(gate, &third));
	ck_assert_uint_eq(followers_of(&third), 1);
	ck_assert_ptr_eq(gate_enqueued(gate), &third.waiter);
	ck_assert_ptr_null(gate_enqueued(gate));
	gate_drop(&gates, gate, 1000);
}
END_TEST

START_TEST(one_that_is_replaced_hands_its_followers_on)
{
	struct gate *gate = gate_hold(&gates, "a");
	struct one ones[5];

	for (size_t i = 0; i < ARRAY_LEN(ones); i++) {
		ones[i] = make_one(QUEUE_HIGH, (int64_t)i);
		ck_assert(enqueue(gate, &ones[i]) == (i == 0));
	}
	ck_assert_uint_eq(followers_of(&ones[4]), 3);
	ck_assert_uint_eq(followers_of(&ones[3]), 0);
	gate_enqueued(gate);
	gate_enqueued(gate);
	gate_drop(&gates, gate, 1000);
}
END_TEST

START_TEST(a_low_one_is_merged_into_a_high_one_that_waits_and_leaves_its_count)
{
	struct gate *gate = gate_hold(&gates, "a");
	struct one first = make_one(QUEUE_LOW, 1), high = make_one(QUEUE_HIGH, 2);
	struct one low = make_one(QUEUE_LOW, 3), silent = make_one(QUEUE_LOW, NOTIFICATION_ABSENT);

	enqueue(gate, &first);
	enqueue(gate, &high);
	enqueue(gate, &low);
	enqueue(gate, &silent);
	ck_assert_ptr_eq(gate_enqueued(gate), &high.waiter);
	ck_assert_uint_eq(followers_of(&high), 2);
	ck_assert_int_eq(high.count, 3);
	gate_enqueued(gate);
	gate_drop(&gates, gate, 1000);
}
END_TEST

/* It was on its way when they came, and wasn't sent. */
START_TEST(an_older_one_that_comes_later_stays_the_older_one)
{
	struct gate *gate = gate_hold(&gates, "a");
	struct one first = make_one(QUEUE_HIGH, 1), newer = make_one(QUEUE_LOW, 2);
	struct one older = make_one(QUEUE_LOW, 3), high = make_one(QUEUE_HIGH, 4);

	newer.waiter.created_ms = 2000;
	older.waiter.created_ms = high.waiter.created_ms = 1000;
	enqueue(gate, &first);
	enqueue(gate, &newer);
	enqueue(gate, &older);
	ck_assert_ptr_eq(gate->next, &newer.waiter);
	ck_assert_int_eq(newer.count, 2);
	enqueue(gate, &high);
	ck_assert_ptr_eq(gate->next, &high.waiter);
	ck_assert_int_eq(high.count, 2);
	ck_assert_uint_eq(followers_of(&high), 2);
	gate_enqueued(gate);
	gate_enqueued(gate);
	gate_drop(&gates, gate, 1000);
}
END_TEST

START_TEST(one_that_gives_up_leaves_the_line_or_the_one_it_follows)
{
	struct gate *gate = gate_hold(&gates, "a");
	struct one first = make_one(QUEUE_HIGH, 1), second = make_one(QUEUE_HIGH, 2);
	struct one third = make_one(QUEUE_HIGH, 3);

	enqueue(gate, &first);
	enqueue(gate, &second);
	enqueue(gate, &third);
	gate_give_up(gate, &second.waiter);
	ck_assert_uint_eq(followers_of(&third), 0);
	gate_give_up(gate, &third.waiter);
	ck_assert_ptr_null(gate_enqueued(gate));
	gate_drop(&gates, gate, 1000);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_gate_is_free_at_first_and_taken_while_one_is_on_its_way,
		after_one_was_sent_the_next_waits_for_the_interval,
		one_that_came_to_nothing_does_not_shorten_what_is_left,
		gates_whose_interval_has_passed_are_forgotten,
		when_there_are_too_many_the_longest_quiet_goes,
		what_is_used_again_is_not_the_longest_quiet,
		held_gates_stay_however_many_they_are,
		each_notification_waits_as_what_it_is,
		one_is_put_at_a_time_and_then_the_newest_that_came_meanwhile,
		one_that_is_replaced_hands_its_followers_on,
		a_low_one_is_merged_into_a_high_one_that_waits_and_leaves_its_count,
		an_older_one_that_comes_later_stays_the_older_one,
		one_that_gives_up_leaves_the_line_or_the_one_it_follows,
	};

	return unit_run("coalesce", tests, ARRAY_LEN(tests), setup, teardown);
}
