/*
 * Calls to a daemon's API that a command waits for before it answers: one, or one after the other.
 */
#ifndef OG_XMPPGW_COMMANDS_ADHOC_CALL_H
#define OG_XMPPGW_COMMANDS_ADHOC_CALL_H

#include <jansson.h>

#include "common/base/list.h"
#include "xmppgw/backend/api_call.h"
#include "xmppgw/commands/adhoc.h"

struct adhoc_call {
	/* Set before each asking; see there. */
	void (*done)(struct adhoc_call *call, unsigned status, const json_t *body);
	struct iq *iq; /* NULL: it was too late */
	struct adhoc_session session;

	/* The module's own. */
	struct api_call call;
	struct list_link link;
	struct task unreachable;
	char *method, *path; /* for a second try */
	json_t *body;
	bool any; /* any relay will do */
};

/* Module; stopping forgets what is under way. */
extern const struct daemon_module adhoc_call_module;

/*
 * A call for IQ's command: zeroed heap of SIZE bytes that begins with a struct adhoc_call. It
 * must be asked, and is freed after the last done.
 */
void *adhoc_call_new(size_t size, struct iq *iq, const struct adhoc_session *session);

/*
 * Asks BACKEND (NULL: there is none, which is as if it were unreachable), with BODY (taken over;
 * NULL: none). call->done runs once in a later turn, with a status as in call.h, unless the
 * requester's time is over: it consumes the answer or asks again.
 */
void adhoc_call_ask(struct adhoc_call *call, struct backend *backend, const char *method,
                    const char *path, json_t *body);

/* The same, asking whichever relay can be reached. */
void adhoc_call_ask_relay(struct adhoc_call *call, const char *method, const char *path,
                          json_t *body);

/* Answers with what an error of the API means to an administrator. */
void adhoc_call_fail(struct iq *iq, unsigned status, const json_t *body);

#endif
