#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "xmppgw/adhoc/command_call.h"
#include "xmppgw/adhoc/table.h"
#include "xmppgw/commands/commands.h"
#include "xmppgw/xmpp/markup.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

/* Any push daemon answers for any device. */
static void ask_push(struct command_call *call, const char *method, char *path,
                     void (*done)(struct command_call *call))
{
	call->done = done;
	command_call_any(call, BACKEND_PUSH, method, path, NULL);
	free(path);
}

static void ask_list(struct command_call *call, const char *account,
                     void (*done)(struct command_call *call))
{
	ask_push(call, "GET",
	         api_call_path("/v1/devices", (const char *[]){ "owner", account, NULL }), done);
}

#define ACCOUNT_FIELD                                                                              \
	{                                                                                          \
		"account", "User (user@domain)", FIELD_ACCOUNT, FIELD_REQUIRED                     \
	}

/* ---- list-devices ---- */

/* clang-format off */
static const struct table_column device_columns[] = {
	{ "node",       "Node",       TABLE_TEXT, "node" },
	{ "provider",   "Provider",   TABLE_TEXT, "provider" },
	{ "token",      "Token",      TABLE_TEXT, "token_hint" },
	{ "registered", "Registered", TABLE_TIME, "registered_ms" },
	{ "dialect",    "Dialect",    TABLE_TEXT, "dialect" },
	{ "component",  "Component",  TABLE_TEXT, "component" },
};

static const struct field list_fields[] = { ACCOUNT_FIELD, { NULL } };
/* clang-format on */

static const struct table device_table = { device_columns, ARRAY_LEN(device_columns) };

static void on_listed(struct command_call *call)
{
	const struct command_reply *reply = call->replies;

	if (reply->status == 200)
		table_reply(
		        &call->request, &device_table,
		        &(struct table_page){ .rows = json_object_get(reply->body, "devices") });
	else
		command_call_fail(call, reply);
}

static void list(struct adhoc_request *request, const struct field_values *values)
{
	ask_list(command_call_new(sizeof(struct command_call), request),
	         fields_get(values, "account")->text, on_listed);
}

const struct adhoc_command command_list_devices = {
	.node = "list-devices",
	.name = "List devices of a user",
	.roles = ROLE_PUSH,
	.right = ADHOC_ADMINS,
	.fields = list_fields,
	.run = list,
};

/* ---- one device, chosen from those of an account ---- */

/* clang-format off */
static const struct field pick_fields[] = {
	ACCOUNT_FIELD,
	{ "device", "Device", FIELD_CHOICE },
	{ NULL },
};
/* clang-format on */

struct choice {
	struct command_call call;
	char account[JID_TEXT_MAX];
	/* What is done with the device NODE once it is chosen. */
	void (*act)(struct command_call *call, const char *node);
};

/*
 * "apns-binary-api a1b2c3… of 2026-11-30": the day alone, because poezio shows no option that is
 * wider than half of its screen.
 */
static json_t *make_option(const json_t *device)
{
	struct buf label = { 0 };
	char *text;
	json_t *option;

	buf_printf(&label, "%s %s of ", text_of(device, "provider"), text_of(device, "token_hint"));
	table_add_time(json_object_get(device, "registered_ms"), &label);
	text = buf_take(&label);
	if (strchr(text, 'T') != NULL)
		*strrchr(text, 'T') = '\0';
	option = json_pack("{s:s, s:s}", "value", text_of(device, "node"), "label", text);
	free(text);
	return option;
}

static void on_choices(struct command_call *call)
{
	struct choice *choice = container_of(call, struct choice, call);
	const struct command_reply *reply = call->replies;
	const json_t *devices = json_object_get(reply->body, "devices");
	json_t *options;
	size_t i;
	const json_t *device;

	if (reply->status != 200) {
		command_call_fail(call, reply);
		return;
	}
	if (json_array_size(devices) == 0) {
		iq_error(call->request.iq, IQ_ITEM_NOT_FOUND, "This user has no device.");
		return;
	}
	options = json_array();
	json_array_foreach (devices, i, device)
		json_array_append_new(options, make_option(device));
	adhoc_ask(&call->request, &(struct field_offer){ .var = "device",
	                                                 .options = options,
	                                                 .given_var = "account",
	                                                 .given = choice->account });
	json_decref(options);
}

/* Asks which device it is, unless that was submitted, and lets ACT do the rest. */
static void pick(struct adhoc_request *request, const struct field_values *values,
                 void (*act)(struct command_call *call, const char *node))
{
	struct choice *choice = command_call_new(sizeof(*choice), request);
	const char *node = fields_get(values, "device")->text;

	snprintf(choice->account, sizeof(choice->account), "%s",
	         fields_get(values, "account")->text);
	if (node != NULL)
		act(&choice->call, node);
	else
		ask_list(&choice->call, choice->account, on_choices);
}

/* ---- show-device ---- */

