#include "pushd/credential/seal.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/base/mem.h"
#include "common/base/panic.h"

#define NONCE_BYTES 12
#define TAG_BYTES 16
#define EXTRA_BYTES (1 + NONCE_BYTES + TAG_BYTES)
#define FORM 1 /* the first byte: a form of today's; others may follow */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int seal_key_read(struct seal_key *key, const char *text)
{
	text += strspn(text, " \t\r\n");
	for (size_t i = 0; i < SEAL_KEY_BYTES; i++, text += 2) {
		int high = digit_of(text[0]);
		int low = high < 0 ? -1 : digit_of(text[1]);

		if (low < 0) {
			mem_wipe(key, sizeof(*key));
			return -1;
		}
		key->bytes[i] = (unsigned char)(high << 4 | low);
	}
	if (text[strspn(text, " \t\r\n")] == '\0')
		return 0;
	mem_wipe(key, sizeof(*key));
	return -1;
}

static void must(bool good)
{
	if (!good)
		panic("AES-256-GCM");
}

/* FORM, the nonce, the text, the tag. */
char *seal_wrap(const struct seal_key *key, const char *purpose, const char *text)
{
	size_t len = strlen(text);
	unsigned char *sealed = mem_alloc(len + EXTRA_BYTES, 1), *body = sealed + 1 + NONCE_BYTES;
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	char *result;
	int n;

	sealed[0] = FORM;
	must(context != NULL && RAND_bytes(sealed + 1, NONCE_BYTES) == 1);
	must(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, sealed + 1) == 1);
	must(EVP_EncryptUpdate(context, NULL, &n, sealed, 1) == 1);
	must(EVP_EncryptUpdate(context, NULL, &n, (const unsigned char *)purpose,
	                       (int)strlen(purpose)) == 1);
	must(EVP_EncryptUpdate(context, body, &n, (const unsigned char *)text, (int)len) == 1);
	must(EVP_EncryptFinal_ex(context, body + n, &n) == 1);
	must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, body + len) == 1);
	EVP_CIPHER_CTX_free(context);
	result = base64_encode(sealed, len + EXTRA_BYTES);
	free(sealed);
	return result;
}

/* Decrypts LEN bytes behind the nonce at SEALED into TEXT; false unless the tag is right. */
static bool decrypt(const struct seal_key *key, const char *purpose, unsigned char *sealed,
                    size_t len, unsigned char *text)
{
	unsigned char *body = sealed + 1 + NONCE_BYTES;
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	bool good;
	int n;

	must(context != NULL);
	must(EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, sealed + 1) == 1);
	must(EVP_DecryptUpdate(context, NULL, &n, sealed, 1) == 1);
	must(EVP_DecryptUpdate(context, NULL, &n, (const unsigned char *)purpose,
	                       (int)strlen(purpose)) == 1);
	must(EVP_DecryptUpdate(context, text, &n, body, (int)len) == 1);
	must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, body + len) == 1);
	good = EVP_DecryptFinal_ex(context, text + n, &n) == 1;
	EVP_CIPHER_CTX_free(context);
	return good;
}

char *seal_unwrap(const struct seal_key *key, const char *purpose, const char *sealed)
{
	size_t len;
	char *bytes = base64_decode(sealed, &len), *text = NULL;

	if (bytes != NULL && len >= EXTRA_BYTES && bytes[0] == FORM) {
		size_t text_len = len - EXTRA_BYTES;

		text = mem_alloc(text_len + 1, 1);
		if (!decrypt(key, purpose, (unsigned char *)bytes, text_len,
		             (unsigned char *)text)) {
			mem_wipe(text, text_len);
			free(text);
			text = NULL;
		}
	}
	free(bytes);
	return text;
}
