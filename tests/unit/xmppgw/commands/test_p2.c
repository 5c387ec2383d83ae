#include "xmppgw/backend/backend.c"
/* Both are included, for a push daemon is known by the registry alone. */
#include "xmppgw/commands/p2.c"

#include "tests/unit/stanza.h"
#include "tests/unit/unit.h"
#include "xmppgw/route.h"
#include "xmppgw/services/disco.h"

#define USER "alice@example.org/phone"

static char *roles[] = { (char *)"push", NULL };
static const struct conf_component component = {
	.domain = (char *)"push.example.org",
	.server = (char *)"127.0.0.1:1",
	.secret = (char *)"s",
	.roles = roles,
	.name = (char *)"Push",
};
static struct conf conf = { .daemon = { .redis = (char *)"none" } };
static struct stream *stream;

static void on_change(struct stream *which)
{
}

static void setup(void)
{
	log_init("test_p2", LOG_ERROR);
	loop_init();
	stream = mem_alloc(1, sizeof(*stream));
	stream_init(stream, &component);
	stream->on_change = on_change;
	stream->state = STREAM_UP;
	ck_assert_int_eq(iq_module.start(&conf), 0);
	ck_assert_int_eq(backend_module.start(&conf), 0);
	ck_assert_int_eq(command_call_module.start(&conf), 0);
}

static void teardown(void)
{
	command_call_module.stop();
	iq_module.stop();
	backend_module.stop();
	task_stop(&stream->flush);
	buf_release(&stream->output);
	free(stream);
	loop_release();
}

/* The registry has a push daemon ID with PROVIDERS, a JSON array. */
static void add_push(const char *id, const char *providers)
{
	json_t *list = json_loads(providers, 0, NULL);
	json_t *record = json_pack("{s:s, s:o}", "api", "http://127.0.0.1:1", "providers", list);

	update_backend(&kinds[BACKEND_PUSH], id, record);
	json_decref(record);
}

/* Whether USER's IQ of TYPE with PAYLOAD is answered at once, with PART in the answer. */
static bool answers(const char *type, const char *payload, const char *part)
{
	char *text = mem_printf("<iq type='%s' id='i1' from='" USER "' to='push.example.org'>"
	                        "%s</iq>",
	                        type, payload);
	struct xml_reader *reader;
	char *got;
	bool has;

	route_stanza(stream, XML_STANZA, stanza_parse(&reader, text));
	xml_reader_free(reader);
	free(text);
	got = buf_take(&stream->output);
	has = strstr(got, part) != NULL;
	free(got);
	return has;
}

static bool listed(const char *node)
{
	char *part = mem_printf("node='%s'", node);
	bool is = answers("get", "<query xmlns='" DISCO_ITEMS_NS "' node='" ADHOC_NS "'/>", part);

	free(part);
	return is;
}

#define SUBMIT(node, fields)                                                                       \
	"<command xmlns='" ADHOC_NS "' node='" node                                                \
	"' action='execute'><x xmlns='jabber:x:data' type='submit'>" fields "</x></command>"
#define FIELD(var, value) "<field var='" var "'><value>" value "</value></field>"

START_TEST(a_command_is_listed_while_a_push_daemon_serves_it)
{
	json_t *none = json_object();

	ck_assert(listed("register-device") && !listed("register-push-fcm"));
	add_push("p1", "[{\"id\":\"a\",\"commands\":[]},{\"id\":\"b\"},{\"id\":\"c\",\"commands\":"
	               "[1,\"register-push-fcm\"]}]");
	ck_assert(listed("register-push-fcm") && listed("unregister-push-fcm"));
	ck_assert(!listed("register-push-apns") && !listed("unregister-push-apns"));
	ck_assert_str_eq(backend_provider_for("register-push-fcm"), "c");
	add_push("p2", "[{\"id\":\"d\",\"commands\":[\"register-push-apns\"]}]");
	ck_assert(listed("register-push-apns") && listed("unregister-push-apns"));
	ck_assert_str_eq(backend_provider_for("register-push-apns"), "d");
	on_records(&kinds[BACKEND_PUSH].watch, none);
	ck_assert(!listed("register-push-fcm") && !listed("register-push-apns"));
	json_decref(none);
}
END_TEST

START_TEST(without_a_push_daemon_it_is_trouble_and_without_such_an_app_it_is_not_there)
{
	static const char *const requests[] = {
		SUBMIT("register-push-fcm", FIELD("token", "t") FIELD("android-id", "i")),
		SUBMIT("unregister-push-fcm", FIELD("device-id", "i")),
	};

	for (size_t i = 0; i < ARRAY_LEN(requests); i++)
		ck_assert(answers("set", requests[i], "<error type='wait'><internal-server-error"));
	add_push("p1", "[{\"id\":\"a\",\"commands\":[\"register-push-apns\"]}]");
	for (size_t i = 0; i < ARRAY_LEN(requests); i++)
		ck_assert(answers("set", requests[i], "<error type='cancel'><item-not-found"));
}
END_TEST

START_TEST(a_token_and_one_of_the_ids_are_needed)
{
	add_push("p1", "[{\"id\":\"a\",\"commands\":[\"register-push-fcm\"]}]");
	ck_assert(answers("set", SUBMIT("register-push-fcm", FIELD("android-id", "i")),
	                  "token is missing."));
	ck_assert(answers("set", SUBMIT("register-push-fcm", FIELD("token", "t")),
	                  "<error type='modify'><bad-request"));
	ck_assert(answers("set", SUBMIT("unregister-push-fcm", FIELD("channel", "c")),
	                  "android-id or device-id is missing."));
	ck_assert_uint_eq(stream->iq_count, 0);
}
END_TEST

START_TEST(a_request_without_a_form_gets_it)
{
	add_push("p1", "[{\"id\":\"a\",\"commands\":[\"register-push-fcm\"]}]");
	ck_assert(
	        answers("set", "<command xmlns='" ADHOC_NS "' node='register-push-fcm'/>",
	                "<field var='token' type='text-single' label='Device token'><required/>"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_command_is_listed_while_a_push_daemon_serves_it,
		without_a_push_daemon_it_is_trouble_and_without_such_an_app_it_is_not_there,
		a_token_and_one_of_the_ids_are_needed,
		a_request_without_a_form_gets_it,
	};

	return unit_run("p2", tests, ARRAY_LEN(tests), setup, teardown);
}
