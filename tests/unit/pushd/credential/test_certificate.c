#include "pushd/credential/certificate.c"

#include <openssl/pkcs12.h>

#include "tests/unit/credentials.h"
#include "tests/unit/unit.h"

#define TOPIC "org.example.chat"

static const struct credentials_subject subject = { .uid = TOPIC };
static EVP_PKEY *key;
static char *own, *secret; /* PEM of a good certificate and of its key */
static struct certificate certificate;
static const char *why;

static void setup(void)
{
	key = EVP_EC_gen("P-256");
	own = credentials_certificate(key, &subject);
	secret = credentials_key(key, NULL);
}

static void teardown(void)
{
	EVP_PKEY_free(key);
	free(own);
	free(secret);
}

static int read_text(const char *text, const char *password)
{
	why = NULL;
	return read_certificate(&certificate, text, strlen(text), password, &why);
}

static void check_refused(char *text, const char *password, const char *expected)
{
	ck_assert_int_eq(read_text(text, password), -1);
	ck_assert_str_eq(why, expected);
	ck_assert_ptr_null(certificate.key);
	free(text);
}

START_TEST(a_keychain_file_with_rc2_is_opened_and_becomes_pem)
{
	char *pem = mem_printf("%s%s", own, secret), *bytes;
	size_t len;

	bytes = credentials_p12(pem, "mellon", &len);
	ck_assert_int_eq(read_certificate(&certificate, bytes, len, "mellon", &why), 0);
	ck_assert_str_eq(certificate.chain, own);
	ck_assert_str_eq(certificate.key, secret);
	ck_assert_str_eq(certificate.topic, TOPIC);
	ck_assert_str_eq(certificate.subject, "UID=" TOPIC ",CN=Push");
	ck_assert(certificate.production && !certificate.sandbox);
	ck_assert_uint_eq(strlen(certificate.fingerprint), 64);
	release_certificate(&certificate);
	ck_assert_int_eq(read_certificate(&certificate, bytes, len, "melon", &why), -1);
	ck_assert_str_eq(why, "has another password");
	ck_assert_int_eq(read_certificate(&certificate, bytes, len, NULL, &why), -1);
	ck_assert_str_eq(why, "needs a password");
	free(bytes);
	free(pem);
}
END_TEST

START_TEST(old_ciphers_stay_out_of_the_rest_of_the_process)
{
	char *pem = mem_printf("%s%s", own, secret), *bytes;
	size_t len;

	bytes = credentials_p12(pem, "", &len);
	ck_assert_int_eq(read_certificate(&certificate, bytes, len, NULL, &why), 0);
	release_certificate(&certificate);
	ck_assert_ptr_null(EVP_CIPHER_fetch(NULL, "RC2-40-CBC", NULL));
	free(bytes);
	free(pem);
}
END_TEST

START_TEST(every_cut_of_a_keychain_file_is_refused)
{
	char *pem = mem_printf("%s%s", own, secret), *bytes;
	size_t len;

	bytes = credentials_p12(pem, "mellon", &len);
	for (size_t cut = 0; cut < len; cut += 17) {
		char *piece =
		        mem_dup_bytes(bytes, cut); /* of its own, so that reading past it shows */

		ck_assert_int_eq(read_certificate(&certificate, piece, cut, "mellon", &why), -1);
		free(piece);
	}
	free(bytes);
	free(pem);
}
END_TEST

START_TEST(pem_is_read_in_any_order_and_the_keys_own_certificate_comes_first)
{
	const struct credentials_subject other = { .uid = "org.example.other" };
	EVP_PKEY *issuer = EVP_EC_gen("P-384");
	char *above = credentials_certificate(issuer, &other);
	char *text = mem_printf("%s%s%s", above, secret, own);
	char *chain = mem_printf("%s%s", own, above);

	ck_assert_int_eq(read_text(text, NULL), 0);
	ck_assert_str_eq(certificate.chain, chain);
	ck_assert_str_eq(certificate.topic, TOPIC);
	release_certificate(&certificate);
	free(chain);
	free(text);
	free(above);
	EVP_PKEY_free(issuer);
}
END_TEST

START_TEST(a_chain_of_which_a_part_is_damaged_is_refused_rather_than_cut_short)
{
	char *spoiled = mem_dup(own);

	memset(strchr(spoiled, '\n') + 1, '!', 8);
	check_refused(mem_printf("%s%s%s", own, spoiled, secret), NULL,
	              "has a damaged certificate");
	free(spoiled);
}
END_TEST

START_TEST(a_keychain_file_that_would_be_counted_on_for_hours_is_refused_at_once)
{
	char *pem = mem_printf("%s%s", own, secret), *bytes;
	const unsigned char *at;
	unsigned char *der = NULL;
	const ASN1_INTEGER *count;
	PKCS12 *file;
	size_t len;
	int size;

	bytes = credentials_p12(pem, "mellon", &len);
	at = (unsigned char *)bytes;
	file = d2i_PKCS12(NULL, &at, (long)len);
	PKCS12_get0_mac(NULL, NULL, NULL, &count, file);
	ASN1_INTEGER_set((ASN1_INTEGER *)count, 2000000000);
	size = i2d_PKCS12(file, &der);
	ck_assert_int_eq(read_certificate(&certificate, (char *)der, (size_t)size, "mellon", &why),
	                 -1);
	ck_assert_str_eq(why, "has its password hashed more than 100000 times (iterations)");
	PKCS12_free(file);
	OPENSSL_free(der);
	free(bytes);
	free(pem);
}
END_TEST

