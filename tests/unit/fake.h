/*
 * For the tests of the pretend providers: keys, signed tokens and requests made from text.
 */
#ifndef OG_TESTS_UNIT_FAKE_H
#define OG_TESTS_UNIT_FAKE_H

#include <check.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/fakes/answer.h"
#include "tests/fakes/request.h"

#define FAKE_NOW_S 1800000000
#define FAKE_NOW_MS (FAKE_NOW_S * 1000ll)

static inline void fake_base64url(struct buf *out, const void *bytes, size_t len)
{
	unsigned char *text = malloc(len / 3 * 4 + 5);
	int count = EVP_EncodeBlock(text, bytes, (int)len);

	while (count > 0 && text[count - 1] == '=')
		count--;
	for (int i = 0; i < count; i++) {
		if (text[i] == '+' || text[i] == '/')
			text[i] = text[i] == '+' ? '-' : '_';
	}
	buf_append(out, text, (size_t)count);
	free(text);
}

/* DER's two numbers as 64 bytes; what isn't a DER signature stays as it is. */
static inline size_t fake_raw_signature(unsigned char *signature, size_t len)
{
	const unsigned char *at = signature;
	ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &at, (long)len);

	ck_assert_ptr_nonnull(parsed);
	BN_bn2binpad(ECDSA_SIG_get0_r(parsed), signature, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(parsed), signature + 32, 32);
	ECDSA_SIG_free(parsed);
	return 64;
}

/* A token of HEADER and CLAIMS (JSON) signed with KEY; the caller frees it. */
static inline char *fake_jwt(EVP_PKEY *key, const char *header, const char *claims)
{
	struct buf out = { 0 };
	unsigned char signature[512];
	size_t len = sizeof(signature);
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	fake_base64url(&out, header, strlen(header));
	buf_text(&out, ".");
	fake_base64url(&out, claims, strlen(claims));
	ck_assert_int_eq(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
	ck_assert_int_eq(EVP_DigestSign(context, signature, &len,
	                                (const unsigned char *)buf_data(&out), buf_len(&out)),
	                 1);
	EVP_MD_CTX_free(context);
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
		len = fake_raw_signature(signature, len);
	buf_text(&out, ".");
	fake_base64url(&out, signature, len);
	return buf_take(&out);
}

/* Adds the header NAME; VALUE NULL leaves it out. */
static inline void fake_header(struct request *request, const char *name, const char *value)
{
	struct header header = { name, value };

	if (value != NULL)
		ck_assert_int_eq(request_add_header(request, header, strlen(name), strlen(value)),
		                 0);
}

/* A request's first lines, to be followed by headers and request_complete(). */
static inline void fake_request(struct request *request, const char *method, const char *path,
                                const char *body)
{
	memset(request, 0, sizeof(*request));
	fake_header(request, ":method", method);
	fake_header(request, ":path", path);
	fake_header(request, ":authority", "127.0.0.1:2197");
	for (; *body != '\0'; body++)
		request_add_body(request, body, 1);
}

/* The answer's body is TEXT, to the byte. */
static inline void fake_body_is(const struct answer *answer, const char *text)
{
	char *body = mem_dup_bytes(buf_data(&answer->body), buf_len(&answer->body));

	ck_assert_str_eq(body, text);
	free(body);
}

/* The answer's body contains TEXT. */
static inline void fake_body_has(const struct answer *answer, const char *text)
{
	char *body = mem_dup_bytes(buf_data(&answer->body), buf_len(&answer->body));

	ck_assert_msg(strstr(body, text) != NULL, "no %s in %s", text, body);
	free(body);
}

#endif
