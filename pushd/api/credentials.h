/* What the API says of credentials, and its calls that set and remove one for all pushd. */
#ifndef OG_PUSHD_API_CREDENTIALS_H
#define OG_PUSHD_API_CREDENTIALS_H

#include <jansson.h>

#include "common/http/http_server.h"

struct credential;

/* What CREDENTIAL is, for GET /v1/providers: no secret is in it. */
json_t *credentials_describe(const struct credential *credential);

/* PUT /v1/providers/{id}/credential: checked, sealed, kept and in use, or refused with why. */
void credentials_set(struct http_request *request);

/* DELETE /v1/providers/{id}/credential: that of the files, if there is one, is in use again. */
void credentials_remove(struct http_request *request);

#endif
