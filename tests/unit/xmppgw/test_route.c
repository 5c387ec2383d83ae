#include "xmppgw/route.c"

#include <dirent.h>

#include "tests/fakes/xmpp_server/kind.c"
#include "tests/unit/logged.h"
#include "tests/unit/stanza.h"
#include "tests/unit/unit.h"
#include "xmppgw/acl.h"
#include "xmppgw/backend/api_call.h"
#include "xmppgw/backend/backend.h"
#include "xmppgw/services/activation.h"
#include "xmppgw/services/publish_send.h"

#define ERROR(type, condition)                                                                     \
	"><error type='" type "'><" condition " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
#define REPLY "from='both.example.org' to='a@b/c' id='i1'"

static char *role_names[] = { (char *)"relay", (char *)"push", NULL };
static const struct conf_component component = {
	.domain = (char *)"Both.Example.org",
	.server = (char *)"127.0.0.1:1",
	.secret = (char *)"s",
	.roles = role_names,
	.name = (char *)"A \"name\"",
};
static char *addresses[] = { (char *)"192.0.2.1:1080", (char *)"[2001:db8::1]:1081",
	                     (char *)"proxy.example.org:443", NULL };
static struct conf_relay relay = { (char *)"r1", (char *)"http://127.0.0.1:1", addresses };
static struct conf conf = { .daemon = { .redis = (char *)"none" }, .relays = { &relay, 1 } };
static struct stream *stream;
static unsigned changes;

static void on_change(struct stream *which)
{
	changes++;
}

static void setup(void)
{
	log_init("test_route", LOG_ERROR);
	loop_init();
	stream = mem_alloc(1, sizeof(*stream));
	stream_init(stream, &component);
	stream->on_change = on_change;
	stream->state = STREAM_UP;
	ck_assert_int_eq(backend_module.start(&conf), 0);
	ck_assert_int_eq(iq_module.start(&conf), 0);
	ck_assert_int_eq(api_call_module.start(&conf), 0);
	ck_assert_int_eq(activation_module.start(&conf), 0);
	ck_assert_int_eq(publish_send_module.start(&conf), 0);
}

static void teardown(void)
{
	iq_module.stop();
	publish_send_module.stop();
	activation_module.stop();
	api_call_module.stop();
	backend_module.stop();
	acl_release(&stream->acl);
	task_stop(&stream->flush);
	buf_release(&stream->output);
	free(stream);
	loop_release();
}

/* What STANZA is answered with at once, heap. */
static char *answer_to(const char *stanza)
{
	struct xml_reader *reader;

	route_stanza(stream, XML_STANZA, stanza_parse(&reader, stanza));
	xml_reader_free(reader);
	return buf_take(&stream->output);
}

static void is_answered(const char *stanza, const char *expected)
{
	char *got = answer_to(stanza);

	ck_assert_str_eq(got, expected);
	free(got);
}

/* The answer has PART in it. */
static void has(const char *stanza, const char *part)
{
	char *got = answer_to(stanza);

	ck_assert_msg(strstr(got, part) != NULL, "%s has no %s", got, part);
	free(got);
}

#define IQ(type, payload)                                                                          \
	"<iq type='" type "' id='i1' from='a@b/c' to='both.example.org'>" payload "</iq>"
#define PING "<ping xmlns='urn:xmpp:ping'/>"

START_TEST(a_ping_is_answered_and_ids_and_addresses_come_back_as_they_were)
{
	is_answered(IQ("get", PING), "<iq type='result' " REPLY "/>");
	is_answered("<iq type='get' id='&lt;&apos;&#10;\xc3\xa9' from='b/&quot;&amp;' "
	            "to='both.example.org'>" PING "</iq>",
	            "<iq type='result' from='both.example.org' to='b/&quot;&amp;' "
	            "id='&lt;&apos;&#10;\xc3\xa9'/>");
	ck_assert_uint_eq(stream->iq_count, 0);
	ck_assert_uint_eq(stream->iq_bytes, 0);
	ck_assert_uint_eq(changes, 2);
}
END_TEST

START_TEST(the_reply_comes_from_what_was_addressed_in_our_own_spelling)
{
	is_answered("<iq type='get' id='i1' from='a@b/c' to='User@BOTH.example.ORG./Res@/x'>" PING
	            "</iq>",
	            "<iq type='result' from='User@both.example.org/Res@/x' to='a@b/c' id='i1'/>");
	is_answered("<iq type='get' id='i1' from='a@b/c'>" PING "</iq>",
	            "<iq type='result' " REPLY "/>");
}
END_TEST

