#include "relayd/io/pair.c"

#include "relayd/io/pump.h"
#include "tests/unit/tcp_pair.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define SHORT_MS 300

/* The far ends of the pair's connections. */
static int far[2];
static struct pair pair;

/* What the owner was told. */
static int closings, ends, leavings, spendings;
static enum reason reason;
static bool starved;

static int64_t sent[2];
static struct metric bytes_metric = { .series = 2, .numbers = sent };

static void on_left(struct pair *left, struct conn *conn, enum reason why)
{
	leavings++;
	reason = why;
	pair_unseat(conn);
}

static void on_closing(struct pair *closing)
{
	closings++;
}

static void on_spent(struct pair *spent, bool starving)
{
	spendings++;
	starved = starving;
}

static void on_ended(struct pair *ended, enum reason why)
{
	ends++;
	reason = why;
	pair_close(ended, why);
}

static const struct pair_kind own = {
	&bytes_metric, PAIR_TIMING_OWN, on_left, on_closing, on_spent, on_ended,
};
static const struct pair_kind remote = {
	&bytes_metric, PAIR_TIMING_REMOTE, on_left, on_closing, NULL, on_ended,
};

static void setup(void)
{
	static struct relay_conf patient = { .idle_timeout_ms = 60000 };

	loop_init();
	pump_module.start(&patient);
	pair_module.start(&patient);
	for (int side = 0; side < 2; side++) {
		union net_address address;
		int ends_of_one[2];

		tcp_pair(ends_of_one);
		far[side] = ends_of_one[0];
		ck_assert_int_eq(net_local(ends_of_one[1], &address), 0);
		pair_seat(&pair, conn_new(ends_of_one[1], &address, CONN_WAITING));
	}
}

static void teardown(void)
{
	if (ends == 0)
		pair_close(&pair, REASON_COMPLETED);
	pair_module.stop();
	pump_module.stop();
	for (int side = 0; side < 2; side++)
		if (far[side] >= 0)
			close(far[side]);
	loop_release();
}

static void start_as(const struct pair_kind *kind)
{
	pair.kind = kind;
	pair_start(&pair);
	ck_assert_int_eq(pair.state, PAIR_OPEN);
}

