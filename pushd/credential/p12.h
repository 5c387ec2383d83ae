/*
 * PKCS #12 files (.p12, .pfx) opened, also those that macOS's Keychain writes with ciphers that
 * OpenSSL keeps in its legacy provider (RC2-40, 3DES). That provider is loaded into a context of
 * its own for as long as this takes, so nothing else gets to use it. Pure.
 */
#ifndef OG_PUSHD_CREDENTIAL_P12_H
#define OG_PUSHD_CREDENTIAL_P12_H

#include <openssl/x509.h>
#include <stddef.h>

/* What is in one; all owned. */
struct p12 {
	EVP_PKEY *key;          /* NULL: none */
	STACK_OF(X509) * chain; /* all certificates, that of the key first if there is one */
};

/*
 * Opens LEN bytes with PASSWORD (NULL: none). Returns 0, or -1 with *WHY (static text) and nothing
 * to release.
 */
int p12_open(struct p12 *p12, const void *bytes, size_t len, const char *password,
             const char **why);

void p12_release(struct p12 *p12);

#endif
