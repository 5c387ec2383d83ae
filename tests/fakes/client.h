/*
 * The certificate with which a client of pretend APNs signs in, as Apple issues them: the subject's
 * UID is the topic, an extension marks the environment that it is for.
 */
#ifndef OG_TESTS_FAKES_CLIENT_H
#define OG_TESTS_FAKES_CLIENT_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "tests/fakes/request.h"

/* All zeros: it showed none. */
struct client {
	bool present;
	bool trusted;              /* signed by the CA for clients, and in its time */
	bool marked[ENVIRONMENTS]; /* for what it says it is; for all if for none */
	char *topic;               /* heap, owned; "" without a UID */
};

/* Reads what the peer of TLS has shown, once the handshake is done. */
void client_read(struct client *client, const SSL *tls);

/* True if it may be used in ENVIRONMENT. */
bool client_fits(const struct client *client, enum environment environment);

/* Frees what it holds. */
void client_release(struct client *client);

#endif
