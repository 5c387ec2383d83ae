#include "pushd/provider/apns.c"

#include "tests/unit/provider_cases.h"
#include "tests/unit/unit.h"

START_TEST(every_notification_becomes_the_request_that_clients_read)
{
	ck_assert_uint_ge(cases_each("tests/data/apns-request", check_build), 20);
}
END_TEST

START_TEST(every_answer_means_what_apple_documents)
{
	ck_assert_uint_ge(cases_each("tests/data/apns-verdict", check_judge), 35);
}
END_TEST

START_TEST(texts_of_any_length_fit_in_some_form)
{
	static char account[1900], text[3072];
	struct arena arena = { 0 };
	struct provider_settings settings = { .endpoint = "https://x", .topic = "t" };
	struct notification notification = { .summary = true, .count = 1000000000 };
	struct provider_message message = {
		.settings = &settings,
		.notification = &notification,
		.priority = PRIORITY_HIGH,
		.account = account,
		.token = "ab",
		.bearer = "JWT",
		.id = "id",
		.arena = &arena,
	};
	struct provider_request request;

	memset(account, '\\', sizeof(account) - 1);
	memset(text, 1, sizeof(text) - 1);
	notification.sender = notification.body = notification.nickname = text;
	ck_assert_int_eq(build(&message, &request), 0);
	ck_assert_uint_eq(request.cut, CUT_ALL);
	ck_assert_uint_le(request.body_len, PAYLOAD_MAX);
	arena_release(&arena);
}
END_TEST

START_TEST(tokens_are_hex_of_even_length_and_sent_in_lower_case)
{
	static const char *const bad[] = { "", "a", "abc", "zz", "ab ", "ab\n", "0x12", NULL };
	char longest[TOKEN_MAX + 3];
	char *token = accepted("ABcd09");

	ck_assert_str_eq(token, "abcd09");
	free(token);
	for (size_t i = 0; bad[i] != NULL; i++)
		ck_assert_msg(accepted(bad[i]) == NULL, "\"%s\" was accepted", bad[i]);
	memset(longest, 'f', sizeof(longest));
	longest[TOKEN_MAX + 2] = '\0';
	ck_assert_ptr_null(accepted(longest));
	longest[TOKEN_MAX] = '\0';
	token = accepted(longest);
	ck_assert_ptr_nonnull(token);
	free(token);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_notification_becomes_the_request_that_clients_read,
		every_answer_means_what_apple_documents,
		texts_of_any_length_fit_in_some_form,
		tokens_are_hex_of_even_length_and_sent_in_lower_case,
	};

	kind = &apns_kind;
	return unit_run("apns", tests, ARRAY_LEN(tests), NULL, NULL);
}
