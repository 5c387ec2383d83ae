#include "relayd/front/handshake.c"

#include <linux/sockios.h>

#include "tests/unit/relay_halves.h"

static struct stream *stream_here(void)
{
	return stream_find(halves_hash());
}

static void expect_refusal(int far, uint8_t reply)
{
	const uint8_t bytes[SOCKS5_REFUSAL_LEN] = { 0x05, reply, 0, 0x01 };

	halves_expect(far, bytes, sizeof(bytes));
	halves_expect_end(far, 0);
}

START_TEST(a_client_that_asks_byte_by_byte_is_granted_and_nothing_behind_is_read)
{
	static const char bytes[] = "\x05\x01\x00" HALVES_REQUEST "early";
	int far = halves_accept(ORIGIN_CLIENT), waiting = 0;

	for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
		halves_send(far, bytes + i, 1);
		loop_turn(1);
	}
	halves_expect(far, "\x05\x00\x05\x00\x00\x03\x28" HALVES_NAME "\x12\x34", 49);
	ck_assert_int_eq(stream_here()->state, STREAM_WAITING);
	ck_assert_ptr_null(stream_here()->pair.conns[0]->handshake);
	ck_assert_int_eq(ioctl(stream_here()->pair.conns[0]->io.fd, FIONREAD, &waiting), 0);
	ck_assert_int_eq(waiting, 5);
	close(far);
}
END_TEST