START_TEST(results_errors_messages_and_presence_are_never_answered)
{
	is_answered(IQ("result", ""), "");
	is_answered(IQ("error", PING), "");
	is_answered(IQ("bogus", PING), "");
	is_answered("<iq id='i1' from='a@b/c' to='both.example.org'>" PING "</iq>", "");
	is_answered("<iq type='get' from='a@b/c' to='both.example.org'>" PING "</iq>", "");
	is_answered("<iq type='get' id='i1' to='both.example.org'>" PING "</iq>", "");
	is_answered("<iq type='get' id='i1' from='a@b/c' to='@'>" PING "</iq>", "");
	is_answered("<message from='a@b/c' to='both.example.org'><body>?</body></message>", "");
	is_answered("<presence type='subscribe' from='a@b' to='both.example.org'/>", "");
	is_answered("<unknown type='get' id='i1' from='a@b/c' to='both.example.org'/>", "");
	is_answered("<iq xmlns='urn:other' type='get' id='i1' from='a@b/c'>" PING "</iq>", "");
}
END_TEST

START_TEST(what_nobody_serves_is_service_unavailable)
{
	const char *expected =
	        "<iq type='error' " REPLY ERROR("cancel", "service-unavailable") "</error></iq>";

	is_answered(IQ("get", "<vCard xmlns='vcard-temp'/>"), expected);
	is_answered(IQ("set", PING), expected);
	stream->roles = ROLE_RELAY;
	is_answered(IQ("set", "<pubsub xmlns='" PUBSUB_NS "'/>"), expected);
	has(IQ("set", "<command xmlns='" ADHOC_NS "' node='register-device'/>"),
	    ERROR("cancel", "item-not-found"));
	stream->roles = ROLE_PUSH;
	is_answered(IQ("get", "<query xmlns='" BYTESTREAMS_NS "'/>"), expected);
}
END_TEST

START_TEST(a_request_has_exactly_one_payload)
{
	const char *expected =
	        "<iq type='error' " REPLY ERROR("modify", "bad-request") "</error></iq>";

	is_answered(IQ("get", ""), expected);
	is_answered(IQ("get", PING PING), expected);
}
END_TEST

START_TEST(a_stanza_for_another_host_is_sent_back_as_temporary_trouble)
{
	is_answered("<iq type='get' id='i1' from='a@b/c' to='x@Other.example.org/y'>" PING "</iq>",
	            "<iq type='error' from='x@other.example.org/y' to='a@b/c' id='i1'" ERROR(
	                    "wait", "internal-server-error") "</error></iq>");
	ck_assert(stream->misrouted_logged);
	ck_assert_int_eq(kind_numbers[KIND_MISROUTED], 1);
}
END_TEST

START_TEST(a_skipped_request_is_refused_and_anything_else_skipped_is_not)
{
	const char *texts[] = { "<iq type='set' id='i1' from='a@b/c' to='both.example.org'/>",
		                "<iq type='result' id='i1' from='a@b/c' to='both.example.org'/>",
		                "<message id='i1' from='a@b/c' to='both.example.org'/>" };
	struct xml_reader *reader;
	char *got;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		route_stanza(stream, XML_SKIPPED, stanza_parse(&reader, texts[i]));
		xml_reader_free(reader);
	}
	route_stanza(stream, XML_SKIPPED, NULL);
	got = buf_take(&stream->output);
	ck_assert_str_eq(got, "<iq type='error' " REPLY ERROR(
	                              "wait", "internal-server-error") "</error></iq>");
	free(got);
}
END_TEST

#define PUBLISH                                                                                    \
	"<iq type='set' id='i1' from='b' to='both.example.org'><pubsub xmlns='" PUBSUB_NS          \
	"'><publish node='n'><item><notification xmlns='" PUSH_NS                                  \
	"'/></item></publish></pubsub></iq>"

START_TEST(skipped_stanzas_leave_ten_lines_a_second)
{
	struct logged logged = logged_start();
	const char *text;

	log_set_level(LOG_INFO);
	for (int i = 0; i < 15; i++)
		route_stanza(stream, XML_SKIPPED, NULL);
	log_rate_stop();
	text = logged_end(&logged);
	ck_assert_uint_eq(logged_count(text, " stanza-skipped component=both.example.org\n"), 10);
	ck_assert_uint_eq(logged_count(text, "what=stanza-skipped count=5\n"), 1);
}
END_TEST

