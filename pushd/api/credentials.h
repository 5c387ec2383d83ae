/*
 * The internal API's calls about providers and their credentials: GET /v1/providers, which shows no
 * secret, and those that set and remove a credential for all pushd (PUT and DELETE
 * /v1/providers/{id}/credential). One that is set is checked, sealed and kept; after a removal that
 * of the files, if there is one, is in use again.
 */
#ifndef OG_PUSHD_API_CREDENTIALS_H
#define OG_PUSHD_API_CREDENTIALS_H

#include "common/http/http_route.h"

extern const struct http_route credentials_routes[];

#endif
