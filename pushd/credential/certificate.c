#include "pushd/credential/certificate.h"

#include <assert.h>
#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "pushd/credential/p12.h"
#include "pushd/credential/pem.h"

#define VOIP ".voip"
/* Apple's extensions of push certificates. */
#define OID_SANDBOX "1.2.840.113635.100.6.3.1"
#define OID_PRODUCTION "1.2.840.113635.100.6.3.2"
#define OID_TOPICS "1.2.840.113635.100.6.3.6"
#define TOPICS_MAX 400 /* as many as Apple lets a key have */
#define TOPIC_MAX 255

/* ---- PEM ---- */

/* For encrypted keys; without a password OpenSSL would ask the terminal. */
static int give_password(char *buf, int size, int writing, void *password)
{
	size_t len = password != NULL ? strlen(password) : 0;

	if (len == 0 || len > (size_t)size)
		return -1;
	memcpy(buf, password, len);
	return (int)len;
}

static BIO *open_text(const char *bytes, size_t len)
{
	BIO *bio = BIO_new_mem_buf(bytes, (int)len);

	assert(bio != NULL);
	return bio;
}

static const char *read_pem(struct p12 *parts, const char *bytes, size_t len, const char *password)
{
	BIO *bio = open_text(bytes, len);
	X509 *one;

	parts->chain = sk_X509_new_null();
	assert(parts->chain != NULL);
	ERR_clear_error();
	while ((one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(parts->chain, one) == 0)
			abort();
	BIO_free(bio);
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		ERR_clear_error();
		return "has a damaged certificate";
	}
	bio = open_text(bytes, len);
	parts->key = PEM_read_bio_PrivateKey(bio, NULL, give_password, (void *)password);
	BIO_free(bio);
	ERR_clear_error();
	if (parts->key != NULL)
		return NULL;
	if (strstr(bytes, "ENCRYPTED") != NULL)
		return password == NULL ? "has a key that needs a password"
		                        : "has a key with another password";
	return "has no private key";
}

static BIO *new_text(void)
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert(bio != NULL);
	return bio;
}

static char *print_chain(const STACK_OF(X509) * chain)
{
	BIO *bio = new_text();

	for (int i = 0; i < sk_X509_num(chain); i++)
		if (PEM_write_bio_X509(bio, sk_X509_value(chain, i)) != 1)
			abort();
	return pem_take(bio);
}