START_TEST(no_more_is_owed_than_the_stream_may_owe)
{
	struct xml_reader *reader;
	const struct xml *stanza = stanza_parse(&reader, PUBLISH);
	unsigned refused = 0;

	for (unsigned i = 0; i < 10010; i++) {
		route_stanza(stream, XML_STANZA, stanza);
		refused += buf_len(&stream->output) > 0;
		buf_release(&stream->output);
	}
	ck_assert_uint_eq(stream->iq_count, 10000);
	ck_assert_uint_eq(refused, 10);
	xml_reader_free(reader);
}
END_TEST

START_TEST(nor_more_bytes)
{
	struct xml_reader *reader;
	char *id = mem_alloc(1, 100001), *text;
	const struct xml *stanza;

	memset(id, 'i', 100000);
	text = mem_printf("<iq type='set' id='%s' from='b' to='both.example.org'>"
	                  "<pubsub xmlns='" PUBSUB_NS "'><publish node='n'><item>"
	                  "<notification xmlns='" PUSH_NS "'/></item></publish></pubsub></iq>",
	                  id);
	stanza = stanza_parse(&reader, text);
	for (unsigned i = 0; i < 1000; i++) {
		route_stanza(stream, XML_STANZA, stanza);
		buf_release(&stream->output);
	}
	ck_assert_uint_lt(stream->iq_bytes, 33 * 1024 * 1024);
	ck_assert_uint_gt(stream->iq_count, 300);
	xml_reader_free(reader);
	free(text);
	free(id);
}
END_TEST

START_TEST(an_answer_without_a_stream_is_dropped)
{
	stream->state = STREAM_WAITING;
	is_answered(IQ("get", PING), "");
	stream->state = STREAM_UP;
	is_answered(IQ("get", PING), "<iq type='result' " REPLY "/>");
	stream->state = STREAM_WAITING;
	is_answered(IQ("get", "<query xmlns='jabber:iq:version'/>"), "");
	ck_assert_uint_eq(stream->iq_count, 0);
}
END_TEST

#define INFO "<query xmlns='" DISCO_INFO_NS "'/>"

START_TEST(disco_tells_what_the_roles_are)
{
	has(IQ("get", INFO), "<identity category='proxy' type='bytestreams' "
	                     "name='A &quot;name&quot;'/><identity category='pubsub' type='push'");
	has(IQ("get", INFO), "<feature var='urn:xmpp:push:0'/>");
	has(IQ("get", INFO), "<feature var='http://jabber.org/protocol/bytestreams'/>");
	stream->roles = ROLE_RELAY;
	is_answered(IQ("get", INFO),
	            "<iq type='result' " REPLY "><query xmlns='" DISCO_INFO_NS
	            "'><identity category='proxy' type='bytestreams' name='A &quot;name&quot;'/>"
	            "<feature var='http://jabber.org/protocol/disco#info'/>"
	            "<feature var='http://jabber.org/protocol/disco#items'/>"
	            "<feature var='urn:xmpp:ping'/><feature var='jabber:iq:version'/>"
	            "<feature var='http://jabber.org/protocol/bytestreams'/></query></iq>");
}
END_TEST

#define INFO_NODE(node) "<query xmlns='" DISCO_INFO_NS "' node='" node "'/>"
#define ITEMS(attributes) "<query xmlns='" DISCO_ITEMS_NS "'" attributes "/>"

START_TEST(disco_knows_the_commands)
{
	const char *not_found =
	        "<iq type='error' " REPLY ERROR("cancel", "item-not-found") "</error></iq>";

	is_answered(IQ("get", ITEMS("")),
	            "<iq type='result' " REPLY "><query xmlns='" DISCO_ITEMS_NS "'></query></iq>");
	is_answered(IQ("get", ITEMS(" node='" ADHOC_NS "'")),
	            "<iq type='result' " REPLY "><query xmlns='" DISCO_ITEMS_NS "' node='" ADHOC_NS
	            "'><item jid='both.example.org' node='register-device' name='Register device'/>"
	            "<item jid='both.example.org' node='unregister-device' "
	            "name='Unregister device'/></query></iq>");
	has(IQ("get", INFO_NODE("register-device")),
	    "<identity category='automation' type='command-node' name='Register device'/>");
	has(IQ("get", INFO_NODE(ADHOC_NS)), "type='command-list'");
	is_answered(IQ("get", ITEMS(" node='x'")), not_found);
	is_answered(IQ("get", INFO_NODE("x")), not_found);
	stream->roles = ROLE_RELAY;
	is_answered(IQ("get", ITEMS(" node='" ADHOC_NS "'")), not_found);
	is_answered(IQ("get", INFO_NODE("register-device")), not_found);
}
END_TEST

