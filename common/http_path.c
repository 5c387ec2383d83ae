#include "common/http_path.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3986 2.1; NULL where an escape is malformed or stands for a NUL. */
static char *decode(const char *text, size_t len)
{
	char *out = mem_alloc(len + 1, 1);
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		int high, low;

		if (text[i] != '%') {
			out[used++] = text[i];
			continue;
		}
		high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
		low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
		if (high < 0 || low < 0 || high + low == 0) {
			free(out);
			return NULL;
		}
		out[used++] = (char)(high << 4 | low);
		i += 2;
	}
	return out;
}

/* One segment of each; a {part} adds its text to PARAMS. */
static bool match_segment(const char *pattern, size_t pattern_len, const char *path, size_t len,
                          char **param)
{
	if (pattern_len == 0 || pattern[0] != '{')
		return pattern_len == len && memcmp(pattern, path, len) == 0;
	return len > 0 && (*param = decode(path, len)) != NULL;
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
