#include "pushd/sender/uuid.c"

#include <string.h>

#include "common/base/mem.h"
#include "tests/unit/unit.h"

START_TEST(a_uuid_is_random_lower_case_and_says_version_4)
{
	static char seen[3 * STOCK][UUID_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
		uuid_make(seen[i]);
		ck_assert_uint_eq(strlen(seen[i]), 36);
		ck_assert_uint_eq(strspn(seen[i], "0123456789abcdef-"), 36);
		for (size_t at = 8; at <= 23; at += 5)
			ck_assert_int_eq(seen[i][at], '-');
		ck_assert_int_eq(seen[i][14], '4');
		ck_assert_ptr_nonnull(strchr("89ab", seen[i][19]));
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(seen[i], seen[j]);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { a_uuid_is_random_lower_case_and_says_version_4 };

	return unit_run("uuid", tests, 1, NULL, NULL);
}
