#include "pushd/device/device.c"

#include "tests/unit/device_fixture.h"

START_TEST(renewing_keeps_node_and_secret_and_forgets_what_is_no_longer_said)
{
	struct device device = phone;
	struct device_registration first, again;
	int64_t registered_ms;

	device.second_token = "ccdd";
	first = enrol(&device);
	look_up(first.node);
	registered_ms = found[0].registered_ms;
	WAIT_UNTIL(loop_wall_ms() > registered_ms + 2);
	again = enrol(&phone);
	ck_assert(!again.created);
	ck_assert_str_eq(again.node, first.node);
	ck_assert_str_eq(again.secret, first.secret);
	look_up(first.node);
	ck_assert_ptr_null(found[0].second_token);
	ck_assert_int_gt(found[0].registered_ms, registered_ms);
	ck_assert_int_eq(keys(), 4);
	ck_assert_int_eq(ask("EXISTS og:push:gone%s", ""), 0);
}
END_TEST

START_TEST(an_app_that_renews_its_device_under_an_alias_is_gone_for_nobody)
{
	struct device device = phone;

	device.alias = "01#AB";
	enrol(&device);
	enrol(&device);
	enrol(&phone);
	ck_assert_int_eq(ask("EXISTS og:push:gone%s", ""), 0);
}
END_TEST

START_TEST(a_rooms_channel_is_a_device_of_its_own_beside_the_account)
{
	struct device device = phone;
	struct device_registration account, first, second;

	device.dialect = "p2";
	device.device_id = "92afd7a91cdba9a0";
	account = enrol(&device);
	device.channel = "garden@rooms.example.org";
	first = enrol(&device);
	ck_assert(first.created);
	device.channel = "balcony@rooms.example.org";
	second = enrol(&device);
	ck_assert(second.created);
	ck_assert_int_eq(look_up(account.node), DEVICE_DONE);
	ck_assert_ptr_null(found[0].channel);
	ck_assert_int_eq(look_up(second.node), DEVICE_DONE);
	ck_assert_str_eq(found[0].channel, "balcony@rooms.example.org");
	device.token = "eeff";
	ck_assert_str_eq(enrol(&device).node, second.node);
	ck_assert_int_eq(look_up(first.node), DEVICE_DONE);
}
END_TEST

/* SHA-1 of the room, NUL and the device's id. */
#define GARDEN_ID "7271a47cdaf8cc83a73c981d7f25ee9b2f6f04c3"

START_TEST(without_a_token_the_device_of_the_account_or_of_one_room_is_unregistered)
{
	struct device device = phone, named = { .owner = phone.owner, .provider = "apns" };
	struct device_registration account, garden;

	device.dialect = "p2";
	device.device_id = named.device_id = "92afd7a91cdba9a0";
	account = enrol(&device);
	device.channel = "garden@rooms.example.org";
	garden = enrol(&device);
	look_up(garden.node);
	ck_assert_str_eq(found[0].channel_id, GARDEN_ID);
	named.channel_id = "0000000000000000000000000000000000000000";
	ck_assert_uint_eq(unregister_device(&named), 0);
	named.channel_id = GARDEN_ID;
	named.device_id = "another";
	ck_assert_uint_eq(unregister_device(&named), 0);
	named.device_id = "92afd7a91cdba9a0";
	ck_assert_uint_eq(unregister_device(&named), 1);
	ck_assert_int_eq(look_up(garden.node), DEVICE_ABSENT);
	ck_assert_int_eq(look_up(account.node), DEVICE_DONE);
	ck_assert_ptr_null(found[0].channel_id);
	named.channel_id = NULL;
	ck_assert_uint_eq(unregister_device(&named), 1);
	ck_assert_int_eq(keys(), 0);
}
END_TEST

