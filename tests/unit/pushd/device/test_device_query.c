#include "pushd/device/device.c"

#include "tests/unit/device_fixture.h"

static struct device watch = {
	.component = "push.example.org",
	.owner = "example.org",
	.provider = "apns",
	.token = "aabb",
};

START_TEST(a_registration_is_found_by_its_node)
{
	struct device device = phone;
	struct device_registration first;

	device.second_token = "ccdd";
	first = enrol(&device);
	ck_assert(first.created);
	ck_assert_uint_eq(strspn(first.node, "0123456789abcdef"), 32);
	ck_assert_uint_eq(strspn(first.secret, "0123456789abcdef"), 32);
	ck_assert_str_ne(first.node, first.secret);
	ck_assert_int_eq(look_up(first.node), DEVICE_DONE);
	ck_assert_str_eq(found[0].node, first.node);
	ck_assert_str_eq(found[0].secret, first.secret);
	ck_assert_str_eq(found[0].token, "aabb");
	ck_assert_str_eq(found[0].second_token, "ccdd");
	ck_assert_str_eq(found[0].account, "romeo@example.org");
	ck_assert_ptr_null(found[0].device_id);
	ck_assert_int_gt(found[0].registered_ms, 1500000000000);
	ck_assert_int_eq(look_up("nobody"), DEVICE_ABSENT);
	ck_assert_int_eq(keys(), 4);
}
END_TEST

START_TEST(a_pin_is_made_once_for_each_domain_and_bound_to_it)
{
	struct device other = watch;
	char node[DEVICE_HEX];

	ck_assert_int_eq(register_implicitly(&watch), DEVICE_DONE);
	ck_assert_uint_eq(found_count, 1);
	ck_assert_str_eq(found[0].owner, "example.org");
	ck_assert_str_eq(found[0].token, "aabb");
	ck_assert(device_is_node(found[0].node));
	ck_assert(!device_has_secret(&(struct device){ .dialect = "fpush" }));
	snprintf(node, sizeof(node), "%s", found[0].node);
	ck_assert_int_eq(register_implicitly(&watch), DEVICE_DONE);
	ck_assert_str_eq(found[0].node, node);
	ck_assert_int_eq(look_up(node), DEVICE_DONE);
	ck_assert_int_eq(keys(), 5);
	other.owner = "example.net";
	ck_assert_int_eq(register_implicitly(&other), DEVICE_DONE);
	ck_assert_str_ne(found[0].node, node);
	ck_assert_int_eq(keys(), 8);
}
END_TEST

START_TEST(a_token_has_as_many_pins_as_may_be_and_a_domain_any_number)
{
	struct device device = watch;
	char names[5][24];

	limits.per_token = 2;
	limits.per_owner = 1;
	for (int i = 0; i < 5; i++) {
		snprintf(names[i], sizeof(names[i]), "%d.example.org", i);
		device.owner = names[i];
		ck_assert_int_eq(register_implicitly(&device), DEVICE_DONE);
	}
	ck_assert_int_eq(ask("ZCARD og:push:token:%s", AABB_HASH), 2);
	for (int i = 0; i < 5; i++) {
		snprintf(names[i], sizeof(names[i]), "%d", i);
		device.owner = "example.com";
		device.token = names[i];
		ck_assert_int_eq(register_implicitly(&device), DEVICE_DONE);
	}
	ck_assert_uint_eq(list_of("example.com"), 5);
}
END_TEST

START_TEST(a_pin_over_a_cap_is_not_made_and_one_that_is_there_is_found)
{
	struct device other = watch;

	limits.per_domain = 1;
	ck_assert_int_eq(register_implicitly(&watch), DEVICE_DONE);
	other.token = "ccdd";
	ck_assert_int_eq(register_implicitly(&other), DEVICE_LIMIT);
	ck_assert_int_eq(register_implicitly(&watch), DEVICE_DONE);
	ck_assert_uint_eq(list_of("example.org"), 1);
}
END_TEST

