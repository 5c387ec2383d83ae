/*
 * Ad-hoc commands (XEP-0050), without sessions: whoever sends the form is served, with or without
 * having asked for it first. A command is a row of the table in adhoc.c.
 */
#ifndef OG_XMPPGW_ADHOC_H
#define OG_XMPPGW_ADHOC_H

#include "xmppgw/answer.h"
#include "xmppgw/xml.h"

#define ADHOC_NS "http://jabber.org/protocol/commands"
#define ADHOC_SESSION_MAX 256 /* bytes of a session id */

/* What a command that answers later has to keep. */
struct adhoc_session {
	const struct adhoc_command *command;
	char id[ADHOC_SESSION_MAX + 1]; /* the client's, or one of ours */
};

struct adhoc_command {
	const char *node;
	const char *name;
	/* Appends the form's title and fields. */
	void (*form)(struct buf *out);
	/* Consumes ANSWER now or later; SESSION and FORM live until this returns. */
	void (*submit)(struct answer *answer, const struct adhoc_session *session,
	               const struct xml *form);
};

/* All commands, ended by one without a node. */
extern const struct adhoc_command adhoc_commands[];

/* The command NODE, or NULL. */
const struct adhoc_command *adhoc_find(const char *node);

/* A handler of the route table. */
void adhoc_execute(struct answer *answer, const struct xml *command);

/*
 * Begins and ends the reply of a command that is completed; between them the result form's fields
 * are appended.
 */
struct buf *adhoc_begin(struct answer *answer, const struct adhoc_session *session);
void adhoc_end(struct answer *answer, struct buf *out);

#endif
