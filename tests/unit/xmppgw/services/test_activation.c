#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/http/http_server.h"
#include "tests/unit/stanza.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"
#include "xmppgw/backend/backend.h"
#include "xmppgw/services/activation.c"

static char *role_names[] = { (char *)"relay", NULL };
static char *served[] = { (char *)"example.net", NULL };
static struct conf_component component = { .domain = (char *)"proxy.example.net",
	                                   .roles = role_names,
	                                   .served_domains = served };
static char *addresses[] = { (char *)"127.0.0.1:1080", NULL };
static struct conf_relay configured[2] = { { (char *)"r1", NULL, addresses },
	                                   { (char *)"r2", NULL, addresses } };
static struct conf conf = {
	.daemon = { .redis = (char *)"none", .api_token = (char *)"token" },
	.relays = { configured, ARRAY_LEN(configured) },
};
static struct stream *stream;
static int peer; /* the XMPP server's end of the connection */

/* The relays: each keeps what it is asked. */
static struct {
	struct http_server *server;
	struct http_request *asked;
	unsigned denied; /* how often it was told that a stream has no future */
	char url[64];
} relays[2];

static void serve(struct http_request *request)
{
	for (int i = 0; i < 2; i++)
		if (http_context(request) == &relays[i])
			relays[i].asked = request;
}

static void serve_denial(struct http_request *request)
{
	for (int i = 0; i < 2; i++)
		if (http_context(request) == &relays[i])
			relays[i].denied++;
	ck_assert_str_eq(http_query(request, "denied"), "yes");
	http_reply(request, 204, NULL);
}

/* clang-format off */
static const struct http_route routes[] = {
	{ "POST",   "/v1/streams/{hash}/activate", serve },
	{ "DELETE", "/v1/streams/{hash}",          serve_denial },
	{ NULL },
};
/* clang-format on */

static void start_relay(int number)
{
	struct http_server_options options = {
		.routes = routes, .token = "token", .body_max = 65536, .context = &relays[number]
	};
	char address[NET_TEXT_MAX];

	relays[number].server = http_server_listen(&options, "api", "127.0.0.1:0");
	ck_assert_ptr_nonnull(relays[number].server);
	net_format(http_server_address(relays[number].server), address);
	snprintf(relays[number].url, sizeof(relays[number].url), "http://%s", address);
	configured[number].control = relays[number].url;
}

static void on_change_of(struct stream *which)
{
}

static void setup(void)
{
	int pair[2];

	log_init("test_activation", LOG_ERROR);
	loop_init();
	for (int i = 0; i < 2; i++)
		start_relay(i);
	stream = mem_alloc(1, sizeof(*stream));
	stream_init(stream, &component);
	acl_init(&stream->acl, &component);
	stream->on_change = on_change_of;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	stream->fd = pair[0];
	peer = pair[1];
	stream->state = STREAM_UP;
	ck_assert_int_eq(backend_module.start(&conf), 0);
	ck_assert_int_eq(api_call_module.start(&conf), 0);
	ck_assert_int_eq(activation_module.start(&conf), 0);
	ck_assert_int_eq(iq_module.start(&conf), 0);
}

static void teardown(void)
{
	iq_module.stop();
	activation_module.stop();
	api_call_module.stop();
	backend_module.stop();
	for (int i = 0; i < 2; i++)
		http_server_free(relays[i].server);
	stream_stop(stream);
	acl_release(&stream->acl);
	close(peer);
	free(stream);
	loop_release();
}

static void ask_for(const char *requester, const char *target)
{
	char *text = mem_printf("<iq><query xmlns='" BYTESTREAMS_NS "' sid='s'><activate>%s"
	                        "</activate></query></iq>",
	                        target);
	struct xml_reader *reader;
	const struct xml *stanza = stanza_parse(&reader, text);

	activation_service.handle(
	        iq_new(stream, "proxy.example.net", requester, "i1", IQ_DEADLINE_MS),
	        stanza->first);
	xml_reader_free(reader);
	free(text);
}

static void ask(void)
{
	ask_for("romeo@example.net/a", "juliet@example.org/b");
}

