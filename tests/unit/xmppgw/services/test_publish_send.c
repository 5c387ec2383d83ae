#include <sys/socket.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/registry.h"
/* Push daemons are known by the registry alone, so the test reaches into both modules. */
#define start start_backends
#define stop stop_backends
#include "xmppgw/backend/backend.c"
#undef start
#undef stop
#include "common/http/http_server.h"
#include "tests/unit/stanza.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"
#include "xmppgw/services/publish_send.c"

static char *role_names[] = { (char *)"push", NULL };
static const struct conf_component component = {
	.domain = (char *)"push.example",
	.roles = role_names,
};
static char *no_addresses[] = { NULL };
static struct conf_relay relay = { (char *)"r1", (char *)"http://127.0.0.1:1", no_addresses };
static struct conf conf = {
	.daemon = { .redis = (char *)"none", .api_token = (char *)"token" },
	.relays = { &relay, 1 },
};
static struct stream *stream;
static int peer; /* the XMPP server's end of the connection */

/* The push daemons: one server, which keeps what it is asked. */
static struct http_server *server;
static struct http_request *asked[64];
static unsigned asked_count;

static void serve(struct http_request *request)
{
	asked[asked_count++] = request;
}

static const struct http_route api_routes[] = { { "POST", "/v1/notifications", serve }, { NULL } };

static void on_change_of(struct stream *which)
{
}

static void setup(void)
{
	struct http_server_options options = { .routes = api_routes,
		                               .token = "token",
		                               .body_max = 1024 * 1024 };
	int pair[2];

	log_init("test_publish_send", LOG_ERROR);
	loop_init();
	server = http_server_listen(&options, "api", "127.0.0.1:0");
	ck_assert_ptr_nonnull(server);
	stream = mem_alloc(1, sizeof(*stream));
	stream_init(stream, &component);
	stream->on_change = on_change_of;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	stream->fd = pair[0];
	peer = pair[1];
	stream->state = STREAM_UP;
	ck_assert_int_eq(backend_module.start(&conf), 0);
	ck_assert_int_eq(api_call_module.start(&conf), 0);
	ck_assert_int_eq(publish_send_module.start(&conf), 0);
	ck_assert_int_eq(iq_module.start(&conf), 0);
}

static void teardown(void)
{
	iq_module.stop();
	publish_send_module.stop();
	api_call_module.stop();
	backend_module.stop();
	http_server_free(server);
	stream_stop(stream);
	close(peer);
	free(stream);
	loop_release();
}

/* The registry has the push daemon ID, or one that can't be reached. */
static struct backend *add_push(const char *id, bool reachable)
{
	char address[NET_TEXT_MAX], *url;
	json_t *record;

	net_format(http_server_address(server), address);
	url = mem_printf("http://%s", reachable ? address : "127.0.0.1:1");
	record = json_pack("{s:s}", "api", url);
	update_backend(&kinds[BACKEND_PUSH], id, record);
	json_decref(record);
	free(url);
	return backend_find(BACKEND_PUSH, id);
}

static void send_publish(const char *id, const char *items)
{
	char *text = mem_printf("<iq><pubsub xmlns='" PUBSUB_NS "'><publish node='node'>%s"
	                        "</publish></pubsub></iq>",
	                        items);
	struct xml_reader *reader;
	const struct xml *stanza = stanza_parse(&reader, text);

	publish_service.handle(iq_new(stream, "push.example", "example.org", id, PUBLISH_MS),
	                       stanza->first);
	xml_reader_free(reader);
	free(text);
}

#define ITEM "<item><notification xmlns='" PUSH_NS "'/></item>"

/* Waits for the call NUMBER (from 0) and returns how many notifications it has. */
static size_t wait_for_call(unsigned number)
{
	WAIT_UNTIL(asked_count > number);
	return json_array_size(json_object_get(http_body_json(asked[number]), "notifications"));
}

