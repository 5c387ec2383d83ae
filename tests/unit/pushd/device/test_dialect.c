#include "pushd/device/dialect.c"

#include "common/base/mem.h"
#include "pushd/device/device.h"
#include "pushd/provider/apns.h"
#include "pushd/provider/fcm.h"
#include "pushd/provider/kinds.h"
#include "tests/unit/unit.h"

START_TEST(each_dialect_is_found_by_its_name_and_nothing_else_is_one)
{
	ck_assert_str_eq(dialect_find("tigase")->name, "tigase");
	ck_assert_str_eq(dialect_find("p2")->name, "p2");
	ck_assert_ptr_eq(dialect_find("fpush"), dialect_fpush);
	ck_assert_str_eq(dialect_fpush->name, "fpush");
	ck_assert_ptr_null(dialect_find("P2"));
	ck_assert_ptr_null(dialect_find(""));
	ck_assert_ptr_null(dialect_find(NULL));
}
END_TEST

START_TEST(who_never_comes_again_has_no_end_of_life)
{
	ck_assert(!dialect_find("tigase")->renews);
	ck_assert(dialect_find("p2")->renews);
	ck_assert(dialect_fpush->renews);
}
END_TEST

/* ---- what an app is told ---- */

static struct device device;
static enum conf_content content; /* what the provider says */
static struct arena arena;
static struct provider_request request;

static void setup(void)
{
	device = (struct device){ .node = "0123456789abcdef0123456789abcdef",
		                  .token = "aabb",
		                  .second_token = "ccdd",
		                  .account = "romeo@example.org",
		                  .dialect = "tigase" };
	content = CONF_CONTENT_DIALECT;
}

static void teardown(void)
{
	arena_release(&arena);
}

static void build_for(const struct provider_kind *kind)
{
	static char topic[] = "org.example.chat", project[] = "proj-1";
	static const struct apns_conf apns = { .topic = topic };
	static const struct fcm_conf fcm = { .project_id = project };
	const struct provider_settings settings = {
		.endpoint = "https://provider.example",
		.own = kind == &apns_kind ? (const void *)&apns : &fcm,
		.expiry_s = 86400,
	};
	const struct notification notification = { .summary = true,
		                                   .count = 3,
		                                   .pending = NOTIFICATION_ABSENT,
		                                   .sender = "juliet@example.org/balcony",
		                                   .body = "hello" };
	const struct provider_device told = device_for_provider(&device, content);
	const struct provider_message message = {
		.settings = &settings,
		.notification = &notification,
		.priority = PRIORITY_HIGH,
		.account = told.account,
		.node = told.node,
		.channel = told.channel,
		.content = told.content,
		.token = provider_device_token(&told, PRIORITY_HIGH),
		.bearer = "BEARER",
		.id = "11111111-2222-4333-8444-555555555555",
		.arena = &arena,
	};

	ck_assert_int_eq(kind->build(&message, &request), 0);
}

static bool body_has(const char *text)
{
	return memmem(request.body, request.body_len, text, strlen(text)) != NULL;
}

START_TEST(a_device_of_tigases_dialect_is_told_all)
{
	build_for(provider_kinds[0]);
	ck_assert(body_has("romeo@example.org") && body_has("juliet@example.org/balcony"));
	ck_assert(body_has("hello") && body_has("\"unread-messages\":3"));
}
END_TEST

START_TEST(a_device_that_hides_its_owner_is_told_the_accounts_hash_alone)
{
	device.dialect = "p2";
	device.account = "92afd7a91cdba9a0a02c5f1dd80d85d1c26ae0a1";
	for (size_t i = 0; provider_kinds[i] != NULL; i++) {
		build_for(provider_kinds[i]);
		ck_assert(body_has(device.account));
		ck_assert(!body_has("juliet") && !body_has("hello") && !body_has("unread"));
	}
}
END_TEST

START_TEST(a_device_that_its_domain_owns_is_told_nothing_at_all)
{
	device.dialect = "fpush";
	device.account = "example.org";
	build_for(provider_kinds[0]);
	ck_assert(!body_has("account") && !body_has("example.org") && !body_has("hello"));
	ck_assert_msg(body_has("mutable-content"), "the app's extension fetches the rest");
}
END_TEST

START_TEST(what_the_provider_says_of_content_goes_before_the_dialect)
{
	content = CONF_CONTENT_NONE;
	build_for(provider_kinds[0]);
	ck_assert(body_has("romeo@example.org"));
	ck_assert(!body_has("juliet") && !body_has("hello"));
	content = CONF_CONTENT_SENDER;
	build_for(provider_kinds[0]);
	ck_assert(body_has("juliet@example.org/balcony") && !body_has("hello"));
	device.dialect = "p2";
	content = CONF_CONTENT_FULL;
	build_for(provider_kinds[0]);
	ck_assert(body_has("juliet@example.org/balcony") && body_has("hello"));
}
END_TEST

START_TEST(a_device_of_a_rooms_channel_is_told_which)
{
	device.dialect = "p2";
	device.channel_id = "7c0e5ff1a3f9f1e4f29d5e6d2ad3a0aa5d30b8d9";
	build_for(provider_kinds[1]);
	ck_assert(body_has("\"channel\":\"7c0e5ff1a3f9f1e4f29d5e6d2ad3a0aa5d30b8d9\""));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		each_dialect_is_found_by_its_name_and_nothing_else_is_one,
		who_never_comes_again_has_no_end_of_life,
		a_device_of_tigases_dialect_is_told_all,
		a_device_that_hides_its_owner_is_told_the_accounts_hash_alone,
		a_device_that_its_domain_owns_is_told_nothing_at_all,
		what_the_provider_says_of_content_goes_before_the_dialect,
		a_device_of_a_rooms_channel_is_told_which,
	};

	return unit_run("dialect", tests, ARRAY_LEN(tests), setup, teardown);
}
