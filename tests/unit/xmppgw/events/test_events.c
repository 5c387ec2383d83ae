#include "xmppgw/events/events.c"

#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/redis_server.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

static char *relay_role[] = { (char *)"relay", NULL }, *push_role[] = { (char *)"push", NULL };
static char *admins[] = { (char *)"root@example.org", NULL };
static char *more_admins[] = { (char *)"root@example.org", (char *)"root@example.net",
	                       (char *)"root@elsewhere.example", NULL };
static struct conf_component configured[] = {
	{ .domain = (char *)"proxy.example.net", .server = (char *)"127.0.0.1:1" },
	{ .domain = (char *)"push.example.net",
	  .server = (char *)"127.0.0.1:1",
	  .admins = more_admins },
	{ .domain = (char *)"push.example.org", .server = (char *)"127.0.0.1:1", .admins = admins },
};
static struct conf conf = {
	.daemon = { .id = (char *)"gw1", .redis_prefix = (char *)"og:" },
	.components = { configured, ARRAY_LEN(configured) },
};
static struct redis_server server;
static struct stream *proxy;
static int peer = -1; /* the XMPP server's end of PROXY's connection */

static struct follower *first_follower(void)
{
	return container_of(list_first(&followers), struct follower, link);
}

/* A command of the test, and what came of it. */
struct asked {
	struct redis_call call;
	bool done;
	long long number; /* the reply, or its first element */
};

static void on_asked(struct redis_call *call, const struct redisReply *reply)
{
	struct asked *asked = container_of(call, struct asked, call);

	ck_assert_ptr_nonnull(reply);
	ck_assert_msg(redis_reply_error(reply) == NULL, "%s", redis_reply_error(reply));
	asked->number = redis_reply_integer(
	        redis_reply_count(reply) > 0 ? redis_reply_at(reply, 0) : reply, -1);
	asked->done = true;
}

/* Waits until Redis has carried out ARGV, which ends with NULL; returns the number that it says. */
static long long ask_redis(const char *const *argv)
{
	struct asked asked = { .call.done = on_asked };
	size_t argc = 0;

	while (argv[argc] != NULL)
		argc++;
	redis_send(db_redis(DB_RELAY), &asked.call, argc, argv, NULL);
	WAIT_UNTIL(asked.done);
	return asked.number;
}

#define REDIS(...) ask_redis((const char *[]){ __VA_ARGS__, NULL })

static void add_event(const char *json)
{
	REDIS("XADD", "og:events", "*", "event", json);
}

#define OVER_LIMIT                                                                                 \
	"{\"type\":\"over-limit\",\"component\":\"proxy.example.net\",\"requester\":"              \
	"\"a@example.net/r\",\"target\":\"b@example.net/t\",\"reason\":\"Enough.\"}"
#define FOREIGN                                                                                    \
	"{\"type\":\"over-limit\",\"component\":\"other.example\",\"requester\":\"a@b/c\","        \
	"\"target\":\"a@b/c\",\"reason\":\"Enough.\"}"

/* How many entries were given to PROXY's group and not acknowledged. */
static long long count_pending(void)
{
	return REDIS("XPENDING", "og:events", "proxy.example.net");
}

static void setup(void)
{
	log_init("test_events", LOG_ERROR);
	loop_init();
	redis_server_init(&server);
	redis_server_start(&server);
	conf.daemon.redis = server.url;
	configured[0].roles = relay_role;
	configured[1].roles = configured[2].roles = push_role;
	ck_assert_int_eq(db_module.start(&conf), 0);
	ck_assert_int_eq(components_module.start(&conf), 0);
	proxy = components_next(NULL);
}

static void teardown(void)
{
	events_module.stop();
	components_module.stop();
	db_module.stop();
	if (peer >= 0)
		close(peer);
	redis_server_release(&server);
	loop_release();
}

/* PROXY's stream is up on a new connection. */
static void come_up(void)
{
	int pair[2];

	if (peer >= 0)
		close(peer);
	stream_stop(proxy);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	proxy->fd = pair[0];
	peer = pair[1];
	proxy->state = STREAM_UP;
	proxy->up_since_ms = loop_now_ms();
}

static void start_events(void)
{
	ck_assert_int_eq(events_module.start(&conf), 0);
}

/* What has come to the XMPP server since the start. */
static const char *received(void)
{
	static char text[65536];
	static size_t len;
	ssize_t count = recv(peer, text + len, sizeof(text) - 1 - len, 0);

	len += count > 0 ? (size_t)count : 0;
	text[len] = '\0';
	return text;
}

