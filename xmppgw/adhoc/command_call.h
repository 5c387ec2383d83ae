/*
 * Calls to daemons' APIs that a command waits for before it replies: to one daemon or to all of a
 * kind, and one after the other where a command needs several.
 */
#ifndef OG_XMPPGW_ADHOC_COMMAND_CALL_H
#define OG_XMPPGW_ADHOC_COMMAND_CALL_H

#include <jansson.h>

#include "common/base/list.h"
#include "common/base/loop.h"
#include "xmppgw/adhoc/adhoc.h"
#include "xmppgw/backend/api_call.h"

/* What one daemon answered. */
struct command_reply {
	char *daemon;    /* its id */
	unsigned status; /* as in api_call.h */
	json_t *body;    /* NULL: none */

	/* The module's own. */
	struct command_call *call;
	struct api_call api;
};

struct command_call {
	/*
	 * Set before each asking. Called once all daemons that were asked have answered or failed,
	 * unless the request's deadline is over: replies to the request or asks again.
	 */
	void (*done)(struct command_call *call);
	struct adhoc_request request;
	struct command_reply *replies; /* of the last asking; at least one in done */
	size_t count;

	/* The module's own. */
	struct list_link link;
	struct task unreachable; /* there was no daemon to ask */
	size_t waiting;          /* replies that are still to come */
	const char *method;
	char *path;
	json_t *body;
	enum backend_kind kind;
	bool any; /* a daemon that wasn't reached is replaced by another of KIND */
};

/* Module; stopping frees what is under way. */
extern const struct daemon_module command_call_module;

/*
 * A call for REQUEST: zeroed heap of SIZE bytes that begins with a struct command_call. It must ask
 * next, and is freed after the done in which it doesn't ask again.
 */
void *command_call_new(size_t size, struct adhoc_request *request);

/* Asks BACKEND. METHOD is a literal; BODY (NULL: none) is taken over. */
void command_call_one(struct command_call *call, struct backend *backend, const char *method,
                      const char *path, json_t *body);

/* Asks any one daemon of KIND that can be reached. */
void command_call_any(struct command_call *call, enum backend_kind kind, const char *method,
                      const char *path, json_t *body);

/* Asks every daemon of KIND. If there is none, replies so at once and frees CALL. */
void command_call_all(struct command_call *call, enum backend_kind kind, const char *method,
                      const char *path);

/* Replies to CALL's request with what the API's error REPLY means to an administrator. */
void command_call_fail(struct command_call *call, const struct command_reply *reply);

#endif
