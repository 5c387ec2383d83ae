#include "pushd/queue/queue.c"

#include "tests/unit/push_queue.h"

#define PHONE "phone.example" /* the node, too */

static struct queue_place waits(uint64_t delay_ms)
{
	return (struct queue_place){ .delay_ms = delay_ms, .slot = true };
}

static struct queue_entry counted(const char *id, enum priority priority, int64_t count)
{
	struct queue_entry entry = entry_of(id, PHONE, priority);

	entry.count = count;
	return entry;
}

/* Whose the phone's slot is. */
static const char *slot(void)
{
	return ask("GET og:push:slot:" PHONE)->text;
}

/* Puts one into the slot, where nothing waits. */
static void fill(struct queue_entry entry, uint64_t delay_ms)
{
	ck_assert_str_eq(slot(), "");
	ck_assert_int_eq(put(entry, waits(delay_ms)), QUEUE_DONE);
}

START_TEST(one_waits_in_the_slot_until_it_is_taken)
{
	fill(counted("a", PRIORITY_LOW, 1), 0);
	ck_assert_str_eq(slot(), "a");
	ck_assert_str_eq(take(1), "a");
	ck_assert_str_eq(slot(), "");
	settle("a");
	check_empty();
}
END_TEST

START_TEST(a_newer_one_replaces_the_one_that_waits)
{
	fill(counted("a", PRIORITY_LOW, 1), 0);
	ck_assert_int_eq(put(counted("b", PRIORITY_HIGH, 2), waits(0)), QUEUE_DONE);
	ck_assert(gone("a"));
	ck_assert_str_eq(slot(), "b");
	ck_assert_str_eq(take(10), "b");
	ck_assert_int_eq(settle("a"), QUEUE_ABSENT);
	settle("b");
	check_empty();
}
END_TEST

START_TEST(a_waiting_high_one_absorbs_a_low_one_and_takes_its_count)
{
	fill(counted("a", PRIORITY_HIGH, 1), 0);
	ck_assert_int_eq(put(counted("b", PRIORITY_LOW, 2), waits(0)), QUEUE_MERGED);
	ck_assert(gone("b"));
	ck_assert_int_eq(put(counted("c", PRIORITY_LOW, -1), waits(0)), QUEUE_MERGED);
	ck_assert_str_eq(take(10), "a");
	ck_assert_int_eq(taken.last.priority, PRIORITY_HIGH);
	ck_assert_int_eq(taken.last.count, 2);
	settle("a");
	check_empty();
}
END_TEST

START_TEST(what_waits_lives_as_long_as_what_it_has_absorbed)
{
	struct queue_entry entry = counted("a", PRIORITY_HIGH, 1);

	entry.expires_ms = loop_wall_ms() - 1;
	fill(entry, 0);
	ck_assert_int_eq(put(counted("b", PRIORITY_LOW, 2), waits(0)), QUEUE_MERGED);
	ck_assert_str_eq(take(10), "a");
}
END_TEST

/* By the class of the older one, then of the newer one: r it is replaced, a it stays. */
static const char *const pairs[QUEUE_CLASSES] = {
	[QUEUE_HIGH] = "rar",
	[QUEUE_LOW] = "rrr",
	[QUEUE_DISMISSAL] = "rrr",
};

static const struct {
	enum priority priority;
	int64_t count;
	enum queue_class class;
} kinds[] = {
	{ PRIORITY_VOIP, 1, QUEUE_HIGH }, { PRIORITY_HIGH, 1, QUEUE_HIGH },
	{ PRIORITY_HIGH, 0, QUEUE_HIGH }, { PRIORITY_LOW, 1, QUEUE_LOW },
	{ PRIORITY_LOW, -1, QUEUE_LOW },  { PRIORITY_LOW, 0, QUEUE_DISMISSAL },
};

START_TEST(the_newest_wins_but_what_waits_does_not_fall_in_priority)
{
	for (enum queue_class older = 0; older < QUEUE_CLASSES; older++)
		for (enum queue_class newer = 0; newer < QUEUE_CLASSES; newer++)
			ck_assert_msg(queue_replaces(older, newer) == (pairs[older][newer] == 'r'),
			              "%d then %d", (int)older, (int)newer);
}
END_TEST

