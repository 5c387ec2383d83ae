#include "pushd/provider/environment.c"

#include "tests/unit/unit.h"

START_TEST(a_name_finds_its_environment_and_any_other_text_none)
{
	ck_assert_int_eq(environment_find("production"), ENVIRONMENT_PRODUCTION);
	ck_assert_int_eq(environment_find("sandbox"), ENVIRONMENT_SANDBOX);
	ck_assert_int_eq(environment_find(""), ENVIRONMENT_UNKNOWN);
	ck_assert_int_eq(environment_find("Sandbox"), ENVIRONMENT_UNKNOWN);
	ck_assert_int_eq(environment_find(NULL), ENVIRONMENT_UNKNOWN);
	ck_assert_ptr_null(environment_names[ENVIRONMENT_SANDBOX + 1]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_name_finds_its_environment_and_any_other_text_none,
	};

	return unit_run("environment", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
