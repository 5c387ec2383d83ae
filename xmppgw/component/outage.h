/*
 * Why a link's connection ended, how long the next attempt waits, and what is logged of it: one
 * line when the link goes down, while the attempts that fail for the same reason are told at debug
 * level.
 */
#ifndef OG_XMPPGW_COMPONENT_OUTAGE_H
#define OG_XMPPGW_COMPONENT_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/backoff.h"

enum outage_reason {
	OUTAGE_NAME,     /* the server's name was not resolved */
	OUTAGE_CONNECT,  /* no address took the connection */
	OUTAGE_TIMEOUT,  /* the server didn't say what was due */
	OUTAGE_LOST,     /* the connection broke */
	OUTAGE_CLOSED,   /* the server closed it */
	OUTAGE_CONFLICT, /* stream error: another connection has our name */
	OUTAGE_REFUSED,  /* stream error: wrong secret or unknown domain */
	OUTAGE_ERROR,    /* any other stream error */
	OUTAGE_XML,      /* what came can't be read */
	OUTAGE_SLOW,     /* the server doesn't read */
	OUTAGE_REASONS,
};

struct outage {
	struct backoff backoff;
	bool fresh; /* the next attempt is made at once */
	int logged; /* the reason that was logged last; -1: none */
};

void outage_init(struct outage *outage);

/* The stream of COMPONENT is up: the next end of it is news. */
void outage_over(struct outage *outage);

/*
 * COMPONENT's connection ended because of REASON after its stream was up for UP_MS (0: it never
 * was). Returns how many milliseconds to wait: none the first time, then 1, 2, 4 to 30 s with
 * jitter, and longer where the server's refusal asks for it.
 */
uint32_t outage_begin(struct outage *outage, const char *component, enum outage_reason reason,
                      const char *detail, uint64_t up_ms);

void outage_metrics(void);

#endif