/* Answers call NUMBER with OUTCOMES, a JSON array of strings. */
static void answer_call(unsigned number, const char *outcomes)
{
	json_t *names = json_loads(outcomes, 0, NULL), *list = json_array(), *name;
	size_t i;

	json_array_foreach (names, i, name)
		json_array_append_new(list, json_pack("{s:O}", "outcome", name));
	json_decref(names);
	http_reply(asked[number], 200, json_pack("{s:o}", "outcomes", list));
}

/* How the IQ ID has been answered: "none", "result", "wait", "gone" or "refused". */
static const char *reply_to(const char *id)
{
	static char text[262144];
	static size_t len;
	char *wanted = mem_printf(" id='%s'", id);
	const char *found;
	ssize_t count;

	buf_flush(&stream->output, stream->fd);
	count = recv(peer, text + len, sizeof(text) - 1 - len, 0);
	len += count > 0 ? (size_t)count : 0;
	found = strstr(text, wanted);
	if (found != NULL)
		found += strlen(wanted);
	free(wanted);
	if (found == NULL)
		return "none";
	if (strncmp(found, "/>", 2) == 0)
		return "result";
	if (strncmp(found, "><error type='wait'>", 20) == 0)
		return "wait";
	return strncmp(found, "><error type='cancel'><item-not-found ", 38) == 0 ? "gone"
	                                                                         : "refused";
}

/* Turns the loop until the IQ ID is answered. */
static void is_answered(const char *id, const char *expected)
{
	WAIT_UNTIL(strcmp(reply_to(id), "none") != 0);
	ck_assert_str_eq(reply_to(id), expected);
}

START_TEST(publishes_of_one_turn_go_in_one_call_and_each_gets_its_own_outcome)
{
	add_push("p1", true);
	send_publish("i1", ITEM);
	send_publish("i2", ITEM ITEM);
	send_publish("i3", ITEM);
	ck_assert_uint_eq(wait_for_call(0), 4);
	answer_call(0, "[\"sent\",\"queued\",\"gone\",\"merged\"]");
	WAIT_UNTIL(strcmp(reply_to("i3"), "none") != 0);
	ck_assert_str_eq(reply_to("i1"), "result");
	ck_assert_str_eq(reply_to("i2"), "gone"); /* the worst of two */
	ck_assert_str_eq(reply_to("i3"), "result");
	ck_assert_uint_eq(asked_count, 1);
	ck_assert_int_eq(outcome_numbers[GONE], 1);
}
END_TEST

START_TEST(an_outcome_that_is_unknown_costs_no_registration)
{
	add_push("p1", true);
	send_publish("i1", ITEM);
	wait_for_call(0);
	answer_call(0, "[\"bogus\"]");
	is_answered("i1", "wait");
}
END_TEST

START_TEST(an_answer_of_the_wrong_length_costs_no_registration)
{
	add_push("p1", true);
	send_publish("i1", ITEM);
	wait_for_call(0);
	answer_call(0, "[\"gone\",\"gone\"]");
	is_answered("i1", "wait");
}
END_TEST

START_TEST(an_error_of_the_daemon_costs_no_registration)
{
	add_push("p1", true);
	send_publish("i1", ITEM);
	wait_for_call(0);
	http_fail(asked[0], 500, "internal", "no");
	is_answered("i1", "wait");
	send_publish("i2", ITEM);
	wait_for_call(1);
	http_fail(asked[1], 404, "not_found", "no");
	is_answered("i2", "wait");
}
END_TEST

START_TEST(a_publish_that_reached_no_daemon_goes_to_another)
{
	struct backend *dead, *alive;

	dead = add_push("p1", false);
	alive = add_push("p2", true);
	if (backend_for("node") != dead) { /* the first choice is to be the dead one */
		dead = add_push("p2", false);
		alive = add_push("p1", true);
	}
	ck_assert_ptr_eq(backend_for("node"), dead);
	send_publish("i1", ITEM);
	ck_assert_uint_eq(wait_for_call(0), 1);
	ck_assert_ptr_eq(backend_for("node"), alive);
	answer_call(0, "[\"sent\"]");
	is_answered("i1", "result");
}
END_TEST