START_TEST(a_device_with_an_id_moves_to_its_new_token)
{
	struct device device = phone;
	struct device_registration first, again;

	device.dialect = "p2";
	device.device_id = "92afd7a91cdba9a0";
	first = enrol(&device);
	device.token = "eeff";
	again = enrol(&device);
	ck_assert_str_eq(again.node, first.node);
	look_up(first.node);
	ck_assert_str_eq(found[0].token, "eeff");
	ck_assert_str_eq(found[0].device_id, "92afd7a91cdba9a0");
	ck_assert_str_eq(found[0].account, "0c223e6b96c6112f5dd809bb1b6f7c5a78826ee3");
	ck_assert_int_eq(keys(), 5);
	ck_assert_uint_eq(unregister("romeo@example.org", "aabb", NULL, NULL), 0);
	ck_assert_uint_eq(unregister("romeo@example.org", "eeff", NULL, NULL), 1);
	ck_assert_int_eq(keys(), 0);
}
END_TEST

START_TEST(parts_of_the_key_do_not_run_into_each_other)
{
	struct device a = phone, b = phone;
	struct device_registration first, second;

	a.component = "push.example";
	a.owner = "x@example.org";
	b.component = "push.examplex";
	b.owner = "@example.org";
	first = enrol(&a);
	second = enrol(&b);
	ck_assert_str_ne(first.node, second.node);
	a.dialect = b.dialect = "p2";
	b.owner = a.owner;
	b.component = a.component;
	first = enrol(&a);
	b.device_id = a.token;
	second = enrol(&b);
	ck_assert_str_ne(first.node, second.node);
}
END_TEST

START_TEST(the_oldest_of_a_token_goes_and_never_the_one_that_came)
{
	struct device device = phone;
	char owners[12][32];
	struct device_registration came;

	limits.per_token = 3;
	for (int i = 0; i < 12; i++) {
		snprintf(owners[i], sizeof(owners[i]), "user%d@example.org", i);
		device.owner = owners[i];
		came = enrol(&device);
		ck_assert_uint_eq(came.evicted, i < 3 ? 0 : 1);
		ck_assert_int_eq(look_up(came.node), DEVICE_DONE);
		ck_assert_int_eq(keys(), 1 + 3 * (i < 3 ? i + 1 : 3));
	}
}
END_TEST

/* Registers TOKEN, and waits until the next registration has a later time. */
static struct device_registration enrol_token(const char *token)
{
	struct device device = phone;
	struct device_registration registration;
	int64_t registered_ms;

	device.token = token;
	registration = enrol(&device);
	ck_assert_int_eq(look_up(registration.node), DEVICE_DONE);
	registered_ms = found[0].registered_ms;
	WAIT_UNTIL(loop_wall_ms() > registered_ms + 2);
	return registration;
}

START_TEST(the_oldest_of_an_owner_goes_by_when_it_was_last_registered)
{
	struct device_registration first, second;

	limits.per_owner = 2;
	first = enrol_token("01");
	second = enrol_token("02");
	enrol_token("01");
	ck_assert_uint_eq(enrol_token("03").evicted, 1);
	ck_assert_int_eq(look_up(first.node), DEVICE_DONE);
	ck_assert_int_eq(look_up(second.node), DEVICE_ABSENT);
	ck_assert_uint_eq(list_of("romeo@example.org"), 2);
	ck_assert_str_eq(found[0].token, "03");
	ck_assert_str_eq(found[1].token, "01");
	ck_assert_uint_eq(list_of("juliet@example.org"), 0);
}
END_TEST

START_TEST(unregistering_takes_what_fits_all_that_is_said)
{
	struct device device = phone;

	enrol(&device);
	device.provider = "other";
	enrol(&device);
	device.component = "push2.example.org";
	enrol(&device);
	ck_assert_uint_eq(unregister("juliet@example.org", "aabb", NULL, NULL), 0);
	ck_assert_uint_eq(unregister("romeo@example.org", "aabb", "push2.example.org", "apns"), 0);
	ck_assert_uint_eq(unregister("romeo@example.org", "AABB", NULL, "apns"), 1);
	ck_assert_uint_eq(unregister("romeo@example.org", "aabb", NULL, NULL), 2);
	ck_assert_int_eq(keys(), 0);
}
END_TEST

