#include "relayd/front/source_limit.c"

#include <arpa/inet.h>
#include <stdio.h>

#include "tests/unit/unit.h"

#define CONNS 20000

/* The place of each connection; NULL: it has none. Which one is known by its number. */
static struct source_place *places[CONNS];
static int evicted[CONNS], evictions;

static struct conn *conn_number(size_t number)
{
	return (struct conn *)(number + 1);
}

static void evict(struct conn *conn)
{
	size_t number = (size_t)conn - 1;

	evicted[evictions++] = (int)number;
	source_limit_remove(places[number]);
	places[number] = NULL;
}

static struct in6_addr address_of(const char *text)
{
	struct in6_addr address;

	ck_assert_int_eq(inet_pton(AF_INET6, text, &address), 1);
	return address;
}

static void add(size_t number, const char *text)
{
	struct in6_addr address = address_of(text);

	places[number] = source_limit_add(conn_number(number), &address, evict);
}

/* An address of its own for each NUMBER: IPv4 */
static void add_apart(size_t number)
{
	char text[INET6_ADDRSTRLEN];

	snprintf(text, sizeof(text), "::ffff:10.%zu.%zu.%zu", number >> 16, number >> 8 & 255,
	         number & 255);
	add(number, text);
}

static void leave(size_t number)
{
	source_limit_remove(places[number]);
	places[number] = NULL;
}

static bool is_admitted(size_t number)
{
	return places[number] != NULL && !source_limit_is_over(places[number]);
}

static void teardown(void)
{
	for (size_t i = 0; i < CONNS; i++)
		leave(i);
	ck_assert_uint_eq(source_limit_count(), 0);
	ck_assert_uint_eq(limit.sources.count, 0);
	ck_assert_uint_eq(limit.most, 0);
	source_limit_module.stop();
}

START_TEST(an_address_has_as_many_places_as_it_may_and_then_is_refused)
{
	set_limit(100, 3);
	for (size_t i = 0; i < 5; i++)
		add(i, "::ffff:192.0.2.1");
	ck_assert(is_admitted(0) && is_admitted(1) && is_admitted(2));
	ck_assert(!is_admitted(3) && places[3] != NULL);
	ck_assert(!is_admitted(4) && places[4] != NULL);
	ck_assert_uint_eq(source_limit_count(), 3);
	add(5, "::ffff:192.0.2.2");
	ck_assert(is_admitted(5));
	ck_assert_int_eq(evictions, 0);
}
END_TEST

START_TEST(a_place_that_was_left_is_free_for_the_next)
{
	set_limit(100, 2);
	add(0, "::ffff:192.0.2.1");
	add(1, "::ffff:192.0.2.1");
	add(2, "::ffff:192.0.2.1");
	leave(0);
	add(3, "::ffff:192.0.2.1");
	ck_assert(!is_admitted(2));
	ck_assert(is_admitted(3));
}
END_TEST

START_TEST(a_flood_over_the_cap_is_not_even_answered)
{
	set_limit(100, 2);
	for (size_t i = 0; i < 2 + OVER_MAX; i++) {
		add(i, "::ffff:192.0.2.1");
		ck_assert_ptr_nonnull(places[i]);
	}
	for (size_t i = 10; i < 1000; i++) {
		add(i, "::ffff:192.0.2.1");
		ck_assert_ptr_null(places[i]);
	}
	leave(3);
	add(10, "::ffff:192.0.2.1");
	ck_assert_ptr_nonnull(places[10]);
	ck_assert_uint_eq(source_limit_count(), 2);
}
END_TEST

START_TEST(places_are_as_many_as_were_set_apart)
{
	size_t over = 0;

	set_limit(300, 1);
	for (size_t i = 0; i < 300; i++)
		add_apart(i);
	for (size_t i = 0; i < 600; i++) {
		struct in6_addr address = limit.places[i % 300].source->key;

		places[300 + i] = source_limit_add(conn_number(300 + i), &address, evict);
		over += places[300 + i] != NULL;
	}
	ck_assert_uint_eq(over, OVER_PLACES);
	ck_assert_uint_eq(source_limit_count(), 300);
	ck_assert_int_eq(evictions, 0);
	leave(7);
	add_apart(7);
	ck_assert(is_admitted(7));
}
END_TEST

START_TEST(ipv6_counts_by_its_first_64_bits_and_ipv4_by_all_of_it)
{
	set_limit(100, 1);
	add(0, "2001:db8:0:1::1");
	add(1, "2001:db8:0:1:ffff::2");
	add(2, "2001:db8:0:2::1");
	add(3, "::ffff:192.0.2.1");
	add(4, "::ffff:192.0.2.2");
	add(5, "::ffff:192.0.2.1");
	ck_assert(is_admitted(0));
	ck_assert(!is_admitted(1));
	ck_assert(is_admitted(2));
	ck_assert(is_admitted(3));
	ck_assert(is_admitted(4));
	ck_assert(!is_admitted(5));
}
END_TEST

