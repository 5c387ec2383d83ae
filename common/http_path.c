#include "common/http_path.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/percent.h"

/* One segment of each; a {part} adds its text to PARAMS. */
static bool match_segment(const char *pattern, size_t pattern_len, const char *path, size_t len,
                          char **param)
{
	if (pattern_len == 0 || pattern[0] != '{')
		return pattern_len == len && memcmp(pattern, path, len) == 0;
	return len > 0 && (*param = percent_decode(path, len)) != NULL;
}

bool http_path_match(const char *pattern, const char *path, char **params, size_t most)
{
	size_t count = 0;

	for (;;) {
		size_t pattern_len = strcspn(pattern, "/"), len = strcspn(path, "/");
		char *param = NULL;

		if (!match_segment(pattern, pattern_len, path, len, &param))
			break;
		if (param != NULL) {
			assert(count < most);
			params[count++] = param;
		}
		pattern += pattern_len;
		path += len;
		if (*pattern == '\0' && *path == '\0')
			return true;
		if (*pattern++ != *path++)
			break;
	}
	while (count > 0) {
		free(params[--count]);
		params[count] = NULL;
	}
	return false;
}