START_TEST(each_refusal_has_its_reply)
{
	static const struct {
		const char *bytes;
		size_t len;
		uint8_t reply;
	} cases[] = {
		{ "\x05\x02\x00\x03", 4, 0x07 },
		{ "\x05\x01\x00\x01", 4, 0x08 },
		{ "\x05\x01\x00\x03\x05", 5, 0x04 },
		{ "\x04", 1, 0x01 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int far = halves_accept(ORIGIN_CLIENT);

		halves_send(far, "\x05\x01\x00", 3);
		halves_expect(far, "\x05\x00", 2);
		halves_send(far, cases[i].bytes, cases[i].len);
		expect_refusal(far, cases[i].reply);
		close(far);
	}
	WAIT_UNTIL(conn_count() == 0);
}
END_TEST

START_TEST(before_the_request_the_refusal_is_that_no_method_is_acceptable)
{
	int far = halves_accept(ORIGIN_CLIENT);

	halves_send(far, "\x05\x01\x02", 3);
	halves_expect(far, "\x05\xff", 2);
	halves_expect_end(far, 0);
	ck_assert_int_eq(refusals[REFUSAL_NO_METHOD], 1);
	close(far);
}
END_TEST

START_TEST(a_third_half_is_refused)
{
	int first = halves_join(), second = halves_join();
	int third = halves_accept(ORIGIN_CLIENT);

	halves_send(third, "\x05\x01\x00", 3);
	halves_expect(third, "\x05\x00", 2);
	halves_send(third, HALVES_REQUEST, SOCKS5_REQUEST_LEN);
	expect_refusal(third, 0x02);
	ck_assert_int_eq(stream_here()->state, STREAM_PAIRED);
	close(first);
	close(second);
	close(third);
}
END_TEST

START_TEST(a_client_that_is_too_slow_is_closed_without_a_word)
{
	int far;

	handshake_queue.delay_ms = 100;
	far = halves_accept(ORIGIN_CLIENT);
	halves_send(far, "\x05", 1);
	halves_expect_end(far, 0);
	ck_assert_int_eq(refusals[REFUSAL_TIMED_OUT], 1);
	close(far);
}
END_TEST

START_TEST(a_half_waits_no_longer_for_its_activation_than_it_may)
{
	int far;

	waiting_queue.delay_ms = 100;
	far = halves_join();
	halves_expect_end(far, -ECONNRESET);
	ck_assert_uint_eq(stream_count(), 0);
	close(far);
}
END_TEST

START_TEST(a_half_that_leaves_frees_its_place_but_not_before_its_bytes_are_read)
{
	int first = halves_join(), second = halves_join();

	halves_send(first, "file", 4);
	close(first);
	turn_for(50);
	ck_assert_int_eq(stream_here()->state, STREAM_PAIRED);
	close(second);
	WAIT_UNTIL(stream_here()->state == STREAM_WAITING);
}
END_TEST

START_TEST(an_address_over_its_cap_is_refused_and_over_all_the_oldest_is_evicted)
{
	struct relay_conf small = { .pending_max = 2,
		                    .pending_per_address_max = 1,
		                    .connections_per_address_max = 10 };
	int over, first;

	source_limit_module.stop();
	source_limit_module.start(&small);
	first = halves_join();
	over = halves_accept(ORIGIN_CLIENT);
	halves_send(over, "\x05\x01\x00", 3);
	halves_expect(over, "\x05\x00", 2);
	halves_send(over, HALVES_REQUEST, SOCKS5_REQUEST_LEN);
	expect_refusal(over, 0x02);
	ck_assert_int_eq(refusals[REFUSAL_ADDRESS_FULL], 1);
	evict(stream_here()->pair.conns[0]);
	halves_expect_end(first, -ECONNRESET);
	ck_assert_ptr_null(stream_here());
	ck_assert_int_eq(evicted[0], 1);
	close(first);
	close(over);
}
END_TEST

START_TEST(a_client_that_was_refused_sees_that_also_when_it_is_evicted)
{
	int far = halves_accept(ORIGIN_CLIENT), error = -1;
	socklen_t len = sizeof(error);

	halves_send(far, "\x05\x01\x00", 3);
	halves_expect(far, "\x05\x00", 2);
	halves_send(far, "\x05\x02\x00\x03", 4);
	WAIT_UNTIL(!list_empty(&refused_queue.waiting));
	evict(conn_of_deadline(
	        container_of(list_first(&refused_queue.waiting), struct deadline, link)));
	expect_refusal(far, 0x07);
	ck_assert_int_eq(getsockopt(far, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	ck_assert_int_eq(error, 0); /* no RST, which could overtake the refusal */
	ck_assert_uint_eq(conn_count(), 0);
	close(far);
}
END_TEST

START_TEST(a_client_that_was_refused_is_read_from_up_to_a_bound)
{
	static const char block[REFUSED_DROP_MAX];
	int far = halves_accept(ORIGIN_CLIENT);
	size_t sent = 0;

	refused_queue.delay_ms = 3600 * 1000;
	halves_send(far, "\x05\x01\x02", 3);
	halves_expect(far, "\x05\xff", 2);
	halves_expect_end(far, 0);
	while (conn_count() > 0) {
		ssize_t n = send(far, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		ck_assert_uint_lt(sent, 64 * 1024 * 1024); /* more than sockets hold */
		loop_turn(20);
	}
	close(far);
}
END_TEST

/* The end of CLIENT is a reset; it was never answered. */
static void expect_reset(int client)
{
	halves_expect_end(client, -ECONNRESET);
	close(client);
}

START_TEST(the_reserve_is_for_second_halves_and_other_relays)
{
	int first = halves_join(), second, other, relay;

	caps.max = 4;
	caps.first_max = 1;
	ck_assert(handshake_full());
	other = halves_accept(ORIGIN_CLIENT);
	halves_send(other, "\x05\x01\x00", 3);
	halves_expect(other, "\x05\x00", 2);
	halves_send(other,
	            "\x05\x01\x00\x03\x28"
	            "00"
	            "23456789abcdefabcdef0123456789abcdef01"
	            "\x12\x34",
	            SOCKS5_REQUEST_LEN);
	expect_refusal(other, 0x01);
	ck_assert_int_eq(refusals[REFUSAL_RELAY_FULL], 1);
	ck_assert_uint_eq(stream_count(), 1);
	relay = halves_accept(ORIGIN_RELAY);
	halves_send(relay, "\x05\x01\x81", 3);
	halves_expect(relay, "\x05\x81", 2);
	second = halves_join();
	ck_assert_int_eq(stream_here()->state, STREAM_PAIRED);
	close(first);
	close(second);
	close(other);
	close(relay);
}
END_TEST

START_TEST(at_the_maximum_the_network_with_most_gives_one_and_else_the_newcomer_is_reset)
{
	int first = halves_accept(ORIGIN_CLIENT), second = halves_accept(ORIGIN_CLIENT);
	int third;

	caps.max = 2;
	third = halves_accept(ORIGIN_CLIENT);
	ck_assert_uint_eq(conn_count(), 2);
	halves_expect(first, "\x05\xff", 2);
	halves_send(third, "\x05\x01\x00", 3);
	halves_expect(third, "\x05\x00", 2);
	caps.max = 1;
	close(second);
	WAIT_UNTIL(conn_count() == 1);
	expect_reset(halves_accept(ORIGIN_CLIENT));
	expect_reset(halves_accept(ORIGIN_RELAY));
	ck_assert_uint_eq(conn_count(), 1);
	ck_assert_int_eq(refusals[REFUSAL_RELAY_FULL], 2);
	close(first);
	close(third);
}
END_TEST

/* The client's kernel has acknowledged all, which it may take its time for. */
static bool is_acknowledged(const struct conn *conn)
{
	int bytes = 1;

	return ioctl(conn->io.fd, SIOCOUTQ, &bytes) == 0 && bytes == 0;
}

START_TEST(at_the_maximum_a_stream_that_was_idle_for_a_minute_ends)
{
	int first, second, third;

	first = halves_join();
	second = halves_join();
	ck_assert_int_eq(stream_activate(stream_here(), NULL), STREAM_ACTIVATED);
	caps.max = 2;
	expect_reset(halves_accept(ORIGIN_CLIENT));
	for (int side = 0; side < 2; side++)
		WAIT_UNTIL(is_acknowledged(stream_here()->pair.conns[side]));
	stream_here()->pair.deadline.due_ms = loop_now_ms() + 60000 - IDLE_LEAST_MS;
	third = halves_accept(ORIGIN_CLIENT);
	ck_assert_ptr_null(stream_here());
	halves_expect_end(first, -ECONNRESET);
	halves_expect_end(second, -ECONNRESET);
	halves_send(third, "\x05\x01\x00", 3);
	halves_expect(third, "\x05\x00", 2);
	close(first);
	close(second);
	close(third);
}
END_TEST

START_TEST(an_address_that_has_its_maximum_makes_no_room_for_itself)
{
	struct relay_conf small = { .pending_max = 9,
		                    .pending_per_address_max = 9,
		                    .connections_per_address_max = 2 };
	int first, second;

	source_limit_module.stop();
	source_limit_module.start(&small);
	first = halves_accept(ORIGIN_CLIENT);
	second = halves_accept(ORIGIN_CLIENT);
	caps.max = 2;
	expect_reset(halves_accept(ORIGIN_CLIENT));
	ck_assert_uint_eq(conn_count(), 2);
	close(first);
	close(second);
	WAIT_UNTIL(conn_count() == 0);
}
END_TEST

START_TEST(connections_of_an_address_are_counted_until_they_are_closed)
{
	struct relay_conf small = { .pending_max = 9,
		                    .pending_per_address_max = 9,
		                    .connections_per_address_max = 2 };
	int first, second, third;

	source_limit_module.stop();
	source_limit_module.start(&small);
	first = halves_join();
	second = halves_join();
	ck_assert_int_eq(stream_activate(stream_here(), NULL), STREAM_ACTIVATED);
	third = halves_accept(ORIGIN_CLIENT);
	halves_send(third, "\x05\x01\x00", 3);
	halves_expect(third, "\x05\x00", 2);
	halves_send(third, HALVES_REQUEST, SOCKS5_REQUEST_LEN);
	expect_refusal(third, 0x02);
	ck_assert_int_eq(refusals[REFUSAL_ADDRESS_FULL], 1);
	stream_end(stream_here(), REASON_KILLED);
	close(third);
	WAIT_UNTIL(conn_count() == 0);
	close(first);
	close(second);
	first = halves_join();
	close(first);
}
END_TEST

/* A balancer at 127.0.0.1. */
static void trust_loopback(void)
{
	static const char *const list[] = { "127.0.0.0/8", NULL };

	networks_release(&trusted);
	ck_assert_ptr_null(networks_read(&trusted, list));
}

START_TEST(a_proxy_header_says_whose_connection_it_is)
{
	static const char header[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f\xc0\x00\x02\x07"
	                             "\xc0\x00\x02\x01\x12\x67\x04\x38\x04\x00\x00";
	char text[NET_TEXT_MAX];
	int far;

	trust_loopback();
	far = halves_accept(ORIGIN_CLIENT);
	halves_send(far, header, sizeof(header) - 1);
	halves_send(far, "\x05\x01\x00", 3);
	halves_expect(far, "\x05\x00", 2);
	halves_send(far, HALVES_REQUEST, SOCKS5_REQUEST_LEN);
	halves_expect(far, "\x05\x00\x00\x03\x28" HALVES_NAME "\x12\x34", SOCKS5_GRANT_LEN);
	ck_assert_str_eq(conn_address(stream_here()->pair.conns[0], text), "192.0.2.7:4711");
	close(far);
}
END_TEST

START_TEST(a_balancer_without_a_header_is_closed)
{
	int far;

	trust_loopback();
	far = halves_accept(ORIGIN_CLIENT);
	halves_send(far, "\x05\x01\x00", 3);
	WAIT_UNTIL(conn_count() == 0);
	ck_assert_int_eq(refusals[REFUSAL_BAD_PROXY_HEADER], 1);
	close(far);
}
END_TEST

static uint8_t relays_grant[PEERING_GRANT_LEN];

/* Another relay's connection that has sent its request for the name with SECRET. */
static int join_as_relay(const char *secret)
{
	static const uint8_t nonce[PEERING_NONCE_LEN] = "a nonce";
	uint8_t challenge[PEERING_CHALLENGE_LEN], request[PEERING_REQUEST_LEN];
	const struct peering_key key = { secret, fleet_id() };
	int far = halves_accept(ORIGIN_RELAY);

	halves_send(far, "\x05\x01\x81", 3);
	WAIT_UNTIL(recv(far, challenge, sizeof(challenge), MSG_DONTWAIT) == sizeof(challenge));
	peering_request(request, challenge, nonce, halves_hash(), &key);
	peering_grant(relays_grant, request, challenge, &key);
	halves_send(far, request, sizeof(request));
	return far;
}

START_TEST(a_relay_that_knows_the_secret_joins_a_stream_and_is_told_of_its_activation)
{
	int client = halves_join(), relay = join_as_relay("secret");

	halves_expect(relay, relays_grant, sizeof(relays_grant));
	ck_assert_int_eq(stream_here()->state, STREAM_PAIRED);
	ck_assert_int_eq(stream_activate(stream_here(), mem_dup("{}")), STREAM_ACTIVATED);
	halves_expect(relay, "\0", 1);
	close(client);
	close(relay);
}
END_TEST

START_TEST(a_relay_with_another_secret_or_for_a_hash_that_is_not_here_is_refused)
{
	int far = join_as_relay("guess");

	expect_refusal(far, 0x01);
	ck_assert_int_eq(refusals[REFUSAL_BAD_PROOF], 1);
	close(far);
	far = join_as_relay("secret");
	expect_refusal(far, 0x01);
	ck_assert_int_eq(refusals[REFUSAL_NOT_OWNED], 1);
	close(far);
}
END_TEST

/* A client whose claim isn't settled, as with Redis. */
static struct conn *claiming(int *far)
{
	union net_address address;
	struct conn *conn;

	conn = conn_new(halves_connect(far, &address), &address, CONN_CLAIMING);
	conn->release = release;
	conn->handshake = mem_alloc(1, sizeof(*conn->handshake));
	memcpy(conn->handshake->bytes, HALVES_REQUEST, SOCKS5_REQUEST_LEN);
	return conn;
}

START_TEST(a_claim_that_is_settled_otherwise_refuses_who_waits_for_it)
{
	const struct claim_owner owner = { "relay-2", NULL };
	int far;

	on_settled(claiming(&far), &(struct stream_verdict){ CLAIM_UNKNOWN, halves_hash(), NULL });
	expect_refusal(far, 0x01);
	ck_assert_int_eq(refusals[REFUSAL_REDIS_UNAVAILABLE], 1);
	close(far);
	on_settled(claiming(&far),
	           &(struct stream_verdict){ CLAIM_ELSEWHERE, halves_hash(), &owner });
	expect_refusal(far, 0x01);
	ck_assert_int_eq(refusals[REFUSAL_OWNED_ELSEWHERE], 1);
	close(far);
}
END_TEST

START_TEST(an_owner_that_has_two_halves_already_makes_the_client_a_third_one)
{
	int far;

	on_dialled(claiming(&far), DIAL_THIRD_HALF);
	expect_refusal(far, 0x02);
	close(far);
	on_dialled(claiming(&far), DIAL_TIMED_OUT);
	expect_refusal(far, 0x01);
	ck_assert_int_eq(refusals[REFUSAL_BRIDGE_FAILED], 1);
	close(far);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_client_that_asks_byte_by_byte_is_granted_and_nothing_behind_is_read,
		each_refusal_has_its_reply,
		before_the_request_the_refusal_is_that_no_method_is_acceptable,
		a_third_half_is_refused,
		a_client_that_is_too_slow_is_closed_without_a_word,
		a_half_waits_no_longer_for_its_activation_than_it_may,
		a_half_that_leaves_frees_its_place_but_not_before_its_bytes_are_read,
		an_address_over_its_cap_is_refused_and_over_all_the_oldest_is_evicted,
		a_client_that_was_refused_sees_that_also_when_it_is_evicted,
		a_client_that_was_refused_is_read_from_up_to_a_bound,
		the_reserve_is_for_second_halves_and_other_relays,
		at_the_maximum_the_network_with_most_gives_one_and_else_the_newcomer_is_reset,
		at_the_maximum_a_stream_that_was_idle_for_a_minute_ends,
		an_address_that_has_its_maximum_makes_no_room_for_itself,
		connections_of_an_address_are_counted_until_they_are_closed,
		a_proxy_header_says_whose_connection_it_is,
		a_balancer_without_a_header_is_closed,
		a_relay_that_knows_the_secret_joins_a_stream_and_is_told_of_its_activation,
		a_relay_with_another_secret_or_for_a_hash_that_is_not_here_is_refused,
		a_claim_that_is_settled_otherwise_refuses_who_waits_for_it,
		an_owner_that_has_two_halves_already_makes_the_client_a_third_one,
	};

	return unit_run("handshake", tests, ARRAY_LEN(tests), halves_setup, halves_teardown);
}
