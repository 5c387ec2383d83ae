#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "xmppgw/adhoc/command_call.h"
#include "xmppgw/adhoc/table.h"
#include "xmppgw/commands/commands.h"
#include "xmppgw/xmpp/markup.h"

/* ---- list-credentials ---- */

/* clang-format off */
static const struct table_column columns[] = {
	{ "id",         "Provider",    TABLE_TEXT, "id" },
	{ "daemon",     "Push daemon", TABLE_TEXT, "daemon" },
	{ "kind",       "Kind",        TABLE_TEXT, "kind" },
	{ "state",      "State",       TABLE_TEXT, "state" },
	{ "credential", "Credential",  TABLE_TEXT, "credential.kind" },
	{ "expires",    "Expires",     TABLE_TIME, "credential.expires_ms" },
	{ "topic",      "Topic",       TABLE_TEXT, "topic" },
	{ "source",     "Source",      TABLE_TEXT, "credential.source" },
	{ "call-credential", "For calls alone",       TABLE_TEXT, "call_credential.kind" },
	{ "call-expires",    "For calls alone until", TABLE_TIME, "call_credential.expires_ms" },
	{ "findings",   "Findings",    TABLE_TEXT, "findings" },
};
/* clang-format on */

static const struct table table = { columns, ARRAY_LEN(columns) };

/* The providers that all replies list, each with its daemon's id; *WARNING names who was silent. */
static json_t *gather(const struct command_call *call, char **warning)
{
	json_t *rows = json_array(), *provider;
	size_t k;

	*warning = NULL;
	for (size_t i = 0; i < call->count; i++) {
		const struct command_reply *reply = &call->replies[i];

		if (reply->status != 200 && *warning == NULL)
			*warning = mem_printf("Push daemon %s didn't answer.", reply->daemon);
		json_array_foreach (json_object_get(reply->body, "providers"), k, provider) {
			json_object_set_new(provider, "daemon", json_string(reply->daemon));
			json_array_append(rows, provider);
		}
	}
	return rows;
}

static void on_listed(struct command_call *call)
{
	char *warning;
	json_t *rows = gather(call, &warning);

	if (json_array_size(rows) == 0 && warning != NULL)
		command_call_fail(call, call->replies);
	else
		table_reply(&call->request, &table,
		            &(struct table_page){ .rows = rows, .warning = warning });
	json_decref(rows);
	free(warning);
}

static void list(struct adhoc_request *request, const struct field_values *values)
{
	struct command_call *call = command_call_new(sizeof(*call), request);

	call->done = on_listed;
	command_call_all(call, BACKEND_PUSH, "GET", "/v1/providers");
}

const struct adhoc_command command_list_credentials = {
	.node = "list-credentials",
	.name = "List push credentials",
	.roles = ROLE_PUSH,
	.right = ADHOC_ADMINS,
	.run = list,
};

/* ---- setting one ---- */

/* The providers of a kind can be chosen, also those that have no credential yet. */
struct asking {
	struct command_call call;
	const char *kind;
};

static void on_providers(struct command_call *call)
{
	const struct asking *asking = container_of(call, struct asking, call);
	const struct command_reply *reply = call->replies;
	json_t *options, *provider;
	size_t i;

	if (reply->status != 200) {
		command_call_fail(call, reply);
		return;
	}
	options = json_array();
	json_array_foreach (json_object_get(reply->body, "providers"), i, provider) {
		const char *kind = json_string_value(json_object_get(provider, "kind"));
		json_t *id = json_object_get(provider, "id");

		if (kind != NULL && strcmp(kind, asking->kind) == 0)
			json_array_append_new(options,
			                      json_pack("{s:O, s:O}", "value", id, "label", id));
	}
	adhoc_ask(&call->request, &(struct field_offer){ .var = "provider", .options = options });
	json_decref(options);
}

static void ask(struct adhoc_request *request, const char *kind)
{
	struct asking *asking = command_call_new(sizeof(*asking), request);

	asking->call.done = on_providers;
	asking->kind = kind;
	command_call_any(&asking->call, BACKEND_PUSH, "GET", "/v1/providers", NULL);
}

