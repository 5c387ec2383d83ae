/* Texts that OpenSSL writes, PEM and others, out of its memory BIOs. Pure. */
#ifndef OG_PUSHD_CREDENTIAL_PEM_H
#define OG_PUSHD_CREDENTIAL_PEM_H

#include <openssl/bio.h>
#include <openssl/evp.h>

/* What BIO has collected, as text on the heap; BIO is freed, and its own copy wiped. */
char *pem_take(BIO *bio);

/* KEY as PKCS #8 without a passphrase: a secret, heap. */
char *pem_private_key(const EVP_PKEY *key);

#endif
