#include "common/base/loop.h"

/* The lease's timers run ten times as fast here. */
#define FASTER 10
#define timer_start(timer, delay_ms) timer_start(timer, (delay_ms) / FASTER)
#include "xmppgw/component/standby.c"
#undef timer_start

#include <sys/socket.h>
#include <unistd.h>

#include "common/daemon.h"
#include "tests/unit/redis_server.h"
#include "tests/unit/redis_tell.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

static char *role_names[] = { (char *)"relay", NULL };
static const struct conf_component component = {
	.domain = (char *)"proxy.example.org",
	.server = (char *)"127.0.0.1:1",
	.secret = (char *)"secret",
	.roles = role_names,
	.standby = true,
};
static struct conf conf = { .daemon = { .redis_prefix = (char *)"og:" } };
static struct redis_server server;

/* Two gateways in one process; what connects them to a server is left out. */
static struct gateway {
	struct stream stream;
	struct standby standby;
	int peer; /* the server's end of the connection; -1: none */
} gateways[2];
static struct gateway *const one = &gateways[0], *const two = &gateways[1];
static int ended;

static bool covered(const struct gateway *gateway)
{
	return gateway->standby.step == STANDBY_TAKE && gateway->standby.covered;
}

static void on_over(void)
{
	ended++;
}

static void on_change(struct stream *stream)
{
	struct gateway *gateway = container_of(stream, struct gateway, stream);

	if (stream->yielding)
		stream_yield(stream);
	standby_on_change(&gateway->standby);
}

static void setup(void)
{
	log_init("test_standby", LOG_ERROR);
	loop_init();
	redis_server_init(&server);
	redis_server_start(&server);
	conf.daemon.redis = server.url;
	ck_assert_int_eq(db_module.start(&conf), 0);
	ended = 0;
	for (unsigned i = 0; i < ARRAY_LEN(gateways); i++) {
		memset(&gateways[i], 0, sizeof(gateways[i]));
		gateways[i].peer = -1;
		stream_init(&gateways[i].stream, &component);
		gateways[i].stream.on_change = on_change;
		stream_start(&gateways[i].stream);
		ck_assert_int_eq(gateways[i].stream.state, STREAM_STANDBY);
	}
}

static void teardown(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(gateways); i++) {
		standby_stop(&gateways[i].standby);
		stream_stop(&gateways[i].stream);
		if (gateways[i].peer >= 0)
			close(gateways[i].peer);
	}
	db_module.stop();
	redis_server_release(&server);
	loop_release();
}

/* GATEWAY's stream, which the lease has let connect, is up. */
static void come_up(struct gateway *gateway)
{
	int pair[2];

	stream_stop(&gateway->stream);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	gateway->stream.fd = pair[0];
	gateway->peer = pair[1];
	gateway->stream.state = STREAM_UP;
	on_change(&gateway->stream);
}

static void start(struct gateway *gateway, const char *name)
{
	standby_start(&gateway->standby, &gateway->stream, name, on_over);
}

static void start_both(void)
{
	start(one, "gw1");
	WAIT_UNTIL(one->standby.step == STANDBY_HOLD);
	come_up(one);
	start(two, "gw2");
	WAIT_UNTIL(covered(two));
}

/* What end() of stream.c leaves when the server ended the stream. */
static void end_stream(struct gateway *gateway, bool displaced, uint32_t rest_ms)
{
	stream_stop(&gateway->stream);
	gateway->stream.displaced = displaced;
	gateway->stream.rest_ms = rest_ms;
	gateway->stream.state = STREAM_STANDBY;
	on_change(&gateway->stream);
}

START_TEST(one_of_two_has_the_lease_and_the_other_waits)
{
	start_both();
	ck_assert_int_eq(two->stream.state, STREAM_STANDBY);
	ck_assert(!covered(one));
	for (unsigned renewals = 0; renewals < 2; renewals++) {
		uint64_t due_ns = one->standby.timer.due_ns;

		WAIT_UNTIL(one->standby.timer.due_ns > due_ns);
		ck_assert_int_eq(one->standby.step, STANDBY_HOLD);
		ck_assert_int_eq(two->standby.step, STANDBY_TAKE);
	}
}
END_TEST

START_TEST(a_drained_gateway_gives_the_lease_back_before_it_is_over)
{
	start_both();
	one->stream.draining = true;
	stream_stop(&one->stream);
	on_change(&one->stream);
	ck_assert_int_ne(one->standby.step, STANDBY_OVER);
	WAIT_UNTIL(one->standby.step == STANDBY_OVER);
	ck_assert_int_eq(ended, 1);
	WAIT_UNTIL(two->standby.step == STANDBY_HOLD);
	ck_assert_int_ne(two->stream.state, STREAM_STANDBY);
}
END_TEST

