#include "xmppgw/commands/adhoc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/backoff.h"
#include "common/base/mem.h"
#include "xmppgw/xmpp/form.h"
#include "xmppgw/xmpp/markup.h"

/* The actions that clients send with the form, all of which mean: carry it out. */
static const char *const forward[] = { "", "execute", "complete", "next" };

/* ---- replies ---- */

static struct buf *begin_command(const struct adhoc_request *request, const char *status)
{
	struct buf *out = iq_begin(request->iq);

	markup_add(out, "<command xmlns='" ADHOC_NS "' node='%s' sessionid='%s' status='%s'",
	           request->command->node, request->session_id, status);
	return out;
}

static void end_command(const struct adhoc_request *request, struct buf *out)
{
	buf_text(out, "</command>");
	iq_end(request->iq);
}

static struct buf *begin_reply(const struct adhoc_request *request, const char *type)
{
	struct buf *out = begin_command(request, "completed");

	markup_add(out, "><x xmlns='" FORM_NS "' type='%s'>", type);
	return out;
}

struct buf *adhoc_begin(const struct adhoc_request *request)
{
	return begin_reply(request, "result");
}

struct buf *adhoc_begin_form(const struct adhoc_request *request)
{
	return begin_reply(request, "form");
}

void adhoc_end(const struct adhoc_request *request, struct buf *out, const char *warning)
{
	buf_text(out, "</x>");
	if (warning != NULL)
		markup_add(out, "<note type='warn'>%s</note>", warning);
	end_command(request, out);
}

void adhoc_reply_note(const struct adhoc_request *request, const char *text)
{
	struct buf *out = begin_command(request, "completed");

	markup_add(out, "><note type='info'>%s</note>", text);
	end_command(request, out);
}

static void ask_form(const struct adhoc_request *request)
{
	const struct adhoc_command *command = request->command;
	struct buf *out = begin_command(request, "executing");

	markup_add(out, "><x xmlns='" FORM_NS "' type='form'><title>%s</title>", command->name);
	if (command->instructions != NULL)
		markup_add(out, "<instructions>%s</instructions>", command->instructions);
	fields_add(command->fields, out);
	buf_text(out, "</x>");
	end_command(request, out);
}

static void reply_canceled(const struct adhoc_request *request)
{
	struct buf *out = begin_command(request, "canceled");

	buf_text(out, "/>");
	iq_end(request->iq);
}

/* ---- requests ---- */

static bool is_forward(const char *action)
{
	for (size_t i = 0; i < ARRAY_LEN(forward); i++)
		if (strcmp(action, forward[i]) == 0)
			return true;
	return false;
}

static void set_session_id(struct adhoc_request *request, const char *id)
{
	if (id != NULL)
		snprintf(request->session_id, sizeof(request->session_id), "%s", id);
	else
		snprintf(request->session_id, sizeof(request->session_id),
		         "%08" PRIx32 "%08" PRIx32, backoff_random(), backoff_random());
}

static void run(struct adhoc_request *request, const struct xml *form)
{
	const struct adhoc_command *command = request->command;
	struct field_values values;

	if (command->fields == NULL)
		command->run(request, NULL);
	else if (fields_read(command->fields, form, request->iq, &values))
		command->run(request, &values);
}

void adhoc_execute(const struct adhoc_command *command, struct iq *iq, const struct xml *payload)
{
	struct adhoc_request request = { .iq = iq, .command = command };
	const char *action = xml_attribute(payload, "action");
	const char *id = xml_attribute(payload, "sessionid");
	const struct xml *form = form_find(payload);
	const char *type = xml_attribute(form, "type");

	if (id != NULL && strlen(id) > ADHOC_SESSION_MAX) {
		iq_error(iq, IQ_BAD_REQUEST, "The session id is too long.");
		return;
	}
	set_session_id(&request, id);
	if (action == NULL)
		action = "";
	if (strcmp(action, "cancel") == 0 || (type != NULL && strcmp(type, "cancel") == 0))
		reply_canceled(&request);
	else if (!is_forward(action))
		iq_error(iq, IQ_BAD_REQUEST, "There is no such action.");
	else if (form == NULL && command->fields != NULL)
		ask_form(&request);
	else
		run(&request, form);
}
