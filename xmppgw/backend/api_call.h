/*
 * A call to a backend's API: JSON in, JSON out, with the bearer token and a deadline.
 */
#ifndef OG_XMPPGW_BACKEND_API_CALL_H
#define OG_XMPPGW_BACKEND_API_CALL_H

#include <jansson.h>
#include <stdbool.h>

#include "common/base/buf.h"
#include "common/http/http_client.h"
#include "xmppgw/backend/backend.h"

/* Statuses of a call beside HTTP's. */
enum api_call_status {
	API_CALL_UNANSWERED = 0, /* it may or may not have been carried out */
	API_CALL_UNREACHED = 1,  /* it was certainly not carried out */
};

struct api_call {
	/*
	 * Called once, in a later turn of the loop. STATUS is HTTP's or one of the above; BODY is
	 * borrowed, and NULL if there was no JSON.
	 */
	void (*done)(struct api_call *call, unsigned status, const json_t *body);
	/* The module's own. */
	struct http_call http;
	struct backend *backend;
	char *url, *body;
};

/* Module. */
extern const struct daemon_module api_call_module;

/* What is asked of a backend. */
struct api_request {
	const char *method, *path;
	json_t *json;        /* the body, taken over; NULL: none, or TEXT */
	struct buf *text;    /* the body as JSON text, whose bytes are taken over; or NULL */
	uint32_t timeout_ms; /* 0: API_CALL_MS */
};

#define API_CALL_MS 3000

/*
 * Sends REQUEST to BACKEND; call->done is set. The call is released before done runs, so that CALL
 * may be freed or sent again in it.
 */
void api_call_send(struct api_call *call, struct backend *backend,
                   const struct api_request *request);

/* Ends a call that is under way, so that done never runs; does nothing when idle. */
void api_call_cancel(struct api_call *call);

/*
 * The path (heap) "BASE?NAME=VALUE&…". ARGUMENTS are names and values in turn, ended by a name of
 * NULL; an argument whose value is NULL or empty is left out.
 */
char *api_call_path(const char *base, const char *const *arguments);

/* The path (heap) "BASE/NAMEREST", in which NAME is percent-encoded. */
char *api_call_path_of(const char *base, const char *name, const char *rest);

/* Adds VALUE to the call's body BODY as KEY, unless it is NULL. */
void api_call_add(json_t *body, const char *key, const char *value);

/* The text "message" of an error's body, or FALLBACK. */
const char *api_call_message(const json_t *body, const char *fallback);

#endif
