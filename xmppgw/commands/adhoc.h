/*
 * Ad-hoc commands (XEP-0050), without sessions: whoever sends the form is served, with or without
 * having asked for it first. A command is a row of the table in adhoc.c.
 */
#ifndef OG_XMPPGW_COMMANDS_ADHOC_H
#define OG_XMPPGW_COMMANDS_ADHOC_H

#include "xmppgw/component/iq.h"
#include "xmppgw/xmpp/table.h"
#include "xmppgw/xmpp/xml.h"

#define ADHOC_NS "http://jabber.org/protocol/commands"
#define ADHOC_SESSION_MAX 256 /* bytes of a session id */

/* What a command that answers later has to keep. */
struct adhoc_session {
	const struct adhoc_command *command;
	char id[ADHOC_SESSION_MAX + 1]; /* the client's, or one of ours */
};

enum adhoc_right { ADHOC_ANYONE, ADHOC_ADMINS };

struct adhoc_command {
	const char *node;
	const char *name;
	unsigned roles; /* of the components that have it */
	enum adhoc_right right;
	/* Appends the form's title and fields; NULL: there is nothing to ask. */
	void (*form)(struct buf *out);
	/*
	 * Consumes IQ now or later; SESSION and FORM (NULL where there is no form) live until
	 * this returns.
	 */
	void (*submit)(struct iq *iq, const struct adhoc_session *session, const struct xml *form);
};

/* What may become of a request for a command. */
enum adhoc_access { ADHOC_UNKNOWN, ADHOC_FORBIDDEN, ADHOC_ALLOWED };

/* Whether STREAM's component has COMMAND (NULL: never) for the JID FROM. */
enum adhoc_access adhoc_access(const struct adhoc_command *command, const struct stream *stream,
                               const char *from);

/* The command NODE, or NULL. */
const struct adhoc_command *adhoc_find(const char *node);

/*
 * The first command that FROM may run on STREAM's component, and the next one after PREVIOUS (NULL:
 * the first); NULL at the end.
 */
const struct adhoc_command *adhoc_next(const struct adhoc_command *previous,
                                       const struct stream *stream, const char *from);

/* A handler of the route table. */
void adhoc_execute(struct iq *iq, const struct xml *command);

/*
 * Begins and ends the reply of a command that is completed; between them the result form's fields
 * are appended.
 */
struct buf *adhoc_begin(struct iq *iq, const struct adhoc_session *session);
void adhoc_end(struct iq *iq, struct buf *out);

/* The same with a note that something is amiss; WARNING NULL: nothing is. */
void adhoc_end_warned(struct iq *iq, struct buf *out, const char *warning);

/*
 * The same for a table: adhoc_begin_table() writes title and head, table_add() the rows,
 * adhoc_end() ends it. NEXT (NULL: that is all): what the form's field "after" takes to go on.
 */
struct buf *adhoc_begin_table(struct iq *iq, const struct adhoc_session *session,
                              const struct table *table, const char *next);

/* The whole reply of a command that has nothing to tell but that TEXT was done. */
void adhoc_note(struct iq *iq, const struct adhoc_session *session, const char *text);

#endif
