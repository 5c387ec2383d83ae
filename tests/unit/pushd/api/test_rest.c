#include "pushd/api/rest.c"

#include "tests/unit/unit.h"

/* Who it is when PEER sends HEADER and 10.0.0.0/8 and ::1 are trusted. */
static const char *resolve_header(const char *peer, const char *header)
{
	static char text[NET_TEXT_MAX];
	const char *texts[] = { "10.0.0.0/8", "::1", NULL };
	struct networks trusted = { 0 };
	union net_address address;

	ck_assert_ptr_null(networks_read(&trusted, texts));
	ck_assert_int_eq(net_numeric(peer, 0, &address), 0);
	resolve_forwarded(&address, header, &trusted);
	networks_release(&trusted);
	return net_format(&address, text);
}

START_TEST(a_stranger_is_who_he_is_whatever_he_claims)
{
	ck_assert_str_eq(resolve_header("192.0.2.1", "198.51.100.1"), "192.0.2.1:0");
	ck_assert_str_eq(resolve_header("192.0.2.1", ""), "192.0.2.1:0");
}
END_TEST

START_TEST(a_trusted_proxy_names_the_client)
{
	ck_assert_str_eq(resolve_header("10.1.1.1", "198.51.100.1"), "198.51.100.1:0");
	ck_assert_str_eq(resolve_header("::1", " \t2001:db8::5 "), "[2001:db8::5]:0");
	ck_assert_str_eq(resolve_header("10.1.1.1", "198.51.100.1:4711"), "198.51.100.1:4711");
	ck_assert_str_eq(resolve_header("10.1.1.1", "[2001:db8::5]:80"), "[2001:db8::5]:80");
	ck_assert_str_eq(resolve_header("10.1.1.1", ""), "10.1.1.1:0");
	ck_assert_str_eq(resolve_header("10.1.1.1", ""), "10.1.1.1:0");
}
END_TEST

START_TEST(only_what_trusted_hops_wrote_is_believed)
{
	ck_assert_str_eq(resolve_header("10.1.1.1", "203.0.113.66, 198.51.100.1"),
	                 "198.51.100.1:0");
	ck_assert_str_eq(resolve_header("10.1.1.1", "203.0.113.66,198.51.100.1, 10.2.2.2,10.3.3.3"),
	                 "198.51.100.1:0");
	ck_assert_str_eq(resolve_header("10.1.1.1", "10.2.2.2"), "10.2.2.2:0");
}
END_TEST

START_TEST(garbage_ends_the_walk_at_the_hop_before)
{
	ck_assert_str_eq(resolve_header("10.1.1.1", "198.51.100.1, unknown"), "10.1.1.1:0");
	ck_assert_str_eq(resolve_header("10.1.1.1", "198.51.100.1,,"), "10.1.1.1:0");
	ck_assert_str_eq(resolve_header("10.1.1.1", "garbage, 10.2.2.2"), "10.2.2.2:0");
	ck_assert_str_eq(resolve_header("10.1.1.1",
	                                "1.1.1.1111111111111111111111111111111111111111111111111"
	                                "111111111111111111111111111111111111111111111111111"),
	                 "10.1.1.1:0");
}
END_TEST

/* How long HOST has to wait, at a time that stands still. */
static uint64_t ask_from(const char *host)
{
	union net_address address;

	ck_assert_int_eq(net_numeric(host, 1, &address), 0);
	return take_token(&address, 1);
}

START_TEST(a_network_of_many_addresses_is_limited_as_one)
{
	char host[64];

	init_rates();
	for (int i = 0; i < 2 * RATE_BURST * RATE_NETWORK; i++) {
		snprintf(host, sizeof(host), "2001:db8:7:%x::1", i);
		ck_assert_int_eq(ask_from(host) == 0, i < RATE_BURST * RATE_NETWORK);
	}
	ck_assert_uint_eq(self.rate.map.count, RATE_BURST * RATE_NETWORK);
	ck_assert_uint_eq(ask_from("2001:db8:8::1"), 0);
	rate_release(&self.rate);
	rate_release(&self.network_rate);
}
END_TEST

START_TEST(an_address_that_asks_too_often_costs_its_neighbours_nothing)
{
	init_rates();
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(ask_from("192.0.2.1") == 0, i < RATE_BURST);
	for (int i = 0; i < RATE_BURST; i++)
		ck_assert_uint_eq(ask_from("192.0.2.2"), 0);
	rate_release(&self.rate);
	rate_release(&self.network_rate);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_stranger_is_who_he_is_whatever_he_claims,
		a_trusted_proxy_names_the_client,
		only_what_trusted_hops_wrote_is_believed,
		garbage_ends_the_walk_at_the_hop_before,
		a_network_of_many_addresses_is_limited_as_one,
		an_address_that_asks_too_often_costs_its_neighbours_nothing,
	};

	return unit_run("rest", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
