#include <stdbool.h>

#include "common/base/loop.h"

static bool hurried; /* deadlines come after a hundredth of their time */

static void start_hurried(struct timer *timer, uint64_t delay_ms)
{
	timer_start(timer, hurried ? delay_ms / 100 : delay_ms);
}

static uint64_t frozen_ms; /* while it isn't 0 the acceptor's clock stands here */

static uint64_t frozen_now(void)
{
	return frozen_ms != 0 ? frozen_ms : loop_now_ms();
}

#define timer_start start_hurried
#define loop_now_ms frozen_now
#include "common/net/acceptor.c"
#undef loop_now_ms
#undef timer_start

#include <string.h>

#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

static struct acceptor acceptor;
static union net_address where;
static int spoken[64]; /* those that were handed on */
static size_t spoken_count;

static void on_spoke(struct acceptor *which, int fd, const union net_address *address)
{
	ck_assert_ptr_eq(which, &acceptor);
	ck_assert(net_is_loopback(address));
	ck_assert_uint_ne(net_port(address), 0);
	spoken[spoken_count++] = fd;
}

static void setup(void)
{
	log_init("unit", LOG_ERROR);
	loop_init();
	ck_assert_int_eq(net_parse("127.0.0.1:0", &where), 0);
	acceptor.spoke = on_spoke;
	acceptor.silent_max = 100;
	ck_assert_int_eq(acceptor_start(&acceptor, &where), 0);
	ck_assert_int_eq(net_local(acceptor.io.fd, &where), 0);
}

static void teardown(void)
{
	for (size_t i = 0; i < spoken_count; i++)
		close(spoken[i]);
	acceptor_stop(&acceptor);
	acceptor_stop(&acceptor);
	loop_release();
}

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, &where.sa, net_length(&where)), 0);
	return fd;
}

