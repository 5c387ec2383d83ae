#include "pushd/api/rate.c"

#include <stdio.h>

#include "common/net/networks.h"
#include "tests/unit/unit.h"

static struct rate rate = { .burst = 3, .interval_ns = 100000000, .keys_max = 4 };

static void setup(void)
{
	rate_init(&rate);
}

static void teardown(void)
{
	rate_release(&rate);
}

static bool allow(const char *host, uint64_t now_ms)
{
	unsigned char key[16];
	union net_address address;

	ck_assert_int_eq(net_numeric(host, 1, &address), 0);
	networks_key(&address, key);
	networks_cut_to_site(key);
	return rate_take(&rate, key, sizeof(key), now_ms * 1000000) == 0;
}

static unsigned allowed_of(unsigned times, const char *host, uint64_t now_ms)
{
	unsigned count = 0;

	while (times-- > 0)
		count += allow(host, now_ms);
	return count;
}

START_TEST(a_burst_is_allowed_and_then_one_per_interval)
{
	ck_assert_uint_eq(allowed_of(10, "192.0.2.1", 1000), 3);
	ck_assert_uint_eq(allowed_of(10, "192.0.2.1", 1099), 0);
	ck_assert_uint_eq(allowed_of(10, "192.0.2.1", 1100), 1);
	ck_assert_uint_eq(allowed_of(10, "192.0.2.1", 1350), 2);
	ck_assert_uint_eq(allowed_of(10, "192.0.2.1", 1399), 0);
	ck_assert_uint_eq(allowed_of(10, "192.0.2.1", 1400), 1);
	ck_assert_uint_eq(allowed_of(10, "192.0.2.1", 999999), 3);
}
END_TEST

START_TEST(addresses_are_apart_but_an_ipv6_site_is_one)
{
	ck_assert_uint_eq(allowed_of(5, "192.0.2.1", 0), 3);
	ck_assert_uint_eq(allowed_of(5, "192.0.2.2", 0), 3);
	ck_assert_uint_eq(allowed_of(5, "::ffff:192.0.2.2", 0), 0);
	ck_assert_uint_eq(allowed_of(2, "2001:db8:0:1::1", 0), 2);
	ck_assert_uint_eq(allowed_of(5, "2001:db8:0:1:ffff::2", 0), 1);
	ck_assert_uint_eq(allowed_of(5, "2001:db8:0:2::1", 0), 3);
}
END_TEST

START_TEST(who_asks_how_long_to_wait_takes_nothing)
{
	ck_assert_uint_eq(rate_wait(&rate, "key", 3, 1000), 0);
	ck_assert_uint_eq(rate.map.count, 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(rate_wait(&rate, "key", 3, 1000), 0);
		ck_assert_uint_eq(rate_take(&rate, "key", 3, 1000), 0);
	}
	ck_assert_uint_eq(rate_wait(&rate, "key", 3, 1000), 100000000);
	ck_assert_uint_eq(rate_wait(&rate, "key", 3, 100000999), 1);
	ck_assert_uint_eq(rate_wait(&rate, "key", 3, 100001000), 0);
}
END_TEST

START_TEST(who_is_refused_is_told_when_the_next_is_free)
{
	while (rate_take(&rate, "key", 3, 1000) == 0)
		;
	ck_assert_uint_eq(rate_take(&rate, "key", 3, 1000), 100000000);
	ck_assert_uint_eq(rate_take(&rate, "key", 3, 99000999), 1000001);
	ck_assert_uint_eq(rate_take(&rate, "key", 3, 100000999), 1);
	ck_assert_uint_eq(rate_take(&rate, "key", 3, 100001000), 0);
	ck_assert_uint_eq(rate_take(&rate, "keys", 4, 100001000), 0);
}
END_TEST

START_TEST(a_full_table_forgets_the_quietest_address)
{
	char host[32];

	ck_assert_uint_eq(allowed_of(3, "192.0.2.1", 0), 3);
	ck_assert_uint_eq(allowed_of(3, "192.0.2.2", 0), 3);
	ck_assert(!allow("192.0.2.1", 0));
	for (int i = 3; i <= 5; i++) {
		snprintf(host, sizeof(host), "192.0.2.%d", i);
		ck_assert(allow(host, 0));
	}
	ck_assert_uint_eq(rate.map.count, 4);
	ck_assert(!allow("192.0.2.1", 0));
	ck_assert(allow("192.0.2.2", 0));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_burst_is_allowed_and_then_one_per_interval,
		addresses_are_apart_but_an_ipv6_site_is_one,
		who_asks_how_long_to_wait_takes_nothing,
		who_is_refused_is_told_when_the_next_is_free,
		a_full_table_forgets_the_quietest_address,
	};

	return unit_run("rate", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
}