START_TEST(without_a_daemon_a_publish_waits_until_one_comes)
{
	send_publish("i1", ITEM);
	ck_assert(!list_empty(&unassigned));
	ck_assert(timer_active(&retry));
	add_push("p1", true);
	on_push_change();
	ck_assert(list_empty(&unassigned));
	wait_for_call(0);
	answer_call(0, "[\"sent\"]");
	is_answered("i1", "result");
}
END_TEST

START_TEST(without_a_daemon_a_publish_is_given_up_while_its_server_still_waits)
{
	struct publication *publication;

	send_publish("i1", ITEM);
	publication = container_of(list_first(&unassigned), struct publication, link);
	publication->began_ms -= UNASSIGNED_MS - 5000;
	reassign_unassigned();
	ck_assert_str_eq(reply_to("i1"), "none");
	publication->began_ms -= 5001;
	reassign_unassigned();
	ck_assert_str_eq(reply_to("i1"), "wait");
	ck_assert_int_eq(outcome_numbers[UNAVAILABLE], 1);
}
END_TEST

START_TEST(a_publish_that_its_deadline_answered_is_not_answered_again)
{
	struct iq *iq;

	add_push("p1", true);
	send_publish("i1", ITEM);
	wait_for_call(0);
	iq = container_of(
	             list_first(&container_of(list_first(&batches), struct batch, link)->items),
	             struct publication, link)
	             ->iq;
	iq->deadline.expired(&iq->deadline);
	is_answered("i1", "wait");
	answer_call(0, "[\"sent\"]");
	WAIT_UNTIL(list_empty(&batches));
	ck_assert_uint_eq(stream_unsent(stream), 0);
	ck_assert_uint_eq(stream->iq_count, 0);
	ck_assert_int_eq(outcome_numbers[UNAVAILABLE], 1);
}
END_TEST

START_TEST(only_so_many_calls_are_in_flight_and_the_rest_goes_in_fewer)
{
	char id[16];

	add_push("p1", true);
	for (unsigned i = 0; i < CALLS_MAX; i++) {
		snprintf(id, sizeof(id), "a%u", i);
		send_publish(id, ITEM);
		wait_for_call(i);
	}
	for (unsigned i = 0; i < 3 * BATCH_ITEMS; i++) {
		snprintf(id, sizeof(id), "b%u", i);
		send_publish(id, ITEM);
	}
	turn_for(50);
	ck_assert_uint_eq(asked_count, CALLS_MAX);
	answer_call(0, "[\"sent\"]");
	ck_assert_uint_eq(wait_for_call(CALLS_MAX), BATCH_ITEMS);
	is_answered("a0", "result");
}
END_TEST

START_TEST(stopping_frees_what_waits_and_what_is_in_flight)
{
	struct backend *push = add_push("p1", true);

	send_publish("i1", ITEM);
	wait_for_call(0);
	send_publish("i2", ITEM);
	publish_send_module.stop();
	ck_assert_str_eq(reply_to("i1"), "wait");
	ck_assert_str_eq(reply_to("i2"), "wait");
	ck_assert_uint_eq(push->users, 0);
	ck_assert_int_eq(publish_send_module.start(&conf), 0);
}
END_TEST

START_TEST(what_no_daemon_needs_to_see_is_refused_at_once)
{
	add_push("p1", true);
	send_publish("i1", "");
	ck_assert_str_eq(reply_to("i1"), "wait");
	ck_assert_int_eq(outcome_numbers[REFUSED], 1);
	ck_assert_uint_eq(asked_count, 0);
}
END_TEST

START_TEST(a_publish_of_several_items_gets_the_worst_outcome_wherever_it_stands)
{
	add_push("p1", true);
	send_publish("i1", ITEM ITEM ITEM);
	wait_for_call(0);
	answer_call(0, "[\"sent\",\"unavailable\",\"gone\"]");
	is_answered("i1", "wait");
	send_publish("i2", ITEM ITEM);
	wait_for_call(1);
	answer_call(1, "[\"gone\",\"sent\"]");
	is_answered("i2", "gone");
}
END_TEST

