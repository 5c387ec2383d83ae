#include "xmppgw/commands/commands.c"

#include "common/base/log.h"
#include "common/base/loop.h"
#include "tests/unit/stanza.h"
#include "tests/unit/unit.h"
#include "xmppgw/adhoc/command_call.h"
#include "xmppgw/adhoc/table.h"
#include "xmppgw/backend/backend.h"
#include "xmppgw/route.h"
#include "xmppgw/services/disco.h"
#include "xmppgw/xmpp/form.h"

#define ADMIN "root@example.org/desk"
#define USER "alice@example.org/phone"

static char *both[] = { (char *)"relay", (char *)"push", NULL };
static char *operators[] = { (char *)"root@example.org", NULL };
static const struct conf_component component = {
	.domain = (char *)"proxy.example.org",
	.server = (char *)"127.0.0.1:1",
	.secret = (char *)"s",
	.roles = both,
	.name = (char *)"Proxy",
	.admins = operators,
};
static char *addresses[] = { (char *)"192.0.2.1:1080", (char *)"[2001:db8::1]:1081", NULL };
static struct conf_relay relay = { (char *)"relay-1", (char *)"http://127.0.0.1:1", addresses };
static struct conf conf = {
	.daemon = { .redis = (char *)"none" },
	.relays = { &relay, 1 },
};
static struct stream *stream;

static void on_change(struct stream *which)
{
}

static void setup(void)
{
	log_init("test_commands", LOG_ERROR);
	loop_init();
	stream = mem_alloc(1, sizeof(*stream));
	stream_init(stream, &component);
	stream->on_change = on_change;
	stream->state = STREAM_UP;
	ck_assert_int_eq(iq_module.start(&conf), 0);
	acl_init(&stream->acl, &component);
	ck_assert_int_eq(backend_module.start(&conf), 0);
	ck_assert_int_eq(command_call_module.start(&conf), 0);
}

static void teardown(void)
{
	command_call_module.stop();
	iq_module.stop();
	backend_module.stop();
	acl_release(&stream->acl);
	task_stop(&stream->flush);
	buf_release(&stream->output);
	free(stream);
	loop_release();
}

/* What FROM's IQ of TYPE with PAYLOAD is answered with at once, heap. */
static char *answer_to(const char *type, const char *from, const char *payload)
{
	char *text = mem_printf("<iq type='%s' id='i1' from='%s' to='proxy.example.org'>%s</iq>",
	                        type, from, payload);
	struct xml_reader *reader;

	route_stanza(stream, XML_STANZA, stanza_parse(&reader, text));
	xml_reader_free(reader);
	free(text);
	return buf_take(&stream->output);
}

static void has(const char *type, const char *from, const char *payload, const char *part)
{
	char *got = answer_to(type, from, payload);

	ck_assert_msg(strstr(got, part) != NULL, "%s has no %s", got, part);
	free(got);
}

static void has_not(const char *type, const char *from, const char *payload, const char *part)
{
	char *got = answer_to(type, from, payload);

	ck_assert_msg(strstr(got, part) == NULL, "%s has %s", got, part);
	free(got);
}

#define ITEMS "<query xmlns='" DISCO_ITEMS_NS "' node='" ADHOC_NS "'/>"
#define INFO "<query xmlns='" DISCO_INFO_NS "'/>"
#define INFO_OF(node) "<query xmlns='" DISCO_INFO_NS "' node='" node "'/>"
#define RUN(node) "<command xmlns='" ADHOC_NS "' node='" node "'/>"
#define SUBMIT(node, fields)                                                                       \
	"<command xmlns='" ADHOC_NS "' node='" node                                                \
	"'><x xmlns='jabber:x:data' type='submit'>" fields "</x></command>"
#define FIELD(var, value) "<field var='" var "'><value>" value "</value></field>"
#define FORBIDDEN "<error type='auth'><forbidden "
#define NOT_FOUND "<error type='cancel'><item-not-found "
#define BAD_REQUEST "<error type='modify'><bad-request "

