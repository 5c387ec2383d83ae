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

int main(void)
{
	const TTest *const tests[] = {
		a_stranger_is_who_he_is_whatever_he_claims,
		a_trusted_proxy_names_the_client,
		only_what_trusted_hops_wrote_is_believed,
		garbage_ends_the_walk_at_the_hop_before,
	};

	return unit_run("rest", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
