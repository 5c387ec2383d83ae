/*
 * TLS (OpenSSL) as a client over a non-blocking socket: TLS 1.2 or newer, and the server's
 * certificate is always verified, with its name. Calls return as their counterparts for sockets do.
 */
#ifndef OG_COMMON_NET_TLS_CLIENT_H
#define OG_COMMON_NET_TLS_CLIENT_H

#include <stddef.h>
#include <sys/types.h>

#include "common/base/buf.h"

struct ssl_ctx_st; /* OpenSSL's */
struct ssl_st;

/*
 * What connections have in common: the authorities of CA_FILE (PEM; NULL: the system's). NULL if
 * the file can't be read, and *WHY (static text) says why.
 */
struct ssl_ctx_st *tls_client_context(const char *ca_file, const char **why);
void tls_client_free_context(struct ssl_ctx_st *context);

/* A connection over FD (borrowed, connected) to the server NAME, a host or a numeric address. */
struct ssl_st *tls_client_new(struct ssl_ctx_st *context, int fd, const char *name);

/* Frees it without a word to the server. NULL is fine. */
void tls_client_free(struct ssl_st *tls);

/*
 * Goes on with the handshake: 1 when it is done; 0 when it waits for *EVENTS (EPOLLIN or EPOLLOUT)
 * of the socket; -1 when it failed, and *WHY (borrowed from OpenSSL) says why.
 */
int tls_client_handshake(struct ssl_st *tls, unsigned *events, const char **why);

/* As recv(): bytes, 0 at the end, -1 with errno, EAGAIN where more has to come. */
ssize_t tls_client_read(struct ssl_st *tls, void *room, size_t size);

/* Bytes that were received and can be read although the socket says nothing. */
size_t tls_client_pending(const struct ssl_st *tls);

/* Sends of BUF what the socket takes, as buf_flush(): 0, or -1 with errno. */
int tls_client_flush(struct ssl_st *tls, struct buf *buf);

#endif
