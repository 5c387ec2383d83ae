/*
 * POST /v1/notifications: an array of notifications with a deadline, answered by an array of
 * outcomes.
 */
#ifndef OG_PUSHD_API_BATCH_H
#define OG_PUSHD_API_BATCH_H

#include "common/http/http_server.h"
#include "pushd/conf.h"

#define BATCH_MAX 256 /* notifications in one call */

/* The route's handler. */
void batch_serve(struct http_request *request);

/* Takes what it needs of CONF; makes the metric of outcomes known. */
void batch_start(const struct conf *conf);

#endif
