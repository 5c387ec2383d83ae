#include "relayd/api/limits.c"

#include "common/http/http_client.h"
#include "relayd/api/server.h"
#include "tests/unit/relay_store.h"

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

/* What the API answers to METHOD and BODY (NULL: none) at REST, which is behind "/v1/limits". */
static void expect(const char *method, const char *rest, const char *body, unsigned status,
                   const char *answer)
{
	static const char *const headers[] = { "Authorization: Bearer token", NULL };
	struct asked asked = { 0 };
	char address[NET_TEXT_MAX];
	char *url =
	        mem_printf("http://%s/v1/limits%s", net_format(server_address(), address), rest);

	asked.call = (struct http_call){
		.done = on_asked,
		.method = method,
		.url = url,
		.body = body,
		.body_len = body != NULL ? strlen(body) : 0,
		.timeout_ms = 30000,
		.headers = headers,
	};
	http_send(pool, &asked.call);
	WAIT_UNTIL(asked.done);
	ck_assert_uint_eq(asked.call.status, status);
	ck_assert_msg(strstr(asked.call.response, answer) != NULL, "%s", asked.call.response);
	http_release(&asked.call);
	free(url);
}

START_TEST(the_limits_that_were_put_are_those_that_are_shown)
{
	expect("GET", "/a@b", NULL, 404, "no limits of that account");
	expect("PUT", "/a@b", "{\"file\":5000000,\"user\":-1}", 200, "");
	expect("GET", "/a@b", NULL, 200,
	       "{\"account\":\"a@b\",\"file\":5000000,\"user\":-1,\"domain\":0}");
	expect("PUT", "/a@b", "{\"domain\":7}", 200, "");
	expect("GET", "/a@b", NULL, 200,
	       "{\"account\":\"a@b\",\"file\":0,\"user\":0,\"domain\":7}");
	expect("DELETE", "/a@b", NULL, 204, "");
	expect("DELETE", "/a@b", NULL, 404, "not_found");
	expect("GET", "/a@b", NULL, 404, "not_found");
}
END_TEST

START_TEST(a_limit_is_forbidden_by_minus_one_and_nothing_below)
{
	expect("PUT", "/b", "{\"file\":-1,\"user\":-1,\"domain\":-1}", 200, "");
	expect("PUT", "/b", "{\"file\":-2}", 400, "file");
	expect("PUT", "/b", "{\"user\":\"much\"}", 400, "user");
	expect("GET", "/b", NULL, 200, "\"file\":-1,\"user\":-1,\"domain\":-1");
}
END_TEST

START_TEST(pages_follow_each_other_and_the_last_says_so)
{
	expect("PUT", "/a@b", "{\"file\":1}", 200, "");
	expect("PUT", "/b", "{\"file\":2}", 200, "");
	expect("PUT", "/c@b", "{\"file\":3}", 200, "");
	expect("GET", "?limit=2", NULL, 200,
	       "\"file\":2,\"user\":0,\"domain\":0}],\"next\":\"b\"}");
	expect("GET", "?limit=2&after=b", NULL, 200, "{\"limits\":[{\"account\":\"c@b\",");
	expect("GET", "?limit=2&after=b", NULL, 200, "\"next\":null");
	expect("GET", "?limit=3", NULL, 200, "\"next\":null");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_limits_that_were_put_are_those_that_are_shown,
		a_limit_is_forbidden_by_minus_one_and_nothing_below,
		pages_follow_each_other_and_the_last_says_so,
	};

	return unit_run("limits", tests, ARRAY_LEN(tests), setup, teardown);
}
