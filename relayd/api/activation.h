/*
 * Activation, POST /v1/streams/{hash}/activate: gateways let the bytes of a stream flow. With the
 * verifier `limits` the stream needs a first lease for that; requests that come for the same stream
 * meanwhile wait for the same result.
 */
#ifndef OG_RELAYD_API_ACTIVATION_H
#define OG_RELAYD_API_ACTIVATION_H

struct http_request;

/* Module; after leases. */
extern const struct daemon_module activation_module;

void activation_post(struct http_request *request);

/* clang-format off */
#define ACTIVATION_ROUTES { "POST", "/v1/streams/{hash}/activate", activation_post }
/* clang-format on */

#endif
