#include "relayd/stream/bridge.c"

#include "relayd/io/pump.h"
#include "tests/unit/logged.h"
#include "tests/unit/tcp_pair.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define IDLE_MS 500 /* of this relay's own streams */

/* The far ends: the client, and the owner as it sees the bridge. */
static int client, owner;

static void setup(void)
{
	static char listen[] = "127.0.0.1:0";
	static struct relay_conf conf = { .idle_timeout_ms = IDLE_MS, .peer_listen = listen };

	loop_init();
	pump_module.start(&conf);
	pair_module.start(&conf);
	dial_module.start(&conf);
	bridge_module.start(&conf);
}

static void teardown(void)
{
	bridge_module.stop();
	dial_module.stop();
	resolve_release();
	pair_module.stop();
	pump_module.stop();
	close(client);
	if (owner >= 0)
		close(owner);
	loop_release();
}

static int connect_to(int *far, union net_address *address)
{
	int ends[2];

	tcp_pair(ends);
	*far = ends[0];
	ck_assert_int_eq(net_local(ends[1], address), 0);
	return ends[1];
}

/* As when the owner has granted the half, and the client was told. */
static struct bridge *open_granted(void)
{
	static const uint8_t hash[SOCKS5_HASH_LEN];
	union net_address address;
	int fd = connect_to(&client, &address);
	struct bridge *bridge = bridge_new(conn_new(fd, &address, CONN_WAITING), hash, "relay-1");

	fd = connect_to(&owner, &address);
	seat_owner(bridge, fd, &address);
	return bridge;
}

static struct bridge *open_active(void)
{
	struct bridge *bridge = open_granted();

	ck_assert_int_eq(send(owner, "\0", 1, 0), 1);
	WAIT_UNTIL(bridge->state == BRIDGE_ACTIVE);
	return bridge;
}

