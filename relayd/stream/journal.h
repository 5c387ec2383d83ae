/*
 * What is kept of transfers: a record of each one that was activated, and an event where a limit
 * ended it, so that its users are told. Both go to Redis by the outbox; bodies in schemas/relayd.
 */
#ifndef OG_RELAYD_STREAM_JOURNAL_H
#define OG_RELAYD_STREAM_JOURNAL_H

#include <stdint.h>

#include "relayd/wire/socks5.h"

struct denial;

/* A transfer as it stands; borrowed. */
struct journal_transfer {
	const uint8_t *hash; /* SOCKS5_HASH_LEN bytes */
	const char *about;   /* parties and tag as JSON text */
	int64_t started_ms;  /* since 1970 */
	uint64_t bytes[2];   /* delivered, of the first half and of the second */
};

/* TRANSFER ends for REASON (text). */
void journal_ended(const struct journal_transfer *transfer, const char *reason);

/*
 * TRANSFER ends because of DENIAL; no event if its tag doesn't name component, requester and
 * target.
 */
void journal_over_limit(const struct journal_transfer *transfer, const struct denial *denial);

#endif
