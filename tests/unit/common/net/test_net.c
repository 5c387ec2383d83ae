#include "common/net/net.c"

#include <fcntl.h>
#include <poll.h>

#include "common/base/mem.h"
#include "tests/unit/unit.h"

START_TEST(host_and_port_are_split)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} cases[] = {
		{ "example.org:5347", "example.org", 5347 },
		{ "1.2.3.4:0", "1.2.3.4", 0 },
		{ "[::1]:65535", "::1", 65535 },
		{ "[2001:db8::a]:80", "2001:db8::a", 80 },
		{ "my_host-1:00080", "my_host-1", 80 },
	};
	char host[NET_HOST_MAX + 1];
	uint16_t port;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ck_assert_int_eq(net_split(cases[i].text, host, &port), 0);
		ck_assert_str_eq(host, cases[i].host);
		ck_assert_uint_eq(port, cases[i].port);
	}
}
END_TEST

START_TEST(what_is_not_host_and_port_is_refused)
{
	static const char *const texts[] = {
		"",        "host",    ":80",       "host:",        "host:65536",   "host:-1",
		"host:+1", "host: 1", "host:1x",   "host:000080",  "::1:80",       "[::1]",
		"[::1]80", "[]:80",   "[host]:80", "[:80",         "ho st:80",     "host/x:80",
		"a@b:80",  "[::1:80", "::1]:80",   "h\xc3\xa4:80", "[1.2.3.4]:80",
	};
	char host[NET_HOST_MAX + 1];
	uint16_t port;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		ck_assert_msg(net_split(texts[i], host, &port) == -1, "took '%s'", texts[i]);
}
END_TEST

START_TEST(a_host_of_253_bytes_fits_and_a_longer_one_is_refused)
{
	char text[NET_HOST_MAX + 5];
	char host[NET_HOST_MAX + 1];
	uint16_t port;

	memset(text, 'a', sizeof(text));
	memcpy(text + NET_HOST_MAX, ":80", 4);
	ck_assert_int_eq(net_split(text, host, &port), 0);
	ck_assert_uint_eq(strlen(host), NET_HOST_MAX);
	memset(text, 'a', sizeof(text));
	memcpy(text + NET_HOST_MAX + 1, ":80", 4);
	ck_assert_int_eq(net_split(text, host, &port), -1);
}
END_TEST

/* TEXT read and written again must be EXPECTED. */
static void check_format(const char *text, const char *expected)
{
	union net_address address;
	char formatted[NET_TEXT_MAX];

	ck_assert_int_eq(net_parse(text, &address), 0);
	ck_assert_str_eq(net_format(&address, formatted), expected);
}

START_TEST(addresses_are_written_as_they_are_read)
{
	check_format("1.2.3.4:80", "1.2.3.4:80");
	check_format("[::1]:1080", "[::1]:1080");
	check_format("[::]:0", "[::]:0");
	check_format("[2001:DB8:0:0::1]:9", "[2001:db8::1]:9");
	check_format("[::ffff:1.2.3.4]:80", "1.2.3.4:80");
	check_format("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	             "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}
END_TEST

START_TEST(a_name_is_not_a_numeric_address)
{
	union net_address address;
	char text[NET_TEXT_MAX];

	ck_assert_int_eq(net_parse("localhost:80", &address), -1);
	ck_assert_int_eq(net_parse("1.2.3:80", &address), -1);
	ck_assert_int_eq(net_numeric("example.org", 80, &address), -1);
	ck_assert_int_eq(net_numeric("::1", 80, &address), 0);
	ck_assert_uint_eq(net_port(&address), 80);
	ck_assert_uint_eq(net_length(&address), sizeof(struct sockaddr_in6));
	memset(&address, 0, sizeof(address));
	ck_assert_str_eq(net_format(&address, text), "-");
	ck_assert_uint_eq(net_port(&address), 0);
}
END_TEST

START_TEST(loopback_addresses_and_wildcards_are_known)
{
	static const struct {
		const char *text;
		bool loopback, wildcard;
	} cases[] = {
		{ "127.0.0.1:1", true, false },  { "127.255.0.9:1", true, false },
		{ "[::1]:1", true, false },      { "[::ffff:127.0.0.1]:1", true, false },
		{ "128.0.0.1:1", false, false }, { "[::ffff:10.0.0.1]:1", false, false },
		{ "[::2]:1", false, false },     { "0.0.0.0:1", false, true },
		{ "[::]:1", false, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		union net_address address;

		ck_assert_int_eq(net_parse(cases[i].text, &address), 0);
		ck_assert_int_eq(net_is_loopback(&address), cases[i].loopback);
		ck_assert_int_eq(net_is_wildcard(&address), cases[i].wildcard);
	}
}
END_TEST

/* Listens on TEXT; *ADDRESS is then where. */
static int listen_on(const char *text, union net_address *address)
{
	int fd;

	ck_assert_int_eq(net_parse(text, address), 0);
	fd = net_listen(address, 8);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(net_local(fd, address), 0);
	ck_assert_uint_ne(net_port(address), 0);
	return fd;
}

static void wait_for(int fd, short events)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };

	ck_assert_int_eq(poll(&poll_fd, 1, 10000), 1);
}

