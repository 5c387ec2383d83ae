/*
 * Paths of requests against the patterns of routes: "/v1/streams/{hash}/activate", where a {part} takes one
 * whole segment. Pure: text in, text out.
 */
#ifndef OG_COMMON_HTTP_PATH_H
#define OG_COMMON_HTTP_PATH_H

#include <stdbool.h>
#include <stddef.h>

/*
 * True if PATH (as it came, percent-encoded, without a query) has the form of PATTERN. The decoded text
 * of each {part} goes to PARAMS[0…], at most MOST, heap, owned by the caller; without a match they
 * are NULL. A part that is empty, wrongly encoded or that hides a NUL matches nothing.
 */
bool http_path_match(const char *pattern, const char *path, char **params, size_t most);

#endif
