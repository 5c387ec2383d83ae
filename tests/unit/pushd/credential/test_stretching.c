#include "pushd/credential/stretching.c"

#include <openssl/ec.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/unit/unit.h"

#define PASSWORD "mellon"
#define PBES2 NID_aes_128_cbc
#define PBE NID_pbe_WithSHA1And3_Key_TripleDES_CBC

static EVP_PKEY *key;
static X509 *certificate;

static void setup(void)
{
	key = EVP_EC_gen("P-256");
	certificate = X509_new();
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	X509_sign(certificate, key, EVP_sha256());
}

static void teardown(void)
{
	EVP_PKEY_free(key);
	X509_free(certificate);
}

/* ---- PKCS #12 ---- */

/* How often the password is hashed in each place. */
struct counts {
	int mac, certificates, key;
};

static PKCS12 *make_p12(int nid, const struct counts *counts)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	STACK_OF(PKCS7) *safes = NULL;
	PKCS12 *file;

	ck_assert_ptr_nonnull(PKCS12_add_cert(&bags, certificate));
	ck_assert_int_eq(PKCS12_add_safe(&safes, bags, nid, counts->certificates, PASSWORD), 1);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	bags = NULL;
	ck_assert_ptr_nonnull(PKCS12_add_key(&bags, key, 0, counts->key, nid, PASSWORD));
	ck_assert_int_eq(PKCS12_add_safe(&safes, bags, -1, 0, NULL), 1);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	file = PKCS12_add_safes(safes, 0);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	ck_assert_int_eq(PKCS12_set_mac(file, PASSWORD, -1, NULL, 0, counts->mac, NULL), 1);
	return file;
}

static void check_p12(int nid, struct counts counts, bool mac, bool rest)
{
	PKCS12 *file = make_p12(nid, &counts);

	ck_assert_int_eq(stretching_mac_fits(file), mac);
	ck_assert_int_eq(stretching_p12_fits(file, PASSWORD), rest);
	PKCS12_free(file);
}

START_TEST(each_count_of_a_p12_goes_to_the_limit_and_not_beyond)
{
	static const int nids[] = { PBES2, PBE };
	const int most = STRETCHING_MAX, more = STRETCHING_MAX + 1;

	for (size_t i = 0; i < ARRAY_LEN(nids); i++) {
		check_p12(nids[i], (struct counts){ most, most, most }, true, true);
		check_p12(nids[i], (struct counts){ more, 1, 1 }, false, true);
		check_p12(nids[i], (struct counts){ 1, more, 1 }, true, false);
		check_p12(nids[i], (struct counts){ 1, 1, more }, true, false);
	}
}
END_TEST

START_TEST(a_p12_that_another_password_opens_is_passed_over)
{
	PKCS12 *file = make_p12(PBES2, &(struct counts){ 1, 1, 1 });

	ck_assert(stretching_p12_fits(file, "melon"));
	ck_assert(stretching_p12_fits(file, NULL));
	PKCS12_free(file);
}
END_TEST

/* A key in a safe that is encrypted itself, so that its count shows only after decrypting. */
START_TEST(a_key_within_what_is_encrypted_is_counted)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	STACK_OF(PKCS7) *safes = NULL;
	PKCS12 *file;

	ck_assert_ptr_nonnull(PKCS12_add_key(&bags, key, 0, STRETCHING_MAX + 1, PBES2, PASSWORD));
	ck_assert_int_eq(PKCS12_add_safe(&safes, bags, PBES2, 1, PASSWORD), 1);
	file = PKCS12_add_safes(safes, 0);
	ck_assert(!stretching_p12_fits(file, PASSWORD));
	PKCS12_free(file);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
}
END_TEST

START_TEST(many_counts_that_fit_are_too_many_together)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	STACK_OF(PKCS7) *safes = NULL;
	PKCS12 *file;

	for (int i = 0; i < 5; i++)
		ck_assert_ptr_nonnull(
		        PKCS12_add_key(&bags, key, 0, STRETCHING_MAX, PBES2, PASSWORD));
	ck_assert_int_eq(PKCS12_add_safe(&safes, bags, -1, 0, NULL), 1);
	file = PKCS12_add_safes(safes, 0);
	ck_assert(!stretching_p12_fits(file, PASSWORD));
	PKCS12_free(file);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
}
END_TEST