START_TEST(the_busiest_address_loses_its_oldest)
{
	set_limit(6, 10);
	add(0, "::ffff:192.0.2.1");
	for (size_t i = 1; i < 4; i++)
		add(i, "2001:db8::1");
	add(4, "::ffff:192.0.2.2");
	add(5, "::ffff:192.0.2.2");
	add(6, "::ffff:192.0.2.3");
	ck_assert_int_eq(evictions, 1);
	ck_assert_int_eq(evicted[0], 1);
	/* Now two addresses have two each: the one that has had them for longer. */
	add(7, "::ffff:192.0.2.4");
	ck_assert_int_eq(evicted[1], 4);
	add(8, "::ffff:192.0.2.5");
	ck_assert_int_eq(evicted[2], 2);
	ck_assert_uint_eq(source_limit_count(), 6);
	ck_assert(is_admitted(0) && is_admitted(3) && is_admitted(5));
}
END_TEST

START_TEST(a_greedy_newcomer_pays_for_itself)
{
	set_limit(4, 10);
	for (size_t i = 0; i < 4; i++)
		add(i, "::ffff:192.0.2.1");
	for (size_t i = 4; i < 8; i++)
		add(i, "::ffff:192.0.2.1");
	ck_assert_int_eq(evictions, 4);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(evicted[i], i);
	for (size_t i = 4; i < 8; i++)
		ck_assert(is_admitted(i));
}
END_TEST

START_TEST(an_address_may_have_to_give_its_only_one_for_the_next)
{
	set_limit(1, 5);
	for (size_t i = 0; i < 10; i++)
		add(i, "::ffff:192.0.2.1");
	ck_assert_int_eq(evictions, 9);
	ck_assert(is_admitted(9));
}
END_TEST

START_TEST(an_address_that_loses_its_only_one_may_come_again)
{
	set_limit(1, 1);
	add(0, "::ffff:192.0.2.1");
	add(1, "::ffff:192.0.2.2");
	ck_assert_int_eq(evictions, 1);
	add(2, "::ffff:192.0.2.1");
	ck_assert_int_eq(evictions, 2);
	ck_assert(is_admitted(2));
}
END_TEST

/* What a scan of all places would find. */
static size_t most_of_one(void)
{
	struct source *source;
	size_t cursor = 0, most = 0;

	while ((source = map_next(&limit.sources, &cursor)) != NULL)
		if (source->count > most)
			most = source->count;
	return most;
}

START_TEST(the_busiest_is_known_through_any_coming_and_going)
{
	uint32_t random = 7;
	char text[INET6_ADDRSTRLEN];

	set_limit(60, 12);
	for (int round = 0; round < 20000; round++) {
		size_t number;

		random = random * 1664525 + 1013904223;
		number = (random >> 8) % 200;
		snprintf(text, sizeof(text), "::ffff:10.0.0.%u", (random >> 24) % 9);
		evictions = 0;
		if (places[number] != NULL)
			leave(number);
		else
			add(number, text);
		ck_assert_uint_eq(limit.most, most_of_one());
		ck_assert_uint_le(source_limit_count(), 60);
	}
}
END_TEST

START_TEST(where_each_address_has_one_the_oldest_of_all_goes)
{
	set_limit(10000, 32);
	for (size_t i = 0; i < CONNS; i++)
		add_apart(i);
	ck_assert_uint_eq(source_limit_count(), 10000);
	ck_assert_int_eq(evictions, 10000);
	for (int i = 0; i < evictions; i++)
		ck_assert_int_eq(evicted[i], i);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_address_has_as_many_places_as_it_may_and_then_is_refused,
		a_place_that_was_left_is_free_for_the_next,
		a_flood_over_the_cap_is_not_even_answered,
		places_are_as_many_as_were_set_apart,
		ipv6_counts_by_its_first_64_bits_and_ipv4_by_all_of_it,
		the_busiest_address_loses_its_oldest,
		a_greedy_newcomer_pays_for_itself,
		an_address_may_have_to_give_its_only_one_for_the_next,
		an_address_that_loses_its_only_one_may_come_again,
		the_busiest_is_known_through_any_coming_and_going,
		where_each_address_has_one_the_oldest_of_all_goes,
	};

	return unit_run("source_limit", tests, ARRAY_LEN(tests), NULL, teardown);
}