START_TEST(commands_are_listed_to_those_who_may_run_them)
{
	has("get", ADMIN, ITEMS, "node='show-limits' name='Show limits'/>");
	has("get", ADMIN, ITEMS, "node='register-device'");
	has("get", ADMIN, ITEMS, "node='drain-relay'");
	has("get", USER, ITEMS, "node='register-device'");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (commands[i]->right == ADHOC_ADMINS)
			has_not("get", USER, ITEMS, commands[i]->node);
	has("get", USER, INFO, ADHOC_NS);
	stream->roles = ROLE_RELAY;
	has("get", USER, ITEMS, NOT_FOUND);
	has_not("get", USER, INFO, ADHOC_NS);
	has("get", ADMIN, INFO, ADHOC_NS);
	has("get", ADMIN, ITEMS, "node='set-limits'");
	has_not("get", ADMIN, ITEMS, "register-device");
	stream->roles = ROLE_PUSH;
	has_not("get", ADMIN, ITEMS, "limits");
}
END_TEST

START_TEST(a_component_without_a_name_is_named_by_what_it_does)
{
	struct conf_component unnamed = component;

	has("get", USER, INFO, "type='bytestreams' name='Proxy'/>");
	unnamed.name = NULL;
	stream->conf = &unnamed;
	has("get", USER, INFO, "type='bytestreams' name='File transfer proxy'/>");
	has("get", USER, INFO, "type='push' name='Push notifications'/>");
	stream->conf = &component;
}
END_TEST

START_TEST(what_one_may_not_run_is_forbidden_and_runs_nothing)
{
	static const char *const strangers[] = {
		USER,
		"root@example.net/desk",
		"example.org",
		"proxy.example.org",
		"room@muc.example.org/root@example.org",
	};

	for (size_t i = 0; i < ARRAY_LEN(strangers); i++) {
		has("set", strangers[i], RUN("list-relays"), FORBIDDEN);
		has("set", strangers[i], RUN("set-limits"), FORBIDDEN);
		has("set", strangers[i], SUBMIT("drain-relay", FIELD("relay", "relay-1")),
		    FORBIDDEN);
		has("get", strangers[i], INFO_OF("set-limits"), FORBIDDEN);
	}
	ck_assert_uint_eq(stream->iq_count, 0);
	has("get", ADMIN, INFO_OF("set-limits"),
	    "<identity category='automation' type='command-node' name='Set limits'/>");
	stream->roles = ROLE_PUSH;
	has("set", ADMIN, RUN("set-limits"), NOT_FOUND);
	has("get", ADMIN, INFO_OF("set-limits"), NOT_FOUND);
}
END_TEST

static bool is_known_type(const char *type)
{
	static const char *const types[] = { "text-single", "list-single", "jid-single",
		                             "text-multi", "text-private" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(types[i], type) == 0)
			return true;
	return false;
}

/* Each form has a title, and each of its fields a name, a type and a label. */
static void is_labelled(const struct xml *form, const char *node)
{
	const struct xml *field = xml_child(form, FORM_NS, "field");

	ck_assert_ptr_nonnull(xml_child(form, FORM_NS, "title"));
	ck_assert_ptr_nonnull(field);
	for (; field != NULL; field = xml_again(field)) {
		ck_assert_ptr_nonnull(xml_attribute(field, "var"));
		ck_assert_msg(is_known_type(xml_attribute(field, "type")), "%s: %s", node,
		              xml_attribute(field, "var"));
		ck_assert_str_ne(xml_attribute(field, "label"), "");
	}
}

START_TEST(every_form_is_titled_typed_and_labelled)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		char *payload, *text;
		struct xml_reader *reader;

		if (!fields_visible(commands[i]->fields) || commands[i]->ask != NULL)
			continue;
		payload = mem_printf(RUN("%s"), commands[i]->node);
		text = answer_to("set", ADMIN, payload);
		is_labelled(form_find(stanza_parse(&reader, text)->first), commands[i]->node);
		xml_reader_free(reader);
		free(text);
		free(payload);
	}
}
END_TEST

#define CELL(var, label, value)                                                                    \
	"<field var='" var "' type='text-single' label='" label "'><value>" value "</value></"     \
	"field>"

START_TEST(a_command_without_a_form_runs_at_once)
{
	has("set", ADMIN, RUN("list-relays"),
	    "status='completed'><x xmlns='jabber:x:data' type='result'><title>List relays</title>");
	has("set", ADMIN, RUN("list-relays"),
	    CELL("id.1", "• Relay", "relay-1")
	            CELL("addresses.1", "Addresses", "192.0.2.1:1080, [2001:db8::1]:1081"));
	has_not("set", ADMIN, RUN("list-relays"), "<reported"); /* Gajim 1.7 */
	has("set", ADMIN, RUN("drain-relay"),
	    "<required/><option label='relay-1'><value>relay-1</value></option></field>");
}
END_TEST

