/*
 * Public keys in PEM files.
 */
#ifndef OG_TESTS_FAKES_KEY_H
#define OG_TESTS_FAKES_KEY_H

#include <openssl/evp.h>
#include <stddef.h>

/*
 * The public key in FILE, which must be of TYPE (EVP_PKEY_EC: P-256; EVP_PKEY_RSA); the caller
 * frees it. NULL with the reason in WHY (SIZE bytes).
 */
EVP_PKEY *key_read(const char *file, int type, char *why, size_t size);

#endif