START_TEST(a_place_in_an_index_whose_device_has_gone_is_mended)
{
	struct device_registration first = enrol(&phone);
	char *command = mem_printf("DEL og:push:device:%s", first.node);

	expect_command(command, "");
	free(command);
	ck_assert_uint_eq(list_of("romeo@example.org"), 0);
	ck_assert(enrol(&phone).created);
	ck_assert_uint_eq(unregister("romeo@example.org", "aabb", NULL, NULL), 1);
	ck_assert_int_eq(keys(), 1);
	ck_assert_uint_eq(list_of("romeo@example.org"), 0);
}
END_TEST

START_TEST(a_device_is_removed_by_its_node_once)
{
	struct device_registration first = enrol(&phone);

	ck_assert_int_eq(take_away(first.node), DEVICE_DONE);
	ck_assert_int_eq(take_away(first.node), DEVICE_ABSENT);
	ck_assert_int_eq(keys(), 0);
}
END_TEST

START_TEST(a_dead_token_buries_only_what_was_registered_before_with_it)
{
	struct device_registration first = enrol(&phone);
	struct device seen;

	look_up(first.node);
	seen = found[0];
	ck_assert_int_eq(remove_dead(&seen, false, seen.registered_ms - 1), DEVICE_NEWER);
	seen.token = "other";
	ck_assert_int_eq(remove_dead(&seen, false, seen.registered_ms + 1000), DEVICE_NEWER);
	seen.token = "aabb";
	ck_assert_int_eq(look_up(first.node), DEVICE_DONE);
	ck_assert_int_eq(remove_dead(&seen, false, seen.registered_ms), DEVICE_DONE);
	ck_assert_int_eq(remove_dead(&seen, false, seen.registered_ms), DEVICE_ABSENT);
	ck_assert_int_eq(keys(), 1); /* the token is held dead */
}
END_TEST

START_TEST(a_dead_second_token_goes_alone)
{
	struct device device = phone, seen;
	struct device_registration first;

	device.second_token = "ccdd";
	first = enrol(&device);
	look_up(first.node);
	seen = found[0];
	ck_assert_int_eq(remove_dead(&seen, true, seen.registered_ms - 1), DEVICE_NEWER);
	ck_assert_int_eq(remove_dead(&seen, true, seen.registered_ms), DEVICE_DONE);
	ck_assert_int_eq(remove_dead(&seen, true, seen.registered_ms), DEVICE_NEWER);
	ck_assert_int_eq(look_up(first.node), DEVICE_DONE);
	ck_assert_ptr_null(found[0].second_token);
	ck_assert_str_eq(found[0].token, "aabb");
}
END_TEST

START_TEST(a_dead_token_takes_its_other_devices_along_unless_they_are_newer)
{
	struct device device = phone, seen;
	struct device_registration first = enrol(&phone), other, newer;

	device.owner = "juliet@example.org";
	other = enrol(&device);
	look_up(other.node);
	seen = found[0];
	WAIT_UNTIL(loop_wall_ms() > seen.registered_ms + 2);
	device.owner = "nurse@example.org";
	newer = enrol(&device);
	device.provider = "sandbox";
	device.owner = "juliet@example.org";
	other = enrol(&device);
	ck_assert_int_eq(remove_dead(&seen, false, seen.registered_ms), DEVICE_DONE);
	ck_assert_int_eq(look_up(first.node), DEVICE_ABSENT);
	ck_assert_int_eq(look_up(seen.node), DEVICE_ABSENT);
	ck_assert_int_eq(look_up(newer.node), DEVICE_DONE);
	ck_assert_int_eq(look_up(other.node), DEVICE_DONE);
	ck_assert_int_eq(ask("EXISTS og:push:dead:%s", DEAD_APNS), 0);
	ck_assert_int_eq(remove_dead(&found[0], false, found[0].registered_ms), DEVICE_DONE);
	ck_assert_int_eq(ask("EXISTS og:push:dead:%s", DEAD_SANDBOX), 1);
	ck_assert_int_gt(ask("PTTL og:push:dead:%s", DEAD_SANDBOX), DEVICE_DEAD_MS - 60000);
	enrol(&device);
	ck_assert_int_eq(ask("EXISTS og:push:dead:%s", DEAD_SANDBOX), 0);
}
END_TEST

