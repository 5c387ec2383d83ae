/*
 * The internal API's calls about devices: to register (POST /v1/devices), unregister (POST
 * /v1/devices/unregister), list (GET /v1/devices?owner=), show and remove (GET and DELETE
 * /v1/devices/{node}) them; and to forget an account (DELETE /v1/accounts/{jid}).
 */
#ifndef OG_PUSHD_API_DEVICES_H
#define OG_PUSHD_API_DEVICES_H

#include "common/daemon.h"
#include "common/http/http_route.h"

extern const struct http_route devices_routes[];

/* For the daemon's table of modules: before the server. */
extern const struct daemon_module devices_module;

#endif