static unsigned count_messages(void)
{
	unsigned count = 0;

	for (const char *at = received(); (at = strstr(at, "<message ")) != NULL; at++)
		count++;
	return count;
}

START_TEST(an_event_is_told_to_both_parties_and_acknowledged)
{
	come_up();
	start_events();
	add_event(FOREIGN);
	add_event(OVER_LIMIT);
	add_event("[]");
	WAIT_UNTIL(count_messages() == 2);
	ck_assert_ptr_nonnull(strstr(received(), " to='a@example.net/r'>"));
	ck_assert_ptr_nonnull(strstr(received(), " to='b@example.net/t'>"));
	WAIT_UNTIL(outcome_numbers[OUTCOME_MALFORMED] == 1);
	WAIT_UNTIL(first_follower()->step == STEP_READ && first_follower()->id_count == 0);
	ck_assert_int_eq(count_pending(), 0);
	ck_assert_uint_eq(count_messages(), 2);
	ck_assert_int_eq(outcome_numbers[OUTCOME_TOLD], 1);
	ck_assert_int_eq(outcome_numbers[OUTCOME_FOREIGN], 1);
}
END_TEST

START_TEST(an_entry_is_not_acknowledged_before_its_messages_have_left)
{
	static char junk[65536];

	come_up();
	while (send(proxy->fd, junk, sizeof(junk), 0) > 0)
		; /* until the socket is full */
	start_events();
	add_event(OVER_LIMIT);
	WAIT_UNTIL(first_follower()->step == STEP_ACKNOWLEDGE);
	WAIT_UNTIL(proxy->io.events & EPOLLOUT); /* the flush has been tried */
	turn_for(3 * UNSENT_MS);
	ck_assert_int_eq(first_follower()->step, STEP_ACKNOWLEDGE);
	ck_assert_int_eq(count_pending(), 1);
	while (recv(peer, junk, sizeof(junk), 0) > 0)
		; /* the server reads again */
	WAIT_UNTIL(first_follower()->step != STEP_ACKNOWLEDGE);
	ck_assert_int_eq(count_pending(), 0);
}
END_TEST

START_TEST(all_that_this_gateway_was_given_before_it_went_down_is_told)
{
	for (unsigned i = 0; i < ENTRIES_MAX + 1; i++)
		add_event(OVER_LIMIT);
	REDIS("XGROUP", "CREATE", "og:events", "proxy.example.net", "0");
	REDIS("XREADGROUP", "GROUP", "proxy.example.net", "gw1", "STREAMS", "og:events", ">");
	ck_assert_int_eq(count_pending(), ENTRIES_MAX + 1);
	come_up();
	start_events();
	WAIT_UNTIL(first_follower()->step == STEP_READ && first_follower()->id_count == 0);
	ck_assert_int_eq(count_pending(), 0);
	ck_assert_uint_eq(count_messages(), 2 * (ENTRIES_MAX + 1));
}
END_TEST

START_TEST(entries_of_a_gateway_that_died_are_taken_over_and_those_of_a_living_one_are_not)
{
	add_event(OVER_LIMIT);
	add_event(OVER_LIMIT);
	REDIS("XGROUP", "CREATE", "og:events", "proxy.example.net", "0");
	REDIS("XREADGROUP", "GROUP", "proxy.example.net", "gw2", "COUNT", "1", "STREAMS",
	      "og:events", ">");
	come_up();
	start_events();
	WAIT_UNTIL(first_follower()->step == STEP_READ && count_pending() == 1);
	ck_assert_uint_eq(count_messages(), 2);
	REDIS("EVAL",
	      "local id = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1)[1][1] "
	      "return #redis.call('XCLAIM', KEYS[1], ARGV[1], 'gw2', 0, id, 'IDLE', 40000)",
	      "1", "og:events", "proxy.example.net");
	first_follower()->taken_ms = 0; /* the next search is due */
	WAIT_UNTIL(count_messages() == 4);
	WAIT_UNTIL(count_pending() == 0);
}
END_TEST

START_TEST(while_the_stream_is_down_events_wait_and_a_new_stream_gets_them)
{
	come_up();
	start_events();
	WAIT_UNTIL(first_follower()->step == STEP_READ);
	proxy->state = STREAM_WAITING;
	add_event(OVER_LIMIT);
	turn_for(2 * POLL_MS);
	ck_assert_int_eq(outcome_numbers[OUTCOME_TOLD], 0);
	ck_assert_int_eq(count_pending(), 0);
	come_up();
	WAIT_UNTIL(count_messages() == 2);
}
END_TEST

