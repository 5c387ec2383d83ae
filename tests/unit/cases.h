/* Cases that are JSON files in a folder: each is loaded and checked. */
#ifndef OG_TESTS_UNIT_CASES_H
#define OG_TESTS_UNIT_CASES_H

#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

/* Calls CHECK for each NAME.json in FOLDER; returns how many there were. */
static inline unsigned cases_each(const char *folder,
                                  void (*check)(const char *name, const json_t *expected))
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	unsigned count = 0;

	ck_assert_msg(dir != NULL, "%s can't be read", folder);
	while ((entry = readdir(dir)) != NULL) {
		char *dot = strrchr(entry->d_name, '.');
		char *path;
		json_t *expected;

		if (dot == NULL || strcmp(dot, ".json") != 0)
			continue;
		path = mem_printf("%s/%s", folder, entry->d_name);
		expected = json_load_file(path, 0, NULL);
		ck_assert_msg(expected != NULL, "%s is no JSON", path);
		check(entry->d_name, expected);
		json_decref(expected);
		free(path);
		count++;
	}
	closedir(dir);
	return count;
}

/* The text under KEY, or NULL. */
static inline const char *case_text(const json_t *expected, const char *key)
{
	return json_string_value(json_object_get(expected, key));
}

/* The number under KEY, or FALLBACK. */
static inline json_int_t case_number(const json_t *expected, const char *key, json_int_t fallback)
{
	const json_t *number = json_object_get(expected, key);

	return json_is_integer(number) ? json_integer_value(number) : fallback;
}

#endif
