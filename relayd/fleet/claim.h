/*
 * Which relay owns a hash: the first to set the key claim:HASH in Redis, to "ID EPOCH". The claim
 * is renewed while its stream waits, runs out by itself once the stream is active, and is removed
 * at the stream's end if it is still this relay's. Without Redis every claim is granted.
 */
#ifndef OG_RELAYD_FLEET_CLAIM_H
#define OG_RELAYD_FLEET_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/redis/redis.h"
#include "relayd/wire/socks5.h"

enum claim_outcome {
	CLAIM_OURS,
	CLAIM_ELSEWHERE,
	CLAIM_UNKNOWN, /* Redis didn't answer */
};

/* The relay that owns a hash, of CLAIM_ELSEWHERE; borrowed. */
struct claim_owner {
	const char *id;
	const char *peering; /* "host:port"; NULL if its record doesn't say, or isn't the fleet's */
};

/* Embedded in its owner; all zeros before claim_take(). */
struct claim {
	/* Called once, in a later turn, unless claim_drop() comes first; OWNER may be NULL. */
	void (*settled)(struct claim *claim, enum claim_outcome outcome,
	                const struct claim_owner *owner);
	/* Another relay has got the hash, although it was ours. */
	void (*lost)(struct claim *claim);
	struct redis_call call;
	struct list_link renewed; /* among those that are renewed */
	const uint8_t *hash;      /* SOCKS5_HASH_LEN bytes of the owner's */
};

/* Module; after the fleet. */
extern const struct daemon_module claim_module;

/* Claims claim->hash. True: it is ours already; false: settled() will be called. */
bool claim_take(struct claim *claim);

/* Stops renewing: the stream is active. */
void claim_rest(struct claim *claim);

/* Gives the claim up: nothing is called any more. */
void claim_drop(struct claim *claim);

#endif
