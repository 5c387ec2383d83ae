#include "relayd/front/source_limit.c"

#include <arpa/inet.h>
#include <stdio.h>

#include "tests/unit/unit.h"

#define CONNS 20000

/* The place of each connection; NULL: it has none. Which one is known by its number. */
static struct source_place *places[CONNS];
static struct in6_addr addresses[CONNS];
static int evicted[CONNS], evictions;

static struct conn *conn_number(size_t number)
{
	return (struct conn *)(number + 1);
}

static bool is_admitted(size_t number)
{
	return places[number] != NULL && !source_limit_is_over(places[number]);
}

/* The connection is closed. */
static void leave(size_t number)
{
	if (is_admitted(number))
		source_limit_closed(&addresses[number]);
	source_limit_remove(places[number]);
	places[number] = NULL;
}

static void evict(struct conn *conn)
{
	size_t number = (size_t)conn - 1;

	evicted[evictions++] = (int)number;
	leave(number);
}

/* Without a limit of all connections of an address. */
static void set_limits(size_t max, size_t per_address_max)
{
	set_limit(max, per_address_max, SIZE_MAX);
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
	addresses[number] = address;
}

/* A network of its own for each NUMBER. */
static void add_apart(size_t number)
{
	char text[INET6_ADDRSTRLEN];

	snprintf(text, sizeof(text), "::ffff:10.%zu.%zu.1", number >> 8, number & 255);
	add(number, text);
}

static void teardown(void)
{
	for (size_t i = 0; i < CONNS; i++)
		leave(i);
	ck_assert_uint_eq(source_limit_count(), 0);
	ck_assert_uint_eq(limit.sources.count, 0);
	ck_assert_uint_eq(limit.networks.count, 0);
	ck_assert_ptr_null(most(&limit.ranked));
	source_limit_module.stop();
}

START_TEST(an_address_has_as_many_places_as_it_may_and_then_is_refused)
{
	set_limits(100, 3);
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
	set_limits(100, 2);
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
	set_limits(100, 2);
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

	set_limits(300, 1);
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
	set_limits(100, 1);
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
	set_limits(6, 10);
	add(0, "::ffff:192.0.1.1");
	for (size_t i = 1; i < 4; i++)
		add(i, "2001:db8::1");
	add(4, "::ffff:192.0.2.1");
	add(5, "::ffff:192.0.2.1");
	add(6, "::ffff:192.0.3.1");
	ck_assert_int_eq(evictions, 1);
	ck_assert_int_eq(evicted[0], 1);
	/* Now two addresses have two each: the one that has had them for longer. */
	add(7, "::ffff:192.0.4.1");
	ck_assert_int_eq(evicted[1], 4);
	add(8, "::ffff:192.0.5.1");
	ck_assert_int_eq(evicted[2], 2);
	ck_assert_uint_eq(source_limit_count(), 6);
	ck_assert(is_admitted(0) && is_admitted(3) && is_admitted(5));
}
END_TEST

START_TEST(a_greedy_newcomer_pays_for_itself)
{
	set_limits(4, 10);
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
	set_limits(1, 5);
	for (size_t i = 0; i < 10; i++)
		add(i, "::ffff:192.0.2.1");
	ck_assert_int_eq(evictions, 9);
	ck_assert(is_admitted(9));
}
END_TEST

START_TEST(an_address_that_loses_its_only_one_may_come_again)
{
	set_limits(1, 1);
	add(0, "::ffff:192.0.2.1");
	add(1, "::ffff:192.0.2.2");
	ck_assert_int_eq(evictions, 1);
	add(2, "::ffff:192.0.2.1");
	ck_assert_int_eq(evictions, 2);
	ck_assert(is_admitted(2));
}
END_TEST

START_TEST(a_network_pays_for_itself_though_each_of_its_addresses_has_one)
{
	char text[INET6_ADDRSTRLEN];

	set_limits(100, 32);
	add(0, "2001:db8:1::1");
	add(1, "::ffff:192.0.2.1");
	for (size_t i = 2; i < 4101; i++) {
		snprintf(text, sizeof(text), "2001:db8:2:%zx::1", i);
		add(i, text);
	}
	for (size_t i = 5000; i < 5256; i++) {
		snprintf(text, sizeof(text), "::ffff:198.51.100.%zu", i - 5000);
		add(i, text);
	}
	ck_assert_uint_eq(source_limit_count(), 100);
	ck_assert(is_admitted(0) && is_admitted(1));
}
END_TEST

START_TEST(in_the_greediest_network_the_greediest_address_loses_its_oldest)
{
	set_limits(7, 10);
	for (size_t i = 0; i < 3; i++)
		add(i, "::ffff:192.0.2.1");
	add(3, "2001:db8::1");
	add(4, "2001:db8:0:1::1");
	add(5, "2001:db8:0:1::2");
	add(6, "2001:db8:0:2::1");
	add(7, "::ffff:198.51.100.1");
	ck_assert_int_eq(evictions, 1);
	ck_assert_int_eq(evicted[0], 4);
}
END_TEST

