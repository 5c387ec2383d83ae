/*
 * GET /v1/queue: the notifications that wait in Redis, page by page, without what they say.
 */
#ifndef OG_PUSHD_API_WAITING_H
#define OG_PUSHD_API_WAITING_H

#include "common/http/http_route.h"

extern const struct http_route waiting_routes[];

#endif
