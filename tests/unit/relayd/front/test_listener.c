#include "relayd/front/listener.c"

#include <sys/resource.h>

#include "tests/unit/relay_halves.h"

static char *addresses[] = { (char *)"127.0.0.1:0", (char *)"[::1]:0", NULL };
static int clients[20], client_count;

static void setup(void)
{
	halves_setup();
	halves_conf.listen = addresses;
	ck_assert_int_eq(listener_module.start(&halves_conf), 0);
}

static void teardown(void)
{
	listener_module.stop();
	for (int i = 0; i < client_count; i++)
		close(clients[i]);
	halves_teardown();
}

static int connect_to(const union net_address *address)
{
	clients[client_count] = net_connect(address);
	ck_assert_int_ge(clients[client_count], 0);
	return clients[client_count++];
}

START_TEST(clients_are_accepted_at_each_address)
{
	for (size_t i = 0; i < 2; i++) {
		int fd = connect_to(listener_address(ORIGIN_CLIENT, i));

		WAIT_UNTIL(send(fd, "\x05\x01\x00", 3, MSG_NOSIGNAL) == 3);
		halves_expect(fd, "\x05\x00", 2);
	}
	ck_assert_ptr_null(listener_address(ORIGIN_CLIENT, 2));
}
END_TEST

START_TEST(relays_have_an_address_of_their_own_where_they_are_challenged)
{
	int fd = connect_to(listener_address(ORIGIN_RELAY, 0));

	WAIT_UNTIL(send(fd, "\x05\x01\x81", 3, MSG_NOSIGNAL) == 3);
	halves_expect(fd, "\x05\x81", 2);
}
END_TEST

START_TEST(without_a_descriptor_a_client_is_turned_away_and_accepting_pauses)
{
	struct rlimit limit, few;
	int second, lowest;

	(void)connect_to(listener_address(ORIGIN_CLIENT, 0));
	WAIT_UNTIL(conn_count() == 1);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	second = connect_to(listener_address(ORIGIN_CLIENT, 0));
	lowest = dup(0);
	ck_assert_int_ge(lowest, 0);
	close(lowest);
	few = (struct rlimit){ (rlim_t)lowest, limit.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	WAIT_UNTIL(listeners.paused);
	ck_assert_int_eq(pauses[0], 1);
	halves_expect_end(second, -ECONNRESET);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	WAIT_UNTIL(!listeners.paused);
	ck_assert_int_ge(listeners.reserve, 0);
	(void)connect_to(listener_address(ORIGIN_CLIENT, 0));
	WAIT_UNTIL(conn_count() == 2);
}
END_TEST

START_TEST(an_address_that_is_taken_is_a_failed_start)
{
	char text[NET_TEXT_MAX];
	char *taken[] = { text, NULL };
	union net_address address;
	int other;

	listener_module.stop();
	ck_assert_int_eq(net_parse("127.0.0.1:0", &address), 0);
	other = net_listen(&address, 1);
	ck_assert_int_eq(net_local(other, &address), 0);
	(void)net_format(&address, text);
	halves_conf.listen = taken;
	ck_assert_int_eq(listener_module.start(&halves_conf), -1);
	ck_assert_ptr_null(listener_address(ORIGIN_CLIENT, 0));
	close(other);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		clients_are_accepted_at_each_address,
		relays_have_an_address_of_their_own_where_they_are_challenged,
		without_a_descriptor_a_client_is_turned_away_and_accepting_pauses,
		an_address_that_is_taken_is_a_failed_start,
	};

	return unit_run("listener", tests, ARRAY_LEN(tests), setup, teardown);
}