START_TEST(a_dismissed_device_goes_alone_and_leaves_nothing_behind)
{
	struct device device = phone, seen;
	struct device_registration other;

	look_up(enrol(&phone).node);
	seen = found[0];
	device.owner = "juliet@example.org";
	other = enrol(&device);
	seen.registered_ms--;
	ck_assert_int_eq(remove_if_unchanged(&seen), DEVICE_NEWER);
	seen.registered_ms++;
	ck_assert_int_eq(remove_if_unchanged(&seen), DEVICE_DONE);
	ck_assert_int_eq(remove_if_unchanged(&seen), DEVICE_ABSENT);
	ck_assert_int_eq(look_up(other.node), DEVICE_DONE);
	ck_assert_int_eq(keys(), 4);
}
END_TEST

START_TEST(what_nobody_renewed_is_swept_and_the_rest_stays)
{
	struct device device = phone;
	struct device_registration lasting, again;

	lasting = enrol(&phone);
	limits.ttl_ms = 1;
	device.dialect = "p2";
	device.owner = "juliet@example.org";
	for (int i = 0; i < 3; i++) {
		device.device_id = (const char *[]){ "a", "b", "c" }[i];
		again = enrol(&device);
		look_up(again.node);
		ck_assert_int_gt(found[0].expires_ms, found[0].registered_ms);
	}
	limits.ttl_ms = 90000;
	again = enrol(&device);
	WAIT_UNTIL(ask("ZCOUNT og:push:expiry -inf %s", "+inf") == 3 &&
	           loop_wall_ms() > found[0].expires_ms + 2);
	ck_assert_uint_eq(sweep(1), 1);
	ck_assert_uint_eq(sweep(5), 1);
	ck_assert_uint_eq(sweep(5), 0);
	ck_assert_int_eq(look_up(again.node), DEVICE_DONE);
	ck_assert_int_eq(look_up(lasting.node), DEVICE_DONE);
	ck_assert_int_eq(found[0].expires_ms, 0);
	ck_assert_int_eq(take_away(again.node), DEVICE_DONE);
	ck_assert_int_eq(keys(), 4);
}
END_TEST

START_TEST(a_token_to_which_nothing_was_sent_is_suspect_as_often_as_it_is_called_so)
{
	struct device_registration first = enrol(&phone);
	struct device seen;

	look_up(first.node);
	seen = found[0];
	for (unsigned times = 1; times < 4; times++)
		ck_assert_uint_eq(mark_suspect(&seen), times);
	device_record_success(redis, &seen, NULL);
	WAIT_FOUND(first.node, found[0].proven && found[0].suspect_days == 0);
	enrol(&phone);
	look_up(first.node);
	ck_assert_msg(found[0].proven, "its token is still the same");
}
END_TEST

START_TEST(suspect_days_are_counted_once_a_day_and_forgotten_when_one_is_sent)
{
	struct device_registration first = enrol(&phone);
	struct device seen;

	look_up(first.node);
	ck_assert(!found[0].proven);
	device_record_success(redis, &found[0], NULL);
	WAIT_FOUND(first.node, found[0].proven);
	seen = found[0];
	ck_assert_uint_eq(mark_suspect(&seen), 1);
	ck_assert_uint_eq(mark_suspect(&seen), 1);
	for (unsigned day = 2; day < 4; day++) {
		ask("HSET og:push:device:%s suspect_day 20000", first.node);
		ck_assert_uint_eq(mark_suspect(&seen), day);
	}
	seen.token = "other";
	ck_assert_uint_eq(mark_suspect(&seen), 0);
	ck_assert_int_eq(last, DEVICE_NEWER);
	look_up(first.node);
	ck_assert_uint_eq(found[0].suspect_days, 3);
	device_record_success(redis, &found[0], NULL);
	WAIT_FOUND(first.node, found[0].suspect_days == 0);
	ck_assert_uint_eq(mark_suspect(&found[0]), 1);
	enrol(&phone);
	look_up(first.node);
	ck_assert_uint_eq(found[0].suspect_days, 0);
	seen.node = "nobody";
	ck_assert_uint_eq(mark_suspect(&seen), 0);
	ck_assert_int_eq(last, DEVICE_ABSENT);
}
END_TEST

