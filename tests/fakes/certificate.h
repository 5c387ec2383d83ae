/*
 * X.509 certificates for tests (OpenSSL): a CA, and what it signs: servers of this machine, and
 * clients of APNs.
 */
#ifndef OG_TESTS_FAKES_CERTIFICATE_H
#define OG_TESTS_FAKES_CERTIFICATE_H

#include <openssl/x509.h>

/* A CA's own certificate for KEY. The caller frees it; NULL only if OpenSSL fails. */
X509 *certificate_make_ca(EVP_PKEY *key);

/*
 * One for a server with KEY that is reached by NAMES ("DNS:localhost,IP:::1", as x509v3_config(5)
 * has subjectAltName), signed by CA with CA_KEY.
 */
X509 *certificate_make_server(EVP_PKEY *key, const char *names, X509 *ca, EVP_PKEY *ca_key);

/* One like Apple's for a sender with KEY to TOPIC (its UID), in all environments. */
X509 *certificate_make_client(EVP_PKEY *key, const char *topic, X509 *ca, EVP_PKEY *ca_key);

#endif