/* clang-format off */
static const struct {
	const char *payload, *error, *text;
} wrong[] = {
	{ SUBMIT("show-limits", FIELD("account", "a@b/c")),
	  "<jid-malformed ", "account must be user@domain or a domain." },
	{ SUBMIT("set-limits", FIELD("file", "10M")), BAD_REQUEST, "account is missing." },
	{ SUBMIT("set-limits", FIELD("account", "a b@c") FIELD("file", "10M")),
	  "<jid-malformed ", "account must be" },
	{ SUBMIT("set-limits", FIELD("account", "a@b")), BAD_REQUEST, "nothing to be changed" },
	{ SUBMIT("set-limits", FIELD("account", "a@b") FIELD("user", "much")),
	  BAD_REQUEST, "user: &quot;much&quot; is not a limit" },
	{ SUBMIT("set-limits", FIELD("account", "a@b") FIELD("domain", "-2")),
	  BAD_REQUEST, "domain: " },
	{ SUBMIT("set-limits", FIELD("account", "a@b") FIELD("credit", "0")),
	  BAD_REQUEST, "credit must be more than 0." },
	{ SUBMIT("set-limits", FIELD("account", "a@b") FIELD("credit", "-1")),
	  BAD_REQUEST, "credit must be more than 0." },
	{ SUBMIT("show-usage", FIELD("month", "2026-11")), BAD_REQUEST, "month must be YYYYMM." },
	{ SUBMIT("show-usage", FIELD("month", "20261x")), BAD_REQUEST, "month must be YYYYMM." },
	{ SUBMIT("show-usage", FIELD("kind", "everyone")), BAD_REQUEST, "kind must be" },
	{ SUBMIT("show-usage", FIELD("account", "@")), "<jid-malformed ", "account must be" },
	{ SUBMIT("cut-stream", ""), BAD_REQUEST, "hash is missing." },
	{ SUBMIT("cut-stream", FIELD("hash", "0")), BAD_REQUEST, "hash must be 40 hex digits." },
	{ SUBMIT("cut-stream", FIELD("hash", "../../drain")), BAD_REQUEST, "hash must be" },
	{ SUBMIT("cut-stream", FIELD("hash", "000000000000000000000000000000000000000G")),
	  BAD_REQUEST, "hash must be" },
	{ SUBMIT("drain-relay", ""), BAD_REQUEST, "relay is missing." },
	{ SUBMIT("drain-relay", FIELD("relay", "relay-9")), NOT_FOUND, "There is no such relay." },
};
/* clang-format on */

START_TEST(wrong_fields_are_refused_with_their_names)
{
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		has("set", ADMIN, wrong[i].payload, wrong[i].error);
		has("set", ADMIN, wrong[i].payload, wrong[i].text);
	}
	ck_assert_uint_eq(stream->iq_count, 0);
}
END_TEST

START_TEST(a_table_says_how_to_go_on)
{
	static const struct table_column column = { "hash", "Stream", TABLE_TEXT, "hash" };
	static const struct table one = { &column, 1 };
	struct adhoc_request request = { iq_new(stream, "proxy.example.org", ADMIN, "i1", 1000),
		                         commands[0], "s" };
	char *got;

	table_reply(&request, &one,
	            &(struct table_page){ .next = "a'b", .warning = "Half of it." });
	got = buf_take(&stream->output);
	ck_assert_ptr_nonnull(strstr(got,
	                             "status='executing'><actions execute='next'><next/>"
	                             "<complete/></actions><x xmlns='" FORM_NS "' type='form'>"));
	ck_assert_ptr_nonnull(strstr(got, " sessionid='s' ")); /* slixmpp takes no other one */
	ck_assert_ptr_nonnull(strstr(got, "<field var='after' type='hidden'>"
	                                  "<value>a&apos;b</value></field></x>"));
	ck_assert_ptr_nonnull(strstr(got, "<value>There is nothing to show.</value></field>"));
	ck_assert_ptr_nonnull(strstr(got, CELL("warning", "Warning", "Half of it.")));
	ck_assert_ptr_nonnull(strstr(got, "</x><note type='warn'>Half of it.</note></command>"));
	free(got);
}
END_TEST

#define TRANSFERS_OF(user, action, more)                                                           \
	"<command xmlns='" ADHOC_NS "' node='list-transfers' sessionid='s'" action                 \
	"><x xmlns='jabber:x:data' type='submit'>" FIELD("user", user) more "</x></command>"

