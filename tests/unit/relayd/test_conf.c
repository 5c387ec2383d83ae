#include "relayd/conf.c"

#include <stdlib.h>

#include "common/base/mem.h"
#include "tests/unit/unit.h"

static char *listen_to[] = { (char *)"127.0.0.1:1080", (char *)"[::1]:1080", NULL };
static struct relay_conf conf;

static void setup(void)
{
	conf = (struct relay_conf){
		.id = (char *)"relay-1",
		.redis = (char *)"redis://127.0.0.1",
		.listen = listen_to,
		.control_listen = (char *)"127.0.0.1:7650",
	};
}

/* The complaints are TEXT, which is empty where all is right. */
static void check_says(const char *text)
{
	struct buf complaints = { 0 };
	int result = conf_check(&conf, &complaints);
	char *got;

	ck_assert_int_eq(result, *text == '\0' ? 0 : -1);
	got = buf_len(&complaints) > 0 ? buf_take(&complaints) : mem_dup("");
	ck_assert_str_eq(got, text);
	free(got);
}

START_TEST(a_relay_with_numeric_listeners_is_right)
{
	check_says("");
}
END_TEST

START_TEST(every_complaint_is_made_at_once)
{
	char *names[] = { (char *)"relay.example.org:1080", NULL };
	char *nowhere[] = { (char *)"relay.example.org", NULL };

	conf.id = (char *)"a b";
	conf.listen = names;
	conf.advertise = nowhere;
	conf.control_listen = (char *)"7650";
	check_says("id must be 1 to 64 letters, digits, . - _, not a b\n"
	           "listen must be a numeric address and a port, not relay.example.org:1080\n"
	           "advertise must be HOST:PORT, not relay.example.org\n"
	           "control-listen must be a numeric address and a port, not 7650\n");
}
END_TEST

START_TEST(a_relay_must_listen)
{
	char *none[] = { NULL };

	conf.listen = none;
	check_says("listen must have an address\n");
}
END_TEST

START_TEST(a_wildcard_needs_an_address_that_clients_can_be_told)
{
	char *wildcards[] = { (char *)"127.0.0.1:1080", (char *)"[::]:1080", (char *)"0.0.0.0:1",
		              NULL };
	char *none[] = { NULL }, *named[] = { (char *)"relay.example.org:1080", NULL };

	conf.listen = wildcards;
	check_says("advertise is needed: clients can't connect to [::]:1080\n");
	conf.advertise = none;
	check_says("advertise is needed: clients can't connect to [::]:1080\n");
	conf.advertise = named;
	check_says("");
	conf.advertise = none;
	conf.redis = (char *)"none";
	check_says("");
}
END_TEST

START_TEST(limits_and_peers_need_redis)
{
	conf.redis = (char *)"none";
	conf.verifier = VERIFIER_LIMITS;
	conf.peer_listen = (char *)"127.0.0.1:7651";
	conf.peer_secret = (char *)"s";
	check_says("verifier = limits needs redis\npeer-listen needs redis\n");
}
END_TEST

START_TEST(a_peer_listener_needs_a_secret_and_an_address_that_others_can_dial)
{
	conf.peer_listen = (char *)"127.0.0.1:7651";
	conf.peer_address = (char *)"relay-1:0";
	check_says("peer-address must be HOST:PORT, not relay-1:0\n"
	           "peer-listen needs peer-secret\n");
}
END_TEST

START_TEST(a_trusted_proxy_is_an_address_or_a_network)
{
	char *right[] = { (char *)"10.0.0.0/8", (char *)"::1", NULL };
	char *wrong[] = { (char *)"10.0.0.0/8", (char *)"balancer", NULL };

	conf.trusted_proxies = right;
	check_says("");
	conf.trusted_proxies = wrong;
	check_says("trusted-proxies: balancer is no address or network\n");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_relay_with_numeric_listeners_is_right,
		every_complaint_is_made_at_once,
		a_relay_must_listen,
		a_wildcard_needs_an_address_that_clients_can_be_told,
		limits_and_peers_need_redis,
		a_peer_listener_needs_a_secret_and_an_address_that_others_can_dial,
		a_trusted_proxy_is_an_address_or_a_network,
	};

	return unit_run("relayd_conf", tests, ARRAY_LEN(tests), setup, NULL);
}
