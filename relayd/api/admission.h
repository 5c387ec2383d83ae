/*
 * Who may become active: with the verifier `limits` a stream needs a first lease. Requests that
 * come for the same stream meanwhile wait for the same answer.
 *
 * The answers are those of POST /v1/streams/{hash}/activate.
 */
#ifndef OG_RELAYD_API_ADMISSION_H
#define OG_RELAYD_API_ADMISSION_H

#include <stdint.h>

#include "relayd/quota/ledger.h"

struct http_request;
struct stream;

/* Module; after quotas. */
extern const struct daemon_module admission_module;

struct wish {
	const struct party *parties; /* two; borrowed for the call */
	char *about;                 /* parties and tag as JSON text (heap), taken over */
	uint32_t deadline_ms;        /* how long the caller waits */
};

/* Answers REQUEST, which is for STREAM, now or when it is known. */
void admission_ask(struct http_request *request, struct stream *stream, struct wish wish);

/* The stream ends: whoever waits for its activation is told so. */
void admission_drop(struct stream *stream);

#endif
