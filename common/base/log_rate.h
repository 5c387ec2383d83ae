/*
 * How many lines strangers may cause: 10 a second of each kind. What is more is withheld; a line
 * "lines-withheld what=KIND count=N" tells how many, once a second while there are any.
 */
#ifndef OG_COMMON_BASE_LOG_RATE_H
#define OG_COMMON_BASE_LOG_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"

/* A kind of line, embedded in its owner or static, all zeros but its name. */
struct log_rate {
	const char *what;    /* static: "handshake-refused reason=bad-name" */
	unsigned lines;      /* in this second */
	unsigned withheld;   /* in this second */
	struct timer second; /* runs from the first line until a second brings none */
	struct list_link link;
};

/* Counts a line of this kind; false: it is withheld, and the caller doesn't write it. */
bool log_rate_allows(struct log_rate *rate);

/* How many lines of any kind were withheld since the process started. */
int64_t log_rate_withheld(void);

/* Tells what was withheld and not told yet; RATE is idle after it, and its owner may be freed. */
void log_rate_end(struct log_rate *rate);

/* The same for all kinds. */
void log_rate_stop(void);

#endif
