/* GET /v1/statistics: what came of the notifications of each provider. */
#ifndef OG_PUSHD_API_STATISTICS_H
#define OG_PUSHD_API_STATISTICS_H

#include "common/daemon.h"
#include "common/http/http_route.h"

extern const struct http_route statistics_routes[];

/* For the daemon's table of modules: before the server. */
extern const struct daemon_module statistics_module;

#endif
