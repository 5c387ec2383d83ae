/*
 * Private keys for harnesses, made when they are first asked for: none is kept in the tree, so
 * where an input has "@EC@" or "@RSA@" such a key is put in its place.
 */
#ifndef OG_TESTS_FUZZ_KEYS_H
#define OG_TESTS_FUZZ_KEYS_H

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>

#include "common/base/buf.h"
#include "tests/fuzz/fuzz.h"

/* KEY (freed) as PEM, with JSON's escape for each newline if ESCAPED; heap. */
static inline char *keys_print(EVP_PKEY *key, bool escaped)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct buf out = { 0 };
	char *pem;
	long len;

	assert(key != NULL && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
	len = BIO_get_mem_data(bio, &pem);
	for (long i = 0; i < len; i++)
		buf_append(&out, escaped && pem[i] == '\n' ? "\\n" : pem + i,
		           escaped && pem[i] == '\n' ? 2 : 1);
	BIO_free(bio);
	EVP_PKEY_free(key);
	return buf_take(&out);
}

/* TEXT with KEY in the place of MARK; heap. */
static inline char *keys_fill(const char *text, const char *mark, const char *key)
{
	const char *at = strstr(text, mark);

	if (at == NULL)
		return mem_dup(text);
	return mem_printf("%.*s%s%s", (int)(at - text), text, key, at + strlen(mark));
}

#endif
