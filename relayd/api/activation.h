/*
 * Activation, POST /v1/streams/{hash}/activate: gateways let the bytes of a stream flow. With the
 * verifier `limits` the stream needs a first lease for that; requests that come for the same stream
 * meanwhile wait for the same result.
 */
#ifndef OG_RELAYD_API_ACTIVATION_H
#define OG_RELAYD_API_ACTIVATION_H

#include "common/http/http_route.h"

/* Module; after leases. */
extern const struct daemon_module activation_module;

extern const struct http_route activation_routes[];

#endif
