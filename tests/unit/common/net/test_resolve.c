#include <ares.h>

/* The library asks the server of the test instead of the machine's. */
static int open_for_test(ares_channel *made, struct ares_options *options, int mask);

#define ares_init_options open_for_test
#include "common/net/resolve.c"
#undef ares_init_options

#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

/* ---- a name server in the test's own loop ---- */

enum manner { ANSWERS, FAILS, SILENT };

static struct io dns;
static struct sockaddr_in dns_address;
static enum manner manner;
static int questions;

static int open_for_test(ares_channel *made, struct ares_options *options, int mask)
{
	char lookups[] = "b"; /* DNS alone, whatever nsswitch.conf says */
	struct in_addr loopback = { htonl(INADDR_LOOPBACK) };

	options->servers = &loopback;
	options->nservers = 1;
	options->udp_port = ntohs(dns_address.sin_port);
	options->lookups = lookups;
	options->ndomains = 0;
	options->timeout = manner == SILENT ? 100 : 30000;
	return ares_init_options(made, options,
	                         mask | ARES_OPT_SERVERS | ARES_OPT_UDP_PORT | ARES_OPT_LOOKUPS |
	                                 ARES_OPT_DOMAINS);
}

/* RFC 1035 4: the question again, and for A 20 addresses 192.0.2.1 …, for AAAA 2001:db8::1. */
static void on_question(struct io *io, uint32_t events)
{
	unsigned char packet[1024];
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(io->fd, packet, 512, 0, (struct sockaddr *)&from, &from_len);
	size_t len = (size_t)n, end = 12;
	bool aaaa;

	questions++;
	if (manner == SILENT || n < 17)
		return;
	while (packet[end] != 0)
		end += packet[end] + 1u;
	end += 5;
	aaaa = packet[end - 3] == 28;
	packet[2] |= 0x80;
	packet[3] = manner == FAILS ? 3 : 0; /* no such name */
	packet[7] = manner == FAILS ? 0 : aaaa ? 1 : 20;
	packet[11] = 0; /* no EDNS in the answer */
	len = end;
	for (int i = 1; i <= packet[7]; i++) {
		const unsigned char head[] = { 0xc0, 12, 0, aaaa ? 28 : 1, 0, 1, 0, 0,
			                       0,    60, 0, aaaa ? 16 : 4 };
		const unsigned char v4[] = { 192, 0, 2, (unsigned char)i };
		const unsigned char v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };

		memcpy(packet + len, head, sizeof(head));
		memcpy(packet + len + sizeof(head), aaaa ? v6 : v4, head[11]);
		len += sizeof(head) + head[11];
	}
	sendto(io->fd, packet, len, 0, (struct sockaddr *)&from, from_len);
}

static void setup(void)
{
	socklen_t len = sizeof(dns_address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	loop_init();
	dns_address.sin_family = AF_INET;
	dns_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&dns_address, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&dns_address, &len), 0);
	dns.ready = on_question;
	ck_assert_int_eq(io_start(&dns, fd, EPOLLIN), 0);
}

static void teardown(void)
{
	resolve_release();
	loop_release();
}

/* ---- a look-up and what came of it ---- */

struct asked {
	struct resolve resolve;
	int answers;
	size_t count;
	union net_address addresses[RESOLVE_MAX];
	char why[64];
};

static void on_found(struct resolve *resolve, const union net_address *addresses, size_t count,
                     const char *why)
{
	struct asked *asked = container_of(resolve, struct asked, resolve);

	ck_assert_int_eq(count == 0, why != NULL);
	asked->answers++;
	asked->count = count;
	memcpy(asked->addresses, addresses, count * sizeof(*addresses));
	snprintf(asked->why, sizeof(asked->why), "%s", why != NULL ? why : "");
}

static void expect_first(struct asked *asked, const char *text)
{
	char formatted[NET_TEXT_MAX];

	WAIT_UNTIL(asked->answers > 0);
	ck_assert_int_eq(asked->answers, 1);
	ck_assert_msg(asked->count > 0, "%s", asked->why);
	ck_assert_ptr_null(asked->resolve.query);
	ck_assert_str_eq(net_format(&asked->addresses[0], formatted), text);
}

START_TEST(a_numeric_host_is_answered_in_a_later_turn_without_a_question)
{
	struct asked v4 = { .resolve.done = on_found }, v6 = v4;

	resolve_start(&v4.resolve, "192.0.2.9", 80);
	resolve_start(&v6.resolve, "2001:db8::9", 443);
	ck_assert_int_eq(v4.answers + v6.answers, 0);
	expect_first(&v4, "192.0.2.9:80");
	expect_first(&v6, "[2001:db8::9]:443");
	ck_assert_int_eq(questions, 0);
}
END_TEST

static bool has(const struct asked *asked, const char *text)
{
	char formatted[NET_TEXT_MAX];

	for (size_t i = 0; i < asked->count; i++)
		if (strcmp(net_format(&asked->addresses[i], formatted), text) == 0)
			return true;
	return false;
}

