#include "common/http/http_client.c"

#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>

#include "tests/unit/http_client_fixture.h"

#define LOOKUP_MS 3000 /* of a name server that doesn't answer */

static atomic_int looked_up; /* look-ups that have ended */

/* What libcurl's thread calls. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
	poll(NULL, 0, LOOKUP_MS);
	looked_up++;
	return EAI_AGAIN;
}

static void setup(void)
{
	loop_init();
	pool = http_pool_new(&(struct http_pool_options){ .connections = 4 });
}

static void teardown(void)
{
	http_pool_free(pool);
	loop_release();
}

START_TEST(a_name_that_is_not_answered_holds_nothing_up_beyond_its_own_timeout)
{
	struct asked asked = { .call.timeout_ms = 100 };

	ask(&asked, "GET", "http://name.invalid/");
	expect(&asked, HTTP_UNREACHABLE, 0);
	ck_assert_int_eq(looked_up, 0);
	http_release(&asked.call);
}
END_TEST

START_TEST(a_call_whose_name_is_being_looked_up_is_released_at_once)
{
	struct asked asked = { 0 };

	ask(&asked, "GET", "http://name.invalid/");
	turn_for(50);
	http_release(&asked.call);
	http_pool_free(pool);
	pool = NULL;
	ck_assert_int_eq(looked_up, 0);
	ck_assert_int_eq(asked.done, 0);
	WAIT_UNTIL(looked_up == 1); /* what the thread does then is nobody's business any more */
	turn_for(50);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_name_that_is_not_answered_holds_nothing_up_beyond_its_own_timeout,
		a_call_whose_name_is_being_looked_up_is_released_at_once,
	};

	return unit_run("http_client_names", tests, ARRAY_LEN(tests), setup, teardown);
}
