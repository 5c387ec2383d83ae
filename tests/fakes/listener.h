/*
 * The TLS listener of the pretend providers: ALPN h2, or HTTP/1.1 for clients that don't ask for
 * h2; or (to test that senders refuse it) no ALPN and no HTTP at all.
 */
#ifndef OG_TESTS_FAKES_LISTENER_H
#define OG_TESTS_FAKES_LISTENER_H

#include <stdbool.h>

#include "common/base/loop.h"
#include "common/net/net.h"
#include "tests/fakes/connection.h"

struct listener {
	struct connection_owner owner; /* its service and environment are set by the caller */
	struct io io;
	struct timer again; /* accepting is paused for want of descriptors */
	union net_address address;
};

struct listener_options {
	union net_address listen;
	const char *certificate; /* PEM files */
	const char *key;
	const char *client_ca; /* of APNs's clients' certificates; NULL: none are asked for */
	bool no_alpn;
	bool tls12; /* nothing newer than TLS 1.2 */
};

/* Starts to listen; 0, or -1 with the reason in WHY (SIZE bytes). */
int listener_start(struct listener *listener, const struct listener_options *options, char *why,
                   size_t size);

/* Ends all connections and stops; does nothing when it was not started. */
void listener_stop(struct listener *listener);

#endif
