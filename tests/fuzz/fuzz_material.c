#include "pushd/credential/material.h"

#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "common/base/mem.h"
#include "pushd/credential/certificate.h"
#include "pushd/credential/service_account.h"
#include "pushd/credential/signing_key.h"
#include "tests/fuzz/keys.h"

#define TOPIC "org.example.chat"
#define NOW_MS INT64_C(1800000000000)

/* What an input begins with: of what it is, and two bytes of what is configured. */
enum form { FORM_TEXT, FORM_P12, FORM_CERTIFICATE, FORM_KEPT, FORMS };
enum { FLAG_FCM = 1, FLAG_NO_TOPIC = 2, FLAG_PASSWORD = 4, FLAG_SANDBOX = 8 };

static struct {
	EVP_PKEY *key;
	X509 *x509;
	char *ec, *rsa, *certificate; /* PEM */
} own;

/* The subject's UID is the topic, as in Apple's. */
static X509 *make_certificate(EVP_PKEY *key)
{
	X509 *x509 = X509_new();
	X509_NAME *name = X509_get_subject_name(x509);

	X509_set_version(x509, X509_VERSION_3);
	ASN1_TIME_set(X509_getm_notBefore(x509), NOW_MS / 1000 - 86400);
	ASN1_TIME_set(X509_getm_notAfter(x509), NOW_MS / 1000 + 86400);
	X509_NAME_add_entry_by_txt(name, "UID", MBSTRING_ASC, (const unsigned char *)TOPIC, -1, -1,
	                           0);
	X509_set_issuer_name(x509, name);
	X509_set_pubkey(x509, key);
	assert(X509_sign(x509, key, EVP_sha256()) > 0);
	return x509;
}

/* The DER of LEN bytes as PEM, with the key behind it; heap. */
static char *print_identity(const unsigned char *der, size_t len)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem, *text;
	long size;

	assert(PEM_write_bio(bio, PEM_STRING_X509, "", der, (long)len) > 0);
	size = BIO_get_mem_data(bio, &pem);
	text = mem_printf("%.*s%s", (int)size, pem, own.ec);
	BIO_free(bio);
	return text;
}

static void prepare(void)
{
	unsigned char *der = NULL;
	int len;

	own.key = EVP_EC_gen("P-256");
	EVP_PKEY_up_ref(own.key);
	own.ec = keys_print(own.key, false);
	own.rsa = keys_print(EVP_RSA_gen(2048), true);
	own.x509 = make_certificate(own.key);
	len = i2d_X509(own.x509, &der);
	own.certificate = print_identity(der, (size_t)len);
	OPENSSL_free(der);
}

/* ---- the bytes of a file; heap, with a NUL behind them ---- */

static char *make_text(struct fuzz_input *input, size_t *len)
{
	char *text = fuzz_rest(input);
	char *some = keys_fill(text, "@EC@", own.ec), *more = keys_fill(some, "@RSA@", own.rsa);
	char *all = keys_fill(more, "@CERTIFICATE@", own.certificate);

	free(text);
	free(some);
	free(more);
	*len = strlen(all);
	return all;
}

/* Each three bytes of INPUT say where in the LEN bytes at DER another byte goes, and which. */
static void spoil(struct fuzz_input *input, unsigned char *der, size_t len)
{
	while (input->size >= 3 && len > 0) {
		size_t at = (size_t)fuzz_byte(input) << 8;

		at |= fuzz_byte(input);
		der[at % len] = fuzz_byte(input);
	}
}

/* Neither encrypted nor with a MAC, so that what was spoiled is looked into. */
static char *make_p12(struct fuzz_input *input, size_t *len)
{
	PKCS12 *file = PKCS12_create(NULL, NULL, own.key, own.x509, NULL, -1, -1, 0, -1, 0);
	unsigned char *der = NULL;
	int size = i2d_PKCS12(file, &der);
	char *bytes;

	assert(size > 0);
	spoil(input, der, (size_t)size);
	bytes = mem_dup_bytes(der, (size_t)size);
	*len = (size_t)size;
	OPENSSL_free(der);
	PKCS12_free(file);
	return bytes;
}

static char *make_identity(struct fuzz_input *input, size_t *len)
{
	unsigned char *der = NULL;
	int size = i2d_X509(own.x509, &der);
	char *text;

	assert(size > 0);
	spoil(input, der, (size_t)size);
	text = print_identity(der, (size_t)size);
	OPENSSL_free(der);
	*len = strlen(text);
	return text;
}

/* ---- what must hold ---- */

static void check_topic(const char *topic)
{
	assert(topic == NULL || (*topic != '\0' && strpbrk(topic, " \r\n/?#\"") == NULL));
}

static void check(const struct credential_wanted *wanted, const struct material *material,
                  const struct material_source *source)
{
	char *text = material_write(material, source);
	char *why, *dates = material_judge_dates(material, NOW_MS);
	struct material *restored = material_restore(wanted, text, &why);

	assert(restored != NULL && strcmp(restored->fingerprint, material->fingerprint) == 0);
	assert((dates == NULL) == material_is_valid(restored, NOW_MS));
	check_topic(material->topic);
	check_topic(material->project_id);
	material_release(restored);
	mem_free_secret(text);
	free(dates);
}

static void read_source(const struct credential_wanted *wanted, struct material_source *source)
{
	char *why = NULL;
	struct material *material = material_read(wanted, source, &why);

	assert((material == NULL) == (why != NULL));
	if (material != NULL)
		check(wanted, material, source);
	material_release(material);
	free(why);
}

static void restore(const struct credential_wanted *wanted, struct fuzz_input *input)
{
	char *text = fuzz_rest(input), *why = NULL;
	struct material *material = material_restore(wanted, text, &why);

	assert((material == NULL) == (why != NULL));
	material_release(material);
	free(why);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char topic[] = TOPIC, key_id[] = "KEY0000001", team_id[] = "TEAM000001";
	static char *(*const makers[])(struct fuzz_input *, size_t *) = {
		[FORM_TEXT] = make_text,
		[FORM_P12] = make_p12,
		[FORM_CERTIFICATE] = make_identity,
	};
	struct fuzz_input input = { data, size };
	enum form form = fuzz_byte(&input) % FORMS;
	uint8_t flags = fuzz_byte(&input);
	static const struct credential_form *const apple[] = { &certificate_form, &signing_key_form,
		                                               NULL };
	static const struct credential_form *const google[] = { &service_account_form, NULL };
	struct credential_wanted wanted = { .no_form = "is none",
		                            .key_id = key_id,
		                            .team_id = team_id };
	struct material_source source = { 0 };
	char *bytes;

	if (own.key == NULL)
		prepare();
	wanted.topic = flags & FLAG_NO_TOPIC ? NULL : topic;
	wanted.sandbox = flags & FLAG_SANDBOX;
	wanted.forms = flags & FLAG_FCM ? google : apple;
	if (form == FORM_KEPT) {
		restore(&wanted, &input);
		return 0;
	}
	bytes = makers[form](&input, &source.len);
	source.bytes = bytes;
	source.password = flags & FLAG_PASSWORD ? "mellon" : NULL;
	read_source(&wanted, &source);
	free(bytes);
	return 0;
}
