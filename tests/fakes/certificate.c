#include "tests/fakes/certificate.h"

#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/mem.h"

#define DAY_S (24 * 60 * 60)
#define LIFE_DAYS 825 /* the longest that Apple's and Google's own clients take */

/* Apple's extensions: the environments that a certificate is for, and the topics. */
#define OID_SANDBOX "1.2.840.113635.100.6.3.1"
#define OID_PRODUCTION "1.2.840.113635.100.6.3.2"
#define OID_TOPICS "1.2.840.113635.100.6.3.6"

struct extension {
	const char *name; /* as x509v3_config(5) has it, or an OID */
	const char *value;
};

static bool add_extensions(X509 *certificate, X509 *issuer, const struct extension *extensions)
{
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	for (; extensions->value != NULL; extensions++) {
		X509_EXTENSION *made =
		        X509V3_EXT_nconf(NULL, &context, extensions->name, extensions->value);
		bool good = made != NULL && X509_add_ext(certificate, made, -1) == 1;

		X509_EXTENSION_free(made);
		if (!good)
			return false;
	}
	return true;
}

static bool set_serial(X509 *certificate)
{
	unsigned char random[16];
	BIGNUM *number;
	bool good;

	if (RAND_bytes(random, sizeof(random)) != 1)
		return false;
	random[0] = (random[0] & 0x7f) | 0x40; /* positive, of full length */
	number = BN_bin2bn(random, sizeof(random), NULL);
	good = BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
	BN_free(number);
	return good;
}

static bool add_name(X509 *certificate, const char *field, const char *value)
{
	return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), field, MBSTRING_ASC,
	                                  (const unsigned char *)value, -1, -1, 0) == 1;
}

/* A certificate of KEY for NAME, valid from an hour ago, not signed yet. */
static X509 *make(EVP_PKEY *key, const char *name)
{
	X509 *certificate = X509_new();

	if (certificate == NULL || X509_set_version(certificate, X509_VERSION_3) != 1 ||
	    !set_serial(certificate))
		goto failed;
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), (long)LIFE_DAYS * DAY_S);
	if (!add_name(certificate, "CN", name) || X509_set_pubkey(certificate, key) != 1)
		goto failed;
	return certificate;
failed:
	X509_free(certificate);
	return NULL;
}

/* Names the issuer, adds EXTENSIONS and signs; frees CERTIFICATE if that fails. */
static X509 *finish(X509 *certificate, X509 *issuer, EVP_PKEY *key,
                    const struct extension *extensions)
{
	if (X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
	    add_extensions(certificate, issuer, extensions) &&
	    X509_sign(certificate, key, EVP_sha256()) != 0)
		return certificate;
	X509_free(certificate);
	return NULL;
}

X509 *certificate_make_ca(EVP_PKEY *key)
{
	static const struct extension extensions[] = {
		{ "basicConstraints", "critical,CA:TRUE" },
		{ "keyUsage", "critical,keyCertSign,cRLSign" },
		{ "subjectKeyIdentifier", "hash" },
		{ NULL, NULL },
	};
	X509 *certificate = make(key, "Outrigger test CA");

	return certificate == NULL ? NULL : finish(certificate, certificate, key, extensions);
}

X509 *certificate_make_server(EVP_PKEY *key, const char *names, X509 *ca, EVP_PKEY *ca_key)
{
	const struct extension extensions[] = {
		{ "basicConstraints", "critical,CA:FALSE" },
		{ "keyUsage", "critical,digitalSignature" },
		{ "extendedKeyUsage", "serverAuth" },
		{ "subjectAltName", names },
		{ "authorityKeyIdentifier", "keyid" },
		{ NULL, NULL },
	};
	X509 *certificate = make(key, "localhost");

	return certificate == NULL ? NULL : finish(certificate, ca, ca_key, extensions);
}

/* Adds what Apple's certificates list: each topic, and what it is for. */
static bool add_topics(X509 *certificate, const char *topic)
{
	char *config = mem_printf("[listed]\na = UTF8:%s\nb = SEQUENCE:app\nc = UTF8:%s.voip\n"
	                          "d = SEQUENCE:voip\n"
	                          "[app]\na = UTF8:app\n[voip]\na = UTF8:voip\n",
	                          topic, topic);
	BIO *text = BIO_new_mem_buf(config, -1);
	CONF *parsed = NCONF_new(NULL);
	X509_EXTENSION *made = NULL;
	X509V3_CTX context;
	bool good;

	X509V3_set_ctx(&context, NULL, certificate, NULL, NULL, 0);
	X509V3_set_nconf(&context, parsed);
	if (NCONF_load_bio(parsed, text, NULL) > 0)
		made = X509V3_EXT_nconf(parsed, &context, OID_TOPICS, "ASN1:SEQUENCE:listed");
	good = made != NULL && X509_add_ext(certificate, made, -1) == 1;
	X509_EXTENSION_free(made);
	NCONF_free(parsed);
	BIO_free(text);
	free(config);
	return good;
}

X509 *certificate_make_client(EVP_PKEY *key, const char *topic, X509 *ca, EVP_PKEY *ca_key)
{
	static const struct extension extensions[] = {
		{ "basicConstraints", "critical,CA:FALSE" },
		{ "keyUsage", "critical,digitalSignature" },
		{ "extendedKeyUsage", "clientAuth" },
		{ "authorityKeyIdentifier", "keyid" },
		{ OID_SANDBOX, "DER:0500" },
		{ OID_PRODUCTION, "DER:0500" },
		{ NULL, NULL },
	};
	X509 *certificate = make(key, "Outrigger test push services");

	if (certificate != NULL &&
	    (!add_name(certificate, "UID", topic) || !add_topics(certificate, topic))) {
		X509_free(certificate);
		return NULL;
	}
	return certificate == NULL ? NULL : finish(certificate, ca, ca_key, extensions);
}
