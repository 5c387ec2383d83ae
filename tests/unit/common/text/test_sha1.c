#include "common/text/sha1.c"

#include <string.h>

#include "common/base/mem.h"
#include "tests/unit/unit.h"

START_TEST(the_examples_of_fips_180_are_met)
{
	static const struct {
		const char *input, *output;
	} cases[] = {
		{ "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
		{ "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
	};
	char text[SHA1_TEXT_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		ck_assert_str_eq(sha1_text(cases[i].input, strlen(cases[i].input), text),
		                 cases[i].output);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { the_examples_of_fips_180_are_met };

	return unit_run("sha1", tests, ARRAY_LEN(tests), NULL, NULL);
}
