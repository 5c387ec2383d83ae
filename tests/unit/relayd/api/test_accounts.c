#include "relayd/api/accounts.c"

#include "relayd/api/activation.h"
#include "tests/unit/relay_api.h"

#define NOTHING "{\"limits\":false,\"months\":0,\"transfers\":0,\"events\":0}"

/* What the API answers when ACCOUNT, percent-encoded, is to be forgotten. */
static void expect_forgotten(const char *account, unsigned status, const char *part)
{
	char *path = mem_printf("accounts/%s", account);

	relay_api_expect("DELETE", path, NULL, status, part);
	free(path);
}

START_TEST(what_is_not_a_users_bare_jid_is_refused)
{
	expect_forgotten("x.org", 400, "bare JID");
	expect_forgotten("a%40x.org%2Fphone", 400, "bare JID");
	expect_forgotten("a%40x%ff", 400, "account");
	expect_forgotten("a%40x.org", 200, NOTHING);
}
END_TEST

START_TEST(months_are_forgotten_back_over_the_turn_of_the_year)
{
	static const char *const months[] = { "202001", "201912", "201911", "201812" };
	char command[256];

	for (size_t i = 0; i < ARRAY_LEN(months); i++) {
		snprintf(command, sizeof(command),
		         "HSET og:usage:%s user:a@x 1 imported:user:a@x 1 user:ba@x 2 domain:x 3",
		         months[i]);
		relay_expect("4", command);
		snprintf(command, sizeof(command), "ZADD og:ledgers:%s 0 user:a@x 0 user:ba@x",
		         months[i]);
		relay_expect("2", command);
	}
	expect_forgotten("a%40x", 200, "\"months\":4,");
	for (size_t i = 0; i < ARRAY_LEN(months); i++) {
		snprintf(command, sizeof(command), "HGETALL og:usage:%s", months[i]);
		relay_expect("user:ba@x 2 domain:x 3", command);
		snprintf(command, sizeof(command), "ZRANGE og:ledgers:%s 0 -1", months[i]);
		relay_expect("user:ba@x", command);
	}
}
END_TEST

START_TEST(limits_are_forgotten_and_those_of_others_stay)
{
	relay_expect("1", "HSET og:limit:a@x file 5");
	relay_expect("1", "HSET og:limit:x file 5");
	relay_expect("2", "ZADD og:limits 0 a@x 0 x");
	expect_forgotten("a%40x", 200, "{\"limits\":true,");
	relay_expect("(none)", "HGETALL og:limit:a@x");
	relay_expect("file 5", "HGETALL og:limit:x");
	relay_expect("x", "ZRANGE og:limits 0 -1");
}
END_TEST

START_TEST(entries_that_name_the_user_go_and_odd_ones_stay)
{
	(void)relay_ask("XADD og:transfers * record {\"parties\":[{\"user\":\"b@y\"},"
	                "{\"user\":\"a@x\"}]}");
	(void)relay_ask("XADD og:transfers * record {\"parties\":[{\"user\":\"a@xy\"},3]}");
	(void)relay_ask("XADD og:transfers * record {\"parties\":7}");
	(void)relay_ask("XADD og:events * event {\"requester\":\"a@x/one\"}");
	(void)relay_ask("XADD og:events * event {\"target\":\"a@x\"}");
	(void)relay_ask("XADD og:events * event {\"requester\":\"b@y/a@x\",\"target\":null}");
	(void)relay_ask("XADD og:events * event broken");
	expect_forgotten("a%40x", 200, "\"transfers\":1,\"events\":2}");
	relay_expect("2", "XLEN og:transfers");
	relay_expect("2", "XLEN og:events");
	expect_forgotten("a%40x", 200, NOTHING);
}
END_TEST

START_TEST(a_key_of_another_type_is_answered_as_unavailable)
{
	relay_expect("OK", "SET og:transfers x");
	expect_forgotten("a%40x", 503, "unavailable");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_is_not_a_users_bare_jid_is_refused,
		months_are_forgotten_back_over_the_turn_of_the_year,
		limits_are_forgotten_and_those_of_others_stay,
		entries_that_name_the_user_go_and_odd_ones_stay,
		a_key_of_another_type_is_answered_as_unavailable,
	};

	return unit_run("accounts", tests, ARRAY_LEN(tests), relay_api_setup, relay_api_teardown);
}
