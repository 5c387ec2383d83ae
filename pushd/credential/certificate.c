#include "pushd/credential/certificate.h"

#include <assert.h>
#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/base/panic.h"
#include "common/text/hex.h"
#include "pushd/credential/pem.h"
#include "pushd/credential/stretching.h"

/* Apple's extensions of push certificates. */
#define OID_SANDBOX "1.2.840.113635.100.6.3.1"
#define OID_PRODUCTION "1.2.840.113635.100.6.3.2"
#define OID_TOPICS "1.2.840.113635.100.6.3.6"
#define TOPICS_MAX 400 /* as many as Apple lets a key have */
#define TOPIC_MAX 255

#define FINGERPRINT_SIZE 65 /* 64 hex digits and NUL */

struct certificate {
	char *chain;   /* PEM, the key's own first */
	char *key;     /* PEM, without a passphrase: a secret */
	char *subject; /* RFC 2253, for people */
	char *topic;   /* UID of the subject; NULL: none */
	char **topics; /* of an extension for several, ended by NULL; NULL: it has none */
	bool sandbox, production; /* what Apple's extensions say; both false: nothing */
	int64_t starts_ms, expires_ms;
	char fingerprint[FINGERPRINT_SIZE]; /* SHA-256 */
};

static const char hashes_too_often[] =
        "has its password hashed more than " STRETCHING_TEXT " times (iterations)";

/* What a file holds; all owned. */
struct parts {
	EVP_PKEY *key;          /* NULL: none */
	STACK_OF(X509) * chain; /* all certificates, that of the key first if there is one */
};

/*
 * ---- PKCS #12 files (.p12, .pfx), also those that macOS's Keychain writes with ciphers that
 * OpenSSL keeps in its legacy provider (RC2-40, 3DES). That provider is loaded into a context of
 * its own while the file is read, so no other code can use these ciphers. ----
 */

/* The context of OpenSSL for one file. */
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

/* A file "without a password" has an empty password or none: OpenSSL tells the two apart. */
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

/* A copy of KEY in OpenSSL's default context, since that of the file is freed; NULL gives NULL. */
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
		panic("sk_X509_push");
}

static const char *decrypt(struct reading *reading, const char *password, struct parts *parts)
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
	parts->key = adopt_key(key);
	parts->chain = sk_X509_new_null();
	assert(parts->chain != NULL);
	if (own != NULL)
		adopt_certificate(parts->chain, own);
	for (int i = 0; i < sk_X509_num(others); i++)
		adopt_certificate(parts->chain, sk_X509_value(others, i));
	X509_free(own);
	sk_X509_pop_free(others, X509_free);
	return NULL;
}

static int open_p12(struct parts *parts, const void *bytes, size_t len, const char *password,
                    const char **why)
{
	const unsigned char *at = bytes;
	struct reading reading;

	*parts = (struct parts){ 0 };
	begin(&reading);
	if (d2i_PKCS12(&reading.file, &at, (long)len) == NULL)
		*why = "is no PKCS #12 file";
	else if (!stretching_mac_fits(reading.file))
		*why = hashes_too_often;
	else if (!password_fits(reading.file, &password))
		*why = password == NULL || *password == '\0' ? "needs a password"
		                                             : "has another password";
	else if (!stretching_p12_fits(reading.file, password))
		*why = hashes_too_often;
	else
		*why = decrypt(&reading, password, parts);
	end(&reading);
	return *why == NULL ? 0 : -1;
}

static void release_parts(struct parts *parts)
{
	EVP_PKEY_free(parts->key);
	sk_X509_pop_free(parts->chain, X509_free);
	*parts = (struct parts){ 0 };
}

/* ---- PEM ---- */

/* The password of encrypted keys; without this callback OpenSSL would ask the terminal. */
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

	if (bio == NULL)
		panic("BIO_new_mem_buf");
	return bio;
}

