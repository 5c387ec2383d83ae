/*
 * A lease: bytes that an active stream may still relay, taken from its ledgers in advance. More are
 * asked for before they are used up, so that a stream waits for Redis only where a limit is reached
 * or Redis is away. A faster stream gets larger leases; what is left goes back when the stream
 * idles, at its end, and when the month is over.
 *
 *   new ─▶ opening ─▶ held ◀──▶ asking ──▶ denied
 *             │        │ ▲        │ ▲          │ the budget is used up
 *             ▼        ▼ │        ▼ │          ▼
 *          refused   starving ◀─▶ retrying   starving ──▶ exhausted
 *
 * Retrying: there was no reply; it leads to asking or, without budget, to starving. The limit of
 * the file itself leads from held to exhausted.
 * Starving: there is no budget, bytes wait, and a denial is final.
 *
 * The ledgers are counters of bytes per month in Redis, for each charged user and its domain, the
 * instance and the whole fleet. Bytes are taken from all of them or from none; the rest of a lease
 * goes back to the month that it was taken in. Redis may have carried out a call whose reply got
 * lost, or may carry it out later. The same call made again gets the reply of the first, one that
 * comes after a later call takes nothing, and freeing the lease also gives back the bytes of such a
 * call, or has it take nothing.
 */
#ifndef OG_RELAYD_QUOTA_LEASE_H
#define OG_RELAYD_QUOTA_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/redis/redis.h"
#include "relayd/io/deadline.h"
#include "relayd/quota/denial.h"

struct ledgers;
struct stream;

struct party {
	const char *user;   /* bare JID */
	const char *domain; /* charged too */
	bool charged;       /* false: recorded, but counted nowhere and without limits */
};

/* What the ledgers say to a call. */
/* clang-format off */
#define LEDGER_VERDICTS(X)                                                                      \
	X(LEDGER_GRANTED,     "granted")                                                        \
	X(LEDGER_OVER,        "over-limit")                                                     \
	X(LEDGER_FORBIDDEN,   "forbidden")                                                      \
	X(LEDGER_OTHER_MONTH, "other-month")                                                    \
	X(LEDGER_UNKNOWN,     "unknown")
/* clang-format on */

#define LEDGER_VERDICT_ENUM(constant, text) constant,
enum ledger_verdict { LEDGER_VERDICTS(LEDGER_VERDICT_ENUM) LEDGER_VERDICT_COUNT };

/* Constant, text, and whether a reply or the time to ask again is waited for. */
/* clang-format off */
#define LEASE_STATES(X)                                                                         \
	X(LEASE_NEW,       "new",       false)                                                  \
	X(LEASE_OPENING,   "opening",   true)                                                   \
	X(LEASE_REFUSED,   "refused",   false)                                                  \
	X(LEASE_HELD,      "held",      false)                                                  \
	X(LEASE_ASKING,    "asking",    true)                                                   \
	X(LEASE_STARVING,  "starving",  true)                                                   \
	X(LEASE_RETRYING,  "retrying",  true)                                                   \
	X(LEASE_DENIED,    "denied",    false)                                                  \
	X(LEASE_EXHAUSTED, "exhausted", false)
/* clang-format on */

#define LEASE_STATE_ENUM(constant, text, asks) constant,
enum lease_state { LEASE_STATES(LEASE_STATE_ENUM) LEASE_STATE_COUNT };

struct lease {
	/* The owner's. */
	void (*opened)(struct lease *lease, enum ledger_verdict verdict);
	void (*renewed)(struct lease *lease);   /* there is budget again for a stream without */
	void (*exhausted)(struct lease *lease); /* no budget, and the limit is reached */
	struct stream *stream;                  /* borrowed; not used here */
	uint64_t budget;      /* bytes that may be read now: lowered by whoever reads them */
	struct denial denial; /* of an opening that was denied, and once exhausted */
	/* The module's own. */
	struct ledgers *ledgers; /* owned */
	struct list_link link;   /* among all that are open */
	struct redis_call call;
	struct deadline deadline; /* until the lease goes back for idleness, or to ask again */
	uint64_t file_left;       /* bytes that may still be leased for this stream at all */
	uint64_t seen;            /* budget when it was last looked at */
	uint64_t spent;           /* bytes since the last call */
	uint64_t asked_ms;        /* time of the last call */
	uint64_t asked;           /* the most that was asked for since the last reply */
	uint64_t low;             /* budget at which more is asked for */
	uint64_t month_spent;     /* bytes since the month changed */
	unsigned month;           /* of the budget */
	unsigned month_before;    /* of the bytes before that; MONTH_NONE: there are none */
	uint8_t months;           /* answers in a row that it is another month */
	uint8_t state;            /* enum lease_state */
	bool stream_waits;        /* there is no budget, and bytes wait */
};

/* Module; after fleet and calendar. The configuration stays borrowed: its limits may change. */
extern const struct daemon_module lease_module;

/*
 * A lease for a stream between PARTIES (copied), whose first bytes are taken. OPENED is called
 * once, in a later turn. LEDGER_GRANTED: the lease is held; LEDGER_OVER and LEDGER_FORBIDDEN: see
 * denial; LEDGER_UNKNOWN: Redis did not answer.
 */
struct lease *lease_open(const struct party parties[2],
                         void (*opened)(struct lease *lease, enum ledger_verdict verdict));

/*
 * The stream has moved bytes; STARVING: there is no budget, and bytes wait. May call exhausted(),
 * but not renewed().
 */
void lease_spent(struct lease *lease, bool starving);

/* Puts back BYTES, the last that were read and charged, since they were not delivered. */
void lease_refund(struct lease *lease, uint64_t bytes);

/*
 * Gives back what is left, also of a call under way, once that has its reply, and frees the lease,
 * whose callbacks aren't called any more; NULL is fine.
 */
void lease_free(struct lease *lease);

#endif