START_TEST(a_dead_token_is_not_pinned_again)
{
	struct device seen;

	register_implicitly(&watch);
	seen = found[0];
	ck_assert_int_eq(remove_dead(&seen, false, seen.registered_ms - 5000), DEVICE_DONE);
	ck_assert_int_eq(register_implicitly(&watch), DEVICE_ABSENT);
	ck_assert_int_eq(keys(), 1);
	enrol(&phone);
	ck_assert_int_eq(register_implicitly(&watch), DEVICE_DONE);
}
END_TEST

START_TEST(a_query_that_is_cancelled_is_never_answered)
{
	struct device_query query = { .done = on_query };

	answers = 0;
	device_find_or_register(&query, redis, &watch, &limits);
	device_query_cancel(&query);
	device_find_or_register(&query, redis, &watch, &limits);
	WAIT_UNTIL(redis_busy(&query.implicit->registration.call));
	ck_assert(is_under_way(&query));
	device_query_cancel(&query);
	ck_assert(!is_under_way(&query));
	device_find(&query, redis, "nobody");
	device_query_cancel(&query);
	keys();
	ck_assert_int_eq(answers, 0);
}
END_TEST

START_TEST(publishing_renews_a_pin_when_half_of_its_life_is_over)
{
	int64_t expires_ms;
	char node[DEVICE_HEX];

	register_implicitly(&watch);
	expires_ms = found[0].expires_ms;
	snprintf(node, sizeof(node), "%s", found[0].node);
	register_implicitly(&watch);
	look_up(node);
	ck_assert_int_eq(found[0].expires_ms, expires_ms);
	limits.ttl_ms = 4 * 90000;
	register_implicitly(&watch);
	WAIT_FOUND(node, found[0].expires_ms > expires_ms + 2 * 90000);
	ck_assert_int_eq(ask("ZSCORE og:push:expiry %s", node), found[0].expires_ms);
}
END_TEST

START_TEST(a_look_says_whether_a_notification_waits)
{
	struct device_registration first = enrol(&phone);

	look_up(first.node);
	ck_assert(!last_waiting);
	ask("SET og:push:slot:%s id", first.node);
	look_up(first.node);
	ck_assert(last_waiting);
	look_up("nobody");
	ck_assert(!last_waiting);
}
END_TEST

START_TEST(what_is_half_a_device_or_another_is_neither_found_nor_absent)
{
	struct device_registration first = enrol(&phone);
	char mend[200];

	snprintf(mend, sizeof(mend), "HSET og:push:device:%s node %s", first.node, first.node);
	ask("HDEL og:push:device:%s owner", first.node);
	ck_assert_int_eq(look_up(first.node), DEVICE_UNAVAILABLE);
	ask("HSET og:push:device:%s owner romeo@example.org node other", first.node);
	ck_assert_int_eq(look_up(first.node), DEVICE_UNAVAILABLE);
	ask(mend, "");
	ck_assert_int_eq(look_up(first.node), DEVICE_DONE);
	ask("HSET og:push:device:%s registered 9223372036854775807", first.node);
	ck_assert_int_eq(look_up(first.node), DEVICE_DONE);
	ck_assert_int_eq(found[0].registered_ms, 0);
	ask("SET og:push:alias:name text", "");
	ck_assert_int_eq(look_up_alias("name"), DEVICE_UNAVAILABLE);
}
END_TEST

START_TEST(a_pin_is_not_made_where_redis_is_gone)
{
	redis_server_kill(&server);
	ck_assert_int_eq(register_implicitly(&watch), DEVICE_UNAVAILABLE);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_registration_is_found_by_its_node,
		a_pin_is_made_once_for_each_domain_and_bound_to_it,
		a_token_has_as_many_pins_as_may_be_and_a_domain_any_number,
		a_pin_over_a_cap_is_not_made_and_one_that_is_there_is_found,
		a_dead_token_is_not_pinned_again,
		a_query_that_is_cancelled_is_never_answered,
		publishing_renews_a_pin_when_half_of_its_life_is_over,
		a_look_says_whether_a_notification_waits,
		what_is_half_a_device_or_another_is_neither_found_nor_absent,
		a_pin_is_not_made_where_redis_is_gone,
	};

	return unit_run("device_query", tests, ARRAY_LEN(tests), open_storage, close_storage);
}
