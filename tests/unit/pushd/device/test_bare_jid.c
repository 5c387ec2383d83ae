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

START_TEST(folding_changes_ascii_letters_alone)
{
	char *folded = bare_jid_fold("RoMeO@EXÄmple.ORG");

	ck_assert_str_eq(folded, "romeo@exÄmple.org");
	free(folded);
	ck_assert_ptr_null(bare_jid_fold(NULL));
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
		folding_changes_ascii_letters_alone,
		the_domain_is_behind_the_at_or_all_of_it,
	};

	return unit_run("bare_jid", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
