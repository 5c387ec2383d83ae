#include "xmppgw/adhoc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/backoff.h"
#include "common/mem.h"
#include "xmppgw/form.h"
#include "xmppgw/markup.h"
#include "xmppgw/registration.h"

/* clang-format off */
const struct adhoc_command adhoc_commands[] = {
	{ "register-device", "Register device", registration_form, registration_submit },
	{ "unregister-device", "Unregister device", registration_removal_form,
	  registration_removal_submit },
	{ NULL },
};
/* clang-format on */

/* Clients differ in what they send with the form; all of it means: go on. */
static const char *const forward[] = { "", "execute", "complete", "next" };

const struct adhoc_command *adhoc_find(const char *node)
{
	for (const struct adhoc_command *command = adhoc_commands; command->node != NULL; command++)
		if (strcmp(command->node, node) == 0)
			return command;
	return NULL;
}

static void begin_command(struct buf *out, const struct adhoc_session *session, const char *status)
{
	markup_add(out, "<command xmlns='" ADHOC_NS "' node='%s' sessionid='%s' status='%s'",
	           session->command->node, session->id, status);
}

struct buf *adhoc_begin(struct answer *answer, const struct adhoc_session *session)
{
	struct buf *out = answer_begin(answer);

	begin_command(out, session, "completed");
	buf_text(out, "><x xmlns='" FORM_NS "' type='result'>");
	return out;
}

void adhoc_end(struct answer *answer, struct buf *out)
{
	buf_text(out, "</x></command>");
	answer_end(answer);
}

static void answer_form(struct answer *answer, const struct adhoc_session *session)
{
	struct buf *out = answer_begin(answer);

	begin_command(out, session, "executing");
	buf_text(out, "><x xmlns='" FORM_NS "' type='form'>");
	session->command->form(out);
	buf_text(out, "</x></command>");
	answer_end(answer);
}

static void answer_canceled(struct answer *answer, const struct adhoc_session *session)
{
	struct buf *out = answer_begin(answer);

	begin_command(out, session, "canceled");
	buf_text(out, "/>");
	answer_end(answer);
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

void adhoc_execute(struct answer *answer, const struct xml *payload)
{
	const char *node = xml_attribute(payload, "node");
	const char *action = xml_attribute(payload, "action");
	const char *id = xml_attribute(payload, "sessionid");
	const struct adhoc_command *command = node == NULL ? NULL : adhoc_find(node);
	const struct xml *form = form_find(payload);
	const char *type = xml_attribute(form, "type");
	struct adhoc_session session;

	if (command == NULL) {
		answer_error(answer, ANSWER_ITEM_NOT_FOUND, "There is no such command.");
		return;
	}
	if (id != NULL && strlen(id) > ADHOC_SESSION_MAX) {
		answer_error(answer, ANSWER_BAD_REQUEST, "The session id is too long.");
		return;
	}
	begin_session(&session, command, id);
	if (action == NULL)
		action = "";
	if (strcmp(action, "cancel") == 0 || (type != NULL && strcmp(type, "cancel") == 0))
		answer_canceled(answer, &session);
	else if (!is_forward(action))
		answer_error(answer, ANSWER_BAD_REQUEST, "There is no such action.");
	else if (form == NULL)
		answer_form(answer, &session);
	else
		command->submit(answer, &session, form);
}