START_TEST(a_gateway_that_only_waited_is_over_too)
{
	start_both();
	stream_stop(&two->stream);
	on_change(&two->stream);
	WAIT_UNTIL(two->standby.step == STANDBY_OVER);
	ck_assert_int_eq(one->standby.step, STANDBY_HOLD);
}
END_TEST

START_TEST(a_lease_that_nobody_renews_is_taken)
{
	start_both();
	standby_stop(&one->standby);
	WAIT_UNTIL(two->standby.step == STANDBY_HOLD);
}
END_TEST

START_TEST(a_holder_that_cannot_connect_lets_the_other_try)
{
	start_both();
	end_stream(one, false, 60000);
	ck_assert_int_eq(one->standby.step, STANDBY_GIVE_BACK);
	WAIT_UNTIL(two->standby.step == STANDBY_HOLD);
	ck_assert_int_eq(one->standby.step, STANDBY_REST);
	ck_assert_int_eq(one->stream.state, STREAM_STANDBY);
}
END_TEST

START_TEST(a_displaced_holder_waits_until_another_has_had_the_lease)
{
	start(one, "gw1");
	WAIT_UNTIL(one->standby.step == STANDBY_HOLD);
	come_up(one);
	end_stream(one, true, 5000);
	WAIT_UNTIL(one->standby.logged);
	ck_assert_int_eq(one->standby.step, STANDBY_LOOK);
	ck_assert(!covered(one));
	start(two, "gw2");
	WAIT_UNTIL(two->standby.step == STANDBY_HOLD);
	come_up(two);
	WAIT_UNTIL(covered(one));
}
END_TEST

START_TEST(a_holder_yields_at_the_second_refusal)
{
	start_both();
	take_renewal(&one->standby, "gw2 0");
	ck_assert_int_eq(one->standby.step, STANDBY_HOLD);
	take_renewal(&one->standby, one->standby.holder);
	take_renewal(&one->standby, "gw2 0");
	ck_assert_int_eq(one->stream.state, STREAM_UP);
	take_renewal(&one->standby, "gw2 0");
	ck_assert_int_eq(one->standby.step, STANDBY_YIELD);
	ck_assert_int_eq(one->stream.state, STREAM_CLOSING);
	close(one->peer);
	one->peer = -1;
	stream_yield(&one->stream); /* changes nothing */
	ck_assert_int_eq(one->stream.state, STREAM_CLOSING);
}
END_TEST

START_TEST(while_redis_is_away_the_holder_connects_and_the_other_does_not)
{
	start_both();
	redis_server_kill(&server);
	WAIT_UNTIL(two->standby.step == STANDBY_LOOK);
	ck_assert_int_eq(one->standby.step, STANDBY_HOLD);
	ck_assert_int_eq(one->stream.state, STREAM_UP);
	end_stream(one, false, 1);
	WAIT_UNTIL(one->stream.state != STREAM_STANDBY);
	ck_assert_int_eq(two->stream.state, STREAM_STANDBY);
	ck_assert(!covered(two));
}
END_TEST

START_TEST(after_redis_was_away_the_holder_renews_first)
{
	start_both();
	redis_server_kill(&server);
	WAIT_UNTIL(two->standby.step == STANDBY_LOOK);
	redis_server_start(&server); /* it has forgotten all */
	WAIT_UNTIL(covered(two));
	ck_assert_int_eq(one->standby.step, STANDBY_HOLD);
	ck_assert_int_eq(one->stream.state, STREAM_UP);
}
END_TEST

START_TEST(a_lease_that_was_being_taken_when_the_stream_went_off_is_given_back)
{
	start(one, "gw1");
	on_timer(&one->standby.timer);
	ck_assert(redis_busy(&one->standby.call));
	stream_stop(&one->stream);
	on_change(&one->stream);
	ck_assert_int_eq(one->standby.step, STANDBY_GIVE_BACK);
	WAIT_UNTIL(one->standby.step == STANDBY_OVER);
}
END_TEST

START_TEST(after_redis_was_away_the_holder_has_time_to_renew)
{
	uint64_t before_ns = loop_now_ns();

	start(one, "gw1");
	take_failure(&one->standby);
	ck_assert_int_eq(one->standby.step, STANDBY_LOOK);
	take_look(&one->standby, "gw2 0");
	ck_assert_int_eq(one->standby.step, STANDBY_TAKE);
	ck_assert_uint_ge(one->standby.timer.due_ns, before_ns + GRACE_MS / FASTER * 1000000ull);
}
END_TEST