START_TEST(the_environment_is_remembered_of_the_token_that_is_there)
{
	struct device_registration first = enrol(&phone);
	struct device seen;

	look_up(first.node);
	seen = found[0];
	ck_assert_ptr_null(seen.environment);
	device_record_success(redis, &seen, "sandbox");
	WAIT_FOUND(first.node, found[0].environment != NULL);
	ck_assert_str_eq(found[0].environment, "sandbox");
	seen.token = "other";
	device_record_success(redis, &seen, "production");
	look_up(first.node);
	ck_assert_str_eq(found[0].environment, "sandbox");
	take_away(first.node);
	device_record_success(redis, &found[0], "production");
	ck_assert_int_eq(keys(), 0);
}
END_TEST

START_TEST(more_notes_than_fit_are_dropped)
{
	struct device seen;

	look_up(enrol(&phone).node);
	seen = found[0];
	for (int i = 0; i < 200; i++)
		device_record_success(redis, &seen, "sandbox");
	WAIT_FOUND(seen.node, found[0].environment != NULL);
	device_record_success(redis, &seen, "production");
	WAIT_FOUND(seen.node, strcmp(found[0].environment, "production") == 0);
}
END_TEST

START_TEST(a_redis_that_refuses_or_is_gone_is_away_and_nothing_else)
{
	struct device_registration first = enrol(&phone),
	                           registration = { .done = on_registration };
	struct device seen = { .node = first.node, .token = "aabb" };
	char *command = mem_printf("SET og:push:device:%s x", first.node);

	expect_command(command, "OK");
	free(command);
	ck_assert_int_eq(look_up(first.node), DEVICE_UNAVAILABLE);
	ck_assert_int_eq(remove_dead(&seen, false, 1), DEVICE_UNAVAILABLE);
	ck_assert_int_eq(take_away(first.node), DEVICE_UNAVAILABLE);
	ck_assert_uint_eq(mark_suspect(&seen), 0);
	ck_assert_int_eq(last, DEVICE_UNAVAILABLE);
	redis_server_kill(&server);
	ck_assert_int_eq(look_up(first.node), DEVICE_UNAVAILABLE);
	ck_assert_int_eq(take_away(first.node), DEVICE_UNAVAILABLE);
	answers = 0;
	device_register(&registration, redis, &phone, &limits);
	WAIT_UNTIL(answers > 0);
	ck_assert_int_eq(last, DEVICE_UNAVAILABLE);
}
END_TEST

/* The devices of one alias: TOKEN's. */
static struct device_registration enrol_alias(const char *token)
{
	struct device device = phone;

	device.token = token;
	device.alias = "01#AB";
	return enrol(&device);
}

START_TEST(an_alias_stands_for_its_devices_and_leaves_with_the_last)
{
	struct device_registration first = enrol_alias("01"), second = enrol_alias("02");

	ck_assert_int_eq(look_up_alias("01#AB"), DEVICE_ALIAS);
	ck_assert_uint_eq(found_count, 2);
	ck_assert(strcmp(found[0].node, first.node) == 0 || strcmp(found[1].node, first.node) == 0);
	ck_assert_int_eq(look_up("01#AB"), DEVICE_ABSENT);
	ck_assert_int_eq(look_up_alias("01#ab"), DEVICE_ABSENT);
	ck_assert_int_eq(take_away(first.node), DEVICE_DONE);
	ck_assert_int_eq(look_up_alias("01#AB"), DEVICE_ALIAS);
	ck_assert_uint_eq(found_count, 1);
	ck_assert_str_eq(found[0].node, second.node);
	look_up(second.node);
	ck_assert_str_eq(found[0].alias, "01#AB");
	ck_assert_uint_eq(unregister("romeo@example.org", "02", NULL, NULL), 1);
	ck_assert_int_eq(look_up_alias("01#AB"), DEVICE_ABSENT);
	ck_assert_int_eq(keys(), 0);
}
END_TEST