START_TEST(a_form_that_says_where_a_list_goes_on_can_also_end_it)
{
	has("set", ADMIN, TRANSFERS_OF("@", " action='next'", FIELD("after", "x")),
	    "user must be user@domain.");
	has("set", ADMIN, TRANSFERS_OF("@", "", FIELD("after", "x")), "user must be user@domain.");
	has("set", ADMIN, TRANSFERS_OF("@", " action='complete'", ""), "user must be user@domain.");
	has("set", ADMIN, TRANSFERS_OF("@", " action='complete'", FIELD("after", "x")),
	    " sessionid='s' status='completed'/>");
}
END_TEST

static const struct table_column hash = { "hash", "Stream", TABLE_TEXT, "hash" };

static void run_listing(struct adhoc_request *request, const struct field_values *values)
{
	static const struct table one = { &hash, 1 };

	table_reply(request, &one, &(struct table_page){ .next = "b" });
}

/* What a listing whose user submitted USER answers. */
static char *listing_of(const char *user)
{
	static const struct field asked[] = { { "user", "User", FIELD_TEXT },
		                              FIELD_AFTER,
		                              { NULL } };
	static const struct adhoc_command listing = {
		.node = "l", .name = "L", .fields = asked, .run = run_listing
	};
	char *text = mem_printf("<command>"
	                        "<x xmlns='jabber:x:data' type='submit'>" FIELD("user", "%s")
	                                FIELD("after", "a") "</x></command>",
	                        user);
	struct xml_reader *reader;

	adhoc_execute(&listing, iq_new(stream, "proxy.example.org", ADMIN, "i1", 1000),
	              stanza_parse(&reader, text));
	xml_reader_free(reader);
	free(text);
	return buf_take(&stream->output);
}

START_TEST(a_list_goes_on_with_what_was_submitted)
{
	char *got = listing_of("&lt;&apos;");

	ck_assert_ptr_nonnull(strstr(got,
	                             "<field var='user' type='hidden'><value>&lt;&apos;</value>"
	                             "</field><field var='after' type='hidden'><value>b<"));
	free(got);
}
END_TEST

START_TEST(a_list_that_cannot_keep_what_was_submitted_is_completed_and_says_so)
{
	char user[ADHOC_KEPT_MAX + 1], *got;

	memset(user, 'a', ADHOC_KEPT_MAX);
	user[ADHOC_KEPT_MAX] = '\0';
	got = listing_of(user);
	ck_assert_ptr_nonnull(
	        strstr(got, "status='completed'><x xmlns='" FORM_NS "' type='result'>"));
	ck_assert_ptr_nonnull(strstr(got, "Ask for less"));
	ck_assert_ptr_null(strstr(got, "var='after'"));
	free(got);
}
END_TEST

START_TEST(where_no_relay_is_left_the_answer_says_so)
{
	command_call_module.stop();
	backend_module.stop();
	conf.relays.count = 0;
	ck_assert_int_eq(backend_module.start(&conf), 0);
	has("set", ADMIN, SUBMIT("list-streams", ""), "No relay can be reached.");
	has("set", ADMIN, SUBMIT("show-limits", ""), "");
	ck_assert_uint_eq(stream->iq_count, 1);
	task_stop(&stream->flush); /* there is no connection */
	loop_turn(0);
	ck_assert_uint_eq(stream->iq_count, 0);
	ck_assert_ptr_nonnull(memmem(buf_data(&stream->output), buf_len(&stream->output),
	                             "Nobody could be reached", 23));
	conf.relays.count = 1;
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		commands_are_listed_to_those_who_may_run_them,
		a_component_without_a_name_is_named_by_what_it_does,
		what_one_may_not_run_is_forbidden_and_runs_nothing,
		every_form_is_titled_typed_and_labelled,
		a_command_without_a_form_runs_at_once,
		wrong_fields_are_refused_with_their_names,
		a_table_says_how_to_go_on,
		a_form_that_says_where_a_list_goes_on_can_also_end_it,
		a_list_goes_on_with_what_was_submitted,
		a_list_that_cannot_keep_what_was_submitted_is_completed_and_says_so,
		where_no_relay_is_left_the_answer_says_so,
	};

	return unit_run("commands", tests, ARRAY_LEN(tests), setup, teardown);
}
