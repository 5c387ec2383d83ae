#include "xmppgw/conf.c"

#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char *relay_role[] = { (char *)"relay", NULL };
static struct conf_component components[2];
static struct conf conf;

static void setup(void)
{
	components[0] = (struct conf_component){
		.id = (char *)"proxy.example.org",
		.server = (char *)"127.0.0.1:5347",
		.secret = (char *)"s",
		.roles = relay_role,
		.name = (char *)"Proxy",
	};
	conf = (struct conf){
		.daemon = { .redis = (char *)"redis://127.0.0.1",
		            .ops_listen = (char *)"127.0.0.1:0",
		            .api_token = (char *)"t" },
		.components = { components, 1 },
	};
}

static void is_right(void)
{
	struct buf complaints = { 0 };
	int result = conf_check(&conf, &complaints);

	ck_assert_msg(result == 0, "%.*s", (int)buf_len(&complaints), buf_data(&complaints));
	ck_assert_uint_eq(buf_len(&complaints), 0);
}

/* The one complaint is TEXT. */
static void is_wrong(const char *text)
{
	struct buf complaints = { 0 };
	char *got;

	ck_assert_int_eq(conf_check(&conf, &complaints), -1);
	got = buf_take(&complaints);
	ck_assert_str_eq(got, text);
	free(got);
}

START_TEST(the_id_is_the_hosts_name_unless_it_is_given)
{
	char host[300] = "";

	ck_assert_int_eq(gethostname(host, sizeof(host) - 1), 0);
	ck_assert_int_eq(strncmp(daemon_id(conf.daemon.id), host, ID_MAX), 0);
	is_right();
	conf.daemon.id = (char *)"gateway-1.example_";
	ck_assert_str_eq(daemon_id(conf.daemon.id), "gateway-1.example_");
	is_right();
}
END_TEST

START_TEST(an_id_with_anything_else_is_refused)
{
	char longer[ID_MAX + 2] = "";
	char *ids[] = { (char *)"a b", (char *)"a:b", (char *)"\xc3\xa4", (char *)"", longer };

	memset(longer, 'a', ID_MAX + 1);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		conf.daemon.id = ids[i];
		is_wrong("id must be 1 to 64 letters, digits, '.', '-' or '_'\n");
	}
	longer[ID_MAX] = '\0';
	is_right();
}
END_TEST

START_TEST(served_domains_are_domains)
{
	char *good[] = { (char *)"Example.org", (char *)"m\xc3\xbcnchen.example", NULL };
	char *bad[] = { (char *)"example.org", (char *)"a@example.org", NULL };

	components[0].served_domains = good;
	is_right();
	components[0].served_domains = bad;
	is_wrong("component proxy.example.org: served-domains: a@example.org is no domain\n");
	bad[1] = (char *)"*.example.org";
	is_wrong("component proxy.example.org: served-domains: *.example.org is no domain\n");
}
END_TEST

START_TEST(admins_are_users)
{
	char *good[] = { (char *)"Root@example.org", NULL };
	char *bad[] = { (char *)"root@example.org", (char *)"example.org", NULL };

	components[0].admins = good;
	is_right();
	components[0].admins = bad;
	is_wrong("component proxy.example.org: admins: example.org is no user@domain\n");
	bad[1] = (char *)"root@example.org/desk";
	is_wrong("component proxy.example.org: admins: root@example.org/desk is no user@domain\n");
}
END_TEST

START_TEST(a_components_domain_is_its_id_unless_it_is_given)
{
	ck_assert_str_eq(conf_domain(&components[0]), "proxy.example.org");
	components[0].id = (char *)"a@b";
	is_wrong("component a@b: a@b is no domain\n");
	components[0].domain = (char *)"proxy.example.org";
	ck_assert_str_eq(conf_domain(&components[0]), "proxy.example.org");
	is_right();
	components[0].domain = (char *)"c@d";
	is_wrong("component a@b: c@d is no domain\n");
}
END_TEST

START_TEST(two_components_have_two_domains)
{
	components[1] = components[0];
	components[1].id = (char *)"push";
	conf.components.count = 2;
	is_right();
	components[1].domain = (char *)"Proxy.Example.ORG";
	is_wrong("components proxy.example.org and push have the same domain, "
	         "proxy.example.org\n");
	components[0].domain = (char *)"push";
	is_right();
}
END_TEST

START_TEST(relays_and_push_daemons_may_have_a_redis_of_their_own)
{
	ck_assert_str_eq(conf_redis_or(&conf, conf.daemon.push_redis), "redis://127.0.0.1");
	conf.daemon.push_redis = (char *)"redis://192.0.2.1";
	ck_assert_str_eq(conf_redis_or(&conf, conf.daemon.push_redis), "redis://192.0.2.1");
	is_right();
	conf.daemon.push_redis = (char *)"none";
	is_wrong("push-redis can't be none; without it, redis is used\n");
	conf.daemon.push_redis = NULL;
	conf.daemon.relay_redis = (char *)"redis://192.0.2.1";
	conf.daemon.redis = (char *)"none";
	is_wrong("relay-redis needs redis, which is none\n"
	         "redis = none needs a section [relay ID]\n");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_id_is_the_hosts_name_unless_it_is_given,
		an_id_with_anything_else_is_refused,
		served_domains_are_domains,
		admins_are_users,
		a_components_domain_is_its_id_unless_it_is_given,
		two_components_have_two_domains,
		relays_and_push_daemons_may_have_a_redis_of_their_own,
	};

	return unit_run("xmppgw_conf", tests, ARRAY_LEN(tests), setup, NULL);
}
