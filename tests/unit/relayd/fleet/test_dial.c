#include "relayd/fleet/dial.c"

#include <stdlib.h>

#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define NAME "0123456789abcdefabcdef0123456789abcdef01"
#define NONCE "32 bytes that nobody can foresee"

static struct dial dial;
static int dones, got_fd;
static enum dial_outcome got;
static uint8_t hash[SOCKS5_HASH_LEN];
/* The owner's end, played by hand. */
static int listener, caller;
static union net_address address;

static void on_done(struct dial *done, int fd, enum dial_outcome outcome)
{
	ck_assert_ptr_eq(done, &dial);
	dones++;
	got_fd = fd;
	got = outcome;
}

static void setup(void)
{
	static char secret[] = "secret";
	static struct relay_conf conf = { .peer_secret = secret, .idle_timeout_ms = 60000 };

	loop_init();
	dial_module.start(&conf);
	ck_assert_int_eq(socks5_hash_parse(NAME, 40, hash), 0);
	ck_assert_int_eq(net_parse("127.0.0.1:0", &address), 0);
	listener = net_listen(&address, 5);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(net_local(listener, &address), 0);
	dial.done = on_done;
	caller = got_fd = -1;
}

static void teardown(void)
{
	if (got_fd >= 0)
		close(got_fd);
	if (caller >= 0)
		close(caller);
	close(listener);
	dial_module.stop();
	resolve_release();
	loop_release();
}

static void open_to_listener(void)
{
	char text[NET_TEXT_MAX];

	dial_open(&dial, "relay-1", net_format(&address, text), hash);
}

static bool accepted(void)
{
	caller = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return caller >= 0;
}

/* Waits until the dial has said LEN bytes; they are the answer. */
static const uint8_t *heard(size_t len)
{
	static uint8_t bytes[200];
	ssize_t n = 0;

	WAIT_UNTIL((n = recv(caller, bytes, sizeof(bytes), MSG_PEEK)) >= (ssize_t)len);
	ck_assert_int_eq(n, (ssize_t)len);
	ck_assert_int_eq(recv(caller, bytes, len, 0), (ssize_t)len);
	return bytes;
}

/* Says LEN bytes, each in a segment of its own. */
static void say_slowly(const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		ck_assert_int_eq(send(caller, (const uint8_t *)bytes + i, 1, MSG_NOSIGNAL), 1);
		loop_turn(1);
		loop_turn(1);
	}
}

/* As far as the challenge, of which the answer is returned. */
static const uint8_t *challenged(void)
{
	open_to_listener();
	WAIT_UNTIL(accepted());
	ck_assert_mem_eq(heard(PEERING_GREETING_LEN), "\x05\x01\x81", PEERING_GREETING_LEN);
	say_slowly("\x05\x81" NONCE, PEERING_CHALLENGE_LEN);
	return heard(PEERING_REQUEST_LEN);
}

static void check_outcome(enum dial_outcome outcome)
{
	WAIT_UNTIL(dones > 0);
	turn_for(20);
	ck_assert_int_eq(dones, 1);
	ck_assert_int_eq(got, outcome);
	ck_assert_int_eq(got_fd >= 0, outcome == DIAL_GRANTED);
}

