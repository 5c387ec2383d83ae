#include "pushd/api/notifications.c"

#include "common/base/mem.h"
#include "tests/unit/unit.h"
#include "tests/unit/wait.h"

static struct conf conf;

static void setup(void)
{
	loop_init();
	conf.daemon.domain_rate = 20;
	conf.daemon.domain_burst = 3;
	ck_assert_int_eq(notifications_module.start(&conf), 0);
}

static void teardown(void)
{
	notifications_module.stop();
	loop_release();
}

START_TEST(a_domain_may_do_its_burst_and_then_what_its_rate_says)
{
	for (int i = 0; i < 3; i++)
		ck_assert(domain_allowed("example.org"));
	ck_assert(!domain_allowed("example.org"));
	ck_assert_int_eq(refused_number, 1);
	WAIT_UNTIL(domain_allowed("example.org"));
}
END_TEST

START_TEST(domains_are_apart_and_their_case_is_the_same)
{
	for (int i = 0; i < 3; i++)
		ck_assert(domain_allowed("Example.ORG"));
	ck_assert(!domain_allowed("example.org"));
	ck_assert(domain_allowed("example.net"));
}
END_TEST

START_TEST(without_a_rate_everything_is_allowed)
{
	notifications_module.stop();
	conf.daemon.domain_rate = 0;
	ck_assert_int_eq(notifications_module.start(&conf), 0);
	for (int i = 0; i < 10000; i++)
		ck_assert(domain_allowed("example.org"));
	ck_assert_int_eq(refused_number, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_domain_may_do_its_burst_and_then_what_its_rate_says,
		domains_are_apart_and_their_case_is_the_same,
		without_a_rate_everything_is_allowed,
	};

	return unit_run("notifications", tests, ARRAY_LEN(tests), setup, teardown);
}
