#include "relayd/stream/stream.c"

#include "common/base/log_rate.h"
#include "tests/unit/logged.h"
#include "tests/unit/relay_halves.h"

/* The far ends of halves, and what was said of the halves that waited for a claim. */
static int far[3];
static struct conn *settled_conns[2];
static enum claim_outcome settled_outcome;
static int settled_count;

static void on_settled_here(struct conn *conn, const struct stream_verdict *verdict)
{
	ck_assert_mem_eq(verdict->hash, halves_hash(), SOCKS5_HASH_LEN);
	settled_conns[settled_count++] = conn;
	settled_outcome = verdict->outcome;
}

static struct conn *new_half(int number)
{
	union net_address address;
	int fd = halves_connect(&far[number], &address);

	return conn_new(fd, &address, CONN_WAITING);
}

static struct stream *join_both(void)
{
	ck_assert_int_eq(stream_join(new_half(0), halves_hash(), on_settled_here),
	                 STREAM_JOIN_SETTLED);
	ck_assert_int_eq(stream_find(halves_hash())->state, STREAM_WAITING);
	ck_assert_int_eq(stream_join(new_half(1), halves_hash(), on_settled_here),
	                 STREAM_JOIN_SETTLED);
	ck_assert_int_eq(stream_find(halves_hash())->state, STREAM_PAIRED);
	return stream_find(halves_hash());
}

/* As with a Redis that hasn't answered yet. */
static struct stream *claim_both(void)
{
	struct stream *stream = stream_new(halves_hash());

	stream->settled = on_settled_here;
	for (int i = 0; i < 2; i++)
		pair_seat(&stream->pair, new_half(i));
	ck_assert_int_eq(stream->state, STREAM_CLAIMING);
	return stream;
}

static void activate(struct stream *stream)
{
	ck_assert_int_eq(stream_activate(stream, mem_dup("{}")), STREAM_ACTIVATED);
	ck_assert_int_eq(stream->state, STREAM_ACTIVE);
}

START_TEST(nothing_moves_before_the_activation_and_then_all_does)
{
	struct stream *stream = join_both();

	halves_send(far[0], "early", 5);
	turn_for(50);
	ck_assert_int_eq(halves_read(far[1], (char[1]){ 0 }, 1), -EAGAIN);
	activate(stream);
	halves_expect(far[1], "early", 5);
	halves_send(far[1], "too", 3);
	halves_expect(far[0], "too", 3);
	ck_assert_uint_eq(stream_bytes(), 8);
}
END_TEST

START_TEST(a_second_activation_changes_nothing)
{
	struct stream *stream = join_both();

	ck_assert_int_eq(stream_activate(stream, mem_dup("first")), STREAM_ACTIVATED);
	ck_assert_int_eq(stream_activate(stream, mem_dup("second")), STREAM_ACTIVATED);
	ck_assert_str_eq(stream->about, "first");
	free(stream->about);
	stream->about = NULL;
}
END_TEST

START_TEST(one_half_cannot_be_activated)
{
	ck_assert_int_eq(stream_join(new_half(0), halves_hash(), on_settled_here),
	                 STREAM_JOIN_SETTLED);
	ck_assert_int_eq(stream_activate(stream_find(halves_hash()), mem_dup("{}")),
	                 STREAM_INCOMPLETE);
}
END_TEST

START_TEST(a_third_half_has_no_place)
{
	struct conn *third;

	(void)join_both();
	third = new_half(2);
	ck_assert_int_eq(stream_join(third, halves_hash(), on_settled_here), STREAM_JOIN_FULL);
	ck_assert_ptr_null(third->pair);
	conn_close(third, false);
}
END_TEST

START_TEST(a_relays_half_makes_no_stream)
{
	struct conn *half = new_half(0);

	half->peering = true;
	ck_assert_int_eq(stream_join(half, halves_hash(), on_settled_here), STREAM_JOIN_NOT_OWNED);
	ck_assert_uint_eq(stream_count(), 0);
	conn_close(half, false);
}
END_TEST

START_TEST(a_stream_waits_again_for_a_half_that_leaves_and_ends_with_its_last)
{
	struct stream *stream = join_both();
	struct conn *halves[2] = { stream->pair.conns[0], stream->pair.conns[1] };

	pair_leave(halves[0], REASON_ABANDONED);
	conn_close(halves[0], false);
	ck_assert_int_eq(stream->state, STREAM_WAITING);
	ck_assert_int_eq(by_reason[REASON_ABANDONED], 0);
	pair_leave(halves[1], REASON_NOT_ACTIVATED);
	conn_close(halves[1], false);
	ck_assert_uint_eq(stream_count(), 0);
	ck_assert_int_eq(by_reason[REASON_NOT_ACTIVATED], 1);
}
END_TEST

START_TEST(an_ended_direction_makes_it_closing_and_two_end_it)
{
	struct stream *stream = join_both();

	activate(stream);
	shutdown(far[0], SHUT_WR);
	WAIT_UNTIL(stream->state == STREAM_CLOSING);
	ck_assert(stream_is_active(stream));
	ck_assert_int_eq(by_state[STREAM_CLOSING], 1);
	shutdown(far[1], SHUT_WR);
	WAIT_UNTIL(stream_count() == 0);
	ck_assert_int_eq(by_reason[REASON_COMPLETED], 1);
	ck_assert_int_eq(by_state[STREAM_CLOSING], 0);
}
END_TEST

