#include "xmppgw/acl.c"

#include "tests/unit/unit.h"

static char *domains[] = { (char *)"Example.ORG", (char *)"m\xc3\xbcnchen.example.", NULL };
static char *operators[] = { (char *)"Root@Example.org", (char *)" ops@example.net ", NULL };
static struct conf conf;

static void start_with(char **served_domains, char **admin_list)
{
	conf.daemon.served_domains = served_domains;
	conf.daemon.admins = admin_list;
	ck_assert_int_eq(acl_module.start(&conf), 0);
}

START_TEST(all_are_served_and_nobody_is_an_operator_where_nothing_is_configured)
{
	start_with(NULL, NULL);
	ck_assert(acl_serves("example.org"));
	ck_assert(!acl_is_admin("root@example.org/phone"));
	ck_assert(!acl_is_admin(""));
}
END_TEST

START_TEST(served_domains_are_compared_as_prepared_and_as_a_whole)
{
	start_with(domains, NULL);
	ck_assert(acl_serves("example.org"));
	ck_assert(acl_serves("m\xc3\xbcnchen.example"));
	ck_assert(!acl_serves("example.net"));
	ck_assert(!acl_serves("sub.example.org"));
	ck_assert(!acl_serves("evil-example.org"));
	ck_assert(!acl_serves(""));
}
END_TEST

START_TEST(an_operator_is_known_by_each_resource_and_spelling_and_nobody_else_is)
{
	start_with(NULL, operators);
	ck_assert(acl_is_admin("root@example.org"));
	ck_assert(acl_is_admin("ROOT@EXAMPLE.org/Phone"));
	ck_assert(acl_is_admin("ops@example.net/x"));
	ck_assert(!acl_is_admin("root@example.net"));
	ck_assert(!acl_is_admin("example.org"));
	ck_assert(!acl_is_admin("example.org/root@example.org"));
	ck_assert(!acl_is_admin("room@muc.example.org/root@example.org"));
	ck_assert(!acl_is_admin("rooot@example.org"));
	ck_assert(!acl_is_admin("not a jid@"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		all_are_served_and_nobody_is_an_operator_where_nothing_is_configured,
		served_domains_are_compared_as_prepared_and_as_a_whole,
		an_operator_is_known_by_each_resource_and_spelling_and_nobody_else_is,
	};

	return unit_run("access", tests, ARRAY_LEN(tests), NULL, stop);
}
