/*
 * A service account's grant posted to its token endpoint, for an access token: one request at a
 * time.
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
	bool refused; /* the last answer was that the account gets none */
};

/* Makes ready to ask ACCOUNT's endpoint as PROVIDER says; oauth->done is set. */
void oauth_start(struct oauth *oauth, const struct service_account *account,
                 const struct conf_provider *provider);

/* Forgets what is under way; fine when it wasn't started. */
void oauth_stop(struct oauth *oauth);

/* Asks for a token; the last answer must have come. */
void oauth_fetch(struct oauth *oauth);

#endif