START_TEST(localhost_is_loopback_without_a_question)
{
	struct asked asked = { .resolve.done = on_found };

	resolve_start(&asked.resolve, "LocalHost", 80);
	ck_assert_int_eq(asked.answers, 0);
	expect_first(&asked, "127.0.0.1:80");
	ck_assert_uint_eq(asked.count, 2);
	ck_assert(has(&asked, "[::1]:80"));
	ck_assert_int_eq(questions, 0);
}
END_TEST

START_TEST(a_name_gives_its_addresses_with_the_port_up_to_a_bound)
{
	struct asked asked = { .resolve.done = on_found };

	resolve_start(&asked.resolve, "host.example", 5222);
	WAIT_UNTIL(asked.answers == 1);
	ck_assert_uint_eq(asked.count, RESOLVE_MAX);
	ck_assert(has(&asked, "192.0.2.1:5222") || has(&asked, "[2001:db8::1]:5222"));
}
END_TEST

START_TEST(many_look_ups_at_once_are_all_answered)
{
	struct asked asked[30] = { 0 };
	char host[32];

	for (int i = 0; i < 30; i++) {
		asked[i].resolve.done = on_found;
		snprintf(host, sizeof(host), "host-%d.example", i);
		resolve_start(&asked[i].resolve, host, 1);
	}
	for (int i = 0; i < 30; i++)
		WAIT_UNTIL(asked[i].answers == 1 && asked[i].count > 0);
}
END_TEST

START_TEST(a_name_that_is_none_fails_with_a_reason)
{
	struct asked asked = { .resolve.done = on_found };
	static const char *const names[] = { "no-such.example", "", "..", "a b" };

	manner = FAILS;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		asked.answers = 0;
		resolve_start(&asked.resolve, names[i], 1);
		ck_assert_int_eq(asked.answers, 0);
		WAIT_UNTIL(asked.answers == 1);
		ck_assert_uint_eq(asked.count, 0);
		ck_assert_str_ne(asked.why, "");
	}
}
END_TEST

START_TEST(a_server_that_says_nothing_is_asked_again_and_then_given_up)
{
	struct asked asked = { .resolve.done = on_found };

	manner = SILENT;
	resolve_start(&asked.resolve, "host.example", 1);
	WAIT_UNTIL(asked.answers == 1);
	ck_assert_uint_eq(asked.count, 0);
	ck_assert_int_ge(questions, TRIES);
}
END_TEST

START_TEST(a_look_up_that_was_stopped_is_not_answered)
{
	struct asked asked = { .resolve.done = on_found };

	resolve_start(&asked.resolve, "host.example", 1);
	resolve_stop(&asked.resolve);
	resolve_stop(&asked.resolve);
	resolve_start(&asked.resolve, "192.0.2.1", 1);
	resolve_stop(&asked.resolve);
	turn_for(100);
	ck_assert_int_eq(asked.answers, 0);
	ck_assert_uint_eq(under_way, 0);
}
END_TEST

START_TEST(a_new_look_up_takes_the_place_of_the_one_under_way)
{
	struct asked asked = { .resolve.done = on_found };

	resolve_start(&asked.resolve, "host.example", 1);
	resolve_start(&asked.resolve, "192.0.2.77", 2);
	expect_first(&asked, "192.0.2.77:2");
	turn_for(100);
	ck_assert_int_eq(asked.answers, 1);
}
END_TEST

static void look_up_again(struct resolve *resolve, const union net_address *addresses, size_t count,
                          const char *why)
{
	on_found(resolve, addresses, count, why);
	resolve->done = on_found;
	resolve_start(resolve, "host.example", 1);
}

START_TEST(a_callback_may_start_another)
{
	struct asked asked = { .resolve.done = look_up_again };

	resolve_start(&asked.resolve, "host.example", 1);
	WAIT_UNTIL(asked.answers == 2);
}
END_TEST

START_TEST(releasing_in_mid_look_up_leaves_nothing)
{
	struct asked asked = { .resolve.done = on_found };

	manner = SILENT;
	resolve_start(&asked.resolve, "host.example", 1);
	loop_turn(10);
	resolve_stop(&asked.resolve);
	resolve_release();
	ck_assert(list_empty(&sockets));
	ck_assert(!timer_active(&timeout));
	manner = ANSWERS;
	resolve_start(&asked.resolve, "host.example", 1);
	WAIT_UNTIL(asked.answers == 1 && asked.count > 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_numeric_host_is_answered_in_a_later_turn_without_a_question,
		localhost_is_loopback_without_a_question,
		a_name_gives_its_addresses_with_the_port_up_to_a_bound,
		many_look_ups_at_once_are_all_answered,
		a_name_that_is_none_fails_with_a_reason,
		a_server_that_says_nothing_is_asked_again_and_then_given_up,
		a_look_up_that_was_stopped_is_not_answered,
		a_new_look_up_takes_the_place_of_the_one_under_way,
		a_callback_may_start_another,
		releasing_in_mid_look_up_leaves_nothing,
	};

	return unit_run("resolve", tests, ARRAY_LEN(tests), setup, teardown);
}
