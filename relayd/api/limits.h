/*
 * The part of the control API about individual limits: a row for each account (a bare JID or a
 * domain), with the bytes of one file, of a user a month and of a domain a month. 0 means not set
 * in this row, -1 forbidden. A row appears at the account's first transfer, or when it is set.
 */
#ifndef OG_RELAYD_API_LIMITS_H
#define OG_RELAYD_API_LIMITS_H

struct http_request;

void limits_list(struct http_request *request);
void limits_get(struct http_request *request);
void limits_put(struct http_request *request);
void limits_delete(struct http_request *request);

/* clang-format off */
#define LIMITS_ROUTES                                                                           \
	{ "GET",    "/v1/limits",           limits_list },                                      \
	{ "GET",    "/v1/limits/{account}", limits_get },                                       \
	{ "PUT",    "/v1/limits/{account}", limits_put },                                       \
	{ "DELETE", "/v1/limits/{account}", limits_delete }
/* clang-format on */

#endif
