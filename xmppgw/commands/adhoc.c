#include "xmppgw/commands/adhoc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/mem.h"
#include "xmppgw/acl.h"
#include "xmppgw/commands/limits.h"
#include "xmppgw/commands/registration.h"
#include "xmppgw/commands/relays.h"
#include "xmppgw/commands/streams.h"
#include "xmppgw/commands/transfers.h"
#include "xmppgw/commands/usage.h"
#include "xmppgw/xmpp/form.h"
#include "xmppgw/xmpp/markup.h"

/* clang-format off */
static const struct adhoc_command commands[] = {
	{ "register-device", "Register device", ROLE_PUSH, ADHOC_ANYONE,
	  registration_form, registration_submit },
	{ "unregister-device", "Unregister device", ROLE_PUSH, ADHOC_ANYONE,
	  registration_removal_form, registration_removal_submit },
	{ "show-limits", "Show limits", ROLE_RELAY, ADHOC_ADMINS, limits_form, limits_submit },
	{ "set-limits", "Set limits", ROLE_RELAY, ADHOC_ADMINS,
	  limits_change_form, limits_change_submit },
	{ "show-usage", "Show usage", ROLE_RELAY, ADHOC_ADMINS, usage_form, usage_submit },
	{ "list-transfers", "List transfers", ROLE_RELAY, ADHOC_ADMINS,
	  transfers_form, transfers_submit },
	{ "list-streams", "List live streams", ROLE_RELAY, ADHOC_ADMINS,
	  streams_form, streams_submit },
	{ "cut-stream", "Cut a stream", ROLE_RELAY, ADHOC_ADMINS,
	  streams_cut_form, streams_cut_submit },
	{ "list-relays", "List relays", ROLE_RELAY, ADHOC_ADMINS, NULL, relays_submit },
	{ "drain-relay", "Drain a relay", ROLE_RELAY, ADHOC_ADMINS,
	  relays_drain_form, relays_drain_submit },
};
/* clang-format on */

/* Clients differ in what they send with the form; all of it means: go on. */
static const char *const forward[] = { "", "execute", "complete", "next" };

const struct adhoc_command *adhoc_find(const char *node)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].node, node) == 0)
			return &commands[i];
	return NULL;
}

enum adhoc_access adhoc_access(const struct adhoc_command *command, const struct stream *stream,
                               const char *from)
{
	if (command == NULL || !(command->roles & stream->roles))
		return ADHOC_UNKNOWN;
	if (command->right == ADHOC_ADMINS && !acl_is_admin(from))
		return ADHOC_FORBIDDEN;
	return ADHOC_ALLOWED;
}

const struct adhoc_command *adhoc_next(const struct adhoc_command *previous,
                                       const struct stream *stream, const char *from)
{
	size_t i = previous == NULL ? 0 : (size_t)(previous - commands) + 1;

	for (; i < ARRAY_LEN(commands); i++)
		if (adhoc_access(&commands[i], stream, from) == ADHOC_ALLOWED)
			return &commands[i];
	return NULL;
}

static void begin_command(struct buf *out, const struct adhoc_session *session, const char *status)
{
	markup_add(out, "<command xmlns='" ADHOC_NS "' node='%s' sessionid='%s' status='%s'",
	           session->command->node, session->id, status);
}

struct buf *adhoc_begin(struct iq *iq, const struct adhoc_session *session)
{
	struct buf *out = iq_begin(iq);

	begin_command(out, session, "completed");
	buf_text(out, "><x xmlns='" FORM_NS "' type='result'>");
	return out;
}

void adhoc_end_warned(struct iq *iq, struct buf *out, const char *warning)
{
	buf_text(out, "</x>");
	if (warning != NULL)
		markup_add(out, "<note type='warn'>%s</note>", warning);
	buf_text(out, "</command>");
	iq_end(iq);
}

void adhoc_end(struct iq *iq, struct buf *out)
{
	adhoc_end_warned(iq, out, NULL);
}

struct buf *adhoc_begin_table(struct iq *iq, const struct adhoc_session *session,
                              const struct table *table, const char *next)
{
	struct buf *out = adhoc_begin(iq, session);

	markup_add(out, "<title>%s</title>", session->command->name);
	if (next != NULL)
		markup_add(
		        out,
		        "<instructions>There is more: run this again with \"Continue after\" set "
		        "to what Next says.</instructions><field var='next' type='text-single' "
		        "label='Next'><value>%s</value></field>",
		        next);
	table_begin(table, out);
	return out;
}

void adhoc_note(struct iq *iq, const struct adhoc_session *session, const char *text)
{
	struct buf *out = iq_begin(iq);

	begin_command(out, session, "completed");
	markup_add(out, "><note type='info'>%s</note></command>", text);
	iq_end(iq);
}

static void answer_form(struct iq *iq, const struct adhoc_session *session)
{
	struct buf *out = iq_begin(iq);

	begin_command(out, session, "executing");
	buf_text(out, "><x xmlns='" FORM_NS "' type='form'>");
	session->command->form(out);
	buf_text(out, "</x></command>");
	iq_end(iq);
}

static void answer_canceled(struct iq *iq, const struct adhoc_session *session)
{
	struct buf *out = iq_begin(iq);

	begin_command(out, session, "canceled");
	buf_text(out, "/>");
	iq_end(iq);
}

static bool is_forward(const char *action)
{
	for (size_t i = 0; i < ARRAY_LEN(forward); i++)
		if (strcmp(action, forward[i]) == 0)
			return true;
	return false;
}

static void begin_session(struct adhoc_session *session, const struct adhoc_command *command,
                          const char *id)
{
	session->command = command;
	if (id != NULL)
		snprintf(session->id, sizeof session->id, "%s", id);
	else
		snprintf(session->id, sizeof session->id, "%08" PRIx32 "%08" PRIx32,
		         backoff_random(), backoff_random());
}

/* False after answering: no such command, or not for whom it was that asked. */
static bool may_run(struct iq *iq, const struct adhoc_command *command)
{
	switch (adhoc_access(command, iq->stream, iq->to)) {
	case ADHOC_ALLOWED:
		return true;
	case ADHOC_FORBIDDEN:
		iq_error(iq, IQ_FORBIDDEN, "This command is for administrators.");
		return false;
	case ADHOC_UNKNOWN:
		break;
	}
	iq_error(iq, IQ_ITEM_NOT_FOUND, "There is no such command.");
	return false;
}

void adhoc_execute(struct iq *iq, const struct xml *payload)
{
	const char *node = xml_attribute(payload, "node");
	const char *action = xml_attribute(payload, "action");
	const char *id = xml_attribute(payload, "sessionid");
	const struct adhoc_command *command = node == NULL ? NULL : adhoc_find(node);
	const struct xml *form = form_find(payload);
	const char *type = xml_attribute(form, "type");
	struct adhoc_session session;

	if (!may_run(iq, command))
		return;
	if (id != NULL && strlen(id) > ADHOC_SESSION_MAX) {
		iq_error(iq, IQ_BAD_REQUEST, "The session id is too long.");
		return;
	}
	begin_session(&session, command, id);
	if (action == NULL)
		action = "";
	if (strcmp(action, "cancel") == 0 || (type != NULL && strcmp(type, "cancel") == 0))
		answer_canceled(iq, &session);
	else if (!is_forward(action))
		iq_error(iq, IQ_BAD_REQUEST, "There is no such action.");
	else if (form == NULL && command->form != NULL)
		answer_form(iq, &session);
	else
		command->submit(iq, &session, form);
}
