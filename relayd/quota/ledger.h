/*
 * The ledgers of one stream: counters of bytes per month in Redis, for each user, each domain, the
 * instance and the whole fleet. Bytes are taken from all of them or from none, in advance (a
 * lease); the rest of a lease goes back to the month that it was taken in.
 *
 * Redis may have carried out a call whose reply got lost. The same call made again gets the reply
 * of the first, and giving the lease back for good also gives back the bytes of such a call.
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
	const char *domain; /* charged too */
};

struct ledgers {
	char *names[LEDGERS_MAX];    /* "user:a@b" and "domain:b", owned; "instance:ID"; "global" */
	int64_t limits[LEDGERS_MAX]; /* bytes a month; 0: none; known after the opening */
	int64_t file_limit;          /* bytes of this stream; 0: none; known likewise */
	uint64_t lease;              /* its number: part of the lease's key in Redis */
	uint32_t calls;              /* calls that were granted; 0 before the opening */
	uint8_t count;
	uint8_t accounts[4]; /* places of the first user, its domain, the second user, its domain */
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
	int64_t bytes;  /* granted */
	unsigned month; /* in which they were taken */
	const char
	        *ledger; /* that is over its limit or forbidden, borrowed from LEDGERS; or NULL */
	int64_t limit;   /* of that ledger */
};

/* Module; after fleet and calendar. The configuration stays borrowed: its limits may change. */
extern const struct daemon_module ledger_module;

/* The ledgers of both PARTIES (copied) and of this relay; ledger_open() comes next. */
struct ledgers *ledger_new(const struct party parties[2]);

/* Frees them; bytes that were taken and not given back stay taken. NULL is fine. */
void ledger_free(struct ledgers *ledgers);

/* Asks for the limits and for a first lease of at most WANTED bytes. */
void ledger_open(struct ledgers *ledgers, struct redis_call *call, int64_t wanted);

/* Asks for another lease of at most WANTED bytes; after LEDGER_UNKNOWN it repeats that call. */
void ledger_take(struct ledgers *ledgers, struct redis_call *call, int64_t wanted);

/*
 * Reads the reply to either call; the first one's has the limits too. If the reply says that it is
 * another month, the calendar is set.
 */
struct ledger_answer ledger_read(struct ledgers *ledgers, const struct redisReply *reply);

/* Gives back BYTES that were taken in MONTH; LAST: also those of a call whose reply got lost. */
void ledger_give_back(const struct ledgers *ledgers, unsigned month, uint64_t bytes, bool last);

#endif