START_TEST(the_address_query_tells_all_of_a_relay_in_order)
{
	const char *expected =
	        "<iq type='result' " REPLY "><query xmlns='" BYTESTREAMS_NS
	        "'><streamhost jid='both.example.org' host='192.0.2.1' port='1080'/>"
	        "<streamhost jid='both.example.org' host='2001:db8::1' port='1081'/>"
	        "<streamhost jid='both.example.org' host='proxy.example.org' port='443'/>"
	        "</query></iq>";

	is_answered(IQ("get", "<query xmlns='" BYTESTREAMS_NS "'/>"), expected);
	is_answered(IQ("get", "<query xmlns='" BYTESTREAMS_NS "' sid='old'/>"), expected);
	backend_avoid(backend_first(BACKEND_RELAY));
	has(IQ("get", "<query xmlns='" BYTESTREAMS_NS "'/>"), ERROR("cancel", "not-allowed"));
}
END_TEST

static char *served[] = { (char *)"served.example", NULL };
static const struct conf_component serving = { .served_domains = served };

START_TEST(only_served_domains_are_offered_the_proxy)
{
	const char *forbidden = "<iq type='error' " REPLY ERROR("auth", "forbidden");
	const char *query = "<query xmlns='" BYTESTREAMS_NS "'/>";
	char *stanza;

	acl_init(&stream->acl, &serving);
	has(IQ("get", "<query xmlns='" BYTESTREAMS_NS "'/>"), forbidden);
	stanza = mem_printf("<iq type='get' id='i1' from='a@SERVED.example/c' "
	                    "to='both.example.org'>%s</iq>",
	                    query);
	has(stanza, "<streamhost ");
	free(stanza);
}
END_TEST

#define ACTIVATE(target)                                                                           \
	"<query xmlns='" BYTESTREAMS_NS "' sid='1'><activate>" target "</activate></query>"

START_TEST(a_requester_of_another_domain_may_not_activate)
{
	acl_init(&stream->acl, &serving);
	has(IQ("set", ACTIVATE("d@e/f")), ERROR("auth", "forbidden"));
	has(IQ("set", ACTIVATE("d@served.example/f")), ERROR("auth", "forbidden"));
	stream->acl.serve = SERVE_EITHER;
	has(IQ("set", ACTIVATE("d@sub.served.example/f")), ERROR("auth", "forbidden"));
	ck_assert_uint_eq(stream->iq_count, 0);
}
END_TEST

#define COMMAND(attributes, payload)                                                               \
	"<command xmlns='" ADHOC_NS "' node='register-device'" attributes ">" payload "</command>"

START_TEST(a_command_without_its_form_gives_the_form)
{
	const char *actions[] = { "", " action='execute'", " action='complete'", " action='next'" };

	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		char *stanza = mem_printf("<iq type='set' id='i1' from='a@b/c' "
		                          "to='both.example.org'>" COMMAND("%s", "") "</iq>",
		                          actions[i]);

		has(stanza, "status='executing'><x xmlns='jabber:x:data' type='form'>"
		            "<title>Register device</title><field var='provider' "
		            "type='list-single' label='Provider'><required/></field>"
		            "<field var='device-token' type='text-single' label='Device token'>"
		            "<required/></field><field var='device-second-token' "
		            "type='text-single' label='Device second token (PushKit)'/></x>"
		            "</command></iq>");
		free(stanza);
	}
	has(IQ("set", COMMAND(" sessionid='mine'", "")), " sessionid='mine' status='executing'>");
}
END_TEST

