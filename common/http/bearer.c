#include "common/http/bearer.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>
#include <strings.h>

void bearer_init(struct bearer *bearer, const char *token, const char *also)
{
	bearer->needed = token != NULL;
	if (token == NULL)
		return;
	if (also == NULL || *also == '\0')
		also = token;
	SHA256((const unsigned char *)token, strlen(token), bearer->hashes[0]);
	SHA256((const unsigned char *)also, strlen(also), bearer->hashes[1]);
}

bool bearer_matches(const struct bearer *bearer, const char *authorization)
{
	static const char scheme[] = "Bearer ";
	unsigned char hash[sizeof(bearer->hashes[0])];

	if (!bearer->needed)
		return true;
	if (authorization == NULL || strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return false;
	authorization += sizeof(scheme) - 1;
	SHA256((const unsigned char *)authorization, strlen(authorization), hash);
	return (CRYPTO_memcmp(hash, bearer->hashes[0], sizeof(hash)) == 0) |
	       (CRYPTO_memcmp(hash, bearer->hashes[1], sizeof(hash)) == 0);
}
