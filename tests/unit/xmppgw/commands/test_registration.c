#include "xmppgw/backend/backend.c"
/* Both are included, for a push daemon is known by the registry alone. */
#include "xmppgw/commands/registration.c"

#include "tests/unit/stanza.h"
#include "tests/unit/unit.h"

static char *no_addresses[] = { NULL };
static struct conf_relay relay = { (char *)"r1", (char *)"http://127.0.0.1:1", no_addresses };
static struct conf conf = { .daemon = { .redis = (char *)"none" }, .relays = { &relay, 1 } };

static void setup(void)
{
	log_init("test_registration", LOG_ERROR);
	loop_init();
	ck_assert_int_eq(backend_module.start(&conf), 0);
}

static void teardown(void)
{
	backend_module.stop();
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

/* The values that the form of COMMAND offers as providers, with a blank after each. */
static const char *offered(const struct adhoc_command *command)
{
	static char text[256];
	struct buf form = { 0 };
	struct xml_reader *reader;
	const struct xml *option;
	char *markup;

	buf_text(&form, "<x xmlns='jabber:x:data'>");
	fields_add(command->fields, NULL, &form);
	buf_text(&form, "</x>");
	markup = buf_take(&form);
	option = xml_child(stanza_parse(&reader, markup)->first, "jabber:x:data", "option");
	text[0] = '\0';
	for (; option != NULL; option = xml_again(option))
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ",
		         option->first->text);
	xml_reader_free(reader);
	free(markup);
	return text;
}

START_TEST(the_forms_offer_the_providers_of_all_push_daemons_each_once)
{
	ck_assert_str_eq(offered(&command_register_device), "");
	add_push("p1", "[{\"id\":\"apns\"},{\"id\":\"fcm\"}]");
	add_push("p2", "[{\"id\":\"fcm\"},{\"id\":\"webpush\"},{}]");
	ck_assert_str_eq(offered(&command_register_device), "apns fcm webpush ");
	ck_assert_str_eq(offered(&command_unregister_device), "apns fcm webpush ");
}
END_TEST

START_TEST(a_daemon_that_drains_still_has_its_providers_and_one_that_is_gone_has_not)
{
	json_t *none = json_object();

	add_push("p1", "[{\"id\":\"apns\"}]");
	find_backend(&kinds[BACKEND_PUSH], "p1")->draining = true;
	ck_assert_str_eq(offered(&command_register_device), "apns ");
	on_records(&kinds[BACKEND_PUSH].watch, none);
	ck_assert_str_eq(offered(&command_register_device), "");
	json_decref(none);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_forms_offer_the_providers_of_all_push_daemons_each_once,
		a_daemon_that_drains_still_has_its_providers_and_one_that_is_gone_has_not,
	};

	return unit_run("registration", tests, ARRAY_LEN(tests), setup, teardown);
}
