#include "relayd/io/transfer.c"
#include "relayd/stream/bridge.c"

#include "relayd/io/pipe_pool.h"
#include "tests/unit/tcp_pair.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

#define GONE_MS 1000

/* The far ends: the client, and the owner as it sees the bridge. */
static int client, owner;

static void setup(void)
{
	static struct relay_conf conf = { .idle_timeout_ms = 60000 };

	loop_init();
	pipe_pool_open(64, 4096);
	transfer_module.start(&conf);
	bridge_queue.delay_ms = GONE_MS;
	bridge_module.start(&conf);
}

static void teardown(void)
{
	bridge_module.stop();
	transfer_module.stop();
	pipe_pool_module.stop();
	close(client);
	close(owner);
	loop_release();
}

/* A half that is connected to *FAR. */
static struct half *half_to(int *far, void (*ready)(struct io *io, uint32_t events))
{
	union net_address address;
	int ends[2];

	tcp_pair(ends);
	*far = ends[0];
	ck_assert_int_eq(net_local(ends[1], &address), 0);
	return half_dialled(ends[1], &address, ready);
}

/* As when the owner has granted the half, and the client was told. */
static struct bridge *open_granted(void)
{
	struct bridge *bridge = mem_alloc(1, sizeof(*bridge));

	bridge->stream.bridged = true;
	bridge->stream.state = STREAM_WAITING;
	bridge->owner = mem_dup("relay-1");
	bridge->client = mem_dup("192.0.2.7:4711");
	list_append(&bridges.all, &bridge->link);
	bridges.count++;
	seat(bridge, BRIDGE_CLIENT, half_to(&client, on_owner));
	io_stop(&bridge->stream.halves[BRIDGE_CLIENT]->io);
	seat(bridge, BRIDGE_OWNER, half_to(&owner, on_owner));
	return bridge;
}

static struct bridge *open_active(void)
{
	struct bridge *bridge = open_granted();

	ck_assert_int_eq(send(owner, "\0", 1, 0), 1);
	WAIT_UNTIL(bridge->stream.state == STREAM_ACTIVE);
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
	ck_assert_int_eq(bridge->stream.state, STREAM_ACTIVE);
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

START_TEST(an_owner_that_closes_before_activation_ends_the_client_properly)
{
	(void)open_granted();
	shutdown(owner, SHUT_WR);
	WAIT_UNTIL(bridge_count() == 0);
	ck_assert_int_eq(read_some(client), 0);
}
END_TEST

START_TEST(an_owner_that_has_ended_and_a_client_that_stays_silent_do_not_last)
{
	uint64_t start;

	(void)open_active();
	start = loop_now_ms();
	shutdown(owner, SHUT_WR);
	WAIT_UNTIL(read_some(client) == 0);
	WAIT_UNTIL(bridge_count() == 0);
	ck_assert_uint_ge(loop_now_ms() - start, GONE_MS);
}
END_TEST

START_TEST(a_client_that_goes_on_sending_keeps_its_bridge)
{
	(void)open_active();
	shutdown(owner, SHUT_WR);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(send(client, "more", 4, MSG_NOSIGNAL), 4);
		WAIT_UNTIL(read_some(owner) == 4);
		turn_for(GONE_MS / 4);
	}
	ck_assert_uint_eq(bridge_count(), 1);
	shutdown(client, SHUT_WR);
	WAIT_UNTIL(bridge_count() == 0);
}
END_TEST

/* Sends to the owner, which doesn't read, until the kernel takes no more. */
static void fill(void)
{
	static char plenty[100000];

	for (int idle = 0; idle < 20; idle++) {
		if (send(client, plenty, sizeof(plenty), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			idle = 0;
		turn_for(2);
	}
}

START_TEST(bytes_that_the_owner_has_still_to_take_keep_a_bridge)
{
	struct bridge *bridge = open_active();

	fill();
	shutdown(owner, SHUT_WR);
	WAIT_UNTIL(bridge->stream.state == STREAM_DRAINING);
	turn_for(4 * GONE_MS);
	ck_assert_uint_eq(bridge_count(), 1);
}
END_TEST

START_TEST(a_direction_that_the_client_has_ended_is_the_owners_business)
{
	struct bridge *bridge = open_active();

	shutdown(client, SHUT_WR);
	WAIT_UNTIL(read_some(owner) == 0);
	turn_for(3 * GONE_MS);
	ck_assert_uint_eq(bridge_count(), 1);
	ck_assert(!list_linked(&bridge->stream.deadline.link));
	shutdown(owner, SHUT_WR);
	WAIT_UNTIL(bridge_count() == 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_client_is_not_read_before_the_owner_says_so,
		another_byte_than_that_of_activation_resets_the_client,
		an_owner_that_closes_before_activation_ends_the_client_properly,
		an_owner_that_has_ended_and_a_client_that_stays_silent_do_not_last,
		a_client_that_goes_on_sending_keeps_its_bridge,
		bytes_that_the_owner_has_still_to_take_keep_a_bridge,
		a_direction_that_the_client_has_ended_is_the_owners_business,
	};

	return unit_run("bridge", tests, ARRAY_LEN(tests), setup, teardown);
}