START_TEST(a_command_can_be_canceled)
{
	const char *canceled = "node='register-device' sessionid='mine' status='canceled'/></iq>";

	has(IQ("set", COMMAND(" sessionid='mine' action='cancel'", "")), canceled);
	has(IQ("set", COMMAND(" sessionid='mine'", "<x xmlns='jabber:x:data' type='cancel'/>")),
	    canceled);
}
END_TEST

#define FORM(fields) COMMAND("", "<x xmlns='jabber:x:data' type='submit'>" fields "</x>")
#define FIELD(var, value) "<field var='" var "'><value>" value "</value></field>"

START_TEST(wrong_commands_have_their_errors)
{
	has(IQ("set", COMMAND(" action='prev'", "")), ERROR("modify", "bad-request"));
	has(IQ("set", "<command xmlns='" ADHOC_NS "' node='x'/>"),
	    ERROR("cancel", "item-not-found"));
	has(IQ("set", "<command xmlns='" ADHOC_NS "'/>"), ERROR("cancel", "item-not-found"));
	has(IQ("set", FORM("")), ERROR("modify", "bad-request"));
	has(IQ("set", FORM(FIELD("provider", "p"))), "device-token is missing.");
	has(IQ("set", FORM(FIELD("device-token", "t"))), "provider is missing.");
	has("<iq type='set' id='i1' from='b' to='both.example.org'>" FORM(
	            FIELD("provider", "p") FIELD("device-token", "t")) "</iq>",
	    ERROR("cancel", "not-allowed"));
	has(IQ("set", FORM(FIELD("provider", "p") FIELD("device-token", "t"))),
	    ERROR("wait", "internal-server-error")); /* no push daemon is there */
}
END_TEST

#define PUBSUB(content) "<pubsub xmlns='" PUBSUB_NS "'>" content "</pubsub>"
#define ITEM "<item><notification xmlns='" PUSH_NS "'/></item>"

START_TEST(a_client_that_publishes_gets_what_an_unknown_node_gets)
{
	const char *unknown = ERROR("cancel", "item-not-found") "</error></iq>";

	has(IQ("set", PUBSUB("<publish node='n'>" ITEM "</publish>")), unknown);
	has(IQ("set", PUBSUB("<publish node='n'/>")), unknown);
	has(IQ("set", PUBSUB("")), unknown);
}
END_TEST

/* ---- what our answers do to registrations, on every kind of server ---- */

/* The name of the first kind of server that counts VERDICT against the registration, or NULL. */
static const char *who_minds(const struct verdict *verdict)
{
	for (size_t i = 0; i < kind_count; i++)
		if (kinds[i].effect(verdict) > EFFECT_KEEP)
			return kinds[i].name;
	return NULL;
}

static const char *who_minds_answer(const char *answer)
{
	struct xml_reader *reader;
	const struct xml *iq = stanza_parse(&reader, answer);
	const struct xml *error = xml_child(iq, "jabber:component:accept", "error");
	struct verdict verdict = {
		.result = strcmp(xml_attribute(iq, "type"), "result") == 0,
		.from_asked = true,
		.error_type = xml_attribute(error, "type"),
		.condition = error == NULL ? NULL : error->first->name,
	};
	const char *name = who_minds(&verdict);

	xml_reader_free(reader);
	return name;
}

static void costs_nothing(const char *stanza)
{
	char *got = answer_to(stanza);

	ck_assert_msg(*got != '\0' && who_minds_answer(got) == NULL, "%s for %s", got, stanza);
	free(got);
}

START_TEST(temporary_trouble_is_the_only_error_that_costs_a_registration_nowhere)
{
	for (unsigned i = 0; i < IQ_CONDITIONS; i++) {
		char *answer;

		iq_error(iq_new(stream, "both.example.org", "b", "i1", IQ_DEADLINE_MS),
		         (enum iq_condition)i, "why");
		answer = buf_take(&stream->output);
		ck_assert_msg((who_minds_answer(answer) == NULL) == (i == IQ_INTERNAL_SERVER_ERROR),
		              "%s", answer);
		free(answer);
	}
}
END_TEST

#define FROM(from, type, payload)                                                                  \
	"<iq type='" type "' id='i1' from='" from "' to='both.example.org'>" payload "</iq>"

