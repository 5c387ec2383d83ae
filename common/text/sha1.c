#include "common/text/sha1.h"

#include <openssl/sha.h>

#include "common/text/hex.h"

char *sha1_text(const void *data, size_t len, char *text)
{
	unsigned char digest[SHA_DIGEST_LENGTH];

	SHA1(data, len, digest);
	hex_write(text, digest, sizeof(digest));
	return text;
}
