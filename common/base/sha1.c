#include "common/base/sha1.h"

#include <openssl/sha.h>

char *sha1_text(const void *data, size_t len, char *text)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[SHA_DIGEST_LENGTH];

	SHA1(data, len, digest);
	for (size_t i = 0; i < sizeof(digest); i++) {
		text[2 * i] = digits[digest[i] >> 4];
		text[2 * i + 1] = digits[digest[i] & 15];
	}
	text[2 * sizeof(digest)] = '\0';
	return text;
}
