#include "pushd/device.c"

#include "common/arena.h"
#include "tests/unit/redis_fixture.h"

static struct device_limits limits = { 16, 64 };

static struct device phone = {
	.component = "push.example.org",
	.owner = "romeo@example.org",
	.provider = "apns",
	.token = "aabb",
	.dialect = "tigase",
};

static enum stored last;
static int answers;

static struct arena texts; /* of what was found */

static void close_storage(void)
{
	arena_release(&texts);
	teardown();
}

static void open_storage(void)
{
	setup();
	open_server();
}

/* ---- each call, waited for ---- */

static void on_registration(struct device_registration *registration, enum stored stored)
{
	last = stored;
	answers++;
}

static void on_removal(struct device_removal *removal, enum stored stored)
{
	last = stored;
	answers++;
}

static struct device_registration enrol(const struct device *device)
{
	struct device_registration registration = { .done = on_registration };

	answers = 0;
	device_register(&registration, redis, device, &limits);
	WAIT_UNTIL(answers > 0);
	ck_assert_int_eq(last, STORED_DONE);
	return registration;
}

/* What was found, with its texts kept. */
static struct device found[8];
static size_t found_count;

static const char *kept(const char *text)
{
	return text != NULL ? arena_dup(&texts, text, strlen(text)) : NULL;
}

static void on_query(struct device_query *query, enum stored stored, const struct device *devices,
                     size_t count)
{
	last = stored;
	answers++;
	found_count = count;
	for (size_t i = 0; i < count && i < ARRAY_LEN(found); i++) {
		found[i] = devices[i];
		found[i].node = kept(devices[i].node);
		found[i].secret = kept(devices[i].secret);
		found[i].owner = kept(devices[i].owner);
		found[i].token = kept(devices[i].token);
		found[i].second_token = kept(devices[i].second_token);
		found[i].account = kept(devices[i].account);
		found[i].device_id = kept(devices[i].device_id);
	}
}

static enum stored look_up(const char *node)
{
	struct device_query query = { .done = on_query };

	answers = 0;
	device_find(&query, redis, node);
	WAIT_UNTIL(answers > 0);
	return last;
}

static size_t list_of(const char *owner)
{
	struct device_query query = { .done = on_query };

	answers = 0;
	device_list(&query, redis, owner);
	WAIT_UNTIL(answers > 0);
	ck_assert_int_eq(last, STORED_DONE);
	return found_count;
}

static unsigned unregister(const char *owner, const char *token, const char *component,
                           const char *provider)
{
	struct device_removal removal = { .done = on_removal };
	struct device device = {
		.owner = owner, .token = token, .component = component, .provider = provider
	};

	answers = 0;
	device_unregister(&removal, redis, &device);
	WAIT_UNTIL(answers > 0);
	ck_assert_int_eq(last, removal.count > 0 ? STORED_DONE : STORED_ABSENT);
	return removal.count;
}

static enum stored bury(const struct device *device, bool second, int64_t before_ms)
{
	struct device_removal removal = { .done = on_removal };

	answers = 0;
	device_bury(&removal, redis, device, second, before_ms);
	WAIT_UNTIL(answers > 0);
	return last;
}

static enum stored take_away(const char *node)
{
	struct device_removal removal = { .done = on_removal };

	answers = 0;
	device_remove(&removal, redis, node);
	WAIT_UNTIL(answers > 0);
	return last;
}

/* How many keys there are in all. */
static long long keys(void)
{
	struct asked asked = { .call.done = on_asked };

	redis_command(redis, &asked.call, "DBSIZE");
	WAIT_UNTIL(asked.answers > 0);
	return asked.number;
}

/* ---- the tests ---- */

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
	ck_assert_int_eq(look_up(first.node), STORED_DONE);
	ck_assert_str_eq(found[0].node, first.node);
	ck_assert_str_eq(found[0].secret, first.secret);
	ck_assert_str_eq(found[0].token, "aabb");
	ck_assert_str_eq(found[0].second_token, "ccdd");
	ck_assert_str_eq(found[0].account, "romeo@example.org");
	ck_assert_ptr_null(found[0].device_id);
	ck_assert_int_gt(found[0].registered_ms, 1500000000000);
	ck_assert_int_eq(look_up("nobody"), STORED_ABSENT);
	ck_assert_int_eq(keys(), 4);
}
END_TEST

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
	ck_assert_int_eq(keys(), 4);
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
	b = a;
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
		ck_assert_int_eq(look_up(came.node), STORED_DONE);
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
	ck_assert_int_eq(look_up(registration.node), STORED_DONE);
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
	ck_assert_int_eq(look_up(first.node), STORED_DONE);
	ck_assert_int_eq(look_up(second.node), STORED_ABSENT);
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

	ck_assert_int_eq(take_away(first.node), STORED_DONE);
	ck_assert_int_eq(take_away(first.node), STORED_ABSENT);
	ck_assert_int_eq(keys(), 0);
}
END_TEST

START_TEST(a_dead_token_buries_only_what_was_registered_before_with_it)
{
	struct device_registration first = enrol(&phone);
	struct device seen;

	look_up(first.node);
	seen = found[0];
	ck_assert_int_eq(bury(&seen, false, seen.registered_ms - 1), STORED_NEWER);
	seen.token = "other";
	ck_assert_int_eq(bury(&seen, false, seen.registered_ms + 1000), STORED_NEWER);
	seen.token = "aabb";
	ck_assert_int_eq(look_up(first.node), STORED_DONE);
	ck_assert_int_eq(bury(&seen, false, seen.registered_ms), STORED_DONE);
	ck_assert_int_eq(bury(&seen, false, seen.registered_ms), STORED_ABSENT);
	ck_assert_int_eq(keys(), 0);
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
	ck_assert_int_eq(bury(&seen, true, seen.registered_ms - 1), STORED_NEWER);
	ck_assert_int_eq(bury(&seen, true, seen.registered_ms), STORED_DONE);
	ck_assert_int_eq(bury(&seen, true, seen.registered_ms), STORED_NEWER);
	ck_assert_int_eq(look_up(first.node), STORED_DONE);
	ck_assert_ptr_null(found[0].second_token);
	ck_assert_str_eq(found[0].token, "aabb");
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
	ck_assert_int_eq(look_up(first.node), STORED_AWAY);
	ck_assert_int_eq(bury(&seen, false, 1), STORED_AWAY);
	ck_assert_int_eq(take_away(first.node), STORED_AWAY);
	redis_server_kill(&server);
	ck_assert_int_eq(look_up(first.node), STORED_AWAY);
	ck_assert_int_eq(take_away(first.node), STORED_AWAY);
	answers = 0;
	device_register(&registration, redis, &phone, &limits);
	WAIT_UNTIL(answers > 0);
	ck_assert_int_eq(last, STORED_AWAY);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_registration_is_found_by_its_node,
		renewing_keeps_node_and_secret_and_forgets_what_is_no_longer_said,
		a_device_with_an_id_moves_to_its_new_token,
		parts_of_the_key_do_not_run_into_each_other,
		the_oldest_of_a_token_goes_and_never_the_one_that_came,
		the_oldest_of_an_owner_goes_by_when_it_was_last_registered,
		unregistering_takes_what_fits_all_that_is_said,
		a_place_in_an_index_whose_device_has_gone_is_mended,
		a_device_is_removed_by_its_node_once,
		a_dead_token_buries_only_what_was_registered_before_with_it,
		a_dead_second_token_goes_alone,
		a_redis_that_refuses_or_is_gone_is_away_and_nothing_else,
	};

	return unit_run("device", tests, ARRAY_LEN(tests), open_storage, close_storage);
}
