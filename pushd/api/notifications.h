/*
 * POST /v1/notifications: an array of notifications with a deadline, answered by an array of
 * outcomes. A domain may publish only as often as domain-rate and domain-burst say: a bucket of
 * tokens in this process for each.
 */
#ifndef OG_PUSHD_API_NOTIFICATIONS_H
#define OG_PUSHD_API_NOTIFICATIONS_H

#include "common/daemon.h"
#include "common/http/http_route.h"

#define NOTIFICATIONS_MAX 256 /* in one call */

extern const struct http_route notifications_routes[];

/* For the daemon's table of modules: before the server. */
extern const struct daemon_module notifications_module;

#endif
