/*
 * Google's OAuth token endpoint for service accounts (RFC 7523 grants): one request in, its answer
 * out, and the access token it issued into the list that FCM checks. Pure but for that list.
 */
#ifndef OG_TESTS_FAKES_OAUTH_H
#define OG_TESTS_FAKES_OAUTH_H

#include <openssl/evp.h>
#include <stdint.h>

#include "tests/fakes/access.h"
#include "tests/fakes/answer.h"
#include "tests/fakes/request.h"

#define OAUTH_LIFE_S 3599 /* what Google's access tokens say in expires_in */

struct oauth {
	EVP_PKEY *key;     /* the service account's public key, RSA; borrowed */
	const char *email; /* its "iss"; borrowed */
	/* An "aud" to accept besides Google's and the request's own URL; or NULL; borrowed. */
	const char *token_uri;
	struct access *access;
};

/* Judges REQUEST at NOW_MS into ANSWER, which is all zeros. */
void oauth_answer(struct oauth *oauth, const struct request *request, int64_t now_ms,
                  struct answer *answer);

/* The answer to a good grant: an access token for LIFE_S seconds; also for a script's 200. */
void oauth_accept(struct oauth *oauth, int64_t life_s, int64_t now_ms, struct answer *answer);

/* Fills ANSWER with the error CODE (NULL: the usual one for STATUS) and STATUS (0: the code's). */
void oauth_refuse(struct answer *answer, unsigned status, const char *code);

#endif
