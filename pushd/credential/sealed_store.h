/*
 * Secrets that all pushd share: in Redis, sealed with the master key (AES-256-GCM), each bound to
 * its name, so that a sealed text can't be put in another's place. A call's done runs once, in a
 * later turn, unless sealed_store_forget() came first.
 */
#ifndef OG_PUSHD_CREDENTIAL_SEALED_STORE_H
#define OG_PUSHD_CREDENTIAL_SEALED_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/redis/redis.h"

enum sealed_store_result {
	SEALED_DONE,        /* get: here is the text; put, remove, lock: done */
	SEALED_SAME,        /* get: unchanged since the last get of this call */
	SEALED_NONE,        /* get: there is none; lock: another pushd has it */
	SEALED_UNREADABLE,  /* get: it was sealed with another master key, or tampered with */
	SEALED_REFUSED,     /* put, remove, lock: Redis refuses writes (full, or a replica) */
	SEALED_UNAVAILABLE, /* Redis didn't answer; get: or refused */
};

struct sealed_store_call {
	/* TEXT: what was got (borrowed), else NULL. */
	void (*done)(struct sealed_store_call *call, enum sealed_store_result result,
	             const char *text);
	struct redis_call redis;
	char *name; /* what is being got */
	char *seen; /* what was got last, sealed */
	struct redis_call reseal;
	char *anew; /* what SEEN becomes, sealed with the first key; NULL: it stays */
};

/* For the daemon's table of modules, after the db. */
extern const struct daemon_module sealed_store_module;

/* Tries the master key in the file PATH: 0, or -1 with *WHY: "PATH …" (heap, the caller's). */
int sealed_store_check(const char *path, char **why);

/* True with a master key: without one nothing below may be called. */
bool sealed_store_usable(void);

/*
 * Gets what NAME stands for. What only master-key-file-also opens is sealed anew with the first
 * key, unless it was replaced meanwhile; its life stays.
 */
void sealed_store_get(struct sealed_store_call *call, const char *name);

/* Keeps TEXT for LIFE_MS, 0: for good. */
void sealed_store_put(struct sealed_store_call *call, const char *name, const char *text,
                      int64_t life_ms);

void sealed_store_remove(struct sealed_store_call *call, const char *name);

/* Takes the lock NAME, unless another one has it, for LIFE_MS. */
void sealed_store_lock(struct sealed_store_call *call, const char *name, int64_t life_ms);

/* True between a call and its done. */
static inline bool sealed_store_busy(const struct sealed_store_call *call)
{
	return redis_busy(&call->redis);
}

/* Cancels CALL, and forgets the text that it got last; fine when idle. */
void sealed_store_forget(struct sealed_store_call *call);

#endif