START_TEST(an_entry_without_a_class_counts_as_one_of_high_priority)
{
	ck_assert_int_eq(put(counted("a", PRIORITY_LOW, 1), waits(0)), QUEUE_DONE);
	ck_assert_int_eq(ask("HDEL og:push:note:a class")->number, 1);
	ck_assert_int_eq(put(counted("b", PRIORITY_LOW, 2), waits(0)), QUEUE_MERGED);
	ck_assert_str_eq(slot(), "a");
}
END_TEST

/* Puts one of kind OLDER as "a", takes it and gives it back into the slot. */
static void let_wait(size_t older)
{
	struct queue_entry entry = counted("a", kinds[older].priority, kinds[older].count);

	entry.created_ms -= 1000;
	ck_assert_int_eq(put(entry, (struct queue_place){ 0 }), QUEUE_DONE);
	take(1);
	ck_assert_int_eq(give_back("a", waits(0)), QUEUE_DONE);
}

START_TEST(the_same_one_of_two_survives_when_the_newer_one_is_put)
{
	for (size_t older = 0; older < ARRAY_LEN(kinds); older++) {
		for (size_t newer = 1; newer < ARRAY_LEN(kinds); newer++) {
			let_wait(older);
			put(counted("b", kinds[newer].priority, kinds[newer].count), waits(0));
			ck_assert_str_eq(
			        slot(),
			        pairs[kinds[older].class][kinds[newer].class] == 'r' ? "b" : "a");
			settle(slot());
			check_empty();
		}
	}
}
END_TEST

/* One of kind OLDER that is put as "a" when a newer one is there already. */
static struct queue_entry older_one(size_t older)
{
	struct queue_entry entry = counted("a", kinds[older].priority, kinds[older].count);

	entry.created_ms -= 1000;
	return entry;
}

/* It was on its way when the newer one came, and wasn't sent. */
static struct queue_place comes_late(uint64_t delay_ms)
{
	return (struct queue_place){ .delay_ms = delay_ms, .slot = true, .late = true };
}

START_TEST(the_same_one_of_two_survives_when_the_older_one_is_put_last)
{
	for (size_t older = 1; older < ARRAY_LEN(kinds); older++) {
		for (size_t newer = 1; newer < ARRAY_LEN(kinds); newer++) {
			bool replaces = pairs[kinds[older].class][kinds[newer].class] == 'r';

			fill(counted("b", kinds[newer].priority, kinds[newer].count), 0);
			ck_assert_int_eq(put(older_one(older), comes_late(0)),
			                 replaces ? QUEUE_MERGED : QUEUE_DONE);
			ck_assert_str_eq(slot(), replaces ? "b" : "a");
			settle(slot());
			check_empty();
		}
	}
}
END_TEST

START_TEST(an_older_one_that_is_put_last_takes_the_newer_ones_count_and_life)
{
	struct queue_entry newer = counted("b", PRIORITY_LOW, 7);

	newer.expires_ms += 60000;
	fill(newer, 0);
	ck_assert_int_eq(put(older_one(1), comes_late(0)), QUEUE_DONE);
	ck_assert_str_eq(take(10), "a");
	ck_assert_int_eq(taken.last.count, 7);
	ck_assert_int_gt(taken.last.expires_ms, loop_wall_ms() + EXPIRY_MS);
}
END_TEST

/* Its provider has asked for the delay. */
START_TEST(whoever_survives_one_that_was_tried_is_due_no_earlier_than_that)
{
	struct queue_entry entry = older_one(3);

	entry.attempts = 1;
	fill(counted("b", PRIORITY_LOW, 1), 0);
	ck_assert_int_eq(put(entry, comes_late(60000)), QUEUE_MERGED);
	ck_assert_str_eq(take(10), "");
	ck_assert_int_gt(taken.next_due_ms, 55000);
	ck_assert_int_eq(ask("HGET og:push:note:b attempts")->number, 1);
	settle("b");
	fill(counted("b", PRIORITY_LOW, 1), 0);
	entry = counted("c", PRIORITY_LOW, 1);
	ck_assert_int_eq(put(entry, comes_late(60000)), QUEUE_DONE);
	ck_assert_str_eq(take(10), "");
	ck_assert_int_gt(taken.next_due_ms, 55000);
}
END_TEST

