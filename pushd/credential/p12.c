#include "pushd/credential/p12.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <stdlib.h>

#define MAC_COUNT_MAX 1000000 /* OpenSSL writes 2048, the Keychain no more */

/* OpenSSL's, for one file. */
struct reading {
	OSSL_LIB_CTX *context;
	OSSL_PROVIDER *standard, *legacy; /* legacy may be NULL: not installed */
	PKCS12 *file;
};

static void begin(struct reading *reading)
{
	reading->context = OSSL_LIB_CTX_new();
	assert(reading->context != NULL);
	reading->standard = OSSL_PROVIDER_load(reading->context, "default");
	reading->legacy = OSSL_PROVIDER_load(reading->context, "legacy");
	reading->file = PKCS12_init_ex(NID_pkcs7_data, reading->context, NULL);
	assert(reading->standard != NULL && reading->file != NULL);
}

static void end(struct reading *reading)
{
	PKCS12_free(reading->file);
	if (reading->legacy != NULL)
		OSSL_PROVIDER_unload(reading->legacy);
	OSSL_PROVIDER_unload(reading->standard);
	OSSL_LIB_CTX_free(reading->context);
	ERR_clear_error();
}

/* Files without a password are made in two ways: with an empty one, and with none at all. */
static bool password_fits(PKCS12 *file, const char **password)
{
	if (PKCS12_mac_present(file) != 1)
		return true;
	if (*password != NULL && **password != '\0')
		return PKCS12_verify_mac(file, *password, -1) == 1;
	*password = NULL;
	if (PKCS12_verify_mac(file, NULL, 0) == 1)
		return true;
	*password = "";
	return PKCS12_verify_mac(file, "", 0) == 1;
}

/* A copy of KEY that doesn't belong to the context it was read in; NULL gives NULL. */
static EVP_PKEY *adopt_key(EVP_PKEY *key)
{
	unsigned char *der = NULL;
	const unsigned char *at;
	EVP_PKEY *copy = NULL;
	int len = key != NULL ? i2d_PrivateKey(key, &der) : -1;

	at = der;
	if (len > 0)
		copy = d2i_AutoPrivateKey(NULL, &at, len);
	if (len > 0)
		OPENSSL_clear_free(der, (size_t)len);
	EVP_PKEY_free(key);
	return copy;
}

/* The same for a certificate, which goes to CHAIN. */
static void adopt_certificate(STACK_OF(X509) * chain, X509 *certificate)
{
	unsigned char *der = NULL;
	const unsigned char *at;
	int len = i2d_X509(certificate, &der);
	X509 *copy;

	at = der;
	copy = len > 0 ? d2i_X509(NULL, &at, len) : NULL;
	OPENSSL_free(der);
	if (copy != NULL && sk_X509_push(chain, copy) == 0)
		abort();
}

/* The file says how often its password is hashed, which holds the whole loop up. */
static bool counts_long(PKCS12 *file)
{
	const ASN1_INTEGER *count = NULL;

	PKCS12_get0_mac(NULL, NULL, NULL, &count, file);
	return count != NULL &&
	       (ASN1_INTEGER_get(count) < 0 || ASN1_INTEGER_get(count) > MAC_COUNT_MAX);
}

static const char *parse(struct reading *reading, const char *password, struct p12 *p12)
{
	STACK_OF(X509) *others = NULL;
	X509 *own = NULL;
	EVP_PKEY *key = NULL;

	if (PKCS12_parse(reading->file, password, &key, &own, &others) != 1)
		return reading->legacy == NULL
		               ? "has a cipher that needs OpenSSL's legacy provider, which isn't "
		                 "installed"
		               : "can't be decrypted: it is damaged, or has a cipher that isn't "
		                 "known";
	p12->key = adopt_key(key);
	p12->chain = sk_X509_new_null();
	assert(p12->chain != NULL);
	if (own != NULL)
		adopt_certificate(p12->chain, own);
	for (int i = 0; i < sk_X509_num(others); i++)
		adopt_certificate(p12->chain, sk_X509_value(others, i));
	X509_free(own);
	sk_X509_pop_free(others, X509_free);
	return NULL;
}

int p12_open(struct p12 *p12, const void *bytes, size_t len, const char *password, const char **why)
{
	const unsigned char *at = bytes;
	struct reading reading;

	*p12 = (struct p12){ 0 };
	begin(&reading);
	if (d2i_PKCS12(&reading.file, &at, (long)len) == NULL)
		*why = "is no PKCS #12 file";
	else if (counts_long(reading.file))
		*why = "counts its password on too long (MAC iterations)";
	else if (!password_fits(reading.file, &password))
		*why = password == NULL || *password == '\0' ? "needs a password"
		                                             : "has another password";
	else
		*why = parse(&reading, password, p12);
	end(&reading);
	return *why == NULL ? 0 : -1;
}

void p12_release(struct p12 *p12)
{
	EVP_PKEY_free(p12->key);
	sk_X509_pop_free(p12->chain, X509_free);
	*p12 = (struct p12){ 0 };
}
