#include "common/net/networks.c"

#include "tests/unit/unit.h"

static struct networks networks;

static void teardown(void)
{
	networks_release(&networks);
}

static bool has(const char *host)
{
	union net_address address;

	ck_assert_int_eq(net_numeric(host, 1, &address), 0);
	return networks_contain(&networks, &address);
}

static void read_all(const char *first, const char *second)
{
	const char *texts[] = { first, second, NULL };
	const char *bad;

	networks_release(&networks);
	bad = networks_read(&networks, texts);
	ck_assert_msg(bad == NULL, "%s", bad);
}

START_TEST(an_address_alone_is_a_network_of_one)
{
	read_all("192.0.2.7", "2001:db8::7");
	ck_assert(has("192.0.2.7") && !has("192.0.2.6"));
	ck_assert(has("2001:db8::7") && !has("2001:db8::8"));
}
END_TEST

START_TEST(prefixes_end_at_any_bit)
{
	read_all("10.0.0.0/8", "2001:db8:8000::/33");
	ck_assert(has("10.255.255.255") && !has("11.0.0.0"));
	ck_assert(has("2001:db8:8000::1") && has("2001:db8:ffff::1") && !has("2001:db8:7fff::1"));
	read_all("192.0.2.128/25", "198.51.100.0/31");
	ck_assert(has("192.0.2.200") && !has("192.0.2.127"));
	ck_assert(has("198.51.100.1") && !has("198.51.100.2"));
	read_all("0.0.0.0/0", NULL);
	ck_assert(has("203.0.113.9") && !has("2001:db8::1"));
	read_all("::/0", NULL);
	ck_assert(has("203.0.113.9") && has("2001:db8::1"));
}
END_TEST

START_TEST(mapped_addresses_are_ipv4)
{
	read_all("127.0.0.0/8", NULL);
	ck_assert(has("::ffff:127.0.0.1") && !has("::ffff:128.0.0.1"));
}
END_TEST

START_TEST(the_first_text_that_is_no_network_is_named)
{
	static const char *const bad[] = { "",
		                           "host",
		                           "10.0.0.0/33",
		                           "::/129",
		                           "10.0.0.0/",
		                           "10.0.0.0/-1",
		                           "10.0.0.0/8x",
		                           "10.0.0",
		                           "10.0.0.0/ 8",
		                           NULL };

	for (size_t i = 0; bad[i] != NULL; i++) {
		const char *texts[] = { "192.0.2.1", bad[i], "worse", NULL };

		networks_release(&networks);
		ck_assert_ptr_eq(networks_read(&networks, texts), bad[i]);
	}
}
END_TEST

START_TEST(an_empty_list_has_nobody)
{
	ck_assert_ptr_null(networks_read(&networks, NULL));
	ck_assert(!has("127.0.0.1"));
}
END_TEST

START_TEST(a_network_is_a_48_of_ipv6_and_a_24_of_ipv4)
{
	static const char *const hosts[] = { "2001:db8:0:1::1", "2001:db8:0:2::1",  "2001:db8:1::1",
		                             "192.0.2.1",       "::ffff:192.0.2.2", "192.0.3.1" };
	unsigned char keys[ARRAY_LEN(hosts)][16];

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		union net_address address;

		ck_assert_int_eq(net_numeric(hosts[i], 1, &address), 0);
		networks_key(&address, keys[i]);
		networks_cut_to_network(keys[i]);
	}
	ck_assert_mem_eq(keys[0], keys[1], 16);
	ck_assert_mem_ne(keys[0], keys[2], 16);
	ck_assert_mem_eq(keys[3], keys[4], 16);
	ck_assert_mem_ne(keys[3], keys[5], 16);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_network_is_a_48_of_ipv6_and_a_24_of_ipv4,
		an_address_alone_is_a_network_of_one,
		prefixes_end_at_any_bit,
		mapped_addresses_are_ipv4,
		the_first_text_that_is_no_network_is_named,
		an_empty_list_has_nobody,
	};

	return unit_run("networks", tests, sizeof(tests) / sizeof(tests[0]), NULL, teardown);
}
