#include "pushd/credential/stretching.h"

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <stdint.h>

#include "common/base/panic.h"

#define TOTAL_MAX (4 * STRETCHING_MAX)
#define SCRYPT_MAX (1 << 20) /* of each of its parameters, so that their product is a number */
#define TOO_MANY INT64_MAX

/* ---- one derivation ---- */

/* Below 0 and beyond 64 bits is too many, as OpenSSL might read it in another way. */
static int64_t number_of(const ASN1_INTEGER *integer)
{
	int64_t number;

	if (integer == NULL || ASN1_INTEGER_get_int64(&number, integer) != 1 || number < 0)
		return TOO_MANY;
	return number;
}

static int64_t count_pbkdf2(const ASN1_TYPE *parameter)
{
	PBKDF2PARAM *read = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), parameter);
	int64_t count = read != NULL ? number_of(read->iter) : TOO_MANY;

	PBKDF2PARAM_free(read);
	return count;
}

/* The ciphers of PKCS #5 v1.5 and PKCS #12. */
static int64_t count_pbe(const ASN1_TYPE *parameter)
{
	PBEPARAM *read = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), parameter);
	int64_t count = read != NULL ? number_of(read->iter) : TOO_MANY;

	PBEPARAM_free(read);
	return count;
}

/* Two of its block mixes take as long as one iteration of PBKDF2. */
static int64_t count_scrypt(const ASN1_TYPE *parameter)
{
	SCRYPT_PARAMS *read = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(SCRYPT_PARAMS), parameter);
	int64_t count = TOO_MANY, n, r, p;

	if (read != NULL) {
		n = number_of(read->costParameter);
		r = number_of(read->blockSize);
		p = number_of(read->parallelizationParameter);
		if (n <= SCRYPT_MAX && r <= SCRYPT_MAX && p <= SCRYPT_MAX)
			count = n * r * p / 2;
	}
	SCRYPT_PARAMS_free(read);
	return count;
}

static int64_t count_derivation(const X509_ALGOR *algorithm);

/* PBES2, and PBMAC1 (RFC 9579), whose parameters have the same form. */
static int64_t count_scheme(const ASN1_TYPE *parameter)
{
	PBE2PARAM *read = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), parameter);
	int64_t count = read != NULL ? count_derivation(read->keyfunc) : TOO_MANY;

	PBE2PARAM_free(read);
	return count;
}

/* Of a derivation within a scheme, which has no other scheme within it. */
static int64_t count_derivation(const X509_ALGOR *algorithm)
{
	switch (OBJ_obj2nid(algorithm->algorithm)) {
	case NID_id_pbkdf2:
		return count_pbkdf2(algorithm->parameter);
	case NID_id_scrypt:
		return count_scrypt(algorithm->parameter);
	default:
		return TOO_MANY;
	}
}

/* How often the password is hashed for what is encrypted by ALGORITHM. */
static int64_t count_of(const X509_ALGOR *algorithm)
{
	switch (OBJ_obj2nid(algorithm->algorithm)) {
	case NID_pbes2:
	case NID_pbmac1:
		return count_scheme(algorithm->parameter);
	default:
		return count_pbe(algorithm->parameter);
	}
}

/* Adds it to TOTAL; false if it is too many. */
static bool add(int64_t *total, const X509_ALGOR *algorithm)
{
	int64_t count = algorithm != NULL ? count_of(algorithm) : TOO_MANY;

	ERR_clear_error();
	if (count > STRETCHING_MAX)
		return false;
	*total += count;
	return *total <= TOTAL_MAX;
}

static bool add_key(int64_t *total, const X509_SIG *key)
{
	const X509_ALGOR *algorithm = NULL;

	X509_SIG_get0(key, &algorithm, NULL);
	return add(total, algorithm);
}

/* ---- PKCS #12 ---- */

bool stretching_mac_fits(const PKCS12 *file)
{
	const X509_ALGOR *algorithm = NULL;
	const ASN1_INTEGER *count = NULL;
	int64_t total = 0;

	if (PKCS12_mac_present(file) != 1)
		return true;
	PKCS12_get0_mac(NULL, &algorithm, NULL, &count, file);
	/* PBMAC1 has a count of its own; the other one's default is 1. */
	if (OBJ_obj2nid(algorithm->algorithm) == NID_pbmac1 && !add(&total, algorithm))
		return false;
	return count == NULL || number_of(count) <= STRETCHING_MAX;
}

static bool add_bags(int64_t *total, const STACK_OF(PKCS12_SAFEBAG) * bags);

/* OpenSSL's parser has refused deeper nesting than its stack bears. */
static bool add_bag(int64_t *total, const PKCS12_SAFEBAG *bag)
{
	switch (PKCS12_SAFEBAG_get_nid(bag)) {
	case NID_pkcs8ShroudedKeyBag:
		return add_key(total, PKCS12_SAFEBAG_get0_pkcs8(bag));
	case NID_safeContentsBag:
		return add_bags(total, PKCS12_SAFEBAG_get0_safes(bag));
	default:
		return true;
	}
}

static bool add_bags(int64_t *total, const STACK_OF(PKCS12_SAFEBAG) * bags)
{
	for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags); i++)
		if (!add_bag(total, sk_PKCS12_SAFEBAG_value(bags, i)))
			return false;
	return true;
}

static bool add_safe(int64_t *total, PKCS7 *safe, const char *password)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	bool fits = true;

	if (PKCS7_type_is_data(safe)) {
		bags = PKCS12_unpack_p7data(safe);
	} else if (PKCS7_type_is_encrypted(safe)) {
		fits = safe->d.encrypted != NULL && safe->d.encrypted->enc_data != NULL &&
		       add(total, safe->d.encrypted->enc_data->algorithm);
		if (fits)
			bags = PKCS12_unpack_p7encdata(safe, password, -1);
	}
	fits = fits && add_bags(total, bags);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return fits;
}

bool stretching_p12_fits(PKCS12 *file, const char *password)
{
	STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(file);
	int64_t total = 0;
	bool fits = true;

	for (int i = 0; fits && i < sk_PKCS7_num(safes); i++)
		fits = add_safe(&total, sk_PKCS7_value(safes, i), password);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	ERR_clear_error();
	return fits;
}

/* ---- PEM ---- */

/* Whatever it is called, what has the form of an encrypted key (RFC 5958, section 3) is one. */
static bool add_block(int64_t *total, const unsigned char *der, long len)
{
	X509_SIG *key = d2i_X509_SIG(NULL, &der, len);
	bool fits = key == NULL || add_key(total, key);

	X509_SIG_free(key);
	return fits;
}

bool stretching_pem_fits(const char *bytes, size_t len)
{
	BIO *bio = BIO_new_mem_buf(bytes, (int)len);
	size_t left = len + 1;
	int64_t total = 0;
	bool fits = true;

	if (bio == NULL)
		panic("BIO_new_mem_buf");
	/* A block that can't be read doesn't end it: it doesn't end OpenSSL's search either. */
	while (fits && BIO_ctrl_pending(bio) < left) {
		unsigned char *der = NULL;
		char *name = NULL, *header = NULL;
		long size;

		left = BIO_ctrl_pending(bio);
		if (PEM_read_bio(bio, &name, &header, &der, &size) == 1)
			fits = add_block(&total, der, size);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, der != NULL ? (size_t)size : 0);
	}
	BIO_free(bio);
	ERR_clear_error();
	return fits;
}
