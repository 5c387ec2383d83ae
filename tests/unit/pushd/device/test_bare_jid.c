#include "pushd/device/bare_jid.c"

#include <stdlib.h>

#include "tests/unit/unit.h"

START_TEST(a_bare_jid_has_a_domain_and_no_resource)
{
	static const char *const good[] = { "a@b", "example.org", "jörg@exämple.org", "a.b+c@d",
		                            NULL };
	static const char *const bad[] = { "",    "@b",    "a@",    "a@b@c",   "a@b/c",
		                           "b/c", "a b@c", "a@b\n", "a@b\x7f", NULL };

	for (size_t i = 0; good[i] != NULL; i++)
		ck_assert_msg(bare_jid_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; bad[i] != NULL; i++)
		ck_assert_msg(!bare_jid_valid(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(two_spellings_of_an_address_become_one)
{
	static const char *const spellings[][2] = {
		{ "RoMeO@Example.ORG", "romeo@example.org" },
		{ "JÖRG@EXÄmple.ORG", "jörg@exämple.org" },
		{ "jo\xcc\x88rg@example.org", "jörg@example.org" },
		{ "Straße@example.org", "strasse@example.org" },
	};

	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		char *prepared = bare_jid_prepare(spellings[i][0]);

		ck_assert_str_eq(prepared, spellings[i][1]);
		free(prepared);
	}
	ck_assert_ptr_null(bare_jid_prepare(NULL));
}
END_TEST

START_TEST(what_is_no_jid_keeps_all_but_the_case_of_ascii_letters)
{
	char *prepared = bare_jid_prepare("A\xff@B");

	ck_assert_str_eq(prepared, "a\xff@b");
	free(prepared);
}
END_TEST

START_TEST(the_domain_is_behind_the_at_or_all_of_it)
{
	ck_assert_str_eq(bare_jid_domain("romeo@example.org"), "example.org");
	ck_assert_str_eq(bare_jid_domain("example.org"), "example.org");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_bare_jid_has_a_domain_and_no_resource,
		two_spellings_of_an_address_become_one,
		what_is_no_jid_keeps_all_but_the_case_of_ascii_letters,
		the_domain_is_behind_the_at_or_all_of_it,
	};

	return unit_run("bare_jid", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
