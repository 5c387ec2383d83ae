/*
 * Secrets that all pushd share, in Redis, sealed with the master key: each under a name, to which
 * it is bound. A call's done runs once, in a later turn, unless vault_forget() came first.
 */
#ifndef OG_PUSHD_CREDENTIAL_VAULT_H
#define OG_PUSHD_CREDENTIAL_VAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/redis/redis.h"

enum vault_result {
	VAULT_DONE,       /* got, with its text; put, removed, locked */
	VAULT_SAME,       /* got: the same as the last time with this call */
	VAULT_NONE,       /* got: there is none; locked: another one has the lock */
	VAULT_UNREADABLE, /* got: it can't be opened with our master key */
	VAULT_REFUSED,    /* put, removed, locked: Redis takes nothing (it is full, a replica) */
	VAULT_AWAY,       /* Redis didn't answer; got: or refused */
};

struct vault_call {
	/* TEXT: what was got (borrowed), else NULL. */
	void (*done)(struct vault_call *call, enum vault_result result, const char *text);
	struct redis_call redis;
	char *name; /* what is being got */
	char *seen; /* what was got last, sealed */
};

/* For the daemon's table of modules, after the storage. */
extern const struct daemon_module vault_module;

/* Tries the master-key-file that is configured: 0, or -1 with *WHY (heap, the caller frees it). */
int vault_check(const char *path, char **why);

/* True with a master key: without one nothing below may be called. */
bool vault_usable(void);

void vault_get(struct vault_call *call, const char *name);

/* Keeps TEXT for LIFE_MS, 0: for good. */
void vault_put(struct vault_call *call, const char *name, const char *text, int64_t life_ms);

void vault_remove(struct vault_call *call, const char *name);

/* Takes the lock NAME, unless another one has it, for LIFE_MS. */
void vault_lock(struct vault_call *call, const char *name, int64_t life_ms);

/* True between a call and its done. */
static inline bool vault_busy(const struct vault_call *call)
{
	return redis_busy(&call->redis);
}

/* Takes CALL back, and forgets what it has seen; fine when idle. */
void vault_forget(struct vault_call *call);

#endif
