/*
 * What a pretend provider does about one request: an HTTP answer, or one of the faults that a
 * script can ask for.
 */
#ifndef OG_TESTS_FAKES_ANSWER_H
#define OG_TESTS_FAKES_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"

enum fault {
	FAULT_NONE,   /* a normal answer */
	FAULT_RST,    /* RST_STREAM */
	FAULT_GOAWAY, /* GOAWAY; streams up to its last one are still answered */
	FAULT_CLOSE,  /* the connection ends without a word */
	FAULT_SILENT, /* no answer ever */
	FAULTS
};

/* "none", "rst", "goaway", "close", "silent"; ended by NULL. */
extern const char *const fault_names[];

#define ANSWER_LAST_BEFORE (-1) /* goaway_last: the stream before this one */

struct answer {
	unsigned status;
	char reason[48];  /* APNs's reason, FCM's or OAuth's error code; "" without */
	char id[40];      /* the header apns-id; "" without */
	const char *type; /* the header content-type, static; NULL without */
	struct buf extra; /* a block of more headers */
	struct buf body;

	enum fault fault;
	uint32_t error_code; /* of RST_STREAM or GOAWAY, RFC 9113 section 7 */
	int32_t goaway_last; /* last stream that was processed, or ANSWER_LAST_BEFORE */
	struct buf debug;    /* GOAWAY's debug data */
	bool goaway_silent;  /* after it the connection stays open and nothing is answered */
	uint32_t delay_ms;   /* before any of it happens */
};

/* Frees what it holds; it may be used again. */
void answer_release(struct answer *answer);

#endif
