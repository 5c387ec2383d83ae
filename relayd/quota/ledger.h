/*
 * The ledgers of one stream: a byte counter for each user, each domain, the instance and all, per
 * month, in Redis. Bytes are taken from all of them or from none, in advance (a lease), and what is
 * left of a lease goes back to the month that it was taken in.
 *
 * A call may have been carried out although its answer got lost: making the same call again gets
 * that answer, and giving the lease back for good also gives back what such a call had taken.
 */
#ifndef OG_RELAYD_QUOTA_LEDGER_H
#define OG_RELAYD_QUOTA_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/redis/redis.h"

#define LEDGERS_MAX 6

struct relay_conf;

struct party {
	const char *user;   /* bare JID */
	const char *domain; /* it is charged too */
};

struct ledgers {
	char *names[LEDGERS_MAX];    /* "user:a@b" and "domain:b", owned; "instance:ID"; "global" */
	int64_t limits[LEDGERS_MAX]; /* bytes a month; 0: none; known once it is open */
	int64_t file_limit;          /* bytes of this stream; 0: none; likewise */
	uint64_t lease;              /* names the lease's key in Redis */
	uint32_t calls;              /* answers that took something: 0 until it is open */
	uint8_t count;
	uint8_t accounts[4]; /* whose names are of the first user, its domain, the second, its */
};

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

struct ledger_answer {
	enum ledger_verdict verdict;
	int64_t bytes;      /* granted */
	unsigned month;     /* that they were taken in */
	const char *ledger; /* over its limit, or forbidden; of LEDGERS; NULL otherwise */
	int64_t limit;      /* of it */
};

/* Module; after the store and the calendar. CONFIG stays in place: limits may change in it. */
extern const struct daemon_module ledger_module;

/* The ledgers that both PARTIES (copied) and this relay share; to be opened. */
struct ledgers *ledger_new(const struct party parties[2]);

/* Frees it; what was taken and not given back stays taken. NULL is fine. */
void ledger_free(struct ledgers *ledgers);

/* Asks for the limits and for a first lease of at most WANTED bytes. */
void ledger_open(struct ledgers *ledgers, struct redis_call *call, int64_t wanted);

/* Asks for another lease of at most WANTED bytes; or, after LEDGER_UNKNOWN, for the same again. */
void ledger_take(struct ledgers *ledgers, struct redis_call *call, int64_t wanted);

/*
 * Reads the answer to the one or the other (of the first, the limits too). The calendar has been
 * set if it is another month.
 */
struct ledger_answer ledger_read(struct ledgers *ledgers, const struct redisReply *reply);

/* Gives BYTES back that were taken in MONTH; LAST: the lease is over, also what is unknown. */
void ledger_give_back(const struct ledgers *ledgers, unsigned month, uint64_t bytes, bool last);

#endif