START_TEST(an_app_that_registers_again_keeps_its_alias)
{
	struct device device = phone;
	struct device_registration first;

	device.alias = "01#AB";
	first = enrol(&device);
	ck_assert_str_eq(enrol(&phone).node, first.node);
	look_up(first.node);
	ck_assert_str_eq(found[0].alias, "01#AB");
	device.alias = "01#CD";
	enrol(&device);
	ck_assert_int_eq(look_up_alias("01#AB"), DEVICE_ABSENT);
	ck_assert_int_eq(look_up_alias("01#CD"), DEVICE_ALIAS);
	ck_assert_int_eq(keys(), 5);
}
END_TEST

START_TEST(an_alias_has_its_most_devices_and_no_more)
{
	struct device_registration registration = { .done = on_registration };
	struct device device = phone;
	char token[8];

	for (int i = 0; i < DEVICE_ALIAS_MAX; i++) {
		snprintf(token, sizeof(token), "%02x", i);
		enrol_alias(token);
	}
	device.token = "ff";
	device.alias = "01#AB";
	answers = 0;
	device_register(&registration, redis, &device, &limits);
	WAIT_UNTIL(answers > 0);
	ck_assert_int_eq(last, DEVICE_ABSENT);
	ck_assert_int_eq(ask("ZCARD og:push:owner:%s", phone.owner), DEVICE_ALIAS_MAX);
	ck_assert(!enrol_alias("01").created);
	look_up_alias("01#AB");
	ck_assert_uint_eq(found_count, DEVICE_ALIAS_MAX);
}
END_TEST

START_TEST(a_device_leaves_the_alias_that_it_has_and_no_other)
{
	struct device_registration first = enrol_alias("01");
	struct device device = { .node = first.node, .alias = "01#CD" };

	device_leave_alias(redis, &device);
	look_up(first.node);
	ck_assert_str_eq(found[0].alias, "01#AB");
	device.alias = "01#AB";
	device_leave_alias(redis, &device);
	WAIT_FOUND(first.node, found[0].alias == NULL);
	ck_assert_int_eq(look_up_alias("01#AB"), DEVICE_ABSENT);
	ck_assert_int_eq(keys(), 4);
}
END_TEST

/* ---- how many there may be ---- */

/* The result for TOKEN of OWNER; which limit it was, where that refused. */
static enum device_result try_token(const char *token, const char *owner, enum device_limit *limit)
{
	struct device device = phone;
	struct device_registration registration;
	enum device_result result;

	device.token = token;
	device.owner = owner;
	result = try_to_enrol(&registration, &device);
	*limit = registration.limit;
	return result;
}

START_TEST(a_new_device_over_a_cap_is_refused_and_those_that_are_there_stay)
{
	enum device_limit limit;
	long long before;

	limits.all = 3;
	limits.per_domain = 2;
	ck_assert_int_eq(try_token("01", "romeo@example.org", &limit), DEVICE_DONE);
	ck_assert_int_eq(try_token("02", "juliet@example.org", &limit), DEVICE_DONE);
	before = keys();
	ck_assert_int_eq(try_token("03", "nurse@example.org", &limit), DEVICE_LIMIT);
	ck_assert_int_eq(limit, DEVICE_LIMIT_DOMAIN);
	ck_assert_int_eq(keys(), before);
	ck_assert_int_eq(try_token("01", "romeo@example.org", &limit), DEVICE_DONE);
	ck_assert_int_eq(try_token("03", "nurse@example.net", &limit), DEVICE_DONE);
	ck_assert_int_eq(try_token("04", "x@example.com", &limit), DEVICE_LIMIT);
	ck_assert_int_eq(limit, DEVICE_LIMIT_ALL);
	ck_assert_uint_eq(unregister("juliet@example.org", "02", NULL, NULL), 1);
	ck_assert_int_eq(try_token("04", "x@example.com", &limit), DEVICE_DONE);
}
END_TEST

