/* Keys, certificates as Apple makes them and .p12 files as the Keychain does, made for a test. */
#ifndef OG_TESTS_UNIT_CREDENTIALS_H
#define OG_TESTS_UNIT_CREDENTIALS_H

#include <check.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/mem.h"

#define DAY_S (24 * 60 * 60L)

/* What a certificate says. */
struct credentials_subject {
	const char *uid;       /* NULL: none */
	const char *topics;    /* the extension for several, as OpenSSL's DER: syntax; NULL: none */
	long starts_s, ends_s; /* from now; both 0: a day around now */
};

/* The DER of: "org.example.chat", ["app"], "org.example.chat.voip", ["voip"] */
#define CREDENTIALS_TOPICS                                                                         \
	"DER:30380C106F72672E6578616D706C652E6368617430050C036170700C156F72672E6578616D706C652E63" \
	"6861742E766F697030060C04766F6970"

static inline char *credentials_take(BIO *bio)
{
	char *bytes, *text;
	long len = BIO_get_mem_data(bio, &bytes);

	text = mem_dup_bytes(bytes, (size_t)len);
	BIO_free(bio);
	return text;
}

/* KEY as PEM, encrypted if there is a PASSWORD; heap. */
static inline char *credentials_key(EVP_PKEY *key, const char *password)
{
	BIO *bio = BIO_new(BIO_s_mem());

	ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(
	                         bio, key, password != NULL ? EVP_aes_128_cbc() : NULL, password,
	                         password != NULL ? (int)strlen(password) : 0, NULL, NULL),
	                 1);
	return credentials_take(bio);
}

static inline void credentials_extend(X509 *x509, const char *oid, const char *value)
{
	int nid = OBJ_txt2nid(oid);
	X509_EXTENSION *made;

	if (nid == NID_undef)
		nid = OBJ_create(oid, oid, oid);
	made = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	ck_assert_ptr_nonnull(made);
	X509_add_ext(x509, made, -1);
	X509_EXTENSION_free(made);
}

/* A certificate of KEY, as PEM; heap. */
static inline char *credentials_certificate(EVP_PKEY *key,
                                            const struct credentials_subject *subject)
{
	bool always = subject->starts_s == 0 && subject->ends_s == 0;
	X509 *x509 = X509_new();
	X509_NAME *name = X509_get_subject_name(x509);
	BIO *bio = BIO_new(BIO_s_mem());

	X509_set_version(x509, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
	X509_gmtime_adj(X509_getm_notBefore(x509), always ? -DAY_S : subject->starts_s);
	X509_gmtime_adj(X509_getm_notAfter(x509), always ? DAY_S : subject->ends_s);
	X509_set_pubkey(x509, key);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"Push", -1, -1,
	                           0);
	if (subject->uid != NULL)
		X509_NAME_add_entry_by_txt(name, "UID", MBSTRING_ASC,
		                           (const unsigned char *)subject->uid, -1, -1, 0);
	if (subject->topics != NULL)
		credentials_extend(x509, "1.2.840.113635.100.6.3.6", subject->topics);
	credentials_extend(x509, "1.2.840.113635.100.6.3.2", "DER:0500");
	X509_set_issuer_name(x509, name);
	ck_assert_int_gt(X509_sign(x509, key, EVP_sha256()), 0);
	PEM_write_bio_X509(bio, x509);
	X509_free(x509);
	return credentials_take(bio);
}

/* What WORDS, an openssl command to which -in and -out are added, makes of PEM; heap. */
static inline char *credentials_openssl(const char *const *words, const char *pem, size_t *len)
{
	char in[] = "/tmp/og-unit-XXXXXX", out[] = "/tmp/og-unit-XXXXXX", *bytes;
	const char *argv[32] = { NULL };
	int fd = mkstemp(in), status;
	size_t n = 0;
	pid_t pid;

	for (; words[n] != NULL; n++)
		argv[n] = words[n];
	argv[n++] = "-in";
	argv[n++] = in;
	argv[n++] = "-out";
	argv[n++] = out;

	ck_assert_int_eq(write(fd, pem, strlen(pem)), (int)strlen(pem));
	close(fd);
	close(mkstemp(out));
	ck_assert_int_eq(posix_spawnp(&pid, "openssl", NULL, NULL, (char *const *)argv, environ),
	                 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	bytes = file_read(out, 65536, len);
	ck_assert_ptr_nonnull(bytes);
	unlink(in);
	unlink(out);
	return bytes;
}

/* What the Keychain writes, RC2-40 and 3DES: the bytes of a .p12 with PEM in it; heap. */
static inline char *credentials_p12(const char *pem, const char *password, size_t *len)
{
	char *pass = mem_printf("pass:%s", password), *bytes;
	const char *const argv[] = { "openssl",  "pkcs12", "-export", "-legacy",
		                     "-passout", pass,     NULL };

	bytes = credentials_openssl(argv, pem, len);
	free(pass);
	return bytes;
}

#endif
