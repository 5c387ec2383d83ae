/*
 * What every unit test program ends with: its tests run under libcheck, each in its own process,
 * with the summary printed.
 */
#ifndef OG_TESTS_UNIT_UNIT_H
#define OG_TESTS_UNIT_UNIT_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

/*
 * How long a test waits for something before it fails. Without OG_TEST_WAIT, a number of seconds,
 * it is what a busy machine may need.
 */
static inline unsigned unit_wait_s(void)
{
	const char *seconds = getenv("OG_TEST_WAIT");

	return seconds != NULL ? (unsigned)strtoul(seconds, NULL, 10) : 120;
}

/*
 * Runs COUNT tests between SETUP and TEARDOWN (either may be NULL); returns main()'s status. With
 * CASE in the environment, only those whose name contains it.
 */
static inline int unit_run(const char *name, const TTest *const *tests, size_t count,
                           void (*setup)(void), void (*teardown)(void))
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner = srunner_create(suite);
	const char *part = getenv("CASE");
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 5 * unit_wait_s()); /* guards against a test that hangs */
	for (size_t i = 0; i < count; i++)
		if (part == NULL || strstr(tests[i]->name, part) != NULL)
			tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