#define ENCRYPTED                                                                                  \
	"<item><notification xmlns='" PUSH_NS "'><encrypted xmlns='tigase:push:encrypt:0' "        \
	"type='aes-128-gcm' iv='AAAA'>%s</encrypted></notification></item>"

START_TEST(publishes_of_one_turn_of_more_than_a_mebibyte_go_in_several_calls)
{
	char payload[16001], id[16];
	char *item;
	size_t sent = 0;

	memset(payload, 'A', sizeof(payload) - 1);
	payload[sizeof(payload) - 1] = '\0';
	item = mem_printf(ENCRYPTED, payload);
	add_push("p1", true);
	for (unsigned i = 0; i < 80; i++) {
		snprintf(id, sizeof(id), "i%u", i);
		send_publish(id, item);
	}
	for (unsigned call = 0; sent < 80; call++) {
		size_t count = wait_for_call(call), len;

		http_body(asked[call], &len);
		ck_assert_uint_le(len, 1024 * 1024);
		ck_assert_uint_gt(count, 0);
		sent += count;
	}
	ck_assert_uint_eq(sent, 80);
	ck_assert_uint_eq(asked_count, 2);
	free(item);
}
END_TEST

/* Of the publish that was sent last and waits for PUSH. */
static struct publication *last_waiting(struct backend *push)
{
	return container_of(push->waiting.head.prev, struct publication, link);
}

START_TEST(a_call_has_the_deadline_of_its_oldest_publish)
{
	struct backend *push = add_push("p1", true);
	json_int_t deadline_ms;

	send_publish("i1", ITEM);
	last_waiting(push)->began_ms -= 10000;
	send_publish("i2", ITEM);
	wait_for_call(0);
	deadline_ms = json_integer_value(json_object_get(http_body_json(asked[0]), "deadline_ms"));
	ck_assert_int_gt(deadline_ms, 0);
	ck_assert_int_le(deadline_ms, PUBLISH_MS - 10000 - 2 * RESERVE_MS);
}
END_TEST

START_TEST(a_publish_that_has_waited_for_too_long_is_not_sent)
{
	struct backend *push = add_push("p1", true);

	for (unsigned i = 0; i < CALLS_MAX; i++) {
		send_publish("full", ITEM);
		wait_for_call(i);
	}
	send_publish("i1", ITEM);
	last_waiting(push)->began_ms -= SEND_MS + 1;
	send_publish("i2", ITEM);
	answer_call(0, "[\"sent\"]");
	ck_assert_uint_eq(wait_for_call(CALLS_MAX), 1);
	is_answered("i1", "wait");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		publishes_of_one_turn_go_in_one_call_and_each_gets_its_own_outcome,
		an_outcome_that_is_unknown_costs_no_registration,
		an_answer_of_the_wrong_length_costs_no_registration,
		an_error_of_the_daemon_costs_no_registration,
		a_publish_that_reached_no_daemon_goes_to_another,
		without_a_daemon_a_publish_waits_until_one_comes,
		without_a_daemon_a_publish_is_given_up_while_its_server_still_waits,
		a_publish_that_its_deadline_answered_is_not_answered_again,
		only_so_many_calls_are_in_flight_and_the_rest_goes_in_fewer,
		stopping_frees_what_waits_and_what_is_in_flight,
		what_no_daemon_needs_to_see_is_refused_at_once,
		a_publish_of_several_items_gets_the_worst_outcome_wherever_it_stands,
		publishes_of_one_turn_of_more_than_a_mebibyte_go_in_several_calls,
		a_call_has_the_deadline_of_its_oldest_publish,
		a_publish_that_has_waited_for_too_long_is_not_sent,
	};

	return unit_run("publish_send", tests, ARRAY_LEN(tests), setup, teardown);
}
