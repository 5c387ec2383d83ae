#include "relayd/announce.c"

#include "tests/unit/logged.h"
#include "tests/unit/relay_store.h"

static char *listen_to[] = { (char *)"127.0.0.1:0", NULL };

static void setup(void)
{
	relay_store_setup();
	relay_conf.listen = listen_to;
	relay_conf.connection_max = 10;
	relay_conf.control_listen = (char *)"127.0.0.1:0";
	relay_conf.api_token = (char *)"token";
	ck_assert_int_eq(listener_module.start(&relay_conf), 0);
	ck_assert_int_eq(server_module.start(&relay_conf), 0);
}

static void teardown(void)
{
	announce_module.stop();
	server_module.stop();
	listener_module.stop();
	resolve_release();
	relay_store_teardown();
}

/* The record as Redis has it. */
static json_t *record(void)
{
	static json_t *read;

	json_decref(read);
	WAIT_UNTIL(strcmp(relay_ask("EXISTS og:registry:relay:relay-1"), "1") == 0);
	read = json_loads(relay_ask("GET og:registry:relay:relay-1"), 0, NULL);
	ck_assert_ptr_nonnull(read);
	return read;
}

static const char *advertised_first(void)
{
	return json_string_value(json_array_get(json_object_get(record(), "advertise"), 0));
}

START_TEST(the_record_says_where_the_relay_is_reached)
{
	char text[NET_TEXT_MAX], url[NET_TEXT_MAX + 8];

	announce_module.start(&relay_conf);
	ck_assert_str_eq(advertised_first(), net_format(listener_address(ORIGIN_CLIENT, 0), text));
	snprintf(url, sizeof(url), "http://%s", net_format(server_address(), text));
	ck_assert_str_eq(json_string_value(json_object_get(record(), "control")), url);
	ck_assert(json_is_null(json_object_get(record(), "peer")));
	ck_assert(json_is_false(json_object_get(record(), "draining")));
	ck_assert_str_eq(json_string_value(json_object_get(record(), "verifier")), "open");
	ck_assert_int_eq(json_integer_value(json_object_get(record(), "epoch")), fleet_epoch_ms());
}
END_TEST

START_TEST(what_the_operator_advertises_stands_for_where_it_listens)
{
	char *names[] = { (char *)"localhost:1080", NULL };

	relay_conf.advertise = names;
	announce_module.start(&relay_conf);
	ck_assert_str_eq(advertised_first(), "localhost:1080");
	announce_module.stop();
	relay_conf.advertise = NULL;
}
END_TEST

START_TEST(the_record_is_written_anew_when_it_is_touched_and_goes_at_the_end)
{
	announce_module.start(&relay_conf);
	(void)record();
	relay_ask("DEL og:registry:relay:relay-1");
	WAIT_UNTIL(!redis_busy(&announce.entry.call));
	touch();
	ck_assert(redis_busy(&announce.entry.call)); /* not only at its next beat */
	(void)record();
	announce_module.stop();
	relay_expect("0", "EXISTS og:registry:relay:relay-1");
}
END_TEST

START_TEST(a_rate_is_that_since_the_record_before)
{
	announce.at_ms = loop_now_ms() - 1000;
	ck_assert_uint_eq(bytes_per_second(), 0);
	announce.at_ms = 0;
	ck_assert_uint_eq(bytes_per_second(), 0);
}
END_TEST

START_TEST(a_name_without_an_address_is_warned_of)
{
	struct lookup lookup = { .text = "nowhere.invalid:1" };
	struct logged logged;

	log_init("unit", LOG_WARN);
	logged = logged_start();
	on_resolved(&lookup.resolve, NULL, 0, "no such name");
	ck_assert_ptr_nonnull(strstr(logged_end(&logged), "advertised-name-unresolved "
	                                                  "address=nowhere.invalid:1"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_record_says_where_the_relay_is_reached,
		what_the_operator_advertises_stands_for_where_it_listens,
		the_record_is_written_anew_when_it_is_touched_and_goes_at_the_end,
		a_rate_is_that_since_the_record_before,
		a_name_without_an_address_is_warned_of,
	};

	return unit_run("announce", tests, ARRAY_LEN(tests), setup, teardown);
}
