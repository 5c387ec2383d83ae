/*
 * APNs's provider tokens: JWTs that are good for an hour and may change every 20 minutes on a
 * connection. Signatures are checked once per token, since every request carries one. Pure but for
 * that cache.
 */
#ifndef OG_TESTS_FAKES_PROVIDER_TOKEN_H
#define OG_TESTS_FAKES_PROVIDER_TOKEN_H

#include <openssl/evp.h>
#include <stdint.h>

#include "common/base/map.h"

struct provider_tokens {
	EVP_PKEY *key;                /* public, EC P-256; borrowed */
	const char *key_id, *team_id; /* "kid" and "iss" that tokens must carry; borrowed */
	struct map verified;          /* the module's own */
};

/* The provider token that a connection uses. All zeros: none yet. */
struct apns_binding {
	char *jwt;        /* heap, owned */
	int64_t issued_s; /* its "iat" */
};

/*
 * Checks the header AUTHORIZATION (NULL: absent) at NOW_S and binds the connection to it. NULL
 * when it is good, else APNs's reason.
 */
const char *provider_token_check(struct provider_tokens *tokens, struct apns_binding *binding,
                                 const char *authorization, int64_t now_s);

/* Frees what a binding, or the cache, holds. */
void apns_binding_release(struct apns_binding *binding);
void provider_tokens_release(struct provider_tokens *tokens);

#endif