START_TEST(a_grant_hands_over_the_connection_with_nothing_read_behind_it)
{
	const struct peering_key key = { "secret", "relay-1" };
	const uint8_t *request = challenged();
	uint8_t grant[PEERING_GRANT_LEN];
	char last[] = "?\0go", byte;

	ck_assert(peering_proof_is_right(request, (const uint8_t *)NONCE, &key));
	peering_grant(grant, request, (const uint8_t *)"\x05\x81" NONCE, &key);
	say_slowly(grant, sizeof(grant) - 1);
	ck_assert_int_eq(dones, 0);
	last[0] = (char)grant[sizeof(grant) - 1];
	ck_assert_int_eq(send(caller, last, 4, 0), 4); /* the grant's last byte, and more */
	check_outcome(DIAL_GRANTED);
	ck_assert_uint_eq(net_port(dial_address(&dial)), net_port(&address));
	ck_assert_int_eq(recv(got_fd, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 0);
	ck_assert_int_eq(recv(got_fd, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 'g');
}
END_TEST

START_TEST(a_grant_of_an_owner_that_does_not_know_the_secret_is_none)
{
	uint8_t grant[PEERING_GRANT_LEN];

	peering_grant(grant, challenged(), (const uint8_t *)"\x05\x81" NONCE,
	              &(struct peering_key){ "guess", "relay-1" });
	ck_assert_int_eq(send(caller, grant, sizeof(grant), 0), (ssize_t)sizeof(grant));
	check_outcome(DIAL_NO_RELAY);
}
END_TEST

START_TEST(refusals_are_told_apart)
{
	static const struct {
		const char *reply;
		enum dial_outcome outcome;
	} cases[] = {
		{ "\x05\x02\x00\x01\0\0\0\0\0\0", DIAL_THIRD_HALF },
		{ "\x05\x01\x00\x01\0\0\0\0\0\0", DIAL_REFUSED },
		{ "\x05\x07\x00\x01\0\0\0\0\0\0", DIAL_REFUSED },
		{ "\x05\x00\x00\x01\0\0\0\0\0\0", DIAL_NO_RELAY },
		{ "HTTP/1.1 4", DIAL_NO_RELAY },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)challenged();
		ck_assert_int_eq(send(caller, cases[i].reply, 10, 0), 10);
		check_outcome(cases[i].outcome);
		close(caller);
		caller = -1;
		dones = 0;
		dial = (struct dial){ .done = on_done };
	}
}
END_TEST

START_TEST(an_owner_that_hangs_up_has_cut_us_off)
{
	(void)challenged();
	close(caller);
	caller = -1;
	check_outcome(DIAL_CUT_OFF);
}
END_TEST

START_TEST(a_port_where_nobody_listens_is_unreachable)
{
	char text[NET_TEXT_MAX];

	close(listener);
	dial_open(&dial, "relay-1", net_format(&address, text), hash);
	check_outcome(DIAL_UNREACHABLE);
	listener = net_listen(&address, 5);
}
END_TEST

START_TEST(the_next_address_of_a_name_is_tried)
{
	union net_address found[DIAL_ADDRESSES_MAX + 1] = { [2] = address };

	net_parse("127.0.0.1:1", &found[0]);
	net_parse("[::1]:1", &found[1]);
	net_parse("127.0.0.1:2", &found[3]); /* more than are kept */
	open_to_listener();
	resolve_stop(&dial.resolve);
	on_resolved(&dial.resolve, found, ARRAY_LEN(found), NULL);
	WAIT_UNTIL(accepted());
	ck_assert_mem_eq(heard(PEERING_GREETING_LEN), "\x05\x01\x81", PEERING_GREETING_LEN);
	ck_assert_int_eq(dones, 0);
	dial_close(&dial);
}
END_TEST

START_TEST(what_is_no_address_has_none)
{
	dial_open(&dial, "relay-1", "no port", hash);
	check_outcome(DIAL_NO_ADDRESS);
}
END_TEST

START_TEST(an_owner_that_stays_silent_is_given_up_in_time)
{
	uint64_t start = loop_now_ms();

	dial_queue.delay_ms = 100;
	open_to_listener();
	check_outcome(DIAL_TIMED_OUT);
	ck_assert_uint_ge(loop_now_ms() - start, 100);
}
END_TEST

START_TEST(a_dial_that_was_given_up_is_never_done)
{
	(void)challenged();
	dial_close(&dial);
	turn_for(50);
	ck_assert_int_eq(dones, 0);
	open_to_listener();
	dial_close(&dial); /* before its address was known */
	turn_for(50);
	ck_assert_int_eq(dones, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_grant_hands_over_the_connection_with_nothing_read_behind_it,
		a_grant_of_an_owner_that_does_not_know_the_secret_is_none,
		refusals_are_told_apart,
		an_owner_that_hangs_up_has_cut_us_off,
		a_port_where_nobody_listens_is_unreachable,
		the_next_address_of_a_name_is_tried,
		what_is_no_address_has_none,
		an_owner_that_stays_silent_is_given_up_in_time,
		a_dial_that_was_given_up_is_never_done,
	};

	return unit_run("dial", tests, ARRAY_LEN(tests), setup, teardown);
}
