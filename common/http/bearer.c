#include "common/http/bearer.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>
#include <strings.h>

void bearer_init(struct bearer *bearer, const char *token)
{
	bearer->needed = token != NULL;
	if (token != NULL)
		SHA256((const unsigned char *)token, strlen(token), bearer->hash);
}

bool bearer_matches(const struct bearer *bearer, const char *authorization)
{
	static const char scheme[] = "Bearer ";
	unsigned char hash[sizeof(bearer->hash)];

	if (!bearer->needed)
		return true;
	if (authorization == NULL || strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return false;
	authorization += sizeof(scheme) - 1;
	SHA256((const unsigned char *)authorization, strlen(authorization), hash);
	return CRYPTO_memcmp(hash, bearer->hash, sizeof(hash)) == 0;
}
