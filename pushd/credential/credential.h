/*
 * What a provider's requests are authorised with: a client certificate, or bearer tokens that are
 * signed here or got from a token endpoint. It comes from a file or from Redis, and may be replaced
 * at any time; a watch is told of it.
 */
#ifndef OG_PUSHD_CREDENTIAL_CREDENTIAL_H
#define OG_PUSHD_CREDENTIAL_CREDENTIAL_H

#include <stdbool.h>

#include "common/base/list.h"
#include "pushd/conf.h"

struct credential;
struct credential_wanted;
struct material;

enum credential_state {
	CREDENTIAL_READY,       /* there is a bearer token, or a certificate */
	CREDENTIAL_WAITING,     /* one is being fetched, or Redis hasn't said if one is stored */
	CREDENTIAL_FAILED,      /* the token endpoint refuses to give one; tried again later */
	CREDENTIAL_UNREACHABLE, /* the token endpoint can't be reached; tried again later */
	CREDENTIAL_ABSENT,      /* no usable file is configured, and none was set by the API */
	CREDENTIAL_INVALID,     /* the certificate has expired, or isn't valid yet */
};

struct credential_watch {
	void (*changed)(struct credential_watch *watch); /* the state or version may have changed */
};

/* Fills WANTED, all zeros, with what PROVIDER's configuration says now. */
typedef void credential_describer(const struct conf_provider *provider,
                                  struct credential_wanted *wanted);

/*
 * The credential of PROVIDER (borrowed; one of each, and one for calls alone), of which DESCRIBE
 * says what it must be; NULL with *WHY (heap, the caller frees it) if its file is faulty and none
 * can be set by the API. WATCH is told of changes.
 */
struct credential *credential_open(const struct conf_provider *provider,
                                   credential_describer *describe, struct credential_watch *watch,
                                   char **why);

void credential_close(struct credential *credential);

/* All that are open, in the order of the providers: NULL for the first, then each; NULL ends. */
struct credential *credential_next(struct credential *credential);

/* The one of the provider ID, or NULL; never that for calls alone. */
struct credential *credential_find(const char *id);

/* The one of the provider ID for calls alone, or NULL; without a file it has no material. */
struct credential *credential_find_for_calls(const char *id);

/* True if it is used for calls alone. */
bool credential_is_for_calls(const struct credential *credential);

/* SIGHUP: reads all files again. A file that is faulty or unchanged changes nothing. */
void credentials_reload(void);

/* True once Redis has said of each provider whether a credential is stored there. */
bool credentials_settled(void);

/* The name of what was set for PROVIDER in the sealed store; heap, the caller frees it. */
char *credential_name(const struct conf_provider *provider);

/* Uses MATERIAL, which has been stored in Redis; NULL: what is stored was removed. */
void credential_set(struct credential *credential, struct material *material);

/* What it must be; the texts are borrowed from the configuration. */
void credential_wants(const struct credential *credential, struct credential_wanted *wanted);

/* What it is made of, borrowed until the version changes, or NULL. */
const struct material *credential_material(const struct credential *credential);

/* Where it comes from: the key that names its file (static text), or "redis". */
const char *credential_place(const struct credential *credential);

/* True if it is the one that was set, and is kept in Redis. */
bool credential_is_stored(const struct credential *credential);

/*
 * What was wrong with its file when that was read last, borrowed until the next SIGHUP; NULL:
 * nothing, or there is no file.
 */
const char *credential_file_fault(const struct credential *credential);

const struct conf_provider *credential_provider(const struct credential *credential);

/* Of the bearer token for ORIGIN, where each has its own; NULL: of none in particular. */
enum credential_state credential_state(struct credential *credential, const char *origin);

/*
 * Which credential it is: another number after each replacement, 0 while there is none. What is
 * under way with the old one may be finished; new connections are needed for the new one.
 */
unsigned credential_version(const struct credential *credential);

/*
 * The bearer token for ORIGIN, borrowed until the next turn, and its GENERATION (no two tokens of
 * the process have the same); NULL for a certificate, and unless the state is CREDENTIAL_READY.
 */
const char *credential_bearer(struct credential *credential, const char *origin,
                              unsigned *generation);

/*
 * The provider refused the token of GENERATION as expired: gets another, unless that has happened
 * already or the token is younger than one may be when it is replaced.
 */
void credential_renew(struct credential *credential, const char *origin, unsigned generation);

/* Frees the token for ORIGIN, if it has one of its own: nothing is sent there any more. */
void credential_forget(struct credential *credential, const char *origin);

/*
 * Reads the file that WANTED names without keeping it: 0, or -1 with *WHY (heap, the caller frees
 * it) if pushd should not start. An expired certificate is no reason, since the other providers
 * would not start either. If a credential is SETTABLE by the API, the file may be missing or
 * faulty, since a good one may be in Redis.
 */
int credential_check(const struct credential_wanted *wanted, bool settable, char **why);

/* The same for -n: -1 for anything that is wrong with the file now. */
int credential_check_file(const struct credential_wanted *wanted, char **why);

#endif