/* Takes one of kind OLDER and one of kind NEWER, and gives both back in the ORDER. */
static void return_both(size_t older, size_t newer, const char *const order[2])
{
	struct queue_entry entry = counted("a", kinds[older].priority, kinds[older].count);

	entry.created_ms -= 1000;
	ck_assert_int_eq(put(entry, (struct queue_place){ 0 }), QUEUE_DONE);
	entry = counted("b", kinds[newer].priority, kinds[newer].count);
	ck_assert_int_eq(put(entry, (struct queue_place){ 0 }), QUEUE_DONE);
	take(2);
	give_back(order[0], waits(0));
	give_back(order[1], waits(0));
}

START_TEST(the_same_one_of_two_survives_whichever_returns_first)
{
	static const char *const orders[2][2] = { { "a", "b" }, { "b", "a" } };

	for (size_t older = 0; older < ARRAY_LEN(kinds); older++) {
		for (size_t newer = 0; newer < ARRAY_LEN(kinds); newer++) {
			char rule = pairs[kinds[older].class][kinds[newer].class];

			for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
				return_both(older, newer, orders[i]);
				ck_assert_str_eq(slot(), rule == 'r' ? "b" : "a");
				settle(slot());
				check_empty();
			}
		}
	}
}
END_TEST

START_TEST(who_replaces_a_throttled_one_waits_as_long_and_has_tried_as_often)
{
	put_due("a", PHONE, PRIORITY_LOW);
	take(1);
	give_back("a", waits(60000));
	ck_assert_int_eq(put(counted("b", PRIORITY_HIGH, 2), waits(0)), QUEUE_DONE);
	ck_assert_str_eq(take(10), "");
	ck_assert_int_gt(taken.next_due_ms, 55000);
	ck_assert_int_eq(ask("HGET og:push:note:b attempts")->number, 1);
}
END_TEST

START_TEST(one_that_is_leased_hands_its_due_time_to_nobody)
{
	struct queue_place leased = { .leased = true, .slot = true };

	ck_assert_int_eq(put(counted("a", PRIORITY_LOW, 1), leased), QUEUE_DONE);
	ck_assert_int_eq(put(counted("b", PRIORITY_LOW, 2), waits(0)), QUEUE_DONE);
	take(0);
	ck_assert_int_eq(taken.next_due_ms, 0);
	ck_assert_int_eq(put(counted("c", PRIORITY_LOW, 3), leased), QUEUE_DONE);
	ck_assert_str_eq(take(10), "");
	ck_assert_int_gt(taken.next_due_ms, 40000);
	ck_assert_str_eq(slot(), "c");
	ck_assert_int_eq(settle("c"), QUEUE_DONE);
	check_empty();
}
END_TEST

START_TEST(a_leased_one_in_the_slot_may_be_given_back_with_or_without_it)
{
	struct queue_place leased = { .leased = true, .slot = true };

	put(counted("a", PRIORITY_LOW, 1), leased);
	ck_assert_int_eq(give_back("a", waits(0)), QUEUE_DONE);
	ck_assert(!gone("a"));
	ck_assert_str_eq(slot(), "a");
	put(counted("b", PRIORITY_LOW, 1), leased);
	ck_assert_int_eq(give_back("b", (struct queue_place){ 0 }), QUEUE_DONE);
	ck_assert_str_eq(slot(), "");
	ck_assert_str_eq(take(10), "b");
}
END_TEST

START_TEST(one_goes_back_into_an_empty_slot)
{
	put_due("a", PHONE, PRIORITY_HIGH);
	take(1);
	ck_assert_int_eq(give_back("a", waits(0)), QUEUE_DONE);
	ck_assert_str_eq(slot(), "a");
	ck_assert_str_eq(take(1), "a");
	ck_assert_uint_eq(taken.last.attempts, 1);
}
END_TEST