START_TEST(a_reply_of_redis_ends_its_absence_and_a_lease_the_refusals)
{
	start(one, "gw1");
	take_failure(&one->standby);
	go(&one->standby, STANDBY_TAKE, 0);
	one->standby.refusals = REFUSALS_MAX;
	WAIT_UNTIL(one->standby.step == STANDBY_HOLD);
	ck_assert(!one->standby.away);
	ck_assert_int_eq(one->standby.refusals, 0);
}
END_TEST

START_TEST(while_redis_is_away_a_stream_that_ended_stays_with_its_holder_and_rests)
{
	start(one, "gw1");
	WAIT_UNTIL(one->standby.step == STANDBY_HOLD);
	take_failure(&one->standby);
	end_stream(one, false, 60000);
	ck_assert_int_eq(one->standby.step, STANDBY_HOLD);
	send_renewal(&one->standby);
	ck_assert_int_eq(one->stream.state, STREAM_STANDBY);
	redis_cancel(&one->standby.call);
	one->standby.due_ms = loop_now_ms();
	send_renewal(&one->standby);
	ck_assert_int_ne(one->stream.state, STREAM_STANDBY);
}
END_TEST

START_TEST(a_holder_that_gave_the_lease_back_rests_as_long_as_its_stream)
{
	uint64_t before_ns = loop_now_ns();

	start(one, "gw1");
	WAIT_UNTIL(one->standby.step == STANDBY_HOLD);
	end_stream(one, false, 60000);
	WAIT_UNTIL(one->standby.step == STANDBY_REST);
	ck_assert_uint_ge(one->standby.timer.due_ns, before_ns + 60000 / FASTER * 1000000ull);
}
END_TEST

START_TEST(a_process_that_begins_anew_has_no_lease_by_its_name)
{
	start(one, "gw1");
	start(two, "gw1");
	ck_assert_str_ne(one->standby.holder, two->standby.holder);
}
END_TEST

START_TEST(a_lease_from_before_the_clock_was_set_back_is_taken)
{
	redis_tell(server.url, "HSET og:standby:proxy.example.org holder gw2 ends 99999999999999");
	start(one, "gw1");
	WAIT_UNTIL(one->standby.step == STANDBY_HOLD);
}
END_TEST

static char ends[32];

static void on_ends(struct redis_call *call, const struct redisReply *reply)
{
	snprintf(ends, sizeof(ends), "%s", redis_reply_string(reply, NULL));
}

START_TEST(a_lease_that_another_gateway_has_is_not_given_back)
{
	struct redis_call call = { .done = on_ends };

	start(one, "gw1");
	WAIT_UNTIL(one->standby.step == STANDBY_HOLD);
	come_up(one);
	timer_stop(&one->standby.timer); /* no renewal comes between */
	redis_tell(server.url, "HSET og:standby:proxy.example.org holder gw2 ends 99999999999999");
	end_stream(one, false, 3600 * 1000);
	WAIT_UNTIL(one->standby.step == STANDBY_REST);
	redis_command(db_redis(DB_OWN), &call, "HGET og:standby:proxy.example.org ends");
	WAIT_UNTIL(ends[0] != '\0');
	ck_assert_str_eq(ends, "99999999999999");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		one_of_two_has_the_lease_and_the_other_waits,
		a_drained_gateway_gives_the_lease_back_before_it_is_over,
		a_gateway_that_only_waited_is_over_too,
		a_lease_that_nobody_renews_is_taken,
		a_holder_that_cannot_connect_lets_the_other_try,
		a_displaced_holder_waits_until_another_has_had_the_lease,
		a_holder_yields_at_the_second_refusal,
		while_redis_is_away_the_holder_connects_and_the_other_does_not,
		after_redis_was_away_the_holder_renews_first,
		a_lease_that_was_being_taken_when_the_stream_went_off_is_given_back,
		after_redis_was_away_the_holder_has_time_to_renew,
		a_reply_of_redis_ends_its_absence_and_a_lease_the_refusals,
		while_redis_is_away_a_stream_that_ended_stays_with_its_holder_and_rests,
		a_holder_that_gave_the_lease_back_rests_as_long_as_its_stream,
		a_process_that_begins_anew_has_no_lease_by_its_name,
		a_lease_from_before_the_clock_was_set_back_is_taken,
		a_lease_that_another_gateway_has_is_not_given_back,
	};

	return unit_run("standby", tests, ARRAY_LEN(tests), setup, teardown);
}
