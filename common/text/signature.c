#include "common/text/signature.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/text/hex.h"

#define MEMBER "signatures"
#define SIGNATURES_MAX 4 /* that are looked at */
#define DIGEST_LEN 32
#define TEXT_SIZE (2 * DIGEST_LEN + 1)
#define KEY_PURPOSE "outrigger: signature"

static void digest(uint8_t out[DIGEST_LEN], const void *key, size_t key_len, const char *text)
{
	unsigned len = DIGEST_LEN;
	const uint8_t *made = HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text,
	                           strlen(text), out, &len);

	assert(made != NULL && len == DIGEST_LEN);
}

/* The signature that OBJECT ought to have. */
static void sign(char text[TEXT_SIZE], const json_t *object, const char *secret,
                 const char *purpose)
{
	json_t *bare = json_copy((json_t *)object);
	uint8_t key[DIGEST_LEN], made[DIGEST_LEN];
	char *dump, *message;

	json_object_del(bare, MEMBER);
	dump = json_dumps(bare, JSON_COMPACT | JSON_SORT_KEYS);
	assert(dump != NULL);
	message = mem_printf("%s\n%s", purpose, dump);
	digest(key, secret, strlen(secret), KEY_PURPOSE);
	digest(made, key, sizeof(key), message);
	hex_write(text, made, sizeof(made));
	OPENSSL_cleanse(key, sizeof(key));
	free(message);
	free(dump);
	json_decref(bare);
}

void signature_put(json_t *object, const char *secret, const char *purpose)
{
	json_t *list = json_object_get(object, MEMBER);
	char text[TEXT_SIZE];

	sign(text, object, secret, purpose);
	if (list == NULL) {
		list = json_array();
		json_object_set_new(object, MEMBER, list);
	}
	json_array_append_new(list, json_string(text));
}

bool signature_fits(const json_t *object, const char *secret, const char *purpose)
{
	const json_t *list = json_object_get(object, MEMBER);
	char text[TEXT_SIZE];
	bool fits = false;

	if (json_array_size(list) == 0)
		return false;
	sign(text, object, secret, purpose);
	for (size_t i = 0; i < json_array_size(list) && i < SIGNATURES_MAX; i++) {
		const char *shown = json_string_value(json_array_get(list, i));

		if (shown != NULL && strlen(shown) == TEXT_SIZE - 1 &&
		    CRYPTO_memcmp(text, shown, TEXT_SIZE - 1) == 0)
			fits = true;
	}
	return fits;
}