/* Takes "a" and has NEWER put into the slot meanwhile. */
static void overtake(enum priority priority, struct queue_entry newer)
{
	fill(counted("a", priority, 1), 0);
	ck_assert_str_eq(take(1), "a");
	newer.created_ms = loop_wall_ms() + 10;
	fill(newer, 0);
}

START_TEST(a_newer_one_that_waits_absorbs_the_one_that_returns_and_is_no_less_throttled)
{
	overtake(PRIORITY_LOW, counted("b", PRIORITY_LOW, 5));
	ck_assert_int_eq(give_back("a", waits(30000)), QUEUE_MERGED);
	ck_assert_str_eq(slot(), "b");
	ck_assert_int_eq(ask("HGET og:push:note:b count")->number, 5);
	ck_assert_int_eq(ask("HGET og:push:note:b attempts")->number, 1);
	ck_assert_str_eq(take(10), "");
	ck_assert_int_gt(taken.next_due_ms, 25000);
	ck_assert_int_eq(give_back("a", waits(0)), QUEUE_ABSENT);
}
END_TEST

START_TEST(a_high_one_that_returns_replaces_a_newer_low_one_and_takes_its_count)
{
	overtake(PRIORITY_HIGH, counted("b", PRIORITY_LOW, 5));
	ck_assert_int_eq(give_back("a", waits(0)), QUEUE_DONE);
	ck_assert(gone("b"));
	ck_assert_str_eq(slot(), "a");
	ck_assert_str_eq(take(10), "a");
	ck_assert_int_eq(taken.last.count, 5);
	ck_assert_int_eq(taken.last.priority, PRIORITY_HIGH);
	settle("a");
	check_empty();
}
END_TEST

START_TEST(a_high_one_that_returns_to_a_newer_dismissal_is_dismissed)
{
	overtake(PRIORITY_HIGH, counted("b", PRIORITY_LOW, 0));
	ck_assert_int_eq(give_back("a", waits(0)), QUEUE_MERGED);
	ck_assert_str_eq(take(10), "b");
	settle("b");
	check_empty();
}
END_TEST

/* Takes "a" and "b", which is newer, and gives "a" back first. */
static void come_back_first(enum priority older, enum priority newer)
{
	struct queue_entry entry = counted("a", older, 1);

	entry.created_ms -= 1000;
	ck_assert_int_eq(put(entry, (struct queue_place){ 0 }), QUEUE_DONE);
	ck_assert_int_eq(put(counted("b", newer, 2), (struct queue_place){ 0 }), QUEUE_DONE);
	take(2);
	ck_assert_int_eq(give_back("a", waits(0)), QUEUE_DONE);
	ck_assert_str_eq(slot(), "a");
}

START_TEST(an_older_one_that_has_come_back_before_goes)
{
	come_back_first(PRIORITY_HIGH, PRIORITY_HIGH);
	ck_assert_int_eq(give_back("b", waits(0)), QUEUE_DONE);
	ck_assert(gone("a"));
	ck_assert_str_eq(slot(), "b");
	ck_assert_str_eq(take(10), "b");
	ck_assert_int_eq(taken.last.count, 2);
	settle("b");
	check_empty();
}
END_TEST

START_TEST(an_older_high_one_that_has_come_back_before_takes_the_low_ones_count)
{
	come_back_first(PRIORITY_HIGH, PRIORITY_LOW);
	ck_assert_int_eq(give_back("b", waits(0)), QUEUE_MERGED);
	ck_assert_str_eq(take(10), "a");
	ck_assert_int_eq(taken.last.count, 2);
	settle("a");
	check_empty();
}
END_TEST

/* Its app has no second token any more, so it goes as an alert: a call all the same. */
START_TEST(a_call_that_returns_into_the_slot_does_not_give_way_to_a_low_one)
{
	put_due("a", PHONE, PRIORITY_VOIP);
	take(1);
	ck_assert_int_eq(give_back("a", waits(0)), QUEUE_DONE);
	ck_assert_int_eq(put(counted("b", PRIORITY_LOW, 2), waits(0)), QUEUE_MERGED);
	ck_assert_str_eq(take(10), "a");
	ck_assert_int_eq(taken.last.count, 2);
	settle("a");
	check_empty();
}
END_TEST

