/*
 * Unregistering a device by REST, as Tigase's component offers it, without any authentication but
 * the knowledge of account and token. The answers tell nobody what exists, and an address may ask
 * only so often.
 */
#ifndef OG_PUSHD_API_REST_H
#define OG_PUSHD_API_REST_H

#include "common/http/http_server.h"
#include "pushd/conf.h"

extern const struct http_route rest_routes[];

/* Before the first request, and after the last. DAEMON is borrowed. */
void rest_start(const struct conf_daemon *daemon);
void rest_stop(void);

#endif