START_TEST(with_the_last_device_of_a_domain_its_count_goes)
{
	struct device_registration registration = enrol(&phone);

	enrol(&phone);
	ck_assert_int_eq(ask("HGET og:push:counts %s", "domain:example.org"), 1);
	ck_assert_int_eq(ask("HGET og:push:counts %s", "all"), 1);
	take_away(registration.node);
	ck_assert_int_eq(ask("EXISTS og:push:counts%s", ""), 0);
}
END_TEST

START_TEST(a_device_from_before_there_were_counts_is_counted_when_it_comes_again)
{
	struct device_registration registration = enrol(&phone);
	char *command = mem_printf("HDEL og:push:device:%s counted", registration.node);

	expect_command(command, "");
	free(command);
	expect_command("DEL og:push:counts", "");
	limits.all = 1;
	enrol(&phone);
	ck_assert_int_eq(ask("HGET og:push:counts %s", "all"), 1);
	command = mem_printf("HDEL og:push:device:%s counted", registration.node);
	expect_command(command, "");
	free(command);
	take_away(registration.node);
	ck_assert_int_eq(ask("HGET og:push:counts %s", "all"), 1);
}
END_TEST

START_TEST(new_devices_of_a_domain_come_in_a_burst_and_then_at_their_rate)
{
	enum device_limit limit;

	limits.domain_rate = 1;
	limits.domain_burst = 2;
	ck_assert_int_eq(try_token("01", "romeo@example.org", &limit), DEVICE_DONE);
	ck_assert_int_eq(try_token("02", "juliet@example.org", &limit), DEVICE_DONE);
	expect_command("SET og:push:due:example.org 99999999999999 PX 100000", "OK");
	ck_assert_int_eq(try_token("03", "nurse@example.org", &limit), DEVICE_LIMIT);
	ck_assert_int_eq(limit, DEVICE_LIMIT_RATE);
	ck_assert_int_eq(try_token("01", "romeo@example.org", &limit), DEVICE_DONE);
	ck_assert_int_eq(try_token("03", "nurse@example.net", &limit), DEVICE_DONE);
	expect_command("DEL og:push:due:example.org", "");
	ck_assert_int_eq(try_token("03", "nurse@example.org", &limit), DEVICE_DONE);
	ck_assert_int_gt(ask("PTTL og:push:due:%s", "example.org"), 0);
}
END_TEST

START_TEST(a_burst_is_as_long_as_it_may_be_and_no_longer)
{
	enum device_limit limit;
	char token[8];
	int64_t began_ms = loop_wall_ms(), came = 0;

	limits.domain_rate = 1;
	limits.domain_burst = 5;
	for (int i = 0; i < 20; i++) {
		snprintf(token, sizeof(token), "%02x", i);
		came += try_token(token, "romeo@example.org", &limit) == DEVICE_DONE;
	}
	ck_assert_int_ge(came, 5);
	ck_assert_int_le(came, 5 + (loop_wall_ms() - began_ms) / 1000 + 1);
}
END_TEST

static unsigned forget(const char *owner, unsigned most)
{
	struct device_removal removal = { .done = on_removal };

	answers = 0;
	device_forget(&removal, redis, owner, most);
	WAIT_UNTIL(answers > 0);
	return removal.count;
}

START_TEST(an_owners_devices_are_forgotten_the_oldest_first_and_no_others)
{
	struct device device = phone;
	struct device_registration first = enrol_token("01"), second = enrol_token("02");

	device.owner = "juliet@example.org";
	enrol(&device);
	ck_assert_uint_eq(forget("romeo@example.org", 1), 1);
	ck_assert_int_eq(look_up(first.node), DEVICE_ABSENT);
	ck_assert_int_eq(look_up(second.node), DEVICE_DONE);
	ck_assert_uint_eq(forget("romeo@example.org", 5), 1);
	ck_assert_uint_eq(forget("romeo@example.org", 5), 0);
	ck_assert_uint_eq(list_of("romeo@example.org"), 0);
	ck_assert_uint_eq(list_of("juliet@example.org"), 1);
}
END_TEST

/* ---- what gateways are told ---- */

