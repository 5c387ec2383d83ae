/*
 * HTTP requests on the loop (libcurl, multi_socket). A pool is a set of kept connections with the
 * same settings; requests given to it share them. HTTP/1.1 keep-alive or HTTP/2 multiplexed.
 */
#ifndef OG_COMMON_HTTP_HTTP_CLIENT_H
#define OG_COMMON_HTTP_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"

struct http_pool;

/* Who is told of what happens to a pool; embedded in its owner. */
struct http_pool_watch {
	/*
	 * The server said that a connection of the pool takes no more requests (HTTP/2's GOAWAY,
	 * RFC 9113 section 6.8), and there are calls under way; it may answer those or leave them
	 * to their timeout. Those that it refused go over another connection by themselves. It runs
	 * in a turn of its own, where the pool may be freed and calls sent and released.
	 */
	void (*draining)(struct http_pool_watch *watch);
};

struct http_pool_options {
	bool http2;           /* TLS with h2 only: nothing is sent to a server without h2 */
	bool http1_too;       /* with http2: HTTP/1.1 where the server has no h2 */
	unsigned connections; /* most connections to one host; 0: 16 */
	unsigned streams;     /* HTTP/2: most requests on one connection at once; 0: 1000 */
	const char *ca_file;  /* PEM to trust instead of the system's; NULL: the system's; copied */
	const char *certificate; /* client certificate and key, PEM in memory; NULL: none; copied */
	const char *key;
	const char *proxy; /* http://[USER:PASSWORD@]HOST:PORT to tunnel through (CONNECT); NULL:
	                      none; copied. https URLs only */
	struct http_pool_watch *watch; /* NULL: nobody; borrowed until http_pool_free() */
};

enum http_failure {
	HTTP_OK, /* a status was received; the body may be truncated if the connection broke */
	HTTP_UNREACHABLE, /* no connection, or none on which it was read: it was not processed */
	HTTP_NOT_H2,      /* the server doesn't speak h2: nothing was sent */
	HTTP_UNTRUSTED,   /* TLS failed: nothing was sent */
	HTTP_CERTIFICATE, /* the server refused our certificate by an alert of TLS (RFC 8446, 6.2),
	                     which error names: nothing was processed */
	HTTP_TIMED_OUT,   /* no answer in time: unknown whether it was processed */
	HTTP_BROKEN,      /* the connection ended in the middle: unknown whether it was processed */
	HTTP_REFUSED,     /* the server refused each attempt: it was not processed */
	HTTP_TOO_LARGE,   /* the answer is longer than response_max */
};

struct http_call {
	/* In: set before http_send(). Strings and body stay in place until done. */
	void (*done)(struct http_call *call);
	const char *method;
	const char *url;
	const char *const *headers; /* "name: value", ended by NULL; NULL: none */
	const char *body;
	size_t body_len;
	uint32_t timeout_ms; /* of the whole call, from http_send() to done; not 0 */
	size_t response_max; /* bytes of the answer's body that are accepted; 0: 64 KiB */
	/* Out: valid in done and until the call is sent again or released. */
	enum http_failure failure;
	unsigned status;
	const char *response; /* NUL behind it; "" without one */
	size_t response_len;
	char error[128]; /* what libcurl said of a failure */
	/*
	 * Beside a failure: the connection ended after our certificate was shown and before the
	 * server said anything. Some servers refuse a certificate like that, without an alert.
	 */
	bool at_certificate;
	/* The module's own. */
	struct http_transfer *transfer;
};

struct http_pool *http_pool_new(const struct http_pool_options *options);

/* Closes its connections; done doesn't run for calls under way. */
void http_pool_free(struct http_pool *pool);

/* Sends; done runs once in a later turn unless http_release() came first. CALL must be idle. */
void http_send(struct http_pool *pool, struct http_call *call);

/*
 * True when the request has begun to go out. Until then it may be released and sent on another
 * pool: nothing was processed.
 */
bool http_begun(const struct http_call *call);

/* A header of the answer (NAME in any case), or NULL. Only valid while status and response are. */
const char *http_response_header(struct http_call *call, const char *name);

/* Forgets a call that is under way and frees what it holds; fine when idle. Also after done. */
void http_release(struct http_call *call);

/* The text for a failure, for logs and metrics: "unreachable" … */
const char *http_failure_name(enum http_failure failure);

/* The names and versions of the library and of the libraries that it uses (static). */
const char *http_client_version(void);

#endif
