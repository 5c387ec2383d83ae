#include "pushd/credential/jwt.c"

#include <stdbool.h>

#include "tests/unit/unit.h"

static EVP_PKEY *own; /* the pair that is signed with */

static char *pem_of(const EVP_PKEY *pkey, const EVP_CIPHER *cipher)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long len;

	ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, pkey, cipher, NULL, 0, NULL,
	                                          cipher != NULL ? (void *)"pass" : NULL),
	                 1);
	len = BIO_get_mem_data(bio, &data);
	text = mem_dup_bytes(data, (size_t)len);
	BIO_free(bio);
	return text;
}

static struct jwt_key *read_own(enum jwt_algorithm algorithm)
{
	char *pem = pem_of(own, NULL);
	const char *why = "unset";
	struct jwt_key *key = jwt_key_read(pem, strlen(pem), algorithm, &why);

	ck_assert_msg(key != NULL, "%s", why);
	ck_assert_ptr_null(why);
	free(pem);
	return key;
}

/* The bytes of LEN characters of base64url, heap, with a NUL behind them. */
static unsigned char *decode(const char *text, size_t len, size_t *size)
{
	size_t padded = (len + 3) / 4 * 4;
	unsigned char *bytes = mem_alloc(1, padded);
	char *plain = mem_alloc(1, padded + 1);

	memset(plain, '=', padded);
	memcpy(plain, text, len);
	for (size_t i = 0; i < len; i++) {
		ck_assert(plain[i] != '+' && plain[i] != '/' && plain[i] != '=');
		plain[i] = plain[i] == '-' ? '+' : plain[i] == '_' ? '/' : plain[i];
	}
	ck_assert_int_eq(EVP_DecodeBlock(bytes, (unsigned char *)plain, (int)padded),
	                 padded / 4 * 3);
	*size = padded / 4 * 3 - (padded - len);
	bytes[*size] = '\0';
	free(plain);
	return bytes;
}

static void check_part(const char *text, size_t len, const char *expected)
{
	size_t size;
	unsigned char *bytes = decode(text, len, &size);

	ck_assert_str_eq((char *)bytes, expected);
	free(bytes);
}

/* R and S back into DER, as OpenSSL verifies them. */
static unsigned char *to_der(const unsigned char *flat, size_t *len)
{
	ECDSA_SIG *signature = ECDSA_SIG_new();
	unsigned char *der = NULL;

	ECDSA_SIG_set0(signature, BN_bin2bn(flat, P256_BYTES, NULL),
	               BN_bin2bn(flat + P256_BYTES, P256_BYTES, NULL));
	*len = (size_t)i2d_ECDSA_SIG(signature, &der);
	ECDSA_SIG_free(signature);
	return der;
}

static bool verifies(const char *token, const char *dot, enum jwt_algorithm algorithm)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t len, signed_len = (size_t)(dot - token);
	unsigned char *signature = decode(dot + 1, strlen(dot + 1), &len);
	bool good;

	if (algorithm == JWT_ES256) {
		unsigned char *flat = signature;

		ck_assert_uint_eq(len, 2 * P256_BYTES);
		signature = to_der(flat, &len);
		free(flat);
	}
	EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, own);
	good = EVP_DigestVerify(context, signature, len, (const unsigned char *)token,
	                        signed_len) == 1;
	EVP_MD_CTX_free(context);
	free(signature);
	return good;
}

static void check_token(enum jwt_algorithm algorithm, const char *header)
{
	struct jwt_key *key = read_own(algorithm);
	json_t *claims = json_pack("{s:s, s:i}", "iss", "TEAM", "iat", 1700000000);
	char *token = jwt_sign(key, "KEY?>", claims), *first = strchr(token, '.');
	char *last = strrchr(token, '.');

	ck_assert_ptr_ne(first, last);
	check_part(token, (size_t)(first - token), header);
	check_part(first + 1, (size_t)(last - first - 1), "{\"iss\":\"TEAM\",\"iat\":1700000000}");
	ck_assert(verifies(token, last, algorithm));
	token[3] ^= 1;
	ck_assert(!verifies(token, last, algorithm));
	free(token);
	json_decref(claims);
	jwt_key_free(key);
	EVP_PKEY_free(own);
}