/* Made with the openssl command, since its library hides the count. */
static char *stretched(const char *const *argv, const char *text, size_t *len)
{
	char *pem = mem_printf("%s%s", own, text), *bytes = credentials_openssl(argv, pem, len);

	free(pem);
	return bytes;
}

START_TEST(what_hashes_its_password_too_often_is_refused_in_every_form)
{
	static const char *const p12[] = { "openssl",  "pkcs12",      "-export",
		                           "-iter",    "100001",      "-nomaciter",
		                           "-passout", "pass:mellon", NULL };
	static const char *const pkcs8[] = { "openssl", "pkcs8",    "-topk8",      "-iter",
		                             "100001",  "-passout", "pass:mellon", NULL };
	static const char *const *const forms[] = { p12, pkcs8 };

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		size_t len;
		char *made = stretched(forms[i], secret, &len), *bytes = made;

		if (forms[i] == pkcs8) {
			bytes = mem_printf("%s%s", own, made);
			len = strlen(bytes);
		}
		ck_assert_int_eq(read_certificate(&certificate, bytes, len, "mellon", &why), -1);
		ck_assert_str_eq(why, hashes_too_often);
		if (bytes != made)
			free(bytes);
		free(made);
	}
}
END_TEST

START_TEST(an_encrypted_key_needs_its_password)
{
	char *locked = credentials_key(key, "mellon");
	char *text = mem_printf("%s%s", own, locked);

	ck_assert_int_eq(read_text(text, "mellon"), 0);
	ck_assert_str_eq(certificate.key, secret);
	release_certificate(&certificate);
	check_refused(mem_dup(text), NULL, "has a key that needs a password");
	check_refused(text, "melon", "has a key with another password");
	free(locked);
}
END_TEST

START_TEST(what_lacks_a_part_is_refused_in_words)
{
	EVP_PKEY *other = EVP_EC_gen("P-256");
	char *foreign = credentials_key(other, NULL);

	check_refused(mem_dup(own), NULL, "has no private key");
	check_refused(mem_dup(secret), NULL, "has no certificate");
	check_refused(mem_printf("%s%s", own, foreign), NULL,
	              "has a private key that doesn't match the certificate");
	check_refused(mem_dup("garbage"), NULL, "is no PKCS #12 file");
	check_refused(mem_dup(""), NULL, "is no PKCS #12 file");
	free(foreign);
	EVP_PKEY_free(other);
}
END_TEST

START_TEST(a_certificate_serves_its_topic_and_that_apps_calls)
{
	char *text = mem_printf("%s%s", own, secret);

	ck_assert_int_eq(read_text(text, NULL), 0);
	ck_assert(serves(&certificate, TOPIC));
	ck_assert(!serves(&certificate, "org.example"));
	ck_assert(!serves(&certificate, TOPIC ".two"));
	ck_assert(!serves(&certificate, ""));
	release_certificate(&certificate);
	free(text);
}
END_TEST

START_TEST(the_extension_for_several_topics_is_read)
{
	const struct credentials_subject several = { .topics = CREDENTIALS_TOPICS };
	char *wide = credentials_certificate(key, &several);
	char *text = mem_printf("%s%s", wide, secret);

	ck_assert_int_eq(read_text(text, NULL), 0);
	ck_assert_ptr_null(certificate.topic);
	ck_assert_str_eq(certificate.topics[0], TOPIC);
	ck_assert_str_eq(certificate.topics[1], TOPIC ".voip");
	ck_assert_ptr_null(certificate.topics[2]);
	ck_assert(serves(&certificate, TOPIC));
	ck_assert(!serves(&certificate, "org.example.other"));
	release_certificate(&certificate);
	free(text);
	free(wide);
}
END_TEST

START_TEST(an_extension_that_is_no_list_gives_no_topics)
{
	const struct credentials_subject odd = { .topics = "DER:0C036170" }; /* and cut off */
	char *wide = credentials_certificate(key, &odd);
	char *text = mem_printf("%s%s", wide, secret);

	ck_assert_int_eq(read_text(text, NULL), 0);
	ck_assert_ptr_null(certificate.topics[0]);
	release_certificate(&certificate);
	free(text);
	free(wide);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_keychain_file_with_rc2_is_opened_and_becomes_pem,
		old_ciphers_stay_out_of_the_rest_of_the_process,
		every_cut_of_a_keychain_file_is_refused,
		pem_is_read_in_any_order_and_the_keys_own_certificate_comes_first,
		a_chain_of_which_a_part_is_damaged_is_refused_rather_than_cut_short,
		a_keychain_file_that_would_be_counted_on_for_hours_is_refused_at_once,
		what_hashes_its_password_too_often_is_refused_in_every_form,
		an_encrypted_key_needs_its_password,
		what_lacks_a_part_is_refused_in_words,
		a_certificate_serves_its_topic_and_that_apps_calls,
		the_extension_for_several_topics_is_read,
		an_extension_that_is_no_list_gives_no_topics,
	};

	return unit_run("certificate", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
}