/* What is there to be read from FD: the number of bytes, 0 at its end, or an errno as negative. */
static ssize_t read_some(int fd)
{
	char some[100];
	ssize_t n = recv(fd, some, sizeof(some), MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

START_TEST(a_client_is_not_read_before_the_owner_says_so)
{
	struct bridge *bridge = open_granted();

	ck_assert_int_eq(send(client, "early", 5, 0), 5);
	turn_for(50);
	ck_assert_int_eq(read_some(owner), -EAGAIN);
	ck_assert_int_eq(send(owner, "\0now", 4, 0), 4);
	WAIT_UNTIL(read_some(owner) == 5);
	WAIT_UNTIL(read_some(client) == 3);
	ck_assert_int_eq(bridge->state, BRIDGE_ACTIVE);
}
END_TEST

START_TEST(another_byte_than_that_of_activation_resets_the_client)
{
	(void)open_granted();
	ck_assert_int_eq(send(owner, "\x01", 1, 0), 1);
	WAIT_UNTIL(bridge_count() == 0);
	ck_assert_int_eq(read_some(client), -ECONNRESET);
}
END_TEST

START_TEST(an_owner_that_leaves_before_activation_resets_the_client)
{
	(void)open_granted();
	shutdown(owner, SHUT_WR);
	WAIT_UNTIL(bridge_count() == 0);
	ck_assert_int_eq(read_some(client), -ECONNRESET);
}
END_TEST

START_TEST(how_long_nothing_may_happen_is_up_to_the_owner)
{
	(void)open_active();
	turn_for(3 * IDLE_MS);
	ck_assert_uint_eq(bridge_count(), 1);
	shutdown(client, SHUT_WR);
	WAIT_UNTIL(read_some(owner) == 0);
	turn_for(3 * IDLE_MS);
	ck_assert_uint_eq(bridge_count(), 1);
	shutdown(owner, SHUT_WR);
	WAIT_UNTIL(bridge_count() == 0);
}
END_TEST

START_TEST(bytes_are_counted_by_direction)
{
	struct bridge *bridge = open_active();

	ck_assert_int_eq(send(client, "12345", 5, 0), 5);
	ck_assert_int_eq(send(owner, "123", 3, 0), 3);
	WAIT_UNTIL(carried[CLIENT] == 5 && carried[OWNER] == 3);
	ck_assert_uint_eq(bridge_bytes(), 8);
	ck_assert_int_eq(bridge->state, BRIDGE_ACTIVE);
}
END_TEST

START_TEST(a_client_that_leaves_before_activation_ends_the_connection_to_the_owner)
{
	struct bridge *bridge = open_granted();
	struct conn *half = bridge->pair.conns[CLIENT];

	pair_leave(half, REASON_ABANDONED);
	conn_close(half, false);
	ck_assert_uint_eq(bridge_count(), 0);
	ck_assert_int_eq(by_reason[REASON_ABANDONED], 1);
	WAIT_UNTIL(read_some(owner) == 0);
}
END_TEST

START_TEST(bridges_that_were_never_activated_leave_ten_lines_a_second)
{
	struct logged logged = logged_start();
	const char *text;

	for (int i = 0; i < 15; i++) {
		end(open_granted(), REASON_OWNER_LEFT);
		close(client);
		close(owner);
	}
	end(open_active(), REASON_OWNER_LEFT);
	log_rate_stop();
	text = logged_end(&logged);
	ck_assert_uint_eq(logged_count(text, " bridge-ended "), 10 + 1);
	ck_assert_uint_eq(logged_count(text, "what=bridge-ended reason=owner-left count=5\n"), 1);
}
END_TEST

/* Dialling */

static int dialled;
static enum dial_outcome dial_outcome;

static void on_dialled_here(struct conn *conn, enum dial_outcome outcome)
{
	dialled++;
	dial_outcome = outcome;
	ck_assert_int_eq(conn->pair != NULL, outcome == DIAL_GRANTED);
	if (conn->pair == NULL)
		conn_close(conn, false);
}

static struct bridge *open_dialling(const char *peering)
{
	static const uint8_t hash[SOCKS5_HASH_LEN];
	const struct claim_owner other = { "relay-2", peering };
	union net_address address;
	int fd = connect_to(&client, &address);

	owner = -1;
	ck_assert(
	        bridge_open(conn_new(fd, &address, CONN_CLAIMING), hash, &other, on_dialled_here));
	return container_of(list_first(&bridges.all), struct bridge, link);
}

START_TEST(a_client_whose_owner_cannot_be_reached_is_handed_back)
{
	(void)open_dialling("127.0.0.1:1");
	ck_assert_uint_eq(bridge_count(), 1);
	WAIT_UNTIL(dialled == 1);
	ck_assert_int_eq(dial_outcome, DIAL_UNREACHABLE);
	ck_assert_uint_eq(bridge_count(), 0);
}
END_TEST

START_TEST(a_client_that_leaves_while_its_owner_is_dialled_is_not_handed_back)
{
	struct conn *half = open_dialling("127.0.0.1:1")->pair.conns[CLIENT];

	pair_leave(half, REASON_EVICTED);
	conn_close(half, false);
	ck_assert_uint_eq(bridge_count(), 0);
	turn_for(50);
	ck_assert_int_eq(dialled, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_client_is_not_read_before_the_owner_says_so,
		another_byte_than_that_of_activation_resets_the_client,
		an_owner_that_leaves_before_activation_resets_the_client,
		how_long_nothing_may_happen_is_up_to_the_owner,
		bytes_are_counted_by_direction,
		a_client_that_leaves_before_activation_ends_the_connection_to_the_owner,
		bridges_that_were_never_activated_leave_ten_lines_a_second,
		a_client_whose_owner_cannot_be_reached_is_handed_back,
		a_client_that_leaves_while_its_owner_is_dialled_is_not_handed_back,
	};

	return unit_run("bridge", tests, ARRAY_LEN(tests), setup, teardown);
}
