#include "pushd/queue/queue.c"

#include "tests/unit/push_queue.h"

START_TEST(what_is_put_is_taken_as_it_was_and_settled_without_a_trace)
{
	struct queue_entry entry = entry_of("a", "example.org", PRIORITY_LOW);

	entry.count = 7;
	entry.attempts = 2;
	ck_assert_int_eq(put(entry, (struct queue_place){ 0 }), QUEUE_DONE);
	ck_assert_str_eq(take(10), "a");
	ck_assert_int_eq(taken.last.count, 7);
	ck_assert_uint_eq(taken.last.attempts, 2);
	ck_assert_int_eq(taken.last.priority, PRIORITY_LOW);
	ck_assert_int_le(llabs(taken.last.created_ms - entry.created_ms), 30000);
	ck_assert_int_le(llabs(taken.last.expires_ms - entry.expires_ms), 30000);
	ck_assert_str_eq(take(10), "");
	ck_assert_int_gt(taken.next_due_ms, (int64_t)queue_lease_ms() / 2);
	ck_assert_int_eq(settle("a"), QUEUE_DONE);
	ck_assert_int_eq(settle("a"), QUEUE_ABSENT);
	check_empty();
}
END_TEST

START_TEST(calls_come_before_high_and_high_before_low)
{
	put_due("low", "a.example", PRIORITY_LOW);
	put_due("high", "b.example", PRIORITY_HIGH);
	put_due("call", "c.example", PRIORITY_VOIP);
	ck_assert_str_eq(take(2), "call high");
	ck_assert_int_eq(taken.next_due_ms, 0);
	ck_assert_str_eq(take(2), "low");
}
END_TEST

START_TEST(one_provider_does_not_get_what_is_another_s)
{
	struct queue_entry entry = entry_of("f", "example.org", PRIORITY_HIGH);

	entry.provider = "fcm";
	ck_assert_int_eq(put(entry, (struct queue_place){ 0 }), QUEUE_DONE);
	put_due("a", "example.org", PRIORITY_HIGH);
	ck_assert_str_eq(take_of("fcm", 10), "f");
	ck_assert_str_eq(take_of("apns", 10), "a");
}
END_TEST

static void flood(const char *domain, int count)
{
	char id[QUEUE_ID_SIZE];

	for (int i = 0; i < count; i++) {
		snprintf(id, sizeof(id), "%c%02d", domain[0], i);
		put_due(id, domain, PRIORITY_HIGH);
	}
}

START_TEST(a_flood_of_one_domain_does_not_delay_another)
{
	flood("flood.example", 40);
	ck_assert_str_eq(take(2), "f00 f01");
	turn_for(2); /* due times are whole milliseconds */
	put_due("x", "other.example", PRIORITY_HIGH);
	put_due("y", "other.example", PRIORITY_HIGH);
	ck_assert_str_eq(take(1), "f02");
	ck_assert_str_eq(take(1), "x");
	ck_assert_str_eq(take(1), "f03");
	ck_assert_str_eq(take(1), "y");
}
END_TEST

START_TEST(domains_share_what_is_taken_at_once)
{
	flood("a.example", 8);
	flood("b.example", 8);
	put_due("c00", "c.example", PRIORITY_HIGH);
	ck_assert_str_eq(take(9), "a00 a01 a02 b00 b01 b02 c00 a03 b03");
}
END_TEST

START_TEST(an_entry_is_due_after_its_delay)
{
	uint64_t start_ms = loop_now_ms();

	put(entry_of("a", "example.org", PRIORITY_HIGH), (struct queue_place){ .delay_ms = 3000 });
	ck_assert_str_eq(take(1), "");
	ck_assert_int_gt(taken.next_due_ms, 0);
	ck_assert_int_le(taken.next_due_ms, 3000);
	ck_assert_str_eq(take_when_due(), "a");
	ck_assert_uint_ge(loop_now_ms() - start_ms, 2999);
}
END_TEST

START_TEST(the_next_due_time_is_that_of_whatever_is_due_first)
{
	put(entry_of("a", "a.example", PRIORITY_HIGH), (struct queue_place){ .delay_ms = 90000 });
	put(entry_of("b", "a.example", PRIORITY_HIGH), (struct queue_place){ .delay_ms = 60000 });
	put(entry_of("c", "c.example", PRIORITY_LOW), (struct queue_place){ .delay_ms = 30000 });
	take(10);
	ck_assert_int_gt(taken.next_due_ms, 0);
	ck_assert_int_le(taken.next_due_ms, 30000);
	settle("c");
	take(10);
	ck_assert_int_gt(taken.next_due_ms, 30000);
	ck_assert_int_le(taken.next_due_ms, 60000);
	settle("a");
	settle("b");
	take(10);
	ck_assert_int_eq(taken.next_due_ms, -1);
}
END_TEST

