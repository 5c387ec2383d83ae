#include "xmppgw/acl.c"

#include "tests/unit/unit.h"

static char *domains[] = { (char *)"Example.ORG", (char *)"m\xc3\xbcnchen.example.", NULL };
static char *operators[] = { (char *)"Root@Example.org", (char *)" ops@example.net ", NULL };
static struct acl acl;

static void teardown(void)
{
	acl_release(&acl);
}

static void start_with(char **served_domains, char **admin_list)
{
	struct conf_component conf = { .served_domains = served_domains, .admins = admin_list };

	acl_init(&acl, &conf);
}

START_TEST(all_are_served_and_nobody_is_an_operator_where_nothing_is_configured)
{
	start_with(NULL, NULL);
	ck_assert(acl_serves(&acl, "example.org"));
	ck_assert(!acl_is_admin(&acl, "root@example.org/phone"));
	ck_assert(!acl_is_admin(&acl, ""));
}
END_TEST

START_TEST(served_domains_are_compared_as_prepared_and_as_a_whole)
{
	start_with(domains, NULL);
	ck_assert(acl_serves(&acl, "example.org"));
	ck_assert(acl_serves(&acl, "m\xc3\xbcnchen.example"));
	ck_assert(!acl_serves(&acl, "example.net"));
	ck_assert(!acl_serves(&acl, "sub.example.org"));
	ck_assert(!acl_serves(&acl, "evil-example.org"));
	ck_assert(!acl_serves(&acl, ""));
}
END_TEST

START_TEST(an_operator_is_known_by_each_resource_and_spelling_and_nobody_else_is)
{
	start_with(NULL, operators);
	ck_assert(acl_is_admin(&acl, "root@example.org"));
	ck_assert(acl_is_admin(&acl, "ROOT@EXAMPLE.org/Phone"));
	ck_assert(acl_is_admin(&acl, "ops@example.net/x"));
	ck_assert(!acl_is_admin(&acl, "root@example.net"));
	ck_assert(!acl_is_admin(&acl, "example.org"));
	ck_assert(!acl_is_admin(&acl, "example.org/root@example.org"));
	ck_assert(!acl_is_admin(&acl, "room@muc.example.org/root@example.org"));
	ck_assert(!acl_is_admin(&acl, "rooot@example.org"));
	ck_assert(!acl_is_admin(&acl, "not a jid@"));
}
END_TEST

START_TEST(the_rules_for_requesters_and_targets_are_those_of_the_configuration)
{
	struct conf_component conf = { .serve = SERVE_EITHER, .charge = CHARGE_SERVED };

	acl_init(&acl, &conf);
	ck_assert_int_eq(acl.serve, SERVE_EITHER);
	ck_assert_int_eq(acl.charge, CHARGE_SERVED);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		all_are_served_and_nobody_is_an_operator_where_nothing_is_configured,
		served_domains_are_compared_as_prepared_and_as_a_whole,
		the_rules_for_requesters_and_targets_are_those_of_the_configuration,
		an_operator_is_known_by_each_resource_and_spelling_and_nobody_else_is,
	};

	return unit_run("access", tests, ARRAY_LEN(tests), NULL, teardown);
}
