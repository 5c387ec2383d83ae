/* Calls of the internal API about devices: to register, unregister, list, show and remove them. */
#ifndef OG_PUSHD_API_DEVICES_H
#define OG_PUSHD_API_DEVICES_H

#include "common/http/http_server.h"
#include "pushd/conf.h"

/* Keeps what the calls need of the configuration, and makes their metrics known. */
void devices_start(const struct conf *conf);

/* Route handlers. */
void devices_register(struct http_request *request);   /* POST /v1/devices */
void devices_unregister(struct http_request *request); /* POST /v1/devices/unregister */
void devices_list(struct http_request *request);       /* GET /v1/devices?owner= */
void devices_show(struct http_request *request);       /* GET /v1/devices/{node} */
void devices_remove(struct http_request *request);     /* DELETE /v1/devices/{node} */

#endif