static void reply_set(const struct command_call *call, const json_t *answer)
{
	struct buf *out = adhoc_begin(&call->request), expires = { 0 };
	const char *subject = json_string_value(json_object_get(answer, "subject"));
	json_t *findings = json_object_get(answer, "findings"), *finding;
	size_t i;

	markup_add(out, "<title>%s</title>", call->request.command->name);
	adhoc_add_text(out, "form", "Kind", json_string_value(json_object_get(answer, "form")));
	if (subject != NULL)
		adhoc_add_text(out, "subject", "Subject", subject);
	table_add_time(json_object_get(answer, "expires_ms"), &expires);
	if (buf_len(&expires) > 0) {
		char *text = buf_take(&expires);

		adhoc_add_text(out, "expires", "Expires", text);
		free(text);
	}
	json_array_foreach (findings, i, finding) {
		char *var = mem_printf("finding.%zu", i + 1);

		adhoc_add_text(out, var, "Finding", json_string_value(finding));
		free(var);
	}
	adhoc_end(&call->request, out, NULL);
}

static void on_set(struct command_call *call)
{
	const struct command_reply *reply = call->replies;

	if (reply->status == 200 && json_is_string(json_object_get(reply->body, "form")))
		reply_set(call, reply->body);
	else
		command_call_fail(call, reply);
}

static void put(struct adhoc_request *request, const struct field_values *values, json_t *body)
{
	struct command_call *call = command_call_new(sizeof(*call), request);
	char *path = api_call_path_of("/v1/providers", fields_get(values, "provider")->text,
	                              "/credential");

	call->done = on_set;
	command_call_any(call, BACKEND_PUSH, "PUT", path, body);
	free(path);
}

/* ---- set-apns-certificate ---- */

/* clang-format off */
static const struct field apns_fields[] = {
	{ "provider", "Provider", FIELD_CHOICE, FIELD_REQUIRED },
	{ "certificate", "Certificate", FIELD_LINES, FIELD_REQUIRED,
	  "A .p12 in base64, a PEM with certificate and key, or a .p8 key." },
	{ "password", "Password", FIELD_SECRET, .help = "Of the .p12 or of the key." },
	{ "key-id", "Key id", .help = "Of a .p8 key; the configured one if empty." },
	{ "team-id", "Team id", .help = "Of a .p8 key; the configured one if empty." },
	{ NULL },
};
/* clang-format on */

static void ask_apns(struct adhoc_request *request)
{
	ask(request, "apns");
}

static void set_apns(struct adhoc_request *request, const struct field_values *values)
{
	json_t *body = json_pack("{s:s}", "credential", fields_get(values, "certificate")->text);

	api_call_add(body, "password", fields_get(values, "password")->text);
	api_call_add(body, "key_id", fields_get(values, "key-id")->text);
	api_call_add(body, "team_id", fields_get(values, "team-id")->text);
	put(request, values, body);
}

const struct adhoc_command command_set_apns_certificate = {
	.node = "set-apns-certificate",
	.name = "Set APNS certificate",
	.roles = ROLE_PUSH,
	.right = ADHOC_ADMINS,
	.instructions = "It is checked before it is used, and is kept sealed for all push daemons.",
	.fields = apns_fields,
	.ask = ask_apns,
	.run = set_apns,
};

/* ---- set-fcm-account ---- */

/* clang-format off */
static const struct field fcm_fields[] = {
	{ "provider", "Provider", FIELD_CHOICE, FIELD_REQUIRED },
	{ "account", "Service account", FIELD_LINES, FIELD_REQUIRED,
	  "The JSON file that Google's console gives." },
	{ NULL },
};
/* clang-format on */

static void ask_fcm(struct adhoc_request *request)
{
	ask(request, "fcm");
}

static void set_fcm(struct adhoc_request *request, const struct field_values *values)
{
	put(request, values, json_pack("{s:s}", "credential", fields_get(values, "account")->text));
}

const struct adhoc_command command_set_fcm_account = {
	.node = "set-fcm-account",
	.name = "Set FCM service account",
	.roles = ROLE_PUSH,
	.right = ADHOC_ADMINS,
	.instructions = "It is checked before it is used, and is kept sealed for all push daemons.",
	.fields = fcm_fields,
	.ask = ask_fcm,
	.run = set_fcm,
};
