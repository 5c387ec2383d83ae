/*
 * A request inside the server: what http_server.c, which knows the library, and http_request.c,
 * which reads and answers for handlers, have in common. Nobody else includes this.
 */
#ifndef OG_COMMON_HTTP_REQUEST_H
#define OG_COMMON_HTTP_REQUEST_H

#include "common/buf.h"
#include "common/http_server.h"
#include "common/list.h"

struct MHD_Connection;
struct MHD_Response;

struct http_request {
	struct http_server *server;
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

#endif
