/*
 * A JSON call to a backend's API with the bearer token, an answer in JSON, a deadline.
 */
#ifndef OG_XMPPGW_BACKEND_CALL_H
#define OG_XMPPGW_BACKEND_CALL_H

#include <jansson.h>
#include <stdbool.h>

#include "common/base/buf.h"
#include "common/http/http_client.h"
#include "xmppgw/backend/backend.h"

/* Statuses of a call that are none of HTTP's. */
enum call_status {
	CALL_UNANSWERED = 0, /* it may or may not have been carried out */
	CALL_UNREACHED = 1,  /* it was certainly not carried out */
};

struct call {
	/*
	 * Called once, in a later turn. STATUS: HTTP's, or one of the above; ANSWER (borrowed):
	 * NULL if it was no JSON.
	 */
	void (*done)(struct call *call, unsigned status, const json_t *answer);
	/* The module's own. */
	struct http_call http;
	struct backend *backend;
	char *url, *body;
};

/* Module. */
extern const struct daemon_module call_module;

/*
 * Posts BODY (JSON; its bytes are taken over) to PATH of BACKEND and waits TIMEOUT_MS at most.
 * call->done is set. The call is released before done runs, so that CALL may be freed or sent
 * again in it.
 */
void call_post(struct call *call, struct backend *backend, const char *path, struct buf *body,
               uint32_t timeout_ms);

#define CALL_MS 3000

/* The same with METHOD and a JSON value, which is taken over (NULL: no body), and CALL_MS. */
void call_json(struct call *call, struct backend *backend, const char *method, const char *path,
               json_t *body);

/* Forgets a call that is under way; fine when idle. */
void call_cancel(struct call *call);

/* The text "message" of an error's body, or FALLBACK. */
const char *call_message(const json_t *answer, const char *fallback);

#endif