START_TEST(connections_of_an_address_count_until_they_are_closed)
{
	struct in6_addr one = address_of("2001:db8::1");

	set_limit(100, 2, 3);
	for (size_t i = 0; i < 3; i++) {
		add(i, i == 0 ? "2001:db8::2" : "2001:db8::1");
		ck_assert(is_admitted(i));
		source_limit_remove(places[i]); /* active */
		places[i] = NULL;
	}
	for (size_t i = 3; i < 3 + OVER_MAX; i++) {
		add(i, "2001:db8::1");
		ck_assert(places[i] != NULL && !is_admitted(i));
	}
	add(9, "2001:db8::1");
	ck_assert_ptr_null(places[9]);
	add(10, "2001:db8:0:1::1");
	ck_assert(is_admitted(10));
	leave(10);
	source_limit_closed(&one);
	add(9, "2001:db8::1");
	ck_assert(is_admitted(9));
	leave(9);
	for (int i = 0; i < 2; i++)
		source_limit_closed(&one);
	ck_assert_uint_eq(limit.addresses.count, 0);
}
END_TEST

static int others;

static bool do_otherwise(void)
{
	others++;
	return true;
}

static bool make_room(const char *text)
{
	struct in6_addr address = address_of(text);

	return source_limit_make_room(&address, evict, do_otherwise);
}

START_TEST(room_is_made_where_a_network_has_two_and_otherwise_elsewhere)
{
	set_limits(100, 1);
	ck_assert(make_room("::ffff:192.0.3.1"));
	ck_assert_int_eq(others, 1);
	add(0, "::ffff:192.0.1.1");
	add(1, "::ffff:192.0.2.1");
	ck_assert(make_room("::ffff:192.0.3.1"));
	ck_assert_int_eq(others, 2);
	ck_assert_int_eq(evictions, 0);
	add(2, "::ffff:192.0.2.2");
	ck_assert(!make_room("::ffff:192.0.1.1")); /* it has its maximum */
	ck_assert(make_room("::ffff:192.0.3.1"));
	ck_assert_int_eq(others, 2);
	ck_assert_int_eq(evictions, 1);
	ck_assert_int_eq(evicted[0], 1);
	ck_assert(source_limit_make_room(NULL, evict, do_otherwise));
	ck_assert_int_eq(others, 3);
}
END_TEST

/* What a scan would find: the most of one network, or of one address in the network ONLY. */
static size_t most_of_one(const struct source_network *only)
{
	const struct map *all = only == NULL ? &limit.networks : &limit.sources;
	size_t cursor = 0, found = 0;
	void *each;

	while ((each = map_next(all, &cursor)) != NULL) {
		const struct source *source = each;
		const struct source_network *network = each;
		size_t count = 0;

		if (only == NULL)
			count = count_of(&network->item);
		else if (source->network == only)
			count = count_of(&source->item);
		found = count > found ? count : found;
	}
	return found;
}

static void check_ranks(void)
{
	const struct rank_item *first = most(&limit.ranked);
	const struct source_network *network;

	ck_assert_uint_eq(first == NULL ? 0 : count_of(first), most_of_one(NULL));
	if (first == NULL)
		return;
	network = container_of(first, struct source_network, item);
	ck_assert_uint_eq(count_of(most(&network->sources)), most_of_one(network));
}

START_TEST(the_busiest_is_known_through_any_coming_and_going)
{
	uint32_t random = 7;
	char text[INET6_ADDRSTRLEN];

	set_limits(60, 12);
	for (int round = 0; round < 20000; round++) {
		size_t number;

		random = random * 1664525 + 1013904223;
		number = (random >> 8) % 200;
		snprintf(text, sizeof(text), "::ffff:10.0.%u.%u", (random >> 24) % 3,
		         (random >> 27) % 4);
		evictions = 0;
		if (places[number] != NULL)
			leave(number);
		else
			add(number, text);
		check_ranks();
		ck_assert_uint_le(source_limit_count(), 60);
	}
}
END_TEST

START_TEST(where_each_address_has_one_the_oldest_of_all_goes)
{
	set_limits(10000, 32);
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
		a_network_pays_for_itself_though_each_of_its_addresses_has_one,
		in_the_greediest_network_the_greediest_address_loses_its_oldest,
		connections_of_an_address_count_until_they_are_closed,
		room_is_made_where_a_network_has_two_and_otherwise_elsewhere,
		the_busiest_is_known_through_any_coming_and_going,
		where_each_address_has_one_the_oldest_of_all_goes,
	};

	return unit_run("source_limit", tests, ARRAY_LEN(tests), NULL, teardown);
}