static void say(int side, const char *text)
{
	ck_assert_int_eq(send(far[side], text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* The number of bytes that can be read, 0 at the end, or an errno as negative. */
static ssize_t hear(int side)
{
	char some[100];
	ssize_t n = recv(far[side], some, sizeof(some), MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

/* Sends from SIDE, whose bytes nobody reads, until the kernel takes no more. */
static void fill_from(int side)
{
	static char plenty[100000];

	for (int idle = 0; idle < 20; idle++) {
		if (send(far[side], plenty, sizeof(plenty), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			idle = 0;
		turn_for(2);
	}
}

/* Reads from SIDE all that there is; the last result, 0 or a negative errno. */
static ssize_t empty(int side, uint64_t *total)
{
	static char some[100000];
	ssize_t n;

	while ((n = recv(far[side], some, sizeof(some), MSG_DONTWAIT)) > 0)
		*total += (uint64_t)n;
	return n < 0 ? -errno : 0;
}

/*
 * SIDE resets its connection while its bytes wait for a slow reader. Nothing reads them meanwhile,
 * so it takes a byte for SIDE to find the reset.
 */
static void reset_unread(int side)
{
	tcp_reset(far[side]);
	far[side] = -1;
	turn_for(20);
	say(!side, "x");
}

START_TEST(bytes_go_both_ways_and_are_counted_by_direction)
{
	start_as(&own);
	say(0, "12345");
	say(1, "123");
	WAIT_UNTIL(hear(1) == 5);
	WAIT_UNTIL(hear(0) == 3);
	ck_assert_int_eq(sent[0], 5);
	ck_assert_int_eq(sent[1], 3);
	ck_assert_int_eq(closings, 0);
}
END_TEST

START_TEST(an_end_half_closes_and_the_other_direction_goes_on)
{
	start_as(&own);
	shutdown(far[0], SHUT_WR);
	WAIT_UNTIL(hear(1) == 0);
	ck_assert_int_eq(pair.state, PAIR_HALF_CLOSED);
	ck_assert_int_eq(closings, 1);
	say(1, "more");
	WAIT_UNTIL(hear(0) == 4);
	shutdown(far[1], SHUT_WR);
	WAIT_UNTIL(ends == 1);
	ck_assert_int_eq(reason, REASON_COMPLETED);
	ck_assert_int_eq(closings, 1);
	WAIT_UNTIL(hear(0) == 0);
}
END_TEST

START_TEST(a_half_closed_pair_without_progress_ends)
{
	linger_queue.delay_ms = SHORT_MS;
	start_as(&own);
	shutdown(far[0], SHUT_WR);
	WAIT_UNTIL(ends == 1);
	ck_assert_int_eq(reason, REASON_LINGER_TIMEOUT);
}
END_TEST

START_TEST(an_open_pair_without_progress_is_idle)
{
	idle_queue.delay_ms = SHORT_MS;
	start_as(&own);
	WAIT_UNTIL(ends == 1);
	ck_assert_int_eq(reason, REASON_IDLE);
	WAIT_UNTIL(hear(0) == -ECONNRESET);
}
END_TEST

START_TEST(the_pair_that_is_idle_for_longest_is_ended_to_make_room)
{
	ck_assert(!pair_end_idlest(0));
	start_as(&own);
	ck_assert(!pair_end_idlest(1000));
	ck_assert(pair_end_idlest(0));
	ck_assert_int_eq(ends, 1);
	ck_assert_int_eq(reason, REASON_IDLE);
}
END_TEST

START_TEST(a_pair_that_waits_for_budget_makes_no_room)
{
	uint64_t budget = 0;

	pair.budget = &budget;
	start_as(&own);
	say(0, "1");
	WAIT_UNTIL(starved);
	ck_assert(!pair_end_idlest(0));
	ck_assert_int_eq(ends, 0);
}
END_TEST

START_TEST(a_reset_is_passed_on_behind_the_bytes_that_came_before_it)
{
	start_as(&own);
	say(0, "the last words");
	WAIT_UNTIL(sent[0] == 14);
	tcp_reset(far[0]);
	far[0] = -1;
	WAIT_UNTIL(ends == 1);
	ck_assert_int_eq(reason, REASON_RESET);
	ck_assert_int_eq(closings, 1);
	ck_assert_int_eq(hear(1), 14);
	ck_assert_int_eq(hear(1), -ECONNRESET);
}
END_TEST

START_TEST(a_failed_pair_delivers_to_a_slow_reader_before_it_ends)
{
	uint64_t total = 0, before;
	ssize_t last;

	start_as(&own);
	fill_from(0);
	before = (uint64_t)sent[0];
	reset_unread(0);
	WAIT_UNTIL(pair.state == PAIR_FAILED);
	ck_assert_int_eq(ends, 0);
	WAIT_UNTIL((last = empty(1, &total)) != -EAGAIN);
	ck_assert_int_eq(last, -ECONNRESET);
	ck_assert_int_eq(ends, 1);
	ck_assert_uint_gt(total, before);
	ck_assert_uint_eq(total, (uint64_t)sent[0]);
}
END_TEST

START_TEST(a_failed_pair_whose_reader_takes_nothing_ends_all_the_same)
{
	linger_queue.delay_ms = SHORT_MS;
	start_as(&own);
	fill_from(0);
	reset_unread(0);
	WAIT_UNTIL(ends == 1);
	ck_assert_int_eq(reason, REASON_RESET);
}
END_TEST

START_TEST(a_connection_that_times_out_is_unreachable)
{
	start_as(&own);
	pair.conns[0]->flow.error = ETIMEDOUT;
	ck_assert_int_eq(failure(&pair), REASON_UNREACHABLE);
	pair.conns[0]->flow.error = ECONNRESET;
	ck_assert_int_eq(failure(&pair), REASON_RESET);
}
END_TEST

START_TEST(a_half_closed_pair_that_ends_resets_only_who_has_not_seen_the_end)
{
	linger_queue.delay_ms = SHORT_MS;
	start_as(&own);
	shutdown(far[0], SHUT_WR);
	WAIT_UNTIL(hear(1) == 0);
	WAIT_UNTIL(ends == 1);
	ck_assert_int_eq(hear(0), -ECONNRESET);
	ck_assert_int_eq(hear(1), 0);
}
END_TEST

START_TEST(a_stopped_pair_delivers_what_it_has_read_and_no_more_and_then_resets)
{
	uint64_t total = 0, received;
	ssize_t last;

	start_as(&own);
	fill_from(0);
	received = pair.conns[0]->flow.received;
	pair_stop(&pair, REASON_OVER_LIMIT);
	ck_assert_int_eq(pair.state, PAIR_STOPPED);
	ck_assert_int_eq(closings, 1);
	WAIT_UNTIL((last = empty(1, &total)) != -EAGAIN);
	ck_assert_int_eq(last, -ECONNRESET);
	ck_assert_int_eq(ends, 1);
	ck_assert_int_eq(reason, REASON_OVER_LIMIT);
	ck_assert_uint_eq(total, received);
	ck_assert_int_eq(hear(0), -ECONNRESET);
}
END_TEST

START_TEST(a_stopped_pair_with_nothing_under_way_resets_both_at_once)
{
	start_as(&own);
	pair_stop(&pair, REASON_OVER_LIMIT);
	WAIT_UNTIL(ends == 1);
	ck_assert_int_eq(hear(0), -ECONNRESET);
	ck_assert_int_eq(hear(1), -ECONNRESET);
}
END_TEST

/* Sends SIZE bytes from SIDE and reads nothing meanwhile. */
static void push(int side, size_t size)
{
	static char plenty[100000];

	while (size > 0) {
		size_t most = size < sizeof(plenty) ? size : sizeof(plenty);
		ssize_t n = send(far[side], plenty, most, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			size -= (size_t)n;
		turn_for(n > 0 ? 0 : 2);
	}
}

START_TEST(whatever_moves_puts_the_end_of_an_idle_pair_off)
{
	uint64_t due_ms;

	linger_queue.delay_ms = 30000;
	start_as(&own);
	due_ms = pair.deadline.due_ms;
	WAIT_UNTIL(loop_now_ms() > due_ms - idle_queue.delay_ms);
	say(0, "1");
	WAIT_UNTIL(hear(1) == 1);
	ck_assert_uint_gt(pair.deadline.due_ms, due_ms);
	shutdown(far[0], SHUT_WR);
	WAIT_UNTIL(pair.state == PAIR_HALF_CLOSED);
	due_ms = pair.deadline.due_ms;
	WAIT_UNTIL(loop_now_ms() > due_ms - linger_queue.delay_ms);
	say(1, "1");
	WAIT_UNTIL(hear(0) == 1);
	ck_assert_uint_gt(pair.deadline.due_ms, due_ms);
	ck_assert_uint_le(pair.deadline.due_ms, loop_now_ms() + linger_queue.delay_ms);
}
END_TEST

START_TEST(a_slow_reader_keeps_a_half_closed_pair_while_it_reads)
{
	enum { SENT = 1 << 20 };
	uint64_t total = 0;

	linger_queue.delay_ms = 3600000; /* the test says when it is over */
	start_as(&own);
	push(0, SENT);
	WAIT_UNTIL(sent[0] == SENT);
	shutdown(far[1], SHUT_WR);
	WAIT_UNTIL(pair.state == PAIR_HALF_CLOSED);
	ck_assert_uint_gt(unacknowledged(pair.conns[1]), 0);
	while (unacknowledged(pair.conns[1]) > 0) {
		uint32_t before = unacknowledged(pair.conns[1]);

		linger_expired(&pair.deadline);
		ck_assert_int_eq(ends, 0);
		while (total < SENT && unacknowledged(pair.conns[1]) == before) {
			char some[1000];
			ssize_t n = recv(far[1], some, sizeof(some), MSG_DONTWAIT);

			total += n > 0 ? (uint64_t)n : 0;
		}
	}
	ck_assert_uint_lt(total, SENT);
	linger_expired(&pair.deadline);
	ck_assert_int_eq(ends, 1);
	ck_assert_int_eq(reason, REASON_LINGER_TIMEOUT);
}
END_TEST

START_TEST(each_acknowledgement_renews_the_patience_with_a_failed_pair)
{
	static char some[1000];

	start_as(&own);
	fill_from(0);
	reset_unread(0);
	WAIT_UNTIL((recv(far[1], some, sizeof(some), MSG_DONTWAIT), pair.state == PAIR_FLUSHING));
	ck_assert_uint_gt(unacknowledged(pair.conns[1]), 0);
	pair.unacknowledged = unacknowledged(pair.conns[1]) + 1; /* one was acknowledged since */
	pair.progress_ms = loop_now_ms() - FLUSH_PATIENCE_MS;
	flush_expired(&pair.deadline);
	ck_assert_int_eq(ends, 0);
	pair.progress_ms = loop_now_ms() - FLUSH_PATIENCE_MS; /* and now none */
	flush_expired(&pair.deadline);
	ck_assert_int_eq(ends, 1);
	ck_assert_int_eq(reason, REASON_RESET);
}
END_TEST

/* Both fill the way to the other one, so each is owed bytes that it doesn't read. */
static void fill_both_ways(void)
{
	start_as(&own);
	fill_from(0);
	fill_from(1);
}

START_TEST(a_client_that_reads_only_after_it_has_sent_gets_all_from_a_stopped_pair)
{
	uint64_t total[2] = { 0 }, received[2];

	fill_both_ways();
	for (int side = 0; side < 2; side++)
		received[side] = pair.conns[side]->flow.received;
	pair_stop(&pair, REASON_OVER_LIMIT);
	push(0, DISCARD_MOST_BYTES / 4);
	ck_assert_int_eq(ends, 0);
	for (int side = 0; side < 2; side++)
		WAIT_UNTIL((empty(!side, &total[!side]), empty(side, &total[side]) != -EAGAIN));
	ck_assert_uint_eq(total[0], received[1]);
	ck_assert_uint_eq(total[1], received[0]);
}
END_TEST

START_TEST(a_client_that_reads_only_after_it_has_sent_gets_all_from_a_failed_pair)
{
	uint64_t total = 0;
	ssize_t last;

	fill_both_ways();
	tcp_reset(far[0]);
	far[0] = -1;
	WAIT_UNTIL(pair.state == PAIR_FAILED);
	push(1, DISCARD_MOST_BYTES / 4);
	WAIT_UNTIL((last = empty(1, &total)) != -EAGAIN);
	ck_assert_int_eq(last, -ECONNRESET);
	ck_assert_uint_eq(total, (uint64_t)sent[0]);
}
END_TEST

START_TEST(a_client_that_sends_for_ever_and_takes_nothing_is_read_from_up_to_a_bound)
{
	static char some[100000];

	fill_both_ways();
	pair_stop(&pair, REASON_OVER_LIMIT);
	WAIT_UNTIL((send(far[0], some, sizeof(some), MSG_DONTWAIT | MSG_NOSIGNAL),
	            pair.discarded >= DISCARD_MOST_BYTES));
	fill_from(0);
	ck_assert_uint_lt(pair.discarded, DISCARD_MOST_BYTES + 2 * DISCARD_TURN_BYTES);
	ck_assert_int_eq(ends, 0);
}
END_TEST

START_TEST(a_reader_that_takes_ever_less_does_not_keep_a_stopped_pair)
{
	static char some[1000];

	linger_queue.delay_ms = SHORT_MS;
	start_as(&own);
	fill_from(0);
	pair_stop(&pair, REASON_OVER_LIMIT);
	pair.ending_ms = loop_now_ms() - ENDING_MOST_MS;
	WAIT_UNTIL((recv(far[1], some, sizeof(some), MSG_DONTWAIT), ends == 1));
	ck_assert_int_eq(reason, REASON_OVER_LIMIT);
}
END_TEST

START_TEST(a_failed_pair_may_still_be_stopped)
{
	start_as(&own);
	fill_from(0);
	reset_unread(0);
	WAIT_UNTIL(pair.state == PAIR_FAILED);
	pair_stop(&pair, REASON_OVER_LIMIT);
	ck_assert_int_eq(pair.state, PAIR_STOPPED);
	ck_assert_int_eq(closings, 1);
	tcp_reset(far[1]);
	far[1] = -1;
	WAIT_UNTIL(ends == 1);
	ck_assert_int_eq(reason, REASON_OVER_LIMIT);
}
END_TEST

START_TEST(no_byte_is_read_without_budget_and_the_owner_is_told_that_some_wait)
{
	uint64_t budget = 3;

	pair.budget = &budget;
	start_as(&own);
	say(0, "12345");
	WAIT_UNTIL(hear(1) == 3);
	WAIT_UNTIL(starved);
	ck_assert_uint_eq(budget, 0);
	budget = 10;
	pair_resume(&pair);
	WAIT_UNTIL(hear(1) == 2);
	ck_assert(!starved);
	ck_assert_uint_eq(budget, 8);
}
END_TEST

START_TEST(a_pair_that_waits_for_budget_is_not_idle_while_a_client_is_there)
{
	uint64_t budget = 0;

	idle_queue.delay_ms = SHORT_MS;
	pair.budget = &budget;
	start_as(&own);
	say(0, "1");
	WAIT_UNTIL(starved);
	turn_for(3 * SHORT_MS);
	ck_assert_int_eq(ends, 0);
	for (int side = 0; side < 2; side++) {
		tcp_reset(far[side]);
		far[side] = -1;
	}
	WAIT_UNTIL(ends == 1);
}
END_TEST

START_TEST(a_pair_whose_clients_have_both_gone_waits_for_no_budget)
{
	uint64_t budget = 0;

	pair.budget = &budget;
	start_as(&own);
	say(0, "1");
	WAIT_UNTIL(starved);
	for (int side = 0; side < 2; side++) {
		tcp_reset(far[side]);
		far[side] = -1;
	}
	while (!both_closed(&pair))
		; /* until the resets have come */
	idle_expired(&pair.deadline);
	ck_assert_int_eq(ends, 1);
}
END_TEST

START_TEST(one_that_leaves_is_handed_to_the_owner)
{
	struct conn *first = pair.conns[0];

	pair.kind = &own;
	ck_assert_ptr_nonnull(pair.conns[0]);
	ck_assert_ptr_nonnull(pair.conns[1]);
	pair_leave(first, REASON_EVICTED);
	ck_assert_int_eq(leavings, 1);
	ck_assert_int_eq(reason, REASON_EVICTED);
	ck_assert_ptr_null(first->pair);
	ck_assert_ptr_null(pair.conns[0]);
	pair_seat(&pair, first);
	ck_assert_ptr_eq(pair.conns[0], first);
}
END_TEST

/* Where the other relay, at the end of conns[1], decides how long nothing may happen. */

START_TEST(an_owner_that_has_ended_and_a_client_that_stays_silent_do_not_last)
{
	uint64_t start = loop_now_ms();

	remote_queue.delay_ms = SHORT_MS;
	start_as(&remote);
	shutdown(far[1], SHUT_WR);
	WAIT_UNTIL(hear(0) == 0);
	WAIT_UNTIL(ends == 1);
	ck_assert_int_eq(reason, REASON_LINGER_TIMEOUT);
	ck_assert_uint_ge(loop_now_ms() - start, SHORT_MS);
}
END_TEST

START_TEST(a_client_that_goes_on_sending_keeps_the_pair)
{
	remote_queue.delay_ms = 1000;
	start_as(&remote);
	shutdown(far[1], SHUT_WR);
	for (int i = 0; i < 10; i++) {
		say(0, "more");
		WAIT_UNTIL(hear(1) == 4);
		turn_for(250);
	}
	ck_assert_int_eq(ends, 0);
	shutdown(far[0], SHUT_WR);
	WAIT_UNTIL(ends == 1);
	ck_assert_int_eq(reason, REASON_COMPLETED);
}
END_TEST

START_TEST(bytes_that_the_owner_has_still_to_take_keep_the_pair)
{
	remote_queue.delay_ms = SHORT_MS;
	start_as(&remote);
	fill_from(0);
	shutdown(far[1], SHUT_WR);
	WAIT_UNTIL(pair.state == PAIR_HALF_CLOSED);
	turn_for(4 * SHORT_MS);
	ck_assert_int_eq(ends, 0);
}
END_TEST

START_TEST(a_direction_that_the_client_has_ended_is_the_owners_business)
{
	remote_queue.delay_ms = SHORT_MS;
	start_as(&remote);
	shutdown(far[0], SHUT_WR);
	WAIT_UNTIL(hear(1) == 0);
	turn_for(3 * SHORT_MS);
	ck_assert_int_eq(ends, 0);
	ck_assert(!list_linked(&pair.deadline.link));
	shutdown(far[1], SHUT_WR);
	WAIT_UNTIL(ends == 1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		bytes_go_both_ways_and_are_counted_by_direction,
		an_end_half_closes_and_the_other_direction_goes_on,
		a_half_closed_pair_without_progress_ends,
		whatever_moves_puts_the_end_of_an_idle_pair_off,
		a_slow_reader_keeps_a_half_closed_pair_while_it_reads,
		each_acknowledgement_renews_the_patience_with_a_failed_pair,
		an_open_pair_without_progress_is_idle,
		the_pair_that_is_idle_for_longest_is_ended_to_make_room,
		a_pair_that_waits_for_budget_makes_no_room,
		a_reset_is_passed_on_behind_the_bytes_that_came_before_it,
		a_failed_pair_delivers_to_a_slow_reader_before_it_ends,
		a_failed_pair_whose_reader_takes_nothing_ends_all_the_same,
		a_connection_that_times_out_is_unreachable,
		a_half_closed_pair_that_ends_resets_only_who_has_not_seen_the_end,
		a_stopped_pair_delivers_what_it_has_read_and_no_more_and_then_resets,
		a_stopped_pair_with_nothing_under_way_resets_both_at_once,
		a_client_that_reads_only_after_it_has_sent_gets_all_from_a_stopped_pair,
		a_client_that_reads_only_after_it_has_sent_gets_all_from_a_failed_pair,
		a_client_that_sends_for_ever_and_takes_nothing_is_read_from_up_to_a_bound,
		a_reader_that_takes_ever_less_does_not_keep_a_stopped_pair,
		a_failed_pair_may_still_be_stopped,
		no_byte_is_read_without_budget_and_the_owner_is_told_that_some_wait,
		a_pair_that_waits_for_budget_is_not_idle_while_a_client_is_there,
		a_pair_whose_clients_have_both_gone_waits_for_no_budget,
		one_that_leaves_is_handed_to_the_owner,
		an_owner_that_has_ended_and_a_client_that_stays_silent_do_not_last,
		a_client_that_goes_on_sending_keeps_the_pair,
		bytes_that_the_owner_has_still_to_take_keep_the_pair,
		a_direction_that_the_client_has_ended_is_the_owners_business,
	};

	return unit_run("pair", tests, ARRAY_LEN(tests), setup, teardown);
}