/* What came back to the server, "" as long as there is nothing. */
static const char *told(void)
{
	static char text[8192];
	static size_t len;
	ssize_t count;

	buf_flush(&stream->output, stream->fd);
	count = recv(peer, text + len, sizeof(text) - 1 - len, 0);
	len += count > 0 ? (size_t)count : 0;
	text[len] = '\0';
	return text;
}

static void is_answered(const char *part)
{
	WAIT_UNTIL(strstr(told(), "<iq ") != NULL);
	ck_assert_msg(strstr(told(), part) != NULL, "%s", told());
}

/* Relay NUMBER answers the call that it gets. */
static void relay_answers(int number, unsigned status, const char *code)
{
	WAIT_UNTIL(relays[number].asked != NULL);
	if (status == 200)
		http_reply(relays[number].asked, 200, json_object());
	else
		http_fail(relays[number].asked, status, code, "no");
}

START_TEST(trouble_at_one_relay_tells_more_than_that_the_other_knows_nothing)
{
	ask();
	relay_answers(0, 503, "unavailable");
	relay_answers(1, 404, "not_found");
	is_answered("<error type='wait'><internal-server-error ");
}
END_TEST

START_TEST(a_stream_that_no_relay_knows_is_not_found)
{
	ask();
	relay_answers(0, 404, "not_found");
	relay_answers(1, 404, "not_found");
	is_answered("<error type='cancel'><item-not-found ");
}
END_TEST

START_TEST(the_relay_that_knows_the_stream_activates_it)
{
	ask();
	relay_answers(0, 404, "not_found");
	relay_answers(1, 200, NULL);
	is_answered("<iq type='result'");
}
END_TEST

START_TEST(a_refusal_is_final_and_says_why)
{
	ask();
	relay_answers(0, 403, "over_limit");
	is_answered(" id='i1'><error type='cancel'><not-allowed ");
	ck_assert_ptr_null(relays[1].asked);
	ck_assert_ptr_nonnull(strstr(told(), "type='headline'"));
}
END_TEST

START_TEST(a_forbidden_account_is_told_apart_from_one_that_is_used_up)
{
	ask();
	relay_answers(0, 403, "forbidden");
	is_answered("<error type='auth'><forbidden ");
}
END_TEST

START_TEST(a_stream_whose_names_the_relay_refuses_is_denied_there)
{
	ask();
	relay_answers(0, 400, "bad_request");
	is_answered("<error type='modify'><bad-request ");
	WAIT_UNTIL(relays[0].denied == 1 && denials == 0);
	ck_assert_uint_eq(relays[1].denied, 0);
}
END_TEST

START_TEST(only_the_requester_decides_who_is_served_and_charged)
{
	const json_t *parties;

	ask_for("mallory@example.org/a", "juliet@example.net/b");
	is_answered("<error type='auth'><forbidden ");
	WAIT_UNTIL(relays[0].denied == 1 && denials == 0);
	ck_assert_ptr_null(relays[0].asked);
	ask();
	WAIT_UNTIL(relays[0].asked != NULL);
	parties = json_object_get(http_body_json(relays[0].asked), "parties");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(parties, 0), "user")),
	                 "romeo@example.net");
	ck_assert_ptr_null(json_object_get(json_array_get(parties, 0), "charged"));
	ck_assert(json_is_false(json_object_get(json_array_get(parties, 1), "charged")));
}
END_TEST

START_TEST(the_owner_of_a_claim_is_found_by_its_id)
{
	ck_assert_ptr_eq(find_owner("r2 1800000000000"), backend_find(BACKEND_RELAY, "r2"));
	ck_assert_ptr_nonnull(find_owner("r1 1"));
	ck_assert_ptr_null(find_owner("r3 1"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		trouble_at_one_relay_tells_more_than_that_the_other_knows_nothing,
		a_stream_that_no_relay_knows_is_not_found,
		the_relay_that_knows_the_stream_activates_it,
		a_refusal_is_final_and_says_why,
		a_forbidden_account_is_told_apart_from_one_that_is_used_up,
		a_stream_whose_names_the_relay_refuses_is_denied_there,
		only_the_requester_decides_who_is_served_and_charged,
		the_owner_of_a_claim_is_found_by_its_id,
	};

	return unit_run("activation", tests, ARRAY_LEN(tests), setup, teardown);
}