static char *print_key(EVP_PKEY *key)
{
	BIO *bio = new_text();

	if (PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		abort();
	return pem_take(bio);
}

/* ---- what the certificate says ---- */

static char *print_subject(const X509 *x509)
{
	BIO *bio = new_text();

	X509_NAME_print_ex(bio, X509_get_subject_name(x509), 0, XN_FLAG_RFC2253);
	return pem_take(bio);
}

/* STRING as UTF-8 on the heap; NULL if it is none or has a NUL in it. */
static char *text_of(const ASN1_STRING *string)
{
	unsigned char *utf8 = NULL;
	int len = ASN1_STRING_to_UTF8(&utf8, string);
	char *text = NULL;

	if (len > 0 && strlen((char *)utf8) == (size_t)len)
		text = mem_dup((char *)utf8);
	if (len >= 0)
		OPENSSL_free(utf8);
	return text;
}

/* STRING if it is a bundle id, since it goes into a header as it is; heap, else NULL. */
static char *topic_of(const ASN1_STRING *string)
{
	char *text = text_of(string);

	if (text != NULL && strlen(text) <= TOPIC_MAX &&
	    text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789"
	                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ-._:")] == '\0')
		return text;
	free(text);
	return NULL;
}

static char *read_topic(const X509 *x509)
{
	const X509_NAME *name = X509_get_subject_name(x509);
	int at = X509_NAME_get_index_by_NID(name, NID_userId, -1);

	if (at < 0)
		return NULL;
	return topic_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
}

static X509_EXTENSION *find_extension(const X509 *x509, const char *oid)
{
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	int at;

	assert(object != NULL);
	at = X509_get_ext_by_OBJ(x509, object, -1);
	ASN1_OBJECT_free(object);
	return at < 0 ? NULL : X509_get_ext(x509, at);
}

/* The extension is a sequence in which each topic, a UTF8String, has its push types behind it. */
static char **read_topics(const X509 *x509)
{
	X509_EXTENSION *extension = find_extension(x509, OID_TOPICS);
	const ASN1_OCTET_STRING *value;
	const unsigned char *der;
	ASN1_SEQUENCE_ANY *items;
	char **topics;
	size_t n = 0;

	if (extension == NULL)
		return NULL;
	value = X509_EXTENSION_get_data(extension);
	der = ASN1_STRING_get0_data(value);
	items = d2i_ASN1_SEQUENCE_ANY(NULL, &der, ASN1_STRING_length(value));
	topics = mem_alloc(TOPICS_MAX + 1, sizeof(*topics));
	for (int i = 0; i < sk_ASN1_TYPE_num(items) && n < TOPICS_MAX; i++) {
		const ASN1_TYPE *item = sk_ASN1_TYPE_value(items, i);
		char *topic =
		        item->type == V_ASN1_UTF8STRING ? topic_of(item->value.utf8string) : NULL;

		if (topic != NULL)
			topics[n++] = topic;
	}
	sk_ASN1_TYPE_pop_free(items, ASN1_TYPE_free);
	return topics;
}

static int64_t time_of(const ASN1_TIME *asn1)
{
	struct tm date;

	if (ASN1_TIME_to_tm(asn1, &date) != 1)
		return 0;
	return (int64_t)timegm(&date) * 1000;
}

static void print_fingerprint(const X509 *x509, char *text)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (X509_digest(x509, EVP_sha256(), digest, &len) != 1)
		abort();
	for (unsigned i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

static void examine(struct certificate *certificate, const struct p12 *parts)
{
	X509 *own = sk_X509_value(parts->chain, 0);

	certificate->chain = print_chain(parts->chain);
	certificate->key = print_key(parts->key);
	certificate->subject = print_subject(own);
	certificate->topic = read_topic(own);
	certificate->topics = read_topics(own);
	certificate->sandbox = find_extension(own, OID_SANDBOX) != NULL;
	certificate->production = find_extension(own, OID_PRODUCTION) != NULL;
	certificate->starts_ms = time_of(X509_get0_notBefore(own));
	certificate->expires_ms = time_of(X509_get0_notAfter(own));
	print_fingerprint(own, certificate->fingerprint);
}

/* Brings the key's own certificate to the front; NULL, or what is wrong. */
static const char *put_own_first(struct p12 *parts)
{
	int count = sk_X509_num(parts->chain);

	if (count <= 0)
		return "has no certificate";
	if (parts->key == NULL)
		return "has no private key";
	for (int i = 0; i < count; i++) {
		X509 *one = sk_X509_value(parts->chain, i);

		if (X509_check_private_key(one, parts->key) != 1)
			continue;
		sk_X509_delete(parts->chain, i);
		if (sk_X509_unshift(parts->chain, one) == 0)
			abort();
		ERR_clear_error();
		return NULL;
	}
	ERR_clear_error();
	return "has a private key that doesn't match the certificate";
}

int certificate_read(struct certificate *certificate, const char *bytes, size_t len,
                     const char *password, const char **why)
{
	struct p12 parts = { 0 };

	*certificate = (struct certificate){ 0 };
	*why = NULL;
	if (memmem(bytes, len, "-----BEGIN", 10) != NULL)
		*why = read_pem(&parts, bytes, len, password);
	else
		p12_open(&parts, bytes, len, password, why);
	if (*why == NULL)
		*why = put_own_first(&parts);
	if (*why == NULL)
		examine(certificate, &parts);
	p12_release(&parts);
	return *why == NULL ? 0 : -1;
}

void certificate_release(struct certificate *certificate)
{
	for (char **topic = certificate->topics; topic != NULL && *topic != NULL; topic++)
		free(*topic);
	free(certificate->topics);
	free(certificate->chain);
	mem_free_secret(certificate->key);
	free(certificate->subject);
	free(certificate->topic);
	*certificate = (struct certificate){ 0 };
}

/* True if GRANTED is TOPIC or its calls. */
static bool covers(const char *granted, const char *topic)
{
	size_t len = strlen(topic);

	return strncmp(granted, topic, len) == 0 &&
	       (granted[len] == '\0' || strcmp(granted + len, VOIP) == 0);
}

bool certificate_serves(const struct certificate *certificate, const char *topic)
{
	if (certificate->topic != NULL && covers(certificate->topic, topic))
		return true;
	for (char **granted = certificate->topics; granted != NULL && *granted != NULL; granted++)
		if (covers(*granted, topic))
			return true;
	return false;
}