static const char *read_pem(struct parts *parts, const char *bytes, size_t len,
                            const char *password)
{
	BIO *bio = open_text(bytes, len);
	X509 *one;

	parts->chain = sk_X509_new_null();
	assert(parts->chain != NULL);
	ERR_clear_error();
	while ((one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(parts->chain, one) == 0)
			panic("sk_X509_push");
	BIO_free(bio);
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		ERR_clear_error();
		return "has a damaged certificate";
	}
	if (!stretching_pem_fits(bytes, len))
		return hashes_too_often;
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

	if (bio == NULL)
		panic("BIO_new");
	return bio;
}

static char *print_chain(const STACK_OF(X509) * chain)
{
	BIO *bio = new_text();

	for (int i = 0; i < sk_X509_num(chain); i++)
		if (PEM_write_bio_X509(bio, sk_X509_value(chain, i)) != 1)
			panic("PEM_write_bio_X509");
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

/* STRING if it is a bundle id, else NULL; heap. It is sent in a header without escaping. */
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
		panic("X509_digest");
	hex_write(text, digest, len);
}

static void examine(struct certificate *certificate, const struct parts *parts)
{
	X509 *own = sk_X509_value(parts->chain, 0);

	certificate->chain = print_chain(parts->chain);
	certificate->key = pem_private_key(parts->key);
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
static const char *put_own_first(struct parts *parts)
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
			panic("sk_X509_unshift");
		ERR_clear_error();
		return NULL;
	}
	ERR_clear_error();
	return "has a private key that doesn't match the certificate";
}

/*
 * Fills CERTIFICATE from LEN bytes, which PASSWORD (NULL: none) opens. Returns 0, or -1 with *WHY
 * (static text) and nothing to release.
 */
static int read_certificate(struct certificate *certificate, const char *bytes, size_t len,
                            const char *password, const char **why)
{
	struct parts parts = { 0 };

	*certificate = (struct certificate){ 0 };
	*why = NULL;
	if (memmem(bytes, len, "-----BEGIN", 10) != NULL)
		*why = read_pem(&parts, bytes, len, password);
	else
		open_p12(&parts, bytes, len, password, why);
	if (*why == NULL)
		*why = put_own_first(&parts);
	if (*why == NULL)
		examine(certificate, &parts);
	release_parts(&parts);
	return *why == NULL ? 0 : -1;
}

static void release_certificate(struct certificate *certificate)
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

static bool is_topic(const char *granted, const char *topic, const char *suffix)
{
	size_t len = strlen(topic);

	return strncmp(granted, topic, len) == 0 && strcmp(granted + len, suffix) == 0;
}

/* True if it is for TOPIC with SUFFIX behind it: "" for the app's pushes. */
static bool covers(const struct certificate *certificate, const char *topic, const char *suffix)
{
	if (certificate->topic != NULL && is_topic(certificate->topic, topic, suffix))
		return true;
	for (char **granted = certificate->topics; granted != NULL && *granted != NULL; granted++)
		if (is_topic(*granted, topic, suffix))
			return true;
	return false;
}

/* True if pushes for the app TOPIC, or its calls, may be sent with it. */
static bool serves(const struct certificate *certificate, const char *topic)
{
	return covers(certificate, topic, "") || covers(certificate, topic, CERTIFICATE_CALLS);
}

/* ---- the form ---- */

/* A .p12 is DER: its first byte is the tag of a sequence. */
static bool recognise(const struct material_source *source)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";

	return source->bytes[0] == 0x30 ||
	       memmem(source->bytes, source->len, begin, sizeof(begin) - 1) != NULL;
}

static char *parse(struct material *material, const struct material_source *source,
                   const struct credential_wanted *wanted)
{
	struct certificate *certificate = mem_alloc(1, sizeof(*certificate));
	const char *fault;

	material->secret = certificate;
	if (read_certificate(certificate, source->bytes, source->len, source->password, &fault) !=
	    0)
		return mem_dup(fault);
	material_print_fingerprint(
	        material, (const char *const[]){ "certificate", certificate->fingerprint, NULL });
	material->starts_ms = certificate->starts_ms;
	/* A date that can't be read is in the past (1), since 0 means that there is no end. */
	material->expires_ms = certificate->expires_ms != 0 ? certificate->expires_ms : 1;
	material->topic = certificate->topic;
	material->certificate = certificate->chain;
	material->tls_key = certificate->key;
	return NULL;
}

