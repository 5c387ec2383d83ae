/*
 * One HTTP/2 session (nghttp2): bytes in, bytes out, and the number of streams that the peer may
 * open, which the session enforces as the real providers do. It sees no socket.
 *
 * The limit starts at 1, or at 1000 for a client that signed in with a certificate. APNs: 1000
 * after a good push, 1 again after any other answer. Google: 100.
 */
#ifndef OG_TESTS_FAKES_SESSION_H
#define OG_TESTS_FAKES_SESSION_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "tests/fakes/client.h"
#include "tests/fakes/provider_token.h"
#include "tests/fakes/service.h"

#define SESSION_STREAMS_APNS 1000
#define SESSION_STREAMS_GOOGLE 100

struct session {
	nghttp2_session *h2;
	struct service *service;
	uint64_t connection;                   /* its number, for the record */
	void (*wake)(struct session *session); /* there is something to send, or an end */
	enum environment environment;
	struct client client; /* owned */

	struct apns_binding binding;
	struct list streams;
	uint64_t requests; /* streams that were ever opened */
	unsigned open;     /* streams that are */

	int32_t last_stream; /* the newest that the peer has opened */
	unsigned limit_wanted, limit_sent;
	unsigned limit_acked; /* what the peer knows it has to keep to */
	bool limit_pending;   /* sent and not yet acknowledged */
	bool google;          /* the peer talks to FCM or to the token endpoint */
	unsigned pings;
	bool goaway; /* a script's GOAWAY was sent: the peer is to close */
	bool silent; /* nothing is answered any more */

	const uint8_t *frame; /* what the last frame still has to send */
	size_t frame_len;
	uint8_t settings[64]; /* a SETTINGS frame with our numbers in it */

	const char *end; /* why the connection has to end; NULL: it goes on */
	bool abrupt;     /* end it without sending what waits */
};

/* Starts a session; all up to client is set, the rest is zero. */
void session_start(struct session *session);

/* Takes bytes from the peer. After it, look at session->end. */
void session_feed(struct session *session, const void *data, size_t len);

/*
 * Puts what there is to send into OUT, at most SIZE bytes; how many. After it, look at
 * session->end.
 */
size_t session_output(struct session *session, char *out, size_t size);

/* Forgets all streams. */
void session_stop(struct session *session);

/* The module's own, for streams: ends the connection; changes how many streams may be open. */
void session_end(struct session *session, const char *reason, bool abrupt);
void session_limit(struct session *session, unsigned streams);

#endif