static void say(int fd, const void *data, size_t len)
{
	ck_assert_int_eq(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

static bool closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

START_TEST(who_says_a_byte_is_handed_on_with_it)
{
	int fd = dial();
	char byte;

	WAIT_UNTIL(acceptor.count == 1);
	turn_for(10);
	ck_assert_uint_eq(spoken_count, 0);
	say(fd, "G", 1);
	WAIT_UNTIL(spoken_count == 1);
	ck_assert_uint_eq(acceptor.count, 0);
	ck_assert_int_eq(recv(spoken[0], &byte, 1, 0), 1);
	ck_assert_int_eq(recv(spoken[0], &byte, 1, 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	close(fd);
}
END_TEST

START_TEST(with_tls_the_whole_first_record_is_waited_for_byte_by_byte)
{
	unsigned char hello[TLS_HEADER + 300] = { TLS_HANDSHAKE, 3, 1, 300 >> 8, 300 & 255 };
	int fd = dial();

	acceptor.tls = true;
	for (size_t i = 0; i < sizeof(hello); i++) {
		ck_assert_uint_eq(spoken_count, 0);
		say(fd, &hello[i], 1);
		loop_turn(0);
		loop_turn(0);
	}
	WAIT_UNTIL(spoken_count == 1);
	ck_assert_int_eq(recv(spoken[0], hello, sizeof(hello), MSG_PEEK), sizeof(hello));
	close(fd);
}
END_TEST

START_TEST(with_tls_what_is_no_handshake_is_handed_on_at_once)
{
	int fd = dial();

	acceptor.tls = true;
	say(fd, "G", 1);
	WAIT_UNTIL(spoken_count == 1);
	close(fd);
}
END_TEST

static void say_hello(int fd)
{
	static const unsigned char hello[TLS_HEADER + 5] = { TLS_HANDSHAKE, 3, 1, 0, 5 };

	say(fd, hello, sizeof(hello));
}

static int dial_from(const char *source)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	union net_address from;

	ck_assert_int_eq(net_numeric(source, 0, &from), 0);
	ck_assert_int_eq(bind(fd, &from.sa, net_length(&from)), 0);
	ck_assert_int_eq(connect(fd, &where.sa, net_length(&where)), 0);
	return fd;
}

START_TEST(with_tls_one_is_handed_on_in_a_turn)
{
	int fds[10];

	acceptor.tls = true;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		say_hello(fds[i] = dial());
	for (size_t before = 0; spoken_count < ARRAY_LEN(fds); before = spoken_count) {
		loop_turn(20);
		ck_assert_uint_le(spoken_count, before + 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}
END_TEST

/* The address that fd number INDEX came from, as it was handed on. */
static bool is_from(size_t index, const char *source)
{
	union net_address peer, from;
	socklen_t len = sizeof(peer);

	ck_assert_int_eq(net_numeric(source, 0, &from), 0);
	ck_assert_int_eq(getpeername(spoken[index], &peer.sa, &len), 0);
	return peer.in.sin_addr.s_addr == from.in.sin_addr.s_addr;
}

START_TEST(with_tls_an_address_that_has_had_many_waits_for_the_next_second)
{
	int fds[ACCEPTOR_HANDSHAKES + 6], other;
	size_t of_other = 0;

	acceptor.tls = true;
	frozen_ms = 5000;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		say_hello(fds[i] = dial());
	other = dial_from("127.0.0.2");
	say_hello(other);
	WAIT_UNTIL(spoken_count == ACCEPTOR_HANDSHAKES + 1);
	while (!is_from(of_other, "127.0.0.2"))
		of_other++;
	ck_assert_uint_le(of_other, ACCEPTOR_HANDSHAKES);
	WAIT_UNTIL(list_empty(&acceptor.ready) && acceptor.count == 6);
	frozen_ms += SECOND_MS;
	WAIT_UNTIL(spoken_count == ARRAY_LEN(fds) + 1);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	close(other);
}
END_TEST

START_TEST(a_record_larger_than_any_is_not_waited_for)
{
	static unsigned char hello[TLS_HEADER + TLS_HELLO_MAX] = { TLS_HANDSHAKE, 3, 1, 255, 255 };
	int fd = dial();

	acceptor.tls = true;
	say(fd, hello, sizeof(hello));
	WAIT_UNTIL(spoken_count == 1);
	close(fd);
}
END_TEST

START_TEST(who_leaves_without_a_word_is_handed_on_to_be_closed)
{
	int fd = dial();

	WAIT_UNTIL(acceptor.count == 1);
	close(fd);
	WAIT_UNTIL(spoken_count == 1);
	ck_assert_uint_eq(acceptor.count, 0);
}
END_TEST

START_TEST(who_is_silent_until_the_deadline_is_closed)
{
	uint64_t start_ms = loop_now_ms();
	int fd = dial();

	hurried = true;
	acceptor.tls = true;
	say(fd, "\x16", 1);
	WAIT_UNTIL(closed(fd));
	ck_assert_uint_ge(loop_now_ms() - start_ms, ACCEPTOR_SILENCE_MS / 100);
	ck_assert_uint_eq(acceptor.count + spoken_count, 0);
	close(fd);
}
END_TEST

START_TEST(of_too_many_the_one_that_was_silent_the_longest_goes)
{
	int fds[8];

	acceptor.silent_max = 5;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial();
		loop_turn(0);
	}
	WAIT_UNTIL(closed(fds[3]));
	ck_assert(closed(fds[0]) && closed(fds[1]) && closed(fds[2]));
	ck_assert(!closed(fds[4]));
	ck_assert_uint_eq(acceptor.count, 4);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
}
END_TEST

START_TEST(stopping_closes_who_is_silent)
{
	int fd = dial();

	WAIT_UNTIL(acceptor.count == 1);
	acceptor_stop(&acceptor);
	ck_assert(closed(fd));
	close(fd);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		who_says_a_byte_is_handed_on_with_it,
		with_tls_the_whole_first_record_is_waited_for_byte_by_byte,
		with_tls_what_is_no_handshake_is_handed_on_at_once,
		with_tls_one_is_handed_on_in_a_turn,
		with_tls_an_address_that_has_had_many_waits_for_the_next_second,
		a_record_larger_than_any_is_not_waited_for,
		who_leaves_without_a_word_is_handed_on_to_be_closed,
		who_is_silent_until_the_deadline_is_closed,
		of_too_many_the_one_that_was_silent_the_longest_goes,
		stopping_closes_who_is_silent,
	};

	return unit_run("acceptor", tests, ARRAY_LEN(tests), setup, teardown);
}