START_TEST(a_killed_stream_resets_both_halves)
{
	struct stream *stream = join_both();

	activate(stream);
	stream_end(stream, REASON_KILLED);
	halves_expect_end(far[0], -ECONNRESET);
	halves_expect_end(far[1], -ECONNRESET);
}
END_TEST

START_TEST(strangers_streams_leave_ten_lines_a_second_and_transfers_one_each)
{
	struct logged logged = logged_start();
	const char *text;

	log_set_level(LOG_INFO);
	for (int i = 0; i < 15; i++) {
		struct conn *half = new_half(0);

		ck_assert_int_eq(stream_join(half, halves_hash(), on_settled_here),
		                 STREAM_JOIN_SETTLED);
		pair_leave(half, REASON_ABANDONED);
		conn_close(half, false);
		close(far[0]);
	}
	for (int i = 0; i < 15; i++) {
		struct stream *stream = join_both();

		activate(stream);
		stream_end(stream, REASON_KILLED);
		close(far[0]);
		close(far[1]);
	}
	log_rate_stop();
	text = logged_end(&logged);
	ck_assert_uint_eq(logged_count(text, " stream-ended "), 10 + 15);
	ck_assert_uint_eq(logged_count(text, " reason=killed "), 15);
	ck_assert_uint_eq(logged_count(text, "what=stream-ended reason=abandoned count=5\n"), 1);
}
END_TEST

START_TEST(halves_are_told_when_their_claim_is_granted)
{
	struct stream *stream = claim_both();

	on_settled(&stream->claim, CLAIM_OURS, NULL);
	ck_assert_int_eq(settled_count, 2);
	ck_assert_int_eq(settled_outcome, CLAIM_OURS);
	ck_assert_ptr_eq(settled_conns[0], stream->pair.conns[0]);
	ck_assert_int_eq(stream->state, STREAM_PAIRED);
}
END_TEST

START_TEST(halves_whose_hash_is_another_relays_are_handed_back_and_the_stream_is_gone)
{
	const struct claim_owner owner = { "relay-2", NULL };
	struct stream *stream = claim_both();

	on_settled(&stream->claim, CLAIM_ELSEWHERE, &owner);
	ck_assert_int_eq(settled_count, 2);
	ck_assert_int_eq(settled_outcome, CLAIM_ELSEWHERE);
	ck_assert_uint_eq(stream_count(), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_ptr_null(settled_conns[i]->pair);
		conn_close(settled_conns[i], false);
	}
}
END_TEST

START_TEST(a_lost_claim_ends_the_stream)
{
	struct stream *stream = join_both();

	stream->claim.lost(&stream->claim);
	ck_assert_uint_eq(stream_count(), 0);
	ck_assert_int_eq(by_reason[REASON_CLAIM_LOST], 1);
}
END_TEST

static int watched;

static void on_watched(struct stream_watch *watch)
{
	watched++;
}

START_TEST(who_watches_a_stream_is_told_of_its_end)
{
	struct stream_watch watch = { on_watched };
	struct stream *stream = join_both();

	stream->watch = &watch;
	stream_end(stream, REASON_KILLED);
	ck_assert_int_eq(watched, 1);
}
END_TEST

START_TEST(streams_are_listed_in_the_order_of_their_hashes)
{
	struct stream **all;
	size_t count;

	for (int i = 0; i < 3; i++) {
		uint8_t hash[SOCKS5_HASH_LEN] = { (uint8_t)(7 * (3 - i)) };

		(void)stream_join(new_half(i), hash, on_settled_here);
	}
	all = stream_sorted(&count);
	ck_assert_uint_eq(count, 3);
	ck_assert_int_lt(memcmp(all[0]->hash, all[1]->hash, SOCKS5_HASH_LEN), 0);
	ck_assert_int_lt(memcmp(all[1]->hash, all[2]->hash, SOCKS5_HASH_LEN), 0);
	free(all);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		nothing_moves_before_the_activation_and_then_all_does,
		a_second_activation_changes_nothing,
		one_half_cannot_be_activated,
		a_third_half_has_no_place,
		a_relays_half_makes_no_stream,
		a_stream_waits_again_for_a_half_that_leaves_and_ends_with_its_last,
		an_ended_direction_makes_it_closing_and_two_end_it,
		a_killed_stream_resets_both_halves,
		strangers_streams_leave_ten_lines_a_second_and_transfers_one_each,
		halves_are_told_when_their_claim_is_granted,
		halves_whose_hash_is_another_relays_are_handed_back_and_the_stream_is_gone,
		a_lost_claim_ends_the_stream,
		who_watches_a_stream_is_told_of_its_end,
		streams_are_listed_in_the_order_of_their_hashes,
	};

	return unit_run("stream", tests, ARRAY_LEN(tests), halves_setup, halves_teardown);
}