START_TEST(a_lease_that_runs_out_gives_the_entry_to_whoever_takes)
{
	conf.daemon.lease_ms = 3000;
	put_due("b", "example.org", PRIORITY_HIGH);
	put(entry_of("a", "example.org", PRIORITY_HIGH), (struct queue_place){ .leased = true });
	ck_assert_str_eq(take(10), "b");
	ck_assert_int_gt(taken.next_due_ms, 0);
	ck_assert_str_eq(take_when_due(), "a");
	ck_assert_str_eq(take_when_due(), "b");
	ck_assert_uint_eq(taken.last.attempts, 0);
}
END_TEST

START_TEST(what_is_given_back_is_due_once_more_with_one_attempt_more)
{
	put_due("a", "example.org", PRIORITY_HIGH);
	take(1);
	ck_assert_int_eq(give_back("a", (struct queue_place){ .delay_ms = 3000 }), QUEUE_DONE);
	ck_assert_str_eq(take(1), "");
	ck_assert_str_eq(take_when_due(), "a");
	ck_assert_uint_eq(taken.last.attempts, 1);
	give_back("a", (struct queue_place){ .untried = true });
	ck_assert_str_eq(take(1), "a");
	ck_assert_uint_eq(taken.last.attempts, 1);
	settle("a");
	ck_assert_int_eq(give_back("a", (struct queue_place){ 0 }), QUEUE_ABSENT);
	check_empty();
}
END_TEST

START_TEST(what_has_expired_is_dropped_and_counted)
{
	struct queue_entry entry = entry_of("a", "example.org", PRIORITY_VOIP);

	entry.expires_ms = loop_wall_ms() - 1;
	ck_assert_int_eq(put(entry, (struct queue_place){ 0 }), QUEUE_DONE);
	put_due("b", "example.org", PRIORITY_HIGH);
	ck_assert_str_eq(take(10), "b");
	ck_assert_int_eq(expired_metric.numbers[0], 1);
	settle("b");
	check_empty();
}
END_TEST

static void sweep(void)
{
	timer_start(&self.next_expire, 0);
	WAIT_UNTIL(redis_busy(&self.expire));
	WAIT_UNTIL(!redis_busy(&self.expire));
}

START_TEST(what_nobody_takes_is_swept_when_it_has_expired_for_a_lease)
{
	struct queue_entry entry = entry_of("a", "example.org", PRIORITY_HIGH);

	entry.provider = "retired";
	entry.expires_ms = loop_wall_ms() - 1000;
	ck_assert_int_eq(put(entry, (struct queue_place){ .delay_ms = 60000 }), QUEUE_DONE);
	conf.daemon.lease_ms = 3600 * 1000;
	sweep();
	ck_assert_int_eq(expired_metric.numbers[2], 0);
	conf.daemon.lease_ms = 500;
	sweep();
	ck_assert_int_eq(expired_metric.numbers[2], 1);
	check_empty();
}
END_TEST

START_TEST(the_same_id_twice_is_one_entry)
{
	put_due("a", "example.org", PRIORITY_HIGH);
	put_due("a", "example.org", PRIORITY_HIGH);
	ck_assert_str_eq(take(10), "a");
	put_due("a", "example.org", PRIORITY_HIGH);
	ck_assert_str_eq(take(10), "");
}
END_TEST

START_TEST(a_full_queue_refuses)
{
	conf.daemon.queue_max = 2;
	put_due("a", "a.example", PRIORITY_HIGH);
	put_due("b", "b.example", PRIORITY_HIGH);
	ck_assert_int_eq(put(entry_of("c", "c.example", PRIORITY_VOIP), (struct queue_place){ 0 }),
	                 QUEUE_FULL);
	ck_assert_int_eq(put(entry_of("a", "a.example", PRIORITY_HIGH), (struct queue_place){ 0 }),
	                 QUEUE_DONE);
	settle("a");
	put_due("c", "c.example", PRIORITY_VOIP);
}
END_TEST

