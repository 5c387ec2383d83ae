/* The certificate and key with which the public listener does TLS, in files. */
#ifndef OG_PUSHD_CREDENTIAL_IDENTITY_H
#define OG_PUSHD_CREDENTIAL_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

/* What the files hold now. */
struct identity {
	char *certificate, *key; /* PEM, heap; NULL: none */
	size_t key_len;
};

/*
 * Reads the files; nothing where CERT_FILE is NULL. False after logging why not; to be released in
 * either case.
 */
bool identity_read(struct identity *identity, const char *cert_file, const char *key_file);
void identity_release(struct identity *identity);

/* Why the two files can't be used together (heap), or NULL. */
char *identity_check(const char *cert_file, const char *key_file);

#endif
