/*
 * A survey: one call of the API made to every relay that lives, for a command that waits until all
 * have answered.
 */
#ifndef OG_XMPPGW_COMMANDS_SURVEY_H
#define OG_XMPPGW_COMMANDS_SURVEY_H

#include <jansson.h>

#include "common/base/list.h"
#include "xmppgw/backend/api_call.h"
#include "xmppgw/commands/adhoc.h"

/* What one relay answered. */
struct survey_part {
	char *relay;     /* its id */
	unsigned status; /* as in call.h */
	json_t *body;    /* NULL: none */

	/* The module's own. */
	struct survey *survey;
	struct api_call call;
};

struct survey {
	/* Set before asking: called once, unless the requester's time is over; consumes IQ. */
	void (*done)(struct survey *survey);
	struct iq *iq; /* NULL: it was too late */
	struct adhoc_session session;
	struct survey_part *parts;
	size_t count;

	/* The module's own. */
	size_t waiting;
	struct list_link link;
};

/* Module; stopping forgets what is under way. */
extern const struct daemon_module survey_module;

/*
 * A survey for IQ's command: zeroed heap of SIZE bytes that begins with a struct survey. It
 * must be asked, and is freed after done.
 */
void *survey_new(size_t size, struct iq *iq, const struct adhoc_session *session);

/* Asks all relays; if there is none, the answer is an error at once. */
void survey_ask(struct survey *survey, const char *method, const char *path);

#endif
