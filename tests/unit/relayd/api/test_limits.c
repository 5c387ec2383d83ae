#include "relayd/api/limits.c"

#include "tests/unit/relay_api.h"

START_TEST(the_limits_that_were_put_are_those_that_are_shown)
{
	relay_api_expect("GET", "limits/a@b", NULL, 404, "no limits of that account");
	relay_api_expect("PUT", "limits/a@b", "{\"file\":5000000,\"user\":-1}", 200, "");
	relay_api_expect("GET", "limits/a@b", NULL, 200,
	                 "{\"account\":\"a@b\",\"file\":5000000,\"user\":-1,\"domain\":0}");
	relay_api_expect("PUT", "limits/a@b", "{\"domain\":7}", 200, "");
	relay_api_expect("GET", "limits/a@b", NULL, 200,
	                 "{\"account\":\"a@b\",\"file\":0,\"user\":0,\"domain\":7}");
	relay_api_expect("DELETE", "limits/a@b", NULL, 204, "");
	relay_api_expect("DELETE", "limits/a@b", NULL, 404, "not_found");
	relay_api_expect("GET", "limits/a@b", NULL, 404, "not_found");
}
END_TEST

START_TEST(a_limit_is_forbidden_by_minus_one_and_nothing_below)
{
	relay_api_expect("PUT", "limits/b", "{\"file\":-1,\"user\":-1,\"domain\":-1}", 200, "");
	relay_api_expect("PUT", "limits/b", "{\"file\":-2}", 400, "file");
	relay_api_expect("PUT", "limits/b", "{\"user\":\"much\"}", 400, "user");
	relay_api_expect("GET", "limits/b", NULL, 200, "\"file\":-1,\"user\":-1,\"domain\":-1");
}
END_TEST

START_TEST(pages_follow_each_other_and_the_last_says_so)
{
	relay_api_expect("PUT", "limits/a@b", "{\"file\":1}", 200, "");
	relay_api_expect("PUT", "limits/b", "{\"file\":2}", 200, "");
	relay_api_expect("PUT", "limits/c@b", "{\"file\":3}", 200, "");
	relay_api_expect("GET", "limits?limit=2", NULL, 200,
	                 "\"file\":2,\"user\":0,\"domain\":0}],\"next\":\"b\"}");
	relay_api_expect("GET", "limits?limit=2&after=b", NULL, 200,
	                 "{\"limits\":[{\"account\":\"c@b\",");
	relay_api_expect("GET", "limits?limit=2&after=b", NULL, 200, "\"next\":null");
	relay_api_expect("GET", "limits?limit=3", NULL, 200, "\"next\":null");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_limits_that_were_put_are_those_that_are_shown,
		a_limit_is_forbidden_by_minus_one_and_nothing_below,
		pages_follow_each_other_and_the_last_says_so,
	};

	return unit_run("limits", tests, ARRAY_LEN(tests), relay_api_setup, relay_api_teardown);
}