START_TEST(what_tells_of_an_owners_gone_devices_is_deleted_page_by_page)
{
	static const char *const owners[] = { "romeo@example.org", "juliet@example.org",
		                              "romeo@example.org", "aromeo@example.org",
		                              "romeo@example.org" };
	struct device_removal removal = { .done = on_removal };
	struct device device = phone;
	unsigned deleted = 0, pages = 0;

	for (size_t i = 0; i < ARRAY_LEN(owners); i++) {
		device.owner = owners[i];
		ck_assert_int_eq(take_away(enrol(&device).node), DEVICE_DONE);
	}
	ck_assert_int_eq(ask("XLEN %s", "og:push:gone"), 5);
	do {
		answers = 0;
		device_forget_gone(&removal, redis, "romeo@example.org", 2);
		WAIT_UNTIL(answers > 0);
		ck_assert_int_eq(last, DEVICE_DONE);
		deleted += removal.count;
		pages++;
	} while (removal.last[0] != '\0');
	ck_assert_uint_eq(deleted, 3);
	ck_assert_uint_eq(pages, 3);
	ck_assert_int_eq(ask("XLEN %s", "og:push:gone"), 2);
}
END_TEST

START_TEST(what_gateways_were_told_a_day_ago_is_swept)
{
	struct device device = phone;
	struct asked asked = { .call.done = on_asked };

	redis_command(redis, &asked.call, "XADD %s 1-1 event old", "og:push:gone");
	WAIT_UNTIL(asked.answers > 0);
	ck_assert_int_eq(take_away(enrol(&device).node), DEVICE_DONE);
	ck_assert_int_eq(ask("XLEN %s", "og:push:gone"), 2);
	ck_assert_uint_eq(sweep(5), 0);
	ck_assert_int_eq(ask("XLEN %s", "og:push:gone"), 1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		renewing_keeps_node_and_secret_and_forgets_what_is_no_longer_said,
		an_app_that_renews_its_device_under_an_alias_is_gone_for_nobody,
		a_rooms_channel_is_a_device_of_its_own_beside_the_account,
		without_a_token_the_device_of_the_account_or_of_one_room_is_unregistered,
		a_device_with_an_id_moves_to_its_new_token,
		parts_of_the_key_do_not_run_into_each_other,
		the_oldest_of_a_token_goes_and_never_the_one_that_came,
		the_oldest_of_an_owner_goes_by_when_it_was_last_registered,
		unregistering_takes_what_fits_all_that_is_said,
		a_place_in_an_index_whose_device_has_gone_is_mended,
		a_device_is_removed_by_its_node_once,
		a_dead_token_buries_only_what_was_registered_before_with_it,
		a_dead_second_token_goes_alone,
		a_dead_token_takes_its_other_devices_along_unless_they_are_newer,
		a_dismissed_device_goes_alone_and_leaves_nothing_behind,
		what_nobody_renewed_is_swept_and_the_rest_stays,
		a_token_to_which_nothing_was_sent_is_suspect_as_often_as_it_is_called_so,
		suspect_days_are_counted_once_a_day_and_forgotten_when_one_is_sent,
		the_environment_is_remembered_of_the_token_that_is_there,
		more_notes_than_fit_are_dropped,
		an_alias_stands_for_its_devices_and_leaves_with_the_last,
		an_app_that_registers_again_keeps_its_alias,
		an_alias_has_its_most_devices_and_no_more,
		a_device_leaves_the_alias_that_it_has_and_no_other,
		a_new_device_over_a_cap_is_refused_and_those_that_are_there_stay,
		with_the_last_device_of_a_domain_its_count_goes,
		a_device_from_before_there_were_counts_is_counted_when_it_comes_again,
		new_devices_of_a_domain_come_in_a_burst_and_then_at_their_rate,
		a_burst_is_as_long_as_it_may_be_and_no_longer,
		what_tells_of_an_owners_gone_devices_is_deleted_page_by_page,
		an_owners_devices_are_forgotten_the_oldest_first_and_no_others,
		what_gateways_were_told_a_day_ago_is_swept,
		a_redis_that_refuses_or_is_gone_is_away_and_nothing_else,
	};

	return unit_run("device", tests, ARRAY_LEN(tests), open_storage, close_storage);
}
