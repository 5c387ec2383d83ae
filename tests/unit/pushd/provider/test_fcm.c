#include "pushd/provider/fcm.c"

#include "tests/unit/provider_cases.h"
#include "tests/unit/unit.h"

static const void *keys_for(const json_t *expected)
{
	static char project[] = "proj-1";
	static struct fcm_conf keys_of_case;

	keys_of_case.project_id = project;
	keys_of_case.address = json_is_true(json_object_get(expected, "fid")) ? FCM_ADDRESS_FID
	                                                                      : FCM_ADDRESS_TOKEN;
	return &keys_of_case;
}

START_TEST(every_notification_becomes_data_of_strings)
{
	ck_assert_uint_ge(cases_each("tests/data/fcm-request", check_build), 8);
}
END_TEST

START_TEST(every_answer_means_what_google_documents)
{
	ck_assert_uint_ge(cases_each("tests/data/fcm-verdict", check_judge), 20);
}
END_TEST

START_TEST(tokens_are_any_printable_text_and_stay_as_they_are)
{
	static const char *const bad[] = { "", "a b", "a\tb", "caf\xc3\xa9", "a\x7f", NULL };
	char *token =
	        accepted("cR1:APA91bHPRgkF3JUikC4ENAHEeMrd41Zxv3hVZjC9KtT8OvPVGJ-hQMRKRrZuJAE");

	ck_assert_str_eq(token,
	                 "cR1:APA91bHPRgkF3JUikC4ENAHEeMrd41Zxv3hVZjC9KtT8OvPVGJ-hQMRKRrZuJAE");
	free(token);
	for (size_t i = 0; bad[i] != NULL; i++)
		ck_assert_msg(accepted(bad[i]) == NULL, "\"%s\" was accepted", bad[i]);
}
END_TEST

START_TEST(tokens_have_at_most_1024_characters)
{
	char longest[1026];
	char *token;

	memset(longest, 'a', sizeof(longest) - 1);
	longest[1025] = '\0';
	ck_assert_ptr_null(accepted(longest));
	longest[1024] = '\0';
	token = accepted(longest);
	ck_assert_ptr_nonnull(token);
	free(token);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_notification_becomes_data_of_strings,
		every_answer_means_what_google_documents,
		tokens_are_any_printable_text_and_stay_as_they_are,
		tokens_have_at_most_1024_characters,
	};

	kind = &fcm_kind;
	return unit_run("fcm", tests, ARRAY_LEN(tests), NULL, NULL);
}
