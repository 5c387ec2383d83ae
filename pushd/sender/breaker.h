/*
 * Keeps us from hammering a provider that can't be reached or refuses our credential. A failed
 * connection is followed by a short pause. After a few in a row, or at once when trying again can't
 * help, the breaker opens: everything is refused until a longer pause ends, and the next
 * notification is the probe that closes it or opens it again.
 *
 *   closed ──▶ pausing (100, 200 ms) ──▶ closed
 *      │           │ third failure in a row, or credential refused
 *      └───────────┴──▶ open (1 to 60 s) ──▶ probing ──▶ closed, or open for twice as long
 */
#ifndef OG_PUSHD_SENDER_BREAKER_H
#define OG_PUSHD_SENDER_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/backoff.h"
#include "common/base/loop.h"

/* What opened it. */
enum breaker_fault {
	BREAKER_UNREACHABLE, /* connecting fails, or what answers isn't the provider */
	BREAKER_CREDENTIAL,  /* the provider refuses our credential, or there is none */
};

/* "unreachable", "credential". */
extern const char *const breaker_fault_names[];

#define BREAKER_REASON_SIZE 64

struct breaker {
	void (*passed)(struct breaker *breaker); /* a pause has ended: set before breaker_init() */
	struct timer pause;
	bool open;
	enum breaker_fault fault; /* of the last opening */
	unsigned strikes;         /* connections that failed in a row */
	int64_t since_ms;         /* since 1970: no success since it opened then; 0: all is well */
	char reason[BREAKER_REASON_SIZE]; /* of the last opening, as the log has it */
	struct backoff backoff;
};

/* Closed at first. */
void breaker_init(struct breaker *breaker);

void breaker_release(struct breaker *breaker);

/* Opens it for REASON (copied); returns how long it stays open, in milliseconds. */
uint32_t breaker_open(struct breaker *breaker, enum breaker_fault fault, const char *reason);

/*
 * A connection failed. Requests that fail with it count once. True: too many failed, so the caller
 * has to open the breaker.
 */
bool breaker_strike(struct breaker *breaker);

/* A request was answered. True if the breaker was probing: the provider works again. */
bool breaker_success(struct breaker *breaker);

/* Ends a pause early: the reason for it may have gone. */
void breaker_retry(struct breaker *breaker);

/* True while nothing may be sent. */
static inline bool breaker_pausing(const struct breaker *breaker)
{
	return timer_active(&breaker->pause);
}

/* True when the next one shows whether it works again. */
static inline bool breaker_probing(const struct breaker *breaker)
{
	return breaker->backoff.current_ms != 0;
}

#endif
