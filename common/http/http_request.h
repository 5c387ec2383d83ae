/*
 * A request inside the server: what http_server.c, which knows the library, and http_request.c,
 * which reads and answers for handlers, have in common. Nobody else includes this.
 */
#ifndef OG_COMMON_HTTP_HTTP_REQUEST_H
#define OG_COMMON_HTTP_HTTP_REQUEST_H

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/http/bearer.h"
#include "common/http/http_server.h"

struct MHD_Connection;
struct MHD_Response;

/* What a server serves, and to whom. */
struct http_service {
	const struct http_route *routes;
	void *context;
	size_t body_max;
	struct bearer bearer;
	bool stopping;
};

struct http_request {
	struct http_server *server;
	const struct http_service *service;
	struct MHD_Connection *connection;
	struct client *client;
	const struct http_route *route;
	char *path; /* percent-encoded, with the query */
	char *params[HTTP_PARAMS_MAX];
	bool begun;                    /* the headers were judged */
	struct buf body;               /* with a NUL once it is whole */
	json_t *json;                  /* the body, once it was asked for */
	unsigned status;               /* of RESPONSE */
	struct MHD_Response *response; /* NULL: not answered yet */
	struct list_link link;         /* in waiting or answered; in none inside on_request() */
	void *state;
	void (*release)(void *state);
};

/* A request header's value as it came (borrowed), the first of several; NULL without one. */
const char *http_header(const struct http_request *request, const char *name);

/* The headers have come: answers at once what can't be served whatever the body. */
void http_request_judge(struct http_request *request, const char *method);

/* Hands it to its handler, now that the body is whole. */
void http_request_serve(struct http_request *request);

/* Frees it and what it holds, but not what belongs to the library. */
void http_request_free(struct http_request *request);

/* Answers 503: nothing is served any more. */
void http_request_refuse(struct http_request *request);

#endif
