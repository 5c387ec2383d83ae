/*
 * A harness without a fuzzer: each file in tests/data/fuzz/<module>, which are inputs that are
 * worth keeping and those that once found something, is one check.
 */
#include <dirent.h>
#include <stdio.h>

#include "common/base/file.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/unit.h"

#define INPUT_MAX (8u << 20)

static struct dirent **files;
static char folder[256];

static int is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

START_TEST(no_input_breaks_it)
{
	char *path = mem_printf("%s/%s", folder, files[_i]->d_name);
	size_t len;
	char *data = file_read(path, INPUT_MAX, &len);
	uint8_t *exact;

	ck_assert_msg(data != NULL, "%s can't be read", path);
	/* Without the NUL that file_read() adds, so that a byte too far is seen. */
	exact = malloc(len > 0 ? len : 1);
	memcpy(exact, data, len);
	ck_assert_msg(LLVMFuzzerTestOneInput(exact, len) == 0, "%s", path);
	free(exact);
	free(data);
	free(path);
}
END_TEST

static int run(const char *name, int count)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, no_input_breaks_it, 0, count);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	const char *name = strstr(argv[0], "fuzz_");
	int count, status;

	for (const char *next = name; next != NULL; next = strstr(next + 1, "fuzz_"))
		name = next;
	snprintf(folder, sizeof(folder), "tests/data/fuzz/%s", name != NULL ? name + 5 : "");
	count = scandir(folder, &files, is_file, alphasort);
	if (count < 1) {
		fprintf(stderr, "%s: no inputs in %s\n", argv[0], folder);
		return EXIT_FAILURE;
	}
	status = run(name, count);
	for (int i = 0; i < count; i++)
		free(files[i]);
	free(files);
	return status;
}
