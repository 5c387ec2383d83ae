/*
 * The table that says which handler serves which request, and the search in it. Pure: text in, a
 * row of the table out.
 */
#ifndef OG_COMMON_HTTP_HTTP_ROUTE_H
#define OG_COMMON_HTTP_HTTP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"

#define HTTP_PARAMS_MAX 2 /* most {…} in a path */

struct http_request;

struct http_route {
	const char *method; /* "GET" … */
	const char *path;   /* "/v1/streams/{hash}/activate": a {part} matches one path segment */
	void (*handle)(struct http_request *request);
	bool open;                     /* needs no token */
	const struct http_route *rows; /* or, alone: another table, whose rows stand here */
};

/*
 * The row of ROUTES (ended by an empty one) for METHOD and PATH (percent-encoded, without a query);
 * HEAD is served by a row for GET. The decoded text of each {part} goes to PARAMS (HTTP_PARAMS_MAX,
 * all NULL before), heap, owned by the caller; a part that is empty, malformed or contains a NUL
 * matches nothing. Returns NULL if no row has this METHOD, and appends the methods of PATH's rows
 * to ALLOW, in the form of the header of that name.
 */
const struct http_route *http_route_find(const struct http_route *routes, const char *method,
                                         const char *path, char **params, struct buf *allow);

/* Frees the texts in PARAMS and sets them to NULL. */
void http_route_free_params(char **params);

#endif
