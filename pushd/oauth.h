/*
 * The bearer token of a service account, fetched from its token endpoint: one request at a time,
 * renewed before its end, kept until its end when renewing fails.
 */
#ifndef OG_PUSHD_OAUTH_H
#define OG_PUSHD_OAUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/backoff.h"
#include "common/http_client.h"
#include "common/loop.h"
#include "pushd/service_account.h"

struct oauth {
	void (*changed)(struct oauth *oauth); /* a token has come, or fetching has failed */
	struct service_account *account;      /* borrowed */
	struct http_pool *pool;
	struct http_call call;
	char *form; /* what is being posted */
	bool fetching;
	char *token;         /* NULL: none */
	unsigned generation; /* which token it is */
	int64_t expires_ms;
	struct timer again; /* to renew, or to try again */
	struct backoff backoff;
};

/* Begins to fetch a token for ACCOUNT; oauth->changed is set. CA_FILE may be NULL. */
void oauth_start(struct oauth *oauth, struct service_account *account, const char *ca_file);

void oauth_stop(struct oauth *oauth);

/* The token (borrowed, until the next turn), or NULL while there is none. */
const char *oauth_token(struct oauth *oauth);

/* Throws the token away, since it was refused, and fetches another. */
void oauth_renew(struct oauth *oauth);

#endif