/* Many times, since R and S begin with a zero byte once in a while. */
START_TEST(an_es256_token_is_two_texts_and_64_bytes_that_verify)
{
	for (int i = 0; i < 600; i++) {
		own = EVP_EC_gen("P-256");
		check_token(JWT_ES256, "{\"alg\":\"ES256\",\"kid\":\"KEY?>\"}");
	}
}
END_TEST

START_TEST(an_rs256_token_says_its_type_and_verifies)
{
	own = EVP_RSA_gen(2048);
	check_token(JWT_RS256, "{\"alg\":\"RS256\",\"kid\":\"KEY?>\",\"typ\":\"JWT\"}");
}
END_TEST

static const char *refusal(const char *pem, enum jwt_algorithm algorithm)
{
	const char *why = NULL;

	ck_assert_ptr_null(jwt_key_read(pem, strlen(pem), algorithm, &why));
	ck_assert_ptr_nonnull(why);
	return why;
}

static void check_refused(EVP_PKEY *pkey, const EVP_CIPHER *cipher, enum jwt_algorithm algorithm,
                          const char *why)
{
	char *pem = pem_of(pkey, cipher);

	ck_assert_str_eq(refusal(pem, algorithm), why);
	free(pem);
	EVP_PKEY_free(pkey);
}

START_TEST(keys_that_do_not_fit_are_refused_with_the_reason)
{
	static const char no_key[] = "is no private key (PEM, without a passphrase)";
	static const char no_curve[] = "is no key on the curve P-256";
	static const char no_rsa[] = "is no RSA key of 2048 to 8192 bits";

	ck_assert_str_eq(refusal("", JWT_ES256), no_key);
	ck_assert_str_eq(refusal("-----BEGIN PRIVATE KEY-----\nAAAA\n", JWT_ES256), no_key);
	check_refused(EVP_EC_gen("P-256"), EVP_aes_128_cbc(), JWT_ES256, no_key);
	check_refused(EVP_EC_gen("P-384"), NULL, JWT_ES256, no_curve);
	check_refused(EVP_RSA_gen(2048), NULL, JWT_ES256, no_curve);
	check_refused(EVP_RSA_gen(1024), NULL, JWT_RS256, no_rsa);
	check_refused(EVP_EC_gen("P-256"), NULL, JWT_RS256, no_rsa);
}
END_TEST

/* The modulus made even, which no product of two primes is. */
START_TEST(a_damaged_key_is_refused_since_signing_with_it_would_fail)
{
	EVP_PKEY *rsa = EVP_RSA_gen(2048);
	BIGNUM *modulus = NULL;
	unsigned char n[256], *der = NULL, *at;
	BIO *bio = BIO_new(BIO_s_mem());
	const char *why = NULL;
	char *pem;
	int len;

	EVP_PKEY_get_bn_param(rsa, OSSL_PKEY_PARAM_RSA_N, &modulus);
	BN_bn2bin(modulus, n);
	len = i2d_PrivateKey(rsa, &der);
	at = memmem(der, (size_t)len, n, sizeof(n));
	at[sizeof(n) - 1] ^= 1;
	PEM_write_bio(bio, "RSA PRIVATE KEY", "", der, len);
	len = (int)BIO_get_mem_data(bio, &pem);
	ck_assert_ptr_null(jwt_key_read(pem, (size_t)len, JWT_RS256, &why));
	ck_assert_str_eq(why, "is a damaged key");
	BIO_free(bio);
	OPENSSL_free(der);
	BN_free(modulus);
	EVP_PKEY_free(rsa);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_es256_token_is_two_texts_and_64_bytes_that_verify,
		an_rs256_token_says_its_type_and_verifies,
		keys_that_do_not_fit_are_refused_with_the_reason,
		a_damaged_key_is_refused_since_signing_with_it_would_fail,
	};

	return unit_run("jwt", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
