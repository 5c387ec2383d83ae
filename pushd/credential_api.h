/* The calls that set and remove a provider's credential in Redis, for all pushd. */
#ifndef OG_PUSHD_CREDENTIAL_API_H
#define OG_PUSHD_CREDENTIAL_API_H

#include "common/http_server.h"

/* PUT /v1/providers/{id}/credential: checked, sealed, kept and in use, or refused with why. */
void credential_api_set(struct http_request *request);

/* DELETE /v1/providers/{id}/credential: that of the files, if there is one, is in use again. */
void credential_api_remove(struct http_request *request);

#endif
