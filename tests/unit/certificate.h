/* A certificate of its own making for 127.0.0.1 and localhost, as PEM in memory and in a file. */
#ifndef OG_TESTS_UNIT_CERTIFICATE_H
#define OG_TESTS_UNIT_CERTIFICATE_H

#include <check.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct certificate {
	char chain[2048];
	char key[1024];
	char file[64]; /* the chain again */
};

static inline void certificate_pem(BIO *bio, char *out, size_t size)
{
	int len = BIO_read(bio, out, (int)size - 1);

	ck_assert_int_gt(len, 0);
	out[len] = '\0';
	BIO_free(bio);
}

static inline void certificate_init(struct certificate *certificate)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x509 = X509_new();
	X509_EXTENSION *names =
	        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
	BIO *chain = BIO_new(BIO_s_mem()), *private = BIO_new(BIO_s_mem());
	int fd;

	X509_set_version(x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
	X509_gmtime_adj(X509_getm_notBefore(x509), -60);
	X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
	X509_set_pubkey(x509, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
	                           (const unsigned char *)"unit test", -1, -1, 0);
	X509_set_issuer_name(x509, X509_get_subject_name(x509));
	X509_add_ext(x509, names, -1);
	ck_assert_int_gt(X509_sign(x509, key, EVP_sha256()), 0);
	PEM_write_bio_X509(chain, x509);
	PEM_write_bio_PrivateKey(private, key, NULL, NULL, 0, NULL, NULL);
	certificate_pem(chain, certificate->chain, sizeof(certificate->chain));
	certificate_pem(private, certificate->key, sizeof(certificate->key));
	X509_EXTENSION_free(names);
	X509_free(x509);
	EVP_PKEY_free(key);

	snprintf(certificate->file, sizeof(certificate->file), "/tmp/og-unit-XXXXXX");
	fd = mkstemp(certificate->file);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(write(fd, certificate->chain, strlen(certificate->chain)), 0);
	close(fd);
}

static inline void certificate_release(struct certificate *certificate)
{
	unlink(certificate->file);
}

#endif