static void check_flags(int fd)
{
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
}

/* Connects to ADDRESS, where LISTENER listens, and checks both ends. */
static void check_connection(int listener, const union net_address *address)
{
	union net_address here, there;
	socklen_t len = sizeof(there);
	int client = net_connect(address);
	int server;

	ck_assert_int_ge(client, 0);
	check_flags(client);
	wait_for(client, POLLOUT);
	ck_assert_int_eq(net_connect_error(client), 0);
	wait_for(listener, POLLIN);
	server = accept(listener, &there.sa, &len);
	ck_assert_int_ge(server, 0);
	ck_assert_int_eq(net_local(client, &here), 0);
	ck_assert_uint_eq(net_port(&here), net_port(&there));
	ck_assert(net_is_loopback(&there));
	close(client);
	close(server);
}

START_TEST(a_connection_reaches_its_listener)
{
	union net_address address;
	int listener = listen_on("127.0.0.1:0", &address);

	check_flags(listener);
	check_connection(listener, &address);
	close(listener);
}
END_TEST

START_TEST(the_ipv6_wildcard_takes_ipv4_too)
{
	union net_address address, v4;
	int listener = listen_on("[::]:0", &address);

	ck_assert_int_eq(net_numeric("127.0.0.1", net_port(&address), &v4), 0);
	check_connection(listener, &v4);
	close(listener);
}
END_TEST

START_TEST(an_address_in_use_is_an_error_with_errno)
{
	union net_address address;
	int listener = listen_on("127.0.0.1:0", &address);

	ck_assert_int_eq(net_listen(&address, 8), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	close(listener);
}
END_TEST

START_TEST(a_refused_connection_tells_why)
{
	union net_address address;
	int listener = listen_on("127.0.0.1:0", &address);
	int client;

	close(listener);
	client = net_connect(&address);
	if (client < 0) {
		ck_assert_int_eq(errno, ECONNREFUSED);
		return;
	}
	wait_for(client, POLLOUT);
	ck_assert_int_eq(net_connect_error(client), ECONNREFUSED);
	close(client);
}
END_TEST

static int get_option(int fd, int level, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	ck_assert_int_eq(getsockopt(fd, level, option, &value, &len), 0);
	return value;
}

START_TEST(keepalive_and_user_timeout_are_set)
{
	union net_address address;
	int fd = listen_on("127.0.0.1:0", &address);

	net_keepalive(fd, 60, 10);
	net_user_timeout(fd, 30000);
	ck_assert_int_eq(get_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
	ck_assert_int_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 10);
	ck_assert_int_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
	ck_assert_int_eq(get_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 30000);
	close(fd);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		host_and_port_are_split,
		what_is_not_host_and_port_is_refused,
		a_host_of_253_bytes_fits_and_a_longer_one_is_refused,
		addresses_are_written_as_they_are_read,
		a_name_is_not_a_numeric_address,
		loopback_addresses_and_wildcards_are_known,
		a_connection_reaches_its_listener,
		the_ipv6_wildcard_takes_ipv4_too,
		an_address_in_use_is_an_error_with_errno,
		a_refused_connection_tells_why,
		keepalive_and_user_timeout_are_set,
	};

	return unit_run("net", tests, ARRAY_LEN(tests), NULL, NULL);
}
