/*
 * A bearer token (RFC 6750) that requests must show; while it is being changed, either of two. Only
 * hashes are kept, and they are compared in constant time, so that the time of an answer reveals
 * neither length nor prefix.
 */
#ifndef OG_COMMON_HTTP_BEARER_H
#define OG_COMMON_HTTP_BEARER_H

#include <stdbool.h>

struct bearer {
	bool needed;                 /* false: every request matches */
	unsigned char hashes[2][32]; /* the same one twice where there is only one */
};

/* Requests must show TOKEN (NULL: they need none) or ALSO (NULL or "": there is only TOKEN). */
void bearer_init(struct bearer *bearer, const char *token, const char *also);

/* True if the header AUTHORIZATION (NULL: absent) shows one of the tokens, or none is needed. */
bool bearer_matches(const struct bearer *bearer, const char *authorization);

#endif
