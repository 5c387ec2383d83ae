/*
 * Secrets sealed for a place that others may read: AES-256-GCM with a nonce of its own for each
 * text, bound to a purpose (what it is and whose), so that a sealed text can't be put in another's
 * place. Pure but for OpenSSL's random numbers.
 */
#ifndef OG_PUSHD_CREDENTIAL_SEAL_H
#define OG_PUSHD_CREDENTIAL_SEAL_H

#include <stddef.h>

#define SEAL_KEY_BYTES 32

struct seal_key {
	unsigned char bytes[SEAL_KEY_BYTES];
};

/* Reads a key of 64 hex digits, blanks and line ends around them; 0, or -1 if it isn't one. */
int seal_key_read(struct seal_key *key, const char *text);

/* TEXT sealed for PURPOSE, in base64; heap, the caller frees it. */
char *seal_wrap(const struct seal_key *key, const char *purpose, const char *text);

/*
 * The text in SEALED, a secret on the heap; NULL when it was sealed with another key or for another
 * purpose, or was tampered with.
 */
char *seal_unwrap(const struct seal_key *key, const char *purpose, const char *sealed);

#endif
