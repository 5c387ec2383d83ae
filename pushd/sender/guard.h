/*
 * Whether an accusation against a token may be believed. A wrong project, topic or environment, or
 * a payload that the provider takes offence at, makes every token look dead: so tokens are only
 * dead while most of what is sent with the same credential arrives. Pure but for the time it is
 * told.
 */
#ifndef OG_PUSHD_SENDER_GUARD_H
#define OG_PUSHD_SENDER_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#define GUARD_REMEMBERED 200     /* the last verdicts that count */
#define GUARD_LATELY_MS 3600000  /* how recent the last success has to be */
#define GUARD_ACCUSED_AT_MOST 10 /* one in so many */

struct guard {
	bool accused[GUARD_REMEMBERED];
	unsigned next, count, accusations;
	uint64_t sent_ms; /* the last success; 0: none yet */
};

/* A notification was accepted at NOW_MS. */
void guard_sent(struct guard *guard, uint64_t now_ms);

/* A token was called wrong. */
void guard_accused(struct guard *guard);

/* True while accusations may be believed, that of now among them. */
bool guard_trusts(const struct guard *guard, uint64_t now_ms);

#endif
