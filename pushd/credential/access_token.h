/*
 * The bearer token that a credential's requests carry: one that is signed here, or what a token
 * endpoint gave. Providers with the same credential share one: always in this process, and with all
 * other pushd through the sealed store if there is a master key, where one of them makes it and the
 * others take it over. It is renewed before its end, and kept until its end when renewing fails.
 */
#ifndef OG_PUSHD_CREDENTIAL_ACCESS_TOKEN_H
#define OG_PUSHD_CREDENTIAL_ACCESS_TOKEN_H

#include <stdbool.h>

#include "common/base/list.h"
#include "pushd/conf.h"
#include "pushd/credential/material.h"

struct access_token;

enum access_token_state {
	ACCESS_TOKEN_READY,
	ACCESS_TOKEN_WAITING,     /* for Redis, another pushd or the endpoint */
	ACCESS_TOKEN_FAILED,      /* the endpoint refuses to give one; tried again by and by */
	ACCESS_TOKEN_UNREACHABLE, /* the endpoint didn't answer, or had trouble; likewise */
};

struct access_token_watch {
	void (*changed)(struct access_token_watch *watch); /* the state may be another one */
	struct list_link link;
};

/*
 * The token for MATERIAL (held meanwhile; material_has_bearer() is true), and for ORIGIN alone if
 * that isn't NULL. PROVIDER (borrowed) says how its token endpoint is reached.
 */
struct access_token *access_token_open(struct material *material, const char *origin,
                                       const struct conf_provider *provider,
                                       struct access_token_watch *watch);

/* NULL is fine. */
void access_token_close(struct access_token *token, struct access_token_watch *watch);

enum access_token_state access_token_state(struct access_token *token);

/*
 * The text, borrowed until the next turn, and its GENERATION, which no other token of this process
 * has; NULL unless the state is ACCESS_TOKEN_READY.
 */
const char *access_token_text(struct access_token *token, unsigned *generation);

/*
 * The provider refused the token of GENERATION as expired: gets another, unless that has happened
 * already or, for a JWT, the token is younger than one may be when it is replaced.
 */
void access_token_renew(struct access_token *token, unsigned generation);

#endif