START_TEST(an_item_that_is_too_long_is_refused)
{
	struct queue_entry entry = entry_of("a", "example.org", PRIORITY_HIGH);
	char *item = mem_alloc(1, QUEUE_ITEM_MAX + 2);

	memset(item, 'x', QUEUE_ITEM_MAX + 1);
	entry.item = item;
	ck_assert_int_eq(put(entry, (struct queue_place){ 0 }), QUEUE_FULL);
	free(item);
	check_empty();
}
END_TEST

static char counted[64];

static void on_counts(struct queue_counting *counting, enum queue_result result,
                      const struct queue_count *counts, size_t count)
{
	ck_assert_int_eq(result, QUEUE_DONE);
	ck_assert_uint_eq(count, 2);
	snprintf(counted, sizeof(counted), "%s %lld %s %lld", counts[0].provider,
	         (long long)counts[0].count, counts[1].provider, (long long)counts[1].count);
}

START_TEST(what_is_queued_is_counted_by_provider)
{
	struct queue_entry entry = entry_of("f", "example.org", PRIORITY_HIGH);
	struct queue_counting counting = { .done = on_counts };

	put_due("a", "example.org", PRIORITY_HIGH);
	put_due("b", "example.org", PRIORITY_LOW);
	take(1);
	entry.provider = "fcm";
	put(entry, (struct queue_place){ 0 });
	queue_counts(&counting);
	WAIT_UNTIL(counted[0] != '\0');
	ck_assert_str_eq(counted, "apns 2 fcm 1");
}
END_TEST

START_TEST(a_domain_may_look_like_anything)
{
	put_due("a", "[2001:db8::1]", PRIORITY_HIGH);
	put_due("b", "with blank\r\n", PRIORITY_HIGH);
	ck_assert_str_eq(take(2), "a b");
	settle("a");
	settle("b");
	check_empty();
}
END_TEST

static struct {
	bool answered;
	char ids[64]; /* with blanks between */
	char last[QUEUE_ID_SIZE];
	int64_t last_ms, total;
} listed;

static void on_listed(struct queue_listing *listing, enum queue_result result,
                      const struct queue_entry *entries, size_t count, int64_t total)
{
	ck_assert_int_eq(result, QUEUE_DONE);
	listed.answered = true;
	listed.total = total;
	listed.ids[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(listed.ids);

		snprintf(listed.ids + len, sizeof(listed.ids) - len, "%s%s", i > 0 ? " " : "",
		         entries[i].id);
		snprintf(listed.last, sizeof(listed.last), "%s", entries[i].id);
		listed.last_ms = entries[i].expires_ms;
	}
}

static const char *list(const char *after, int64_t after_ms, unsigned count)
{
	struct queue_listing listing = { .done = on_listed };

	listed.answered = false;
	queue_list(&listing, after, after_ms, count);
	WAIT_UNTIL(listed.answered);
	return listed.ids;
}

START_TEST(pages_follow_each_other_though_the_last_entry_of_one_has_gone)
{
	for (int i = 0; i < 5; i++) {
		struct queue_entry entry = entry_of((const char *[]){ "a", "b", "c", "d", "e" }[i],
		                                    "example.org", PRIORITY_HIGH);

		entry.expires_ms += 1000 * i;
		ck_assert_int_eq(put(entry, (struct queue_place){ 0 }), QUEUE_DONE);
	}
	ck_assert_str_eq(list(NULL, 0, 2), "a b");
	ck_assert_int_eq(listed.total, 5);
	ck_assert_str_eq(list("b", listed.last_ms, 2), "c d");
	settle("d");
	ck_assert_str_eq(list("d", listed.last_ms, 2), "e");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_is_put_is_taken_as_it_was_and_settled_without_a_trace,
		calls_come_before_high_and_high_before_low,
		one_provider_does_not_get_what_is_another_s,
		a_flood_of_one_domain_does_not_delay_another,
		domains_share_what_is_taken_at_once,
		an_entry_is_due_after_its_delay,
		the_next_due_time_is_that_of_whatever_is_due_first,
		a_lease_that_runs_out_gives_the_entry_to_whoever_takes,
		what_is_given_back_is_due_once_more_with_one_attempt_more,
		what_has_expired_is_dropped_and_counted,
		what_nobody_takes_is_swept_when_it_has_expired_for_a_lease,
		the_same_id_twice_is_one_entry,
		a_full_queue_refuses,
		an_item_that_is_too_long_is_refused,
		what_is_queued_is_counted_by_provider,
		a_domain_may_look_like_anything,
		pages_follow_each_other_though_the_last_entry_of_one_has_gone,
	};

	return unit_run("queue", tests, ARRAY_LEN(tests), setup, teardown);
}
