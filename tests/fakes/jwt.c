#include "tests/fakes/jwt.h"

#include <openssl/ecdsa.h>
#include <stdint.h>
#include <string.h>

#define ES256_BYTES 64 /* R and S, 32 bytes each: RFC 7518 section 3.4 */

struct part {
	const char *text;
	size_t len;
};

/* The value of a base64url digit (RFC 4648 section 5), or -1. */
static int digit_value(char digit)
{
	static const char digits[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *at = digit == '\0' ? NULL : strchr(digits, digit);

	return at == NULL ? -1 : (int)(at - digits);
}

/* Decodes unpadded base64url into OUT (3/4 of its length); the count of bytes, or -1. */
static int decode(struct part part, unsigned char *out)
{
	uint32_t bits = 0;
	int have = 0, count = 0;

	if (part.len % 4 == 1)
		return -1;
	for (size_t i = 0; i < part.len; i++) {
		int value = digit_value(part.text[i]);

		if (value < 0)
			return -1;
		bits = bits << 6 | (uint32_t)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[count++] = (unsigned char)(bits >> have);
		}
	}
	return count;
}

/* A part that is a JSON object, or NULL. */
static json_t *decode_object(struct part part)
{
	unsigned char bytes[JWT_MAX];
	int len = decode(part, bytes);
	json_t *value;

	if (len < 0)
		return NULL;
	value = json_loadb((const char *)bytes, (size_t)len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(value))
		return value;
	json_decref(value);
	return NULL;
}

/* R and S as JWT has them, turned into the DER that OpenSSL wants; its length, or -1. */
static int es256_to_der(const unsigned char *raw, int len, unsigned char **der)
{
	ECDSA_SIG *signature = ECDSA_SIG_new();
	int der_len = -1;

	*der = NULL;
	if (len == ES256_BYTES && signature != NULL) {
		ECDSA_SIG_set0(signature, BN_bin2bn(raw, ES256_BYTES / 2, NULL),
		               BN_bin2bn(raw + ES256_BYTES / 2, ES256_BYTES / 2, NULL));
		der_len = i2d_ECDSA_SIG(signature, der);
	}
	ECDSA_SIG_free(signature);
	return der_len;
}

static int verify(struct part signed_part, const unsigned char *signature, size_t len,
                  EVP_PKEY *key)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int good = EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
	           EVP_DigestVerify(context, signature, len,
	                            (const unsigned char *)signed_part.text, signed_part.len) == 1;

	EVP_MD_CTX_free(context);
	return good;
}

static int signature_good(struct part signed_part, struct part signature, EVP_PKEY *key)
{
	unsigned char raw[JWT_MAX], *der;
	int len = decode(signature, raw), good;

	if (len < 0)
		return 0;
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC)
		return verify(signed_part, raw, (size_t)len, key);
	len = es256_to_der(raw, len, &der);
	good = len > 0 && verify(signed_part, der, (size_t)len, key);
	OPENSSL_free(der);
	return good;
}

/* Splits TEXT at its two dots; -1 when there aren't two, or it is too long. */
static int split(const char *text, struct part parts[3])
{
	size_t len = strnlen(text, JWT_MAX + 1);
	const char *first = strchr(text, '.');
	const char *second = first == NULL ? NULL : strchr(first + 1, '.');

	if (second == NULL || len > JWT_MAX)
		return -1;
	parts[0] = (struct part){ text, (size_t)(first - text) };
	parts[1] = (struct part){ first + 1, (size_t)(second - first - 1) };
	parts[2] = (struct part){ second + 1, len - (size_t)(second + 1 - text) };
	return 0;
}

static enum jwt_verdict judge(const struct jwt *jwt, const struct part *parts, EVP_PKEY *key)
{
	const char *wanted = EVP_PKEY_get_base_id(key) == EVP_PKEY_EC ? "ES256" : "RS256";
	struct part signed_part = { parts[0].text, parts[0].len + 1 + parts[1].len };

	if (jwt->header == NULL || jwt->claims == NULL)
		return JWT_MALFORMED;
	if (strcmp(jwt_text(jwt->header, "alg"), wanted) != 0)
		return JWT_OTHER_ALGORITHM;
	return signature_good(signed_part, parts[2], key) ? JWT_GOOD : JWT_BAD_SIGNATURE;
}

enum jwt_verdict jwt_read(struct jwt *jwt, const char *text, EVP_PKEY *key)
{
	struct part parts[3];
	enum jwt_verdict verdict;

	jwt->header = jwt->claims = NULL;
	if (split(text, parts) < 0)
		return JWT_MALFORMED;
	jwt->header = decode_object(parts[0]);
	jwt->claims = decode_object(parts[1]);
	verdict = judge(jwt, parts, key);
	if (verdict != JWT_GOOD)
		jwt_release(jwt);
	return verdict;
}

const char *jwt_text(const json_t *part, const char *name)
{
	const char *text = json_string_value(json_object_get(part, name));

	return text == NULL ? "" : text;
}

json_int_t jwt_number(const json_t *part, const char *name)
{
	const json_t *value = json_object_get(part, name);
	double number = json_number_value(value);

	return json_is_number(value) && number >= 0 && number < 1e15 ? (json_int_t)number : -1;
}

void jwt_release(struct jwt *jwt)
{
	json_decref(jwt->header);
	json_decref(jwt->claims);
	jwt->header = jwt->claims = NULL;
}
