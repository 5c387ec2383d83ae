#include "common/http/http_route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/percent.h"

/* One segment of each; a {part} adds its text to PARAMS. */
static bool match_segment(const char *pattern, size_t pattern_len, const char *path, size_t len,
                          char **param)
{
	if (pattern_len == 0 || pattern[0] != '{')
		return pattern_len == len && memcmp(pattern, path, len) == 0;
	return len > 0 && (*param = percent_decode(path, len)) != NULL;
}

static bool match_path(const char *pattern, const char *path, char **params)
{
	size_t count = 0;

	for (;;) {
		size_t pattern_len = strcspn(pattern, "/"), len = strcspn(path, "/");
		char *param = NULL;

		if (!match_segment(pattern, pattern_len, path, len, &param))
			return false;
		if (param != NULL) {
			assert(count < HTTP_PARAMS_MAX);
			params[count++] = param;
		}
		pattern += pattern_len;
		path += len;
		if (*pattern == '\0' && *path == '\0')
			return true;
		if (*pattern++ != *path++)
			return false;
	}
}

static void add_method(struct buf *allow, const char *method)
{
	if (buf_len(allow) > 0)
		buf_text(allow, ", ");
	buf_text(allow, method);
	if (strcmp(method, "GET") == 0)
		buf_text(allow, ", HEAD");
}

/* True: ROUTE is the row for METHOD and PATH. */
static bool match_route(const struct http_route *route, const char *method, const char *path,
                        char **params, struct buf *allow)
{
	bool matches = match_path(route->path, path, params);

	if (matches && strcmp(route->method, method) == 0)
		return true;
	if (matches)
		add_method(allow, route->method);
	http_route_free_params(params);
	return false;
}

const struct http_route *http_route_find(const struct http_route *routes, const char *method,
                                         const char *path, char **params, struct buf *allow)
{
	const struct http_route *found = NULL;

	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (; found == NULL && (routes->method != NULL || routes->rows != NULL); routes++) {
		if (routes->rows != NULL)
			found = http_route_find(routes->rows, method, path, params, allow);
		else if (match_route(routes, method, path, params, allow))
			found = routes;
	}
	return found;
}

void http_route_free_params(char **params)
{
	for (size_t i = 0; i < HTTP_PARAMS_MAX; i++) {
		free(params[i]);
		params[i] = NULL;
	}
}
