/*
 * What a provider's requests are authorised with: for APNs a JWT that we sign and renew, for FCM a
 * token from OAuth. Providers that name the same files share one.
 */
#ifndef OG_PUSHD_CREDENTIAL_H
#define OG_PUSHD_CREDENTIAL_H

#include <stdbool.h>

#include "common/list.h"
#include "pushd/conf.h"

struct credential;

enum credential_state {
	CREDENTIAL_READY,   /* there is a bearer token */
	CREDENTIAL_WAITING, /* one is being fetched */
	CREDENTIAL_FAILED,  /* it could not be fetched; tried again by and by */
};

struct credential_watch {
	void (*changed)(struct credential_watch *watch); /* the state may be another one */
	struct list_link link;
};

/* Tries what PROVIDER names without using it: 0, or -1 with *WHY (heap, the caller frees it). */
int credential_check(const struct conf_provider *provider, char **why);

/*
 * The credential of PROVIDER; NULL with *WHY (heap, the caller frees it). WATCH is told of changes.
 */
struct credential *credential_open(const struct conf_provider *provider,
                                   struct credential_watch *watch, char **why);

void credential_close(struct credential *credential, struct credential_watch *watch);

enum credential_state credential_state(struct credential *credential);

/*
 * The bearer token, borrowed until the next turn, and its GENERATION; NULL unless the state is
 * CREDENTIAL_READY.
 */
const char *credential_bearer(struct credential *credential, unsigned *generation);

/*
 * The provider refused the token of GENERATION as expired: gets another, unless that has happened
 * already or the token is younger than one may be when it is replaced.
 */
void credential_renew(struct credential *credential, unsigned generation);

/* The project that the service account belongs to, or NULL. */
const char *credential_project(const struct credential *credential);

#endif
