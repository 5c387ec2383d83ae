/*
 * One stream: a request as it comes in, and what is done about it, now or after a delay.
 */
#ifndef OG_TESTS_FAKES_STREAM_H
#define OG_TESTS_FAKES_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "tests/fakes/answer.h"
#include "tests/fakes/h2_request.h"
#include "tests/fakes/request.h"
#include "tests/fakes/session.h"

struct stream {
	struct list_link link;
	struct session *session;
	int32_t id;
	struct h2_request form;
	struct request request;
	struct answer answer;
	size_t body_sent; /* of the answer */
	struct delay delay;
};

/* A stream of SESSION, in its list. */
struct stream *stream_new(struct session *session, int32_t id);

/* The request has come in full: answers it, or starts the delay that a script wants. */
void stream_complete(struct stream *stream);

/* Takes it out of its session's list and frees it. */
void stream_free(struct stream *stream);

#endif
