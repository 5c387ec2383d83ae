/*
 * One client's connection: TLS (OpenSSL) between the socket and an HTTP/2 or HTTP/1.1 session. It
 * frees itself when it ends.
 *
 *   handshake ── h2 agreed on ──> open ── an end by either side ──> freed
 *       ├─ no h2 ──> HTTP/1.1 ── the same ──> freed
 *       └─ no HTTP is served ──> waits to see whether the client sends all the same ──> freed
 */
#ifndef OG_TESTS_FAKES_CONNECTION_H
#define OG_TESTS_FAKES_CONNECTION_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/net/linger.h"
#include "common/net/net.h"
#include "tests/fakes/service.h"

struct connection;

/* Whose connections they are. */
struct connection_owner {
	struct service *service;
	SSL_CTX *tls;
	enum environment environment; /* which of Apple's it plays */
	bool no_http;                 /* TLS and nothing else */
	struct list connections;
	struct lingers lingers; /* they ended within TLS, by an alert that the client is to read */
	uint64_t count;         /* how many ever: numbers them */
};

/* Takes over FD, which was accepted from CLIENT. */
void connection_open(struct connection_owner *owner, int fd, const union net_address *client);

/* Ends all connections of OWNER. */
void connection_close_all(struct connection_owner *owner);

#endif
