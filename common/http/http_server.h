/*
 * A small HTTP/1.1 server (libmicrohttpd on the loop): routes in a table, bearer token, capped
 * bodies, JSON in and out. A handler answers now or later: until it has answered, the connection is
 * suspended. Every failure is a JSON object {"error": code, "message": text}.
 */
#ifndef OG_COMMON_HTTP_HTTP_SERVER_H
#define OG_COMMON_HTTP_HTTP_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/http/http_route.h"
#include "common/net/net.h"

struct http_request;
struct http_server;

struct http_server_options {
	const struct http_route *routes; /* ended by an empty row; borrowed */
	union net_address listen;
	const char *token;      /* bearer token; NULL: every route is open; borrowed for the call */
	const char *token_also; /* one that is accepted, too; NULL or "": none; likewise */
	size_t body_max;        /* bytes */
	/*
	 * 0: 1000. Above it the connection is closed that has sent no complete request for the
	 * longest time, so slow clients don't keep others out.
	 */
	unsigned connection_max;
	unsigned idle_s; /* keep-alive connections that are silent this long are closed; 0: 60 */
	const char *certificate; /* for TLS: PEM of the chain; borrowed for the call; NULL: plain */
	const char *key;         /* PEM, likewise */
	void *context;           /* the owner, for handlers: http_context() */
};

/* Starts to listen. NULL with *WHY (heap, the caller frees it) on failure. */
struct http_server *http_server_new(const struct http_server_options *options, char **why);

/*
 * The same on the address TEXT ("host:port" with a numeric host), for the start of a daemon: logs
 * "listening what=WHAT address=…", or why it fails. options->listen is set here.
 */
struct http_server *http_server_listen(struct http_server_options *options, const char *what,
                                       const char *text);

/*
 * Uses another certificate and key (PEM; borrowed for the call) for new connections. Existing ones
 * finish the request that they have begun and are closed. Returns 0, or -1 with *WHY (heap) if
 * certificate and key don't fit each other: then nothing changes.
 */
int http_server_renew(struct http_server *server, const char *certificate, const char *key,
                      char **why);

/* Where it listens (the port that the kernel chose). */
const union net_address *http_server_address(const struct http_server *server);

/* Stops; suspended requests are answered 503 first. */
void http_server_free(struct http_server *server);

void *http_context(const struct http_request *request);

/* The text that the Nth {…} of the route matched, percent-decoded. */
const char *http_param(const struct http_request *request, unsigned n);

/* A query parameter, percent-decoded, or NULL. */
const char *http_query(const struct http_request *request, const char *name);

/*
 * Reads the query parameter `limit`, the most rows of a page: 1 to 1000, 100 without it. False
 * after answering 400.
 */
bool http_query_page(struct http_request *request, size_t *limit);

/*
 * A request header that may come in several lines (RFC 9110, section 5.3): their values in order,
 * with ", " between them; "" without one. Heap, the caller frees it.
 */
char *http_header_list(const struct http_request *request, const char *name);

/* The client's address. */
const union net_address *http_client_address(const struct http_request *request);

/* The body as it came (NUL behind it; "" without one). */
const char *http_body(const struct http_request *request, size_t *len);

/*
 * The body parsed as JSON, owned by the request. If it isn't JSON, the request is answered 400 and
 * NULL is returned: the handler just returns.
 */
const json_t *http_body_json(struct http_request *request);

/*
 * Where a handler that answers later keeps its state; RELEASE (may be NULL) runs once when the
 * request ends, also without an answer (the server is freed): don't touch REQUEST after it.
 */
void http_attach(struct http_request *request, void *state, void (*release)(void *state));

/* Each request is answered exactly once, by one of these; don't touch REQUEST after it. */
void http_reply(struct http_request *request, unsigned status,
                json_t *body); /* takes BODY; NULL: empty */
void http_reply_text(struct http_request *request, unsigned status, const char *type,
                     char *text); /* takes TEXT; NULL: empty */
void http_fail(struct http_request *request, unsigned status, const char *code, const char *format,
               ...) __attribute__((format(printf, 4, 5)));

/* Adds a header to the answer that was just given, in the same turn of the loop. */
void http_answer_header(struct http_request *request, const char *name, const char *value);

/* The library's name and version (static). */
const char *http_server_version(void);

#endif
