/*
 * What a provider's requests are authorised with: for APNs a client certificate, or a JWT that we
 * sign and renew, for FCM a token from OAuth. It comes from files or from Redis, and may be
 * replaced at any time; watches are told of it.
 */
#ifndef OG_PUSHD_CREDENTIAL_CREDENTIAL_H
#define OG_PUSHD_CREDENTIAL_CREDENTIAL_H

#include <stdbool.h>

#include "common/base/list.h"
#include "pushd/conf.h"

struct credential;
struct material;

enum credential_state {
	CREDENTIAL_READY,       /* there is a bearer token, or a certificate */
	CREDENTIAL_WAITING,     /* one is being fetched */
	CREDENTIAL_FAILED,      /* it was refused; tried again by and by */
	CREDENTIAL_UNREACHABLE, /* who gives it can't be reached; likewise */
	CREDENTIAL_ABSENT,      /* no good files are configured, and none has been set yet */
	CREDENTIAL_INVALID,     /* the certificate has expired, or isn't valid yet */
};

struct credential_watch {
	void (*changed)(struct credential_watch *watch); /* the state or version may be another */
	struct list_link link;
};

/*
 * The credential of PROVIDER (borrowed; one of each); NULL with *WHY (heap, the caller frees
 * it) when its files are at fault and no other one can be set. WATCH is told of changes.
 */
struct credential *credential_open(const struct conf_provider *provider,
                                   struct credential_watch *watch, char **why);

void credential_close(struct credential *credential, struct credential_watch *watch);

/* All that are open, in the order of the providers: NULL for the first, then each; NULL ends. */
struct credential *credential_next(struct credential *credential);

/* The one of the provider ID, or NULL. */
struct credential *credential_find(const char *id);

/* SIGHUP: reads the files of all again; what is at fault or the same changes nothing. */
void credentials_reload(void);

/* True once it is known of each whether one is stored in Redis: what is in use won't surprise. */
bool credentials_settled(void);

/* The name under which the vault keeps what was set for PROVIDER; heap, the caller frees it. */
char *credential_name(const struct conf_provider *provider);

/* Uses MATERIAL, which has been stored in Redis; NULL: what is stored was removed. */
void credential_set(struct credential *credential, struct material *material);

/* What it is made of (borrowed), or NULL. */
const struct material *credential_material(const struct credential *credential);

/* True if it is the one that was set, and is kept in Redis. */
bool credential_is_stored(const struct credential *credential);

const struct conf_provider *credential_provider(const struct credential *credential);

enum credential_state credential_state(struct credential *credential);

/*
 * Which credential it is: another number after each replacement, 0 while there is none. What is
 * under way with the old one may be finished; new connections are needed for the new one.
 */
unsigned credential_version(const struct credential *credential);

/*
 * The client certificate (PEM, with its chain) and its key (PEM), borrowed until the version
 * changes; NULL unless the credential is a certificate, and then there is no bearer token.
 */
const char *credential_certificate(const struct credential *credential);
const char *credential_key(const struct credential *credential);

/*
 * The topic that the certificate is for (the UID of its subject), borrowed until the version
 * changes; NULL without a certificate.
 */
const char *credential_topic(const struct credential *credential);

/*
 * The bearer token, borrowed until the next turn, and its GENERATION (no two tokens of the process
 * have the same); NULL for a certificate, and unless the state is CREDENTIAL_READY.
 */
const char *credential_bearer(struct credential *credential, unsigned *generation);

/*
 * The provider refused the token of GENERATION as expired: gets another, unless that has happened
 * already or the token is younger than one may be when it is replaced.
 */
void credential_renew(struct credential *credential, unsigned generation);

/* The project that the service account belongs to, or NULL; borrowed until the version changes. */
const char *credential_project(const struct credential *credential);

#endif
