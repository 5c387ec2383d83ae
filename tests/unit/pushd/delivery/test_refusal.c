#include "pushd/delivery/refusal.c"

#include "tests/unit/logged.h"
#include "tests/unit/unit.h"

static struct device device;
static struct notification notification;

static void setup(void)
{
	loop_init();
	log_init("unit", LOG_INFO);
	device = (struct device){ .component = "push.example.org",
		                  .owner = "romeo@example.org",
		                  .dialect = "p2",
		                  .secret = "5ec7e7" };
	notification = (struct notification){ .component = "push.example.org",
		                              .domain = "example.org",
		                              .node = "0123456789",
		                              .secret = "5ec7e7" };
}

static void teardown(void)
{
	log_rate_stop();
	loop_release();
}

START_TEST(the_first_thing_that_is_wrong_is_the_reason)
{
	ck_assert_int_eq(find(&notification, &device), REFUSAL_NONE);
	notification.secret = "5ec7e8";
	ck_assert_int_eq(find(&notification, &device), REFUSAL_WRONG_SECRET);
	notification.secret = NULL;
	ck_assert_int_eq(find(&notification, &device), REFUSAL_WRONG_SECRET);
	notification.domain = "example.net";
	ck_assert_int_eq(find(&notification, &device), REFUSAL_OTHER_DOMAIN);
	notification.component = "push.example.net";
	ck_assert_int_eq(find(&notification, &device), REFUSAL_OTHER_COMPONENT);
	ck_assert_int_eq(find(&notification, NULL), REFUSAL_UNKNOWN_NODE);
}
END_TEST

START_TEST(a_domain_is_the_owners_in_any_spelling_that_prepares_to_it)
{
	static const char *const spellings[] = { "EX\xc3\x84MPLE.org", "ex\xc3\xa4mple.org" };

	device.owner = "romeo@ex\xc3\xa4mple.org";
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		notification.domain = spellings[i];
		ck_assert_int_eq(find(&notification, &device), REFUSAL_NONE);
	}
	notification.domain = "example.org";
	ck_assert_int_eq(find(&notification, &device), REFUSAL_OTHER_DOMAIN);
}
END_TEST

START_TEST(a_token_whose_module_nobody_serves_is_told_from_an_unknown_node)
{
	static const char token[] =
	        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

	notification.module = "fcm";
	ck_assert_int_eq(find(&notification, NULL), REFUSAL_UNKNOWN_NODE);
	notification.node = token;
	ck_assert_int_eq(find(&notification, NULL), REFUSAL_UNKNOWN_MODULE);
	notification.module = NULL; /* no provider has modules here, so none was meant */
	ck_assert_int_eq(find(&notification, NULL), REFUSAL_UNKNOWN_NODE);
}
END_TEST

START_TEST(ten_lines_of_a_reason_in_a_second_and_the_rest_as_a_number)
{
	struct logged logged = logged_start();
	const char *text;

	for (unsigned i = 0; i < 25; i++)
		tell(&notification, REFUSAL_UNKNOWN_NODE);
	tell(&notification, REFUSAL_WRONG_SECRET);
	log_rate_stop();
	text = logged_end(&logged);
	ck_assert_uint_eq(logged_count(text, "publish-refused reason=unknown-node component="), 10);
	ck_assert_uint_eq(logged_count(text, "publish-refused reason=wrong-secret component="), 1);
	ck_assert_uint_eq(logged_count(text, "what=publish-refused reason=unknown-node count=15\n"),
	                  1);
	ck_assert_int_eq(refused[REFUSAL_UNKNOWN_NODE], 25);
}
END_TEST

START_TEST(a_publisher_writes_no_fields_into_the_log)
{
	struct logged logged = logged_start();
	const char *text;

	notification.node = "a b=c ddd";
	notification.module = "x reason=none";
	tell(&notification, REFUSAL_UNKNOWN_NODE);
	text = logged_end(&logged);
	ck_assert_msg(strstr(text, "node=a module=x\n") != NULL, "%s", text);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_first_thing_that_is_wrong_is_the_reason,
		a_domain_is_the_owners_in_any_spelling_that_prepares_to_it,
		a_token_whose_module_nobody_serves_is_told_from_an_unknown_node,
		ten_lines_of_a_reason_in_a_second_and_the_rest_as_a_number,
		a_publisher_writes_no_fields_into_the_log,
	};

	return unit_run("refusal", tests, ARRAY_LEN(tests), setup, teardown);
}
