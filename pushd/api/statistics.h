/* GET /v1/statistics: what came of the notifications of each provider. */
#ifndef OG_PUSHD_API_STATISTICS_H
#define OG_PUSHD_API_STATISTICS_H

#include "common/http/http_server.h"
#include "pushd/conf.h"

/* Keeps CONF, which the calls need. */
void statistics_start(const struct conf *conf);

/* The route's handler. */
void statistics_serve(struct http_request *request);

#endif
