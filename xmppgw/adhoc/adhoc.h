/*
 * Ad-hoc commands (XEP-0050): what a command is made of, how its request is carried out and how it
 * replies. There are no sessions: whoever submits the form is served, with or without having asked
 * for the form first. A command whose form asks for nothing runs at once; what a listing needs to
 * go on is in hidden fields of the form that it replies with, which clients send back.
 */
#ifndef OG_XMPPGW_ADHOC_ADHOC_H
#define OG_XMPPGW_ADHOC_ADHOC_H

#include "xmppgw/adhoc/fields.h"
#include "xmppgw/component/iq.h"
#include "xmppgw/xmpp/xml.h"

#define ADHOC_NS "http://jabber.org/protocol/commands"
#define ADHOC_SESSION_MAX 256 /* bytes of a session id */
#define ADHOC_KEPT_MAX 1024   /* bytes of a listing's hidden fields, but for "after" */

enum adhoc_right { ADHOC_ANYONE, ADHOC_ADMINS };

/* A request that a command carries out; what it needs to reply. */
struct adhoc_request {
	struct iq *iq; /* consumed by the reply */
	const struct adhoc_command *command;
	char session_id[ADHOC_SESSION_MAX + 1]; /* the client's, or one of ours */
	char kept[ADHOC_KEPT_MAX + 1]; /* what was submitted to a listing, as hidden fields */
	bool unkept;                   /* it was too much */
};

struct adhoc_command {
	const char *node;
	const char *name; /* also the form's title */
	unsigned roles;   /* of the components that have it */
	enum adhoc_right right;
	const char *instructions;   /* above the form's fields; NULL: none */
	const struct field *fields; /* ended by a var of NULL; NULL: the command asks nothing */
	/* False while nobody behind the gateway serves it: it isn't listed. NULL: it always is. */
	bool (*offered)(const struct adhoc_command *command);
	/* Gives the form, now or later, where its choices are asked for; NULL: adhoc.c does. */
	void (*ask)(struct adhoc_request *request);
	/* Replies, now or later; REQUEST and VALUES live until this returns. */
	void (*run)(struct adhoc_request *request, const struct field_values *values);
};

/* Carries out what PAYLOAD asks of COMMAND: gives its form, cancels it or runs it. Consumes IQ. */
void adhoc_execute(const struct adhoc_command *command, struct iq *iq, const struct xml *payload);

/* Begins the reply of a command that is completed: the caller appends the result form's fields. */
struct buf *adhoc_begin(const struct adhoc_request *request);
/* The same with a form of the type "form", as p2 replied. */
struct buf *adhoc_begin_form(const struct adhoc_request *request);
/*
 * Begins the reply of a listing of which there is more. Its form is of the type "form", because
 * profanity shows no other one of a command that isn't completed. NULL, and nothing is begun: what
 * was submitted is more than can be kept for the next part.
 */
struct buf *adhoc_begin_part(const struct adhoc_request *request);
/* Appends what gives the next part when it is sent back: AFTER is for the field of that name. */
void adhoc_add_next(const struct adhoc_request *request, struct buf *out, const char *after);
/*
 * Appends a field that tells something to a form that one of these began. Its type is text-single:
 * of longer types poezio shows no line that is wider than half of its screen.
 */
void adhoc_add_text(struct buf *out, const char *var, const char *label, const char *text);
/* Ends what one of these began; WARNING (NULL: none) is for the user. */
void adhoc_end(const struct adhoc_request *request, struct buf *out, const char *warning);

/* Replies with the command's form, in which OFFER (NULL: nothing) says what can be chosen. */
void adhoc_ask(const struct adhoc_request *request, const struct field_offer *offer);

/* Replies that a command without a result is done: TEXT says so. */
void adhoc_reply_note(const struct adhoc_request *request, const char *text);

#endif