START_TEST(a_draining_stream_takes_no_more_events)
{
	come_up();
	start_events();
	WAIT_UNTIL(first_follower()->step == STEP_READ);
	proxy->draining = true;
	turn_for(POLL_MS); /* a read may be under way */
	add_event(OVER_LIMIT);
	turn_for(2 * POLL_MS);
	ck_assert_int_eq(outcome_numbers[OUTCOME_TOLD], 0);
	ck_assert_int_eq(count_pending(), 0);
}
END_TEST

START_TEST(messages_of_a_connection_that_broke_are_told_on_the_next_one)
{
	come_up();
	start_events();
	WAIT_UNTIL(first_follower()->step == STEP_READ);
	add_event(OVER_LIMIT);
	WAIT_UNTIL(first_follower()->step == STEP_ACKNOWLEDGE);
	stream_stop(proxy); /* with what it had not sent */
	WAIT_UNTIL(first_follower()->step == STEP_GROUP);
	come_up();
	WAIT_UNTIL(count_messages() == 2);
	WAIT_UNTIL(count_pending() == 0);
}
END_TEST

START_TEST(messages_of_a_connection_that_was_replaced_are_told_on_the_new_one)
{
	come_up();
	start_events();
	WAIT_UNTIL(first_follower()->step == STEP_READ);
	add_event(OVER_LIMIT);
	WAIT_UNTIL(first_follower()->step == STEP_ACKNOWLEDGE);
	come_up(); /* before the next step */
	proxy->up_since_ms++;
	WAIT_UNTIL(count_messages() == 2);
	WAIT_UNTIL(count_pending() == 0);
}
END_TEST

START_TEST(an_admin_is_told_by_the_push_component_of_his_own_server)
{
	struct stream *first_push = components_next(proxy), *second = components_next(first_push);

	ck_assert(same_server("push.example.org", "root@example.org"));
	ck_assert(!same_server("example.org", "root@example.org"));
	ck_assert(!same_server("pushexample.org", "root@example.org"));
	ck_assert(!same_server("push.example.org", "root@push.example.org"));
	ck_assert_ptr_eq(component_for_admin("root@example.org", ROLE_PUSH), second);
	ck_assert_ptr_eq(component_for_admin("root@example.net", ROLE_PUSH), first_push);
	ck_assert_ptr_eq(component_for_admin("root@elsewhere.example", ROLE_PUSH), first_push);
	ck_assert_ptr_null(component_for_admin("nobody@example.org", ROLE_PUSH));
}
END_TEST

static bool written(struct stream *stream, const char *text)
{
	return memmem(buf_data(&stream->output), buf_len(&stream->output), text, strlen(text)) !=
	       NULL;
}

START_TEST(a_notice_is_written_once_and_an_old_one_is_not)
{
	struct event event = { .kind = EVENT_CREDENTIAL_EXPIRY, .at_ms = loop_wall_ms() };
	struct stream *first_push = components_next(proxy), *second = components_next(first_push);

	ck_assert(!write_event(proxy, &event, "1-0"));
	ck_assert(write_event(first_push, &event, "1-0"));
	ck_assert(!written(first_push, "to='root@example.org'"));
	ck_assert(written(first_push, "to='root@example.net'"));
	ck_assert(write_event(second, &event, "1-0"));
	ck_assert_uint_gt(stream_unsent(second), 0);
	event.at_ms -= NOTICE_LIFE_MS;
	ck_assert(!write_event(second, &event, "1-0"));
	task_stop(&first_push->flush); /* there is no connection */
	task_stop(&second->flush);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_event_is_told_to_both_parties_and_acknowledged,
		an_entry_is_not_acknowledged_before_its_messages_have_left,
		all_that_this_gateway_was_given_before_it_went_down_is_told,
		entries_of_a_gateway_that_died_are_taken_over_and_those_of_a_living_one_are_not,
		while_the_stream_is_down_events_wait_and_a_new_stream_gets_them,
		a_draining_stream_takes_no_more_events,
		messages_of_a_connection_that_broke_are_told_on_the_next_one,
		messages_of_a_connection_that_was_replaced_are_told_on_the_new_one,
		an_admin_is_told_by_the_push_component_of_his_own_server,
		a_notice_is_written_once_and_an_old_one_is_not,
	};

	return unit_run("events", tests, ARRAY_LEN(tests), setup, teardown);
}
