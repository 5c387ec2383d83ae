/*
 * Checks JSON Web Tokens (RFC 7519) in compact form: ES256 as APNs takes them, RS256 as Google's
 * token endpoint does. Pure: text and key in, verdict and claims out.
 */
#ifndef OG_TESTS_FAKES_JWT_H
#define OG_TESTS_FAKES_JWT_H

#include <jansson.h>
#include <openssl/evp.h>
#include <stddef.h>

#define JWT_MAX 4096 /* bytes of the longest one that is read */

enum jwt_verdict {
	JWT_GOOD,
	JWT_MALFORMED,       /* not three parts of base64url with JSON objects in the first two */
	JWT_OTHER_ALGORITHM, /* "alg" isn't the one that the key is for */
	JWT_BAD_SIGNATURE,
};

struct jwt {
	json_t *header; /* objects, owned; both NULL unless the verdict is JWT_GOOD */
	json_t *claims;
};

/* Checks TEXT against KEY: an EC key means ES256, any other RS256. */
enum jwt_verdict jwt_read(struct jwt *jwt, const char *text, EVP_PKEY *key);

/*
 * A header's or claims' member as text ("" when absent) or as whole seconds (-1 when absent or
 * absurd).
 */
const char *jwt_text(const json_t *part, const char *name);
json_int_t jwt_number(const json_t *part, const char *name);

/* Frees what it holds. */
void jwt_release(struct jwt *jwt);

#endif
