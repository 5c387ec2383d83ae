/*
 * One HTTP/1.1 session: bytes in, bytes out, one request at a time. Google's front ends speak it
 * beside HTTP/2, to clients that don't ask for h2 in the handshake; APNs doesn't, so a request to
 * APNs ends the connection without an answer. It sees no socket.
 */
#ifndef OG_TESTS_FAKES_HTTP1_H
#define OG_TESTS_FAKES_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "tests/fakes/client.h"
#include "tests/fakes/service.h"

enum http1_state {
	HTTP1_HEAD,      /* the next request's is awaited */
	HTTP1_BODY,      /* as long as Content-Length says */
	HTTP1_CHUNK,     /* a chunk's length, or the last one */
	HTTP1_DATA,      /* a chunk's bytes */
	HTTP1_TRAILER,   /* what stands behind the last chunk */
	HTTP1_ANSWERING, /* the answer is to come later, or never */
};

struct http1 {
	struct service *service;
	uint64_t connection;               /* its number, for the record */
	void (*wake)(struct http1 *http1); /* there is something to send, or an end */
	enum environment environment;
	struct client client; /* owned */

	enum http1_state state;
	struct buf in, out;
	struct request request;
	struct answer answer;
	struct delay delay;
	size_t left;  /* bytes of the body or of the chunk that are to come */
	bool chunked; /* the body comes in chunks */
	bool last;    /* the client asks for the end of the connection behind the answer */
	bool expects; /* it waits for a 100 before the body */
	uint64_t requests;

	const char *end; /* why the connection has to end; NULL: it goes on */
	bool abrupt;     /* end it without sending what waits */
};

/* Starts a session; all up to client is set, the rest is zero. */
void http1_start(struct http1 *http1);

/* Takes bytes from the peer. After it, look at http1->end. */
void http1_feed(struct http1 *http1, const void *data, size_t len);

/* Puts what there is to send into OUT, at most SIZE bytes; how many. */
size_t http1_output(struct http1 *http1, char *out, size_t size);

/* Frees what it holds. */
void http1_stop(struct http1 *http1);

#endif