/* clang-format off */
static const struct table_column verdict_columns[] = {
	{ "at",       "At",       TABLE_TIME,   "at_ms" },
	{ "outcome",  "Outcome",  TABLE_TEXT,   "outcome" },
	{ "status",   "Status (0: no answer)", TABLE_NUMBER, "status" },
	{ "reason",   "Reason",   TABLE_TEXT,   "reason" },
	{ "provider", "Provider", TABLE_TEXT,   "provider" },
};
/* clang-format on */

/* A verdict may also be with another process, which sent without failing. */
#define NOTHING_SENT "Nothing was sent lately: does the user's server have this node?"

static const struct table verdict_table = { verdict_columns, ARRAY_LEN(verdict_columns) };

/* What the push service answered last to the pushes of DEVICE, and what is known of it. */
static void reply_device(struct adhoc_request *request, const json_t *device)
{
	const json_t *verdicts = json_object_get(device, "verdicts");
	bool waiting = json_is_true(json_object_get(device, "waiting"));
	struct buf registered = { 0 };
	char *time;

	table_add_time(json_object_get(device, "registered_ms"), &registered);
	time = buf_take(&registered);
	table_reply(request, &verdict_table,
	            &(struct table_page){
	                    .rows = verdicts,
	                    .facts = (const struct table_fact[]){
	                            { "device", "Device", text_of(device, "node") },
	                            { "owner", "User", text_of(device, "owner") },
	                            { "via", "Provider", text_of(device, "provider") },
	                            { "registered", "Registered", time },
	                            { "waiting", "Waits to be sent", waiting ? "yes" : "no" },
	                            { "hint", "Note",
	                              json_array_size(verdicts) == 0 ? NOTHING_SENT : NULL },
	                            { NULL } } });
	free(time);
}

static void on_shown(struct command_call *call)
{
	const struct command_reply *reply = call->replies;

	if (reply->status == 200)
		reply_device(&call->request, reply->body);
	else
		command_call_fail(call, reply);
}

static void show_node(struct command_call *call, const char *node)
{
	ask_push(call, "GET", api_call_path_of("/v1/devices", node, ""), on_shown);
}

static void show(struct adhoc_request *request, const struct field_values *values)
{
	pick(request, values, show_node);
}

const struct adhoc_command command_show_device = {
	.node = "show-device",
	.name = "Why was a device silent?",
	.roles = ROLE_PUSH,
	.right = ADHOC_ADMINS,
	.fields = pick_fields,
	.run = show,
};

/* ---- delete-device ---- */

static void on_deleted(struct command_call *call)
{
	if (call->replies->status == 204)
		adhoc_reply_note(&call->request, "The device was deleted.");
	else
		command_call_fail(call, call->replies);
}

static void delete_node(struct command_call *call, const char *node)
{
	ask_push(call, "DELETE", api_call_path_of("/v1/devices", node, ""), on_deleted);
}

static void delete_chosen(struct adhoc_request *request, const struct field_values *values)
{
	pick(request, values, delete_node);
}

const struct adhoc_command command_delete_device = {
	.node = "delete-device",
	.name = "Delete a device",
	.roles = ROLE_PUSH,
	.right = ADHOC_ADMINS,
	.fields = pick_fields,
	.run = delete_chosen,
};

/* ---- test-push ---- */

/* The outcomes that pushd answers, in words. */
static const struct {
	const char *outcome, *text;
} outcomes[] = {
	{ "sent", "The push service took it." },
	{ "queued", "It waits, and will be sent when the push service takes it." },
	{ "merged", "A newer notification for this device stands for it." },
	{ "gone", "The push service says that the app is gone: the device was removed." },
	{ "unavailable", "It was not sent." },
};

static char *explain_outcome(const json_t *answer)
{
	const char *outcome = text_of(answer, "outcome"), *text = outcome;
	const char *reason = text_of(answer, "reason");

	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
		if (strcmp(outcomes[i].outcome, outcome) == 0)
			text = outcomes[i].text;
	return mem_printf("%s: %s%s%s", outcome, text, *reason != '\0' ? " Reason: " : "", reason);
}

static void on_tested(struct command_call *call)
{
	const struct command_reply *reply = call->replies;
	char *text;

	if (reply->status != 200) {
		command_call_fail(call, reply);
		return;
	}
	text = explain_outcome(reply->body);
	table_reply(&call->request, &verdict_table,
	            &(struct table_page){ .rows = json_object_get(reply->body, "verdicts"),
	                                  .facts = (const struct table_fact[]){
	                                          { "result", "Outcome", text }, { NULL } } });
	free(text);
}

static void test_node(struct command_call *call, const char *node)
{
	ask_push(call, "POST", api_call_path_of("/v1/devices", node, "/test"), on_tested);
}

static void test(struct adhoc_request *request, const struct field_values *values)
{
	pick(request, values, test_node);
}

const struct adhoc_command command_test_push = {
	.node = "test-push",
	.name = "Send a test push",
	.roles = ROLE_PUSH,
	.right = ADHOC_ADMINS,
	.fields = pick_fields,
	.run = test,
};