START_TEST(a_low_one_that_returns_does_not_take_an_older_calls_place)
{
	come_back_first(PRIORITY_VOIP, PRIORITY_LOW);
	ck_assert_int_eq(give_back("b", waits(0)), QUEUE_MERGED);
	ck_assert_str_eq(take(10), "a");
	settle("a");
	check_empty();
}
END_TEST

START_TEST(a_full_queue_takes_what_does_not_make_it_longer)
{
	put_due("x", "other.example", PRIORITY_LOW);
	fill(counted("a", PRIORITY_HIGH, 1), 0);
	conf.daemon.queue_max = 1;
	ck_assert_int_eq(put(counted("b", PRIORITY_LOW, 2), waits(0)), QUEUE_MERGED);
	ck_assert_int_eq(put(counted("c", PRIORITY_HIGH, 3), waits(0)), QUEUE_DONE);
	ck_assert_str_eq(slot(), "c");
	settle("c");
	settle("x");
	check_empty();
}
END_TEST

/* ---- anything in any order ---- */

#define IDS 12

static void do_anything(void)
{
	static const char *const nodes[] = { "p.example", "q.example" };
	struct queue_place place = { .delay_ms = (uint64_t)(rand() % 3), .slot = rand() % 2 };
	char id[8];
	struct queue_entry entry;

	snprintf(id, sizeof(id), "%d", rand() % IDS);
	entry = entry_of(id, nodes[rand() % 2], rand() % 2 ? PRIORITY_HIGH : PRIORITY_LOW);
	entry.count = rand() % 3 - 1;
	entry.expires_ms = loop_wall_ms() + rand() % 100;
	switch (rand() % 5) {
	case 0:
	case 1:
		place.leased = rand() % 3 == 0;
		put(entry, place);
		break;
	case 2:
		take((unsigned)rand() % 4);
		break;
	case 3:
		settle(id);
		break;
	default:
		give_back(id, place);
	}
}

START_TEST(whatever_is_done_entries_queues_slots_and_counts_are_at_one)
{
	char id[8];

	srand(4);
	conf.daemon.lease_ms = 20;
	for (int i = 0; i < 1500; i++)
		do_anything();
	for (int i = 0; i < IDS; i++) {
		snprintf(id, sizeof(id), "%d", i);
		settle(id);
	}
	check_empty();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		one_waits_in_the_slot_until_it_is_taken,
		a_newer_one_replaces_the_one_that_waits,
		a_waiting_high_one_absorbs_a_low_one_and_takes_its_count,
		what_waits_lives_as_long_as_what_it_has_absorbed,
		the_newest_wins_but_what_waits_does_not_fall_in_priority,
		an_entry_without_a_class_counts_as_one_of_high_priority,
		the_same_one_of_two_survives_when_the_newer_one_is_put,
		the_same_one_of_two_survives_when_the_older_one_is_put_last,
		an_older_one_that_is_put_last_takes_the_newer_ones_count_and_life,
		whoever_survives_one_that_was_tried_is_due_no_earlier_than_that,
		the_same_one_of_two_survives_whichever_returns_first,
		who_replaces_a_throttled_one_waits_as_long_and_has_tried_as_often,
		one_that_is_leased_hands_its_due_time_to_nobody,
		a_leased_one_in_the_slot_may_be_given_back_with_or_without_it,
		one_goes_back_into_an_empty_slot,
		a_newer_one_that_waits_absorbs_the_one_that_returns_and_is_no_less_throttled,
		a_high_one_that_returns_replaces_a_newer_low_one_and_takes_its_count,
		a_high_one_that_returns_to_a_newer_dismissal_is_dismissed,
		an_older_one_that_has_come_back_before_goes,
		an_older_high_one_that_has_come_back_before_takes_the_low_ones_count,
		a_call_that_returns_into_the_slot_does_not_give_way_to_a_low_one,
		a_low_one_that_returns_does_not_take_an_older_calls_place,
		a_full_queue_takes_what_does_not_make_it_longer,
		whatever_is_done_entries_queues_slots_and_counts_are_at_one,
	};

	return unit_run("queue_slot", tests, ARRAY_LEN(tests), setup, teardown);
}
