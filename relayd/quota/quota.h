/*
 * What an active stream may still relay: it spends a lease that was taken from its ledgers in
 * advance, and the next one is asked for before it is used up, so that Redis is waited for only
 * where there is no quota or no Redis. A lease is larger for a faster stream; it goes back when the
 * stream idles, at its end, and when its month is over.
 *
 *   opening ─▶ running ◀─▶ starving (no budget, and bytes wait) ─▶ exhausted
 */
#ifndef OG_RELAYD_QUOTA_QUOTA_H
#define OG_RELAYD_QUOTA_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/redis/redis.h"
#include "relayd/io/deadline.h"
#include "relayd/quota/denial.h"
#include "relayd/quota/ledger.h"

struct stream;

struct quota {
	/* The owner's. */
	void (*opened)(struct quota *quota, enum ledger_verdict verdict);
	void (*renewed)(struct quota *quota);   /* there is budget again, after starving */
	void (*exhausted)(struct quota *quota); /* starving, and the limit is reached */
	struct stream *stream;                  /* borrowed; not used here */
	uint64_t budget;      /* bytes that may be read now: whoever reads them takes them off */
	struct denial denial; /* of an opening that was denied, and once exhausted */
	/* The module's own. */
	struct ledgers *ledgers; /* owned */
	struct list_link link;   /* among all that run */
	struct redis_call call;
	struct deadline deadline; /* until the lease goes back for idleness, or to ask again */
	uint64_t file_left;       /* bytes that may still be leased for this stream at all */
	uint64_t seen;            /* budget when it was last looked at */
	uint64_t spent;           /* bytes since the last call */
	uint64_t asked_ms;        /* time of the last call */
	uint64_t low;             /* budget at which the next lease is asked for */
	unsigned month;           /* of the budget */
	uint8_t openings;         /* calls to open */
	bool running;
	bool starving;
	bool asked_starving; /* the call under way was made so: its denial is final */
	bool retrying;       /* an answer didn't come: the deadline is for asking again */
	bool dry;            /* the last call was denied */
	bool over;           /* exhausted */
};

/* Module; after ledgers and calendar. */
extern const struct daemon_module quota_module;

/* A quota for a stream between PARTIES (copied). */
struct quota *quota_new(const struct party parties[2]);

/*
 * Takes the first lease; opened() is called once, in a later turn. LEDGER_GRANTED: it runs;
 * LEDGER_OVER and LEDGER_FORBIDDEN: see denial; LEDGER_UNKNOWN: Redis did not answer.
 */
void quota_open(struct quota *quota);

/*
 * The stream has moved bytes; STARVING: there is no budget, and bytes wait. May call exhausted(),
 * but not renewed().
 */
void quota_spent(struct quota *quota, bool starving);

/* BYTES that were read and charged were not delivered. */
void quota_refund(struct quota *quota, uint64_t bytes);

/* Gives back what is left, also of a call under way, and frees it; NULL is fine. */
void quota_free(struct quota *quota);

/*
 * Bytes to ask for, after SPENT bytes in ELAPSED_MS: what goes through in half a second, from 1 to
 * 16 times QUANTUM; or more than 16, where that would not last for 50 ms.
 */
uint64_t quota_wish(uint64_t quantum, uint64_t spent, uint64_t elapsed_ms);

#endif
