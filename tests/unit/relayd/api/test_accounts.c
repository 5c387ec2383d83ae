#include "relayd/api/accounts.c"

#include "common/http/http_client.h"
#include "relayd/api/activation.h"
#include "relayd/api/server.h"
#include "tests/unit/relay_store.h"

#define NOTHING "{\"limits\":false,\"months\":0,\"transfers\":0,\"events\":0}"

static struct http_pool *pool;

static void setup(void)
{
	relay_store_setup();
	relay_conf.control_listen = (char *)"127.0.0.1:0";
	relay_conf.api_token = (char *)"token";
	ck_assert_int_eq(server_module.start(&relay_conf), 0);
	pool = http_pool_new(&(struct http_pool_options){ .connections = 1 });
}

static void teardown(void)
{
	http_pool_free(pool);
	server_module.stop();
	relay_store_teardown();
}

struct asked {
	struct http_call call;
	bool done;
};

static void on_asked(struct http_call *call)
{
	container_of(call, struct asked, call)->done = true;
}

/* What the API answers when ACCOUNT, percent-encoded, is to be forgotten. */
static void expect(const char *account, unsigned status, const char *part)
{
	static const char *const headers[] = { "Authorization: Bearer token", NULL };
	struct asked asked = { 0 };
	char address[NET_TEXT_MAX];
	char *url = mem_printf("http://%s/v1/accounts/%s", net_format(server_address(), address),
	                       account);

	asked.call = (struct http_call){
		.done = on_asked,
		.method = "DELETE",
		.url = url,
		.timeout_ms = 30000,
		.headers = headers,
	};
	http_send(pool, &asked.call);
	WAIT_UNTIL(asked.done);
	ck_assert_uint_eq(asked.call.status, status);
	ck_assert_msg(strstr(asked.call.response, part) != NULL, "%s", asked.call.response);
	http_release(&asked.call);
	free(url);
}

START_TEST(what_is_not_a_users_bare_jid_is_refused)
{
	expect("x.org", 400, "bare JID");
	expect("a%40x.org%2Fphone", 400, "bare JID");
	expect("a%40x%ff", 400, "account");
	expect("a%40x.org", 200, NOTHING);
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
	expect("a%40x", 200, "\"months\":4,");
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
	expect("a%40x", 200, "{\"limits\":true,");
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
	expect("a%40x", 200, "\"transfers\":1,\"events\":2}");
	relay_expect("2", "XLEN og:transfers");
	relay_expect("2", "XLEN og:events");
	expect("a%40x", 200, NOTHING);
}
END_TEST

START_TEST(a_key_of_another_type_is_answered_as_unavailable)
{
	relay_expect("OK", "SET og:transfers x");
	expect("a%40x", 503, "unavailable");
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

	return unit_run("accounts", tests, ARRAY_LEN(tests), setup, teardown);
}