START_TEST(no_odd_set_of_a_server_costs_a_registration)
{
	const char *odd[] = {
		FROM("b", "set", PUBSUB("")),
		FROM("b", "set", PUBSUB("<publish/>")),
		FROM("b", "set", PUBSUB("<publish node=''>" ITEM "</publish>")),
		FROM("b", "set", PUBSUB("<publish node='n'/>")),
		FROM("b", "set", PUBSUB("<publish node='n'><item/></publish>")),
		FROM("b", "set", PUBSUB("<publish node='n'>" ITEM "<item/></publish>")),
		FROM("b", "set", PUBSUB("<retract node='n'><item id='1'/></retract>")),
		FROM("b", "set", PUBSUB("<publish node='n'>" ITEM "</publish>") PING),
		FROM("b", "set", "<pubsub><publish node='n'>" ITEM "</publish></pubsub>"),
		FROM("b", "set", ""),
		FROM("b", "set", "<notification xmlns='" PUSH_NS "'/>"),
		FROM("a@b", "set", PUBSUB("<publish node='n'>" ITEM "</publish>")),
		FROM("b/c", "set", PUBSUB("<publish node='n'>" ITEM "</publish>")),
		FROM("@@", "set", PUBSUB("<publish node='n'>" ITEM "</publish>")),
	};

	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		costs_nothing(odd[i]);
	stream->roles = ROLE_RELAY; /* the operator has mixed the roles up */
	costs_nothing(PUBLISH);
}
END_TEST

/* What the publish NAME of tests/data is answered at once; "": nothing. Heap. */
static char *answer_to_file(const char *name)
{
	char *path = mem_printf("tests/data/publish/%s", name), *text = stanza_file(path);
	struct xml_reader *reader;
	const struct xml *iq = stanza_parse(&reader, text);

	ck_assert_int_eq(jid_domain(xml_attribute(iq, "to"), stream->domain), 0);
	route_stanza(stream, XML_STANZA, iq);
	xml_reader_free(reader);
	free(text);
	free(path);
	return buf_take(&stream->output);
}

/* True if what publish_read() makes of NAME.xml is "unknown": a registration that never was. */
static bool is_unknown(const char *name)
{
	char *path = mem_printf("tests/data/publish/%.*s.json", (int)(strlen(name) - 4), name);
	char *text = stanza_file(path);
	bool unknown = strstr(text, "\"unknown\"") != NULL;

	free(text);
	free(path);
	return unknown;
}

START_TEST(no_publish_in_the_tests_data_costs_a_registration_that_may_be_good)
{
	DIR *dir = opendir("tests/data/publish");
	unsigned held = 0, refused = 0;
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		char *answer;

		if (strstr(entry->d_name, ".xml") == NULL)
			continue;
		answer = answer_to_file(entry->d_name);
		held += *answer == '\0';
		refused += *answer != '\0';
		if (*answer != '\0' && !is_unknown(entry->d_name))
			ck_assert_msg(who_minds_answer(answer) == NULL, "%s: %s", entry->d_name,
			              answer);
		free(answer);
	}
	closedir(dir);
	ck_assert_uint_ge(held, 20);
	ck_assert_uint_ge(refused, 8);
	ck_assert_uint_eq(stream->iq_count, held);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_ping_is_answered_and_ids_and_addresses_come_back_as_they_were,
		the_reply_comes_from_what_was_addressed_in_our_own_spelling,
		results_errors_messages_and_presence_are_never_answered,
		what_nobody_serves_is_service_unavailable,
		a_request_has_exactly_one_payload,
		a_stanza_for_another_host_is_sent_back_as_temporary_trouble,
		a_skipped_request_is_refused_and_anything_else_skipped_is_not,
		skipped_stanzas_leave_ten_lines_a_second,
		no_more_is_owed_than_the_stream_may_owe,
		nor_more_bytes,
		an_answer_without_a_stream_is_dropped,
		disco_tells_what_the_roles_are,
		disco_knows_the_commands,
		the_address_query_tells_all_of_a_relay_in_order,
		only_served_domains_are_offered_the_proxy,
		a_requester_of_another_domain_may_not_activate,
		a_command_without_its_form_gives_the_form,
		a_command_can_be_canceled,
		wrong_commands_have_their_errors,
		a_client_that_publishes_gets_what_an_unknown_node_gets,
		temporary_trouble_is_the_only_error_that_costs_a_registration_nowhere,
		no_odd_set_of_a_server_costs_a_registration,
		no_publish_in_the_tests_data_costs_a_registration_that_may_be_good,
	};

	return unit_run("route", tests, ARRAY_LEN(tests), setup, teardown);
}
