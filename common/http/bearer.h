/*
 * A bearer token (RFC 6750) that requests must show. Only its hash is kept, and hashes are compared
 * in constant time, so that the time of an answer reveals neither length nor prefix.
 */
#ifndef OG_COMMON_HTTP_BEARER_H
#define OG_COMMON_HTTP_BEARER_H

#include <stdbool.h>

struct bearer {
	bool needed; /* false: every request matches */
	unsigned char hash[32];
};

/* TOKEN is the token that requests must show; NULL: they need none. */
void bearer_init(struct bearer *bearer, const char *token);

/* True if the header AUTHORIZATION (NULL: absent) shows the token, or none is needed. */
bool bearer_matches(const struct bearer *bearer, const char *authorization);

#endif
