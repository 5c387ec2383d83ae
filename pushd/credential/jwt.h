/*
 * Signed JSON Web Tokens (RFC 7515, 7518): ES256 with a P-256 key, RS256 with an RSA key. Pure but
 * for OpenSSL's random numbers.
 */
#ifndef OG_PUSHD_CREDENTIAL_JWT_H
#define OG_PUSHD_CREDENTIAL_JWT_H

#include <jansson.h>
#include <stddef.h>

enum jwt_algorithm { JWT_ES256, JWT_RS256 };

struct jwt_key;

/*
 * Reads an unencrypted private key (PEM, PKCS #8 or traditional) that fits ALGORITHM. NULL with
 * *WHY (static text) when it isn't one.
 */
struct jwt_key *jwt_key_read(const char *pem, size_t len, enum jwt_algorithm algorithm,
                             const char **why);

/* The public half of KEY as PEM; heap, the caller frees it. */
char *jwt_key_public(const struct jwt_key *key);

/* KEY itself as PEM, a secret; heap, the caller frees it. */
char *jwt_key_print(const struct jwt_key *key);

/* Frees the key; NULL is fine. */
void jwt_key_free(struct jwt_key *key);

/* The compact form of CLAIMS (borrowed), with KEY_ID as "kid"; heap, the caller frees it. */
char *jwt_sign(const struct jwt_key *key, const char *key_id, const json_t *claims);

/* OpenSSL's name and version (static). */
const char *jwt_version(void);

#endif
