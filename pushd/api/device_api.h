/* The calls of the internal API about devices. */
#ifndef OG_PUSHD_API_DEVICE_API_H
#define OG_PUSHD_API_DEVICE_API_H

#include "common/http/http_server.h"

/* Keeps what the calls need of the configuration, and makes their metrics known. */
void device_api_start(void *config);

/* Route handlers. */
void device_api_register(struct http_request *request);   /* POST /v1/devices */
void device_api_unregister(struct http_request *request); /* POST /v1/devices/unregister */
void device_api_list(struct http_request *request);       /* GET /v1/devices?owner= */
void device_api_show(struct http_request *request);       /* GET /v1/devices/{node} */
void device_api_remove(struct http_request *request);     /* DELETE /v1/devices/{node} */

#endif
