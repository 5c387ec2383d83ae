/*
 * Asks the token endpoint of a service account for access tokens: one request at a time.
 */
#ifndef OG_PUSHD_CREDENTIAL_OAUTH_H
#define OG_PUSHD_CREDENTIAL_OAUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/http/http_client.h"
#include "pushd/conf.h"
#include "pushd/credential/service_account.h"

struct oauth {
	/* TOKEN (borrowed) is good for LIFE_MS; NULL: there is none, which has been logged. */
	void (*done)(struct oauth *oauth, const char *token, int64_t life_ms);
	const struct service_account *account; /* borrowed */
	struct http_pool *pool;
	struct http_call call;
	char *form;   /* what is being posted */
	bool refused; /* the endpoint refused the account: a status 4xx except 429 */
};

/* PROVIDER says how the endpoint of ACCOUNT is reached; oauth->done is set before. */
void oauth_start(struct oauth *oauth, const struct service_account *account,
                 const struct conf_provider *provider);

/* Cancels the request; fine when it wasn't started. */
void oauth_stop(struct oauth *oauth);

/* Asks for a token; no request may be under way. */
void oauth_fetch(struct oauth *oauth);

#endif