static char *judge_topic(const struct certificate *certificate, const char *topic)
{
	if (topic == NULL)
		return certificate->topic != NULL ? NULL
		                                  : mem_dup("names no topic (UID of its subject): "
		                                            "topic must be configured");
	if (serves(certificate, topic))
		return NULL;
	if (certificate->topic == NULL && certificate->topics == NULL)
		return mem_printf("names no topic, so it isn't for %s", topic);
	return mem_printf("is for the topic %s, not for %s",
	                  certificate->topic != NULL ? certificate->topic : certificate->topics[0],
	                  topic);
}

/* An old certificate names its one environment; a current one is for both. */
static char *judge_environment(const struct certificate *certificate, bool sandbox)
{
	if (certificate->sandbox == certificate->production || certificate->sandbox == sandbox)
		return NULL;
	return mem_printf("is for Apple's %s alone, and the provider's environment is %s",
	                  certificate->sandbox ? "sandbox" : "production",
	                  sandbox ? "sandbox" : "production");
}

static char *check(const struct material *material, const struct credential_wanted *wanted)
{
	char *why = judge_topic(material->secret, wanted->topic);

	if (why == NULL && wanted->for_calls && !certificate_allows_calls(material, wanted->topic))
		why = mem_printf("isn't for calls (%s" CERTIFICATE_CALLS ")", wanted->topic);
	return why != NULL ? why : judge_environment(material->secret, wanted->sandbox);
}

static char *lack(const struct material *material, const struct credential_wanted *wanted)
{
	const char *topic = wanted->topic != NULL ? wanted->topic : material->topic;

	if (wanted->for_calls)
		return NULL;
	if (!covers(material->secret, topic, ""))
		return mem_printf("is for calls (%s" CERTIFICATE_CALLS
		                  ") alone: nothing else can be sent with it",
		                  topic);
	if (wanted->calls_apart || certificate_allows_calls(material, topic))
		return NULL;
	return mem_printf("isn't for calls (%s" CERTIFICATE_CALLS "): they are sent as alerts",
	                  topic);
}

static void release(struct material *material)
{
	release_certificate(material->secret);
	free(material->secret);
}

/* The credential as PEM made here, whatever the form of the file: without password or cipher. */
static json_t *keep(const struct material *material)
{
	const struct certificate *certificate = material->secret;
	char *pem = mem_printf("%s%s", certificate->chain, certificate->key);
	json_t *object = json_pack("{s:s}", "text", pem);

	mem_free_secret(pem);
	return object;
}

static void describe(const struct material *material, json_t *answer, json_t *findings)
{
	const struct certificate *certificate = material->secret;
	json_t *topics = json_array();

	if (certificate->topic != NULL)
		json_array_append_new(topics, json_string(certificate->topic));
	for (char **topic = certificate->topics; topic != NULL && *topic != NULL; topic++)
		if (certificate->topic == NULL || strcmp(*topic, certificate->topic) != 0)
			json_array_append_new(topics, json_string(*topic));
	json_object_set_new(answer, "topics", topics);
	json_object_set_new(answer, "subject", json_string(certificate->subject));
	if (certificate->sandbox != certificate->production)
		json_array_append_new(findings,
		                      json_string(certificate->sandbox
		                                          ? "It is for Apple's sandbox alone."
		                                          : "It is for Apple's production alone."));
}

const struct credential_form certificate_form = {
	.name = "certificate",
	.recognise = recognise,
	.parse = parse,
	.check = check,
	.lack = lack,
	.release = release,
	.keep = keep,
	.describe = describe,
};

bool certificate_allows_calls(const struct material *material, const char *topic)
{
	return material->form != &certificate_form ||
	       covers(material->secret, topic, CERTIFICATE_CALLS);
}
