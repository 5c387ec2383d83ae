/* Texts that OpenSSL writes, PEM and others, out of its memory BIOs. Pure. */
#ifndef OG_PUSHD_CREDENTIAL_PEM_H
#define OG_PUSHD_CREDENTIAL_PEM_H

#include <openssl/bio.h>

/* What BIO has collected, as text on the heap; BIO is freed, and its own copy wiped. */
char *pem_take(BIO *bio);

#endif