START_TEST(a_count_below_zero_or_beyond_a_number_is_too_many)
{
	static const unsigned char huge[] = { 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	PKCS12 *file = make_p12(PBES2, &(struct counts){ 2, 1, 1 });
	const ASN1_INTEGER *count;

	PKCS12_get0_mac(NULL, NULL, NULL, &count, file);
	ASN1_INTEGER_set((ASN1_INTEGER *)count, -1);
	ck_assert(!stretching_mac_fits(file));
	ASN1_INTEGER_set((ASN1_INTEGER *)count, 1L << 31);
	ck_assert(!stretching_mac_fits(file));
	ASN1_INTEGER_set((ASN1_INTEGER *)count, 1);
	ck_assert(stretching_mac_fits(file));
	ASN1_STRING_set((ASN1_STRING *)count, huge, sizeof(huge));
	ck_assert(!stretching_mac_fits(file));
	PKCS12_free(file);
}
END_TEST

/* ---- PEM ---- */

/* KEY encrypted with SCHEME (owned), under NAME; heap. */
static char *lock_key(X509_ALGOR *scheme, const char *name)
{
	PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(key);
	X509_SIG *locked = PKCS8_set0_pbe(PASSWORD, -1, plain, scheme);
	BIO *bio = BIO_new(BIO_s_mem());
	unsigned char *der = NULL;
	char *bytes, *text;
	int len;

	ck_assert_ptr_nonnull(locked);
	len = i2d_X509_SIG(locked, &der);
	PEM_write_bio(bio, name, "", der, len);
	len = (int)BIO_get_mem_data(bio, &bytes);
	text = mem_dup_bytes(bytes, (size_t)len);
	OPENSSL_free(der);
	BIO_free(bio);
	X509_SIG_free(locked);
	PKCS8_PRIV_KEY_INFO_free(plain);
	return text;
}

static char *lock_pbkdf2(int count, const char *name)
{
	return lock_key(PKCS5_pbe2_set(EVP_aes_128_cbc(), count, NULL, 0), name);
}

static bool fits(char *text)
{
	bool result = stretching_pem_fits(text, strlen(text));

	free(text);
	return result;
}

START_TEST(an_encrypted_key_goes_to_the_limit_and_not_beyond)
{
	static const char name[] = "ENCRYPTED PRIVATE KEY";

	ck_assert(fits(lock_pbkdf2(STRETCHING_MAX, name)));
	ck_assert(!fits(lock_pbkdf2(STRETCHING_MAX + 1, name)));
	ck_assert(fits(lock_key(PKCS5_pbe_set(PBE, STRETCHING_MAX, NULL, 0), name)));
	ck_assert(!fits(lock_key(PKCS5_pbe_set(PBE, STRETCHING_MAX + 1, NULL, 0), name)));
}
END_TEST

START_TEST(scrypt_is_taken_as_openssl_writes_it_and_not_beyond)
{
	static const char name[] = "ENCRYPTED PRIVATE KEY";
	const EVP_CIPHER *cipher = EVP_aes_128_cbc();

	ck_assert(fits(lock_key(PKCS5_pbe2_set_scrypt(cipher, NULL, 0, NULL, 16384, 8, 1), name)));
	ck_assert(!fits(lock_key(PKCS5_pbe2_set_scrypt(cipher, NULL, 0, NULL, 16384, 8, 2), name)));
	ck_assert(
	        !fits(lock_key(PKCS5_pbe2_set_scrypt(cipher, NULL, 0, NULL, 2, 1, 1 << 17), name)));
}
END_TEST

START_TEST(every_block_counts_whatever_its_name_and_what_stands_before_it)
{
	static const char damaged[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
	                              "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49\n!!!!\n"
	                              "-----END ENCRYPTED PRIVATE KEY-----\n";
	char *good = lock_pbkdf2(1, "ENCRYPTED PRIVATE KEY");
	char *bad = lock_pbkdf2(STRETCHING_MAX + 1, "PRIVATE KEY");

	ck_assert(fits(mem_printf("text before\n%s%s%s", damaged, good, good)));
	ck_assert(!fits(mem_printf("%stext between\n%s", good, bad)));
	ck_assert(!fits(mem_printf("%s%s", damaged, bad)));
	free(good);
	free(bad);
}
END_TEST

START_TEST(what_is_no_pem_has_nothing_to_count)
{
	ck_assert(stretching_pem_fits("", 0));
	ck_assert(stretching_pem_fits("garbage", 7));
	ck_assert(stretching_pem_fits("-----BEGIN ", 11));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		each_count_of_a_p12_goes_to_the_limit_and_not_beyond,
		a_p12_that_another_password_opens_is_passed_over,
		a_key_within_what_is_encrypted_is_counted,
		many_counts_that_fit_are_too_many_together,
		a_count_below_zero_or_beyond_a_number_is_too_many,
		an_encrypted_key_goes_to_the_limit_and_not_beyond,
		scrypt_is_taken_as_openssl_writes_it_and_not_beyond,
		every_block_counts_whatever_its_name_and_what_stands_before_it,
		what_is_no_pem_has_nothing_to_count,
	};

	return unit_run("stretching", tests, ARRAY_LEN(tests), setup, teardown);
}
