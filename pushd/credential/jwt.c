#include "pushd/credential/jwt.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/panic.h"
#include "pushd/credential/pem.h"

#define P256_BYTES 32
#define RSA_LEAST_BITS 2048 /* RFC 7518, section 3.3 */
#define RSA_MOST_BITS 8192  /* each signature with a longer key would block the loop */

struct jwt_key {
	enum jwt_algorithm algorithm;
	EVP_PKEY *pkey;
};

static const char *const names[] = { [JWT_ES256] = "ES256", [JWT_RS256] = "RS256" };

/* No key file of ours has a passphrase; without this OpenSSL would ask the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	return -1;
}

static const char *judge_key(const EVP_PKEY *pkey, enum jwt_algorithm algorithm)
{
	char group[32] = "";

	if (algorithm == JWT_RS256)
		return EVP_PKEY_is_a(pkey, "RSA") && EVP_PKEY_get_bits(pkey) >= RSA_LEAST_BITS &&
		                       EVP_PKEY_get_bits(pkey) <= RSA_MOST_BITS
		               ? NULL
		               : "is no RSA key of 2048 to 8192 bits";
	if (!EVP_PKEY_is_a(pkey, "EC") ||
	    EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1 ||
	    (strcmp(group, "prime256v1") != 0 && strcmp(group, "P-256") != 0))
		return "is no key on the curve P-256";
	return NULL;
}

/* A key that parses may be damaged; a trial signature shows it before the key is used. */
static bool can_sign(EVP_PKEY *pkey)
{
	static const unsigned char text[] = "a trial";
	EVP_MD_CTX *signing = EVP_MD_CTX_new(), *checking = EVP_MD_CTX_new();
	size_t len = (size_t)EVP_PKEY_get_size(pkey);
	unsigned char *signature = mem_alloc(1, len);
	bool good;

	if (signing == NULL || checking == NULL)
		panic("EVP_MD_CTX_new");
	good = EVP_DigestSignInit(signing, NULL, EVP_sha256(), NULL, pkey) == 1 &&
	       EVP_DigestSign(signing, signature, &len, text, sizeof(text)) == 1 &&
	       EVP_DigestVerifyInit(checking, NULL, EVP_sha256(), NULL, pkey) == 1 &&
	       EVP_DigestVerify(checking, signature, len, text, sizeof(text)) == 1;
	EVP_MD_CTX_free(signing);
	EVP_MD_CTX_free(checking);
	free(signature);
	ERR_clear_error();
	return good;
}

struct jwt_key *jwt_key_read(const char *pem, size_t len, enum jwt_algorithm algorithm,
                             const char **why)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	struct jwt_key *key;
	EVP_PKEY *pkey;

	if (bio == NULL)
		panic("BIO_new_mem_buf");
	pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	ERR_clear_error();
	*why = pkey == NULL ? "is no private key (PEM, without a passphrase)"
	                    : judge_key(pkey, algorithm);
	if (*why == NULL && !can_sign(pkey))
		*why = "is a damaged key";
	if (*why != NULL) {
		EVP_PKEY_free(pkey);
		return NULL;
	}
	key = mem_alloc(1, sizeof(*key));
	key->algorithm = algorithm;
	key->pkey = pkey;
	return key;
}

char *jwt_key_public(const struct jwt_key *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio == NULL || PEM_write_bio_PUBKEY(bio, key->pkey) != 1)
		panic("PEM_write_bio_PUBKEY");
	return pem_take(bio);
}

char *jwt_key_print(const struct jwt_key *key)
{
	return pem_private_key(key->pkey);
}

void jwt_key_free(struct jwt_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

/* Appends DATA in base64url without padding (RFC 7515, section 2). */
static void add_base64url(struct buf *out, const void *data, size_t len)
{
	unsigned char *text = mem_alloc(len / 3 + 2, 4);
	int n = EVP_EncodeBlock(text, data, (int)len);

	while (n > 0 && text[n - 1] == '=')
		n--;
	for (int i = 0; i < n; i++) {
		if (text[i] == '+')
			text[i] = '-';
		else if (text[i] == '/')
			text[i] = '_';
	}
	buf_append(out, text, (size_t)n);
	free(text);
}

static void add_json(struct buf *out, const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);

	assert(text != NULL);
	add_base64url(out, text, strlen(text));
	free(text);
}

/* OpenSSL's DER into R and S of 32 bytes each (RFC 7518, section 3.4). */
static size_t flatten(const unsigned char *der, size_t len, unsigned char *flat)
{
	ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)len);
	int r, s;

	assert(signature != NULL);
	r = BN_bn2binpad(ECDSA_SIG_get0_r(signature), flat, P256_BYTES);
	s = BN_bn2binpad(ECDSA_SIG_get0_s(signature), flat + P256_BYTES, P256_BYTES);
	assert(r == P256_BYTES && s == P256_BYTES);
	ECDSA_SIG_free(signature);
	return 2 * P256_BYTES;
}

static void add_signature(struct buf *out, const struct jwt_key *key)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char *signature, flat[2 * P256_BYTES];
	size_t len = 0;

	if (context == NULL)
		panic("EVP_MD_CTX_new");
	if (EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key->pkey) != 1 ||
	    EVP_DigestSign(context, NULL, &len, (const unsigned char *)buf_data(out),
	                   buf_len(out)) != 1)
		panic("the length of a signature");
	signature = mem_alloc(1, len);
	if (EVP_DigestSign(context, signature, &len, (const unsigned char *)buf_data(out),
	                   buf_len(out)) != 1)
		panic("EVP_DigestSign");
	EVP_MD_CTX_free(context);
	buf_text(out, ".");
	if (key->algorithm == JWT_ES256)
		add_base64url(out, flat, flatten(signature, len, flat));
	else
		add_base64url(out, signature, len);
	free(signature);
}

char *jwt_sign(const struct jwt_key *key, const char *key_id, const json_t *claims)
{
	struct buf out = { 0 };
	json_t *header = json_pack("{s:s, s:s}", "alg", names[key->algorithm], "kid", key_id);

	/* Google's documents show "typ", Apple's don't have it. */
	if (key->algorithm == JWT_RS256)
		json_object_set_new(header, "typ", json_string("JWT"));
	add_json(&out, header);
	json_decref(header);
	buf_text(&out, ".");
	add_json(&out, claims);
	add_signature(&out, key);
	return buf_take(&out);
}

const char *jwt_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}
