#include "xmppgw/adhoc/adhoc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

struct buf *adhoc_begin_part(const struct adhoc_request *request)
{
	struct buf *out;

	if (request->unkept)
		return NULL;
	out = begin_command(request, "executing");
	buf_text(out, "><actions execute='next'><next/><complete/></actions><x xmlns='" FORM_NS
	              "' type='form'>");
	return out;
}

static void add_hidden(struct buf *out, const char *var, const char *value)
{
	markup_add(out, "<field var='%s' type='hidden'><value>%s</value></field>", var, value);
}

void adhoc_add_next(const struct adhoc_request *request, struct buf *out, const char *after)
{
	buf_text(out, request->kept);
	add_hidden(out, FIELD_AFTER_VAR, after);
}

void adhoc_add_text(struct buf *out, const char *var, const char *label, const char *text)
{
	markup_add(out, "<field var='%s' type='text-single' label='%s'><value>%s</value></field>",
	           var, label, text);
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

void adhoc_ask(const struct adhoc_request *request, const struct field_offer *offer)
{
	const struct adhoc_command *command = request->command;
	struct buf *out = begin_command(request, "executing");

	markup_add(out, "><x xmlns='" FORM_NS "' type='form'><title>%s</title>", command->name);
	if (command->instructions != NULL)
		markup_add(out, "<instructions>%s</instructions>", command->instructions);
	if (offer != NULL && offer->notice != NULL)
		markup_add(out, "<field var='notice' type='fixed'><value>%s</value></field>",
		           offer->notice);
	fields_add(command->fields, offer, out);
	buf_text(out, "</x>");
	end_command(request, out);
}

/* The user has seen enough of a listing, or doesn't want the command: it ends with STATUS. */
static void reply_empty(const struct adhoc_request *request, const char *status)
{
	struct buf *out = begin_command(request, status);

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

/* Only a listing goes on behind where its last reply ended: it has such a field. */
static bool is_listing(const struct field *fields)
{
	for (; fields != NULL && fields->var != NULL; fields++)
		if (strcmp(fields->var, FIELD_AFTER_VAR) == 0)
			return true;
	return false;
}

/* Keeps what was submitted, but for where a listing went on. */
static void keep_values(struct adhoc_request *request, const struct field_values *values)
{
	struct buf kept = { 0 };

	for (size_t i = 0; values->fields[i].var != NULL; i++) {
		const struct field *field = &values->fields[i];

		if (field->kind != FIELD_LINES && field->kind != FIELD_SECRET &&
		    field->kind != FIELD_HIDDEN && values->values[i].text != NULL)
			add_hidden(&kept, field->var, values->values[i].text);
	}
	request->unkept = buf_len(&kept) > ADHOC_KEPT_MAX;
	if (buf_len(&kept) > 0 && !request->unkept)
		snprintf(request->kept, sizeof(request->kept), "%.*s", (int)buf_len(&kept),
		         buf_data(&kept));
	buf_release(&kept);
}

static void run(struct adhoc_request *request, const struct xml *form)
{
	const struct adhoc_command *command = request->command;
	struct field_values values;

	if (command->fields == NULL) {
		command->run(request, NULL);
		return;
	}
	if (fields_read(command->fields, form, request->iq, &values)) {
		if (is_listing(command->fields))
			keep_values(request, &values);
		command->run(request, &values);
	}
	fields_release(&values);
}

static void act(struct adhoc_request *request, const struct xml *form, const char *action)
{
	const struct adhoc_command *command = request->command;

	if (strcmp(action, "complete") == 0 && is_listing(command->fields) &&
	    form_value(form, FIELD_AFTER_VAR) != NULL)
		reply_empty(request, "completed");
	else if (form != NULL || !fields_visible(command->fields))
		run(request, form);
	else if (command->ask != NULL)
		command->ask(request);
	else
		adhoc_ask(request, NULL);
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
		reply_empty(&request, "canceled");
	else if (is_forward(action))
		act(&request, form, action);
	else
		iq_error(iq, IQ_BAD_REQUEST, "There is no such action.");
}
