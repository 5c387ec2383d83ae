#include "pushd/device/dialect.c"

#include "common/base/mem.h"
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

int main(void)
{
	const TTest *const tests[] = {
		each_dialect_is_found_by_its_name_and_nothing_else_is_one,
		who_never_comes_again_has_no_end_of_life,
	};

	return unit_run("dialect", tests, ARRAY_LEN(tests), NULL, NULL);
}
