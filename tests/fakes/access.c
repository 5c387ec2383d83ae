#include "tests/fakes/access.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *access_issue(struct access *access, int64_t expires_ms)
{
	struct access_token *token = &access->tokens[access->issued++ % ACCESS_MAX];
	unsigned char random[24];
	size_t len;

	if (RAND_bytes(random, sizeof(random)) != 1)
		abort();
	len = (size_t)snprintf(token->text, sizeof(token->text), "ya29.");
	for (size_t i = 0; i < sizeof(random); i++)
		len += (size_t)snprintf(token->text + len, sizeof(token->text) - len, "%02x",
		                        random[i]);
	token->expires_ms = expires_ms;
	return token->text;
}

/* From the newest on, which is nearly always the one that is asked for. */
enum access_verdict access_check(const struct access *access, const char *text, int64_t now_ms)
{
	unsigned count = access->issued < ACCESS_MAX ? access->issued : ACCESS_MAX;

	for (unsigned i = 1; i <= count; i++) {
		const struct access_token *token =
		        &access->tokens[(access->issued - i) % ACCESS_MAX];

		if (strcmp(token->text, text) == 0)
			return now_ms < token->expires_ms ? ACCESS_GOOD : ACCESS_EXPIRED;
	}
	return ACCESS_UNKNOWN;
}
