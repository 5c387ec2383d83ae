#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "xmppgw/adhoc/command_call.h"
#include "xmppgw/adhoc/table.h"
#include "xmppgw/commands/commands.h"

#define NO_EFFECT "Without effect (verifier = open) at "

/* A sentence (heap) that names the relays at which limits have no effect; NULL: none is known. */
static char *name_open_relays(void)
{
	struct backend *relay = backend_first(BACKEND_RELAY);
	struct buf text = { 0 };

	for (; relay != NULL; relay = backend_next(relay, BACKEND_RELAY)) {
		const char *verifier =
		        json_string_value(json_object_get(relay->record, "verifier"));

		if (verifier != NULL && strcmp(verifier, "open") == 0)
			buf_printf(&text, "%s%s", buf_len(&text) > 0 ? ", " : NO_EFFECT, relay->id);
	}
	if (buf_len(&text) == 0)
		return NULL;
	buf_text(&text, ".");
	return buf_take(&text);
}

/* ---- show-limits ---- */

/* clang-format off */
static const struct table_column columns[] = {
	{ "account", "User or domain",    TABLE_TEXT,  "account" },
	{ "file",    "One transfer",      TABLE_LIMIT, "file" },
	{ "user",    "A user's month",    TABLE_LIMIT, "user" },
	{ "domain",  "A domain's month",  TABLE_LIMIT, "domain" },
};

static const struct field show_fields[] = {
	{ "account", FIELD_ACCOUNT_LABEL, FIELD_ACCOUNT,
	  .help = "Empty: all that have limits of their own." },
	FIELD_AFTER,
	{ NULL },
};
/* clang-format on */

static const struct table table = { columns, ARRAY_LEN(columns) };

/* The API answers an account's limits as an object, and those of all as a page of objects. */
static void on_shown(struct command_call *call)
{
	const struct command_reply *reply = call->replies;
	json_t *page = json_object_get(reply->body, "limits");
	json_t *rows = page != NULL ? json_incref(page) : json_pack("[O]", reply->body);
	char *warning = name_open_relays();

	if (reply->status == 200)
		table_reply(&call->request, &table,
		            &(struct table_page){
		                    .rows = rows,
		                    .next = json_string_value(json_object_get(reply->body, "next")),
		                    .warning = warning });
	else
		command_call_fail(call, reply);
	free(warning);
	json_decref(rows);
}

static void show(struct adhoc_request *request, const struct field_values *values)
{
	struct command_call *call = command_call_new(sizeof(*call), request);
	const char *account = fields_get(values, "account")->text;
	char *path;

	if (account != NULL)
		path = api_call_path_of("/v1/limits", account, "");
	else
		path = api_call_path("/v1/limits",
		                     (const char *[]){ "limit", TABLE_PAGE, "after",
		                                       fields_get(values, "after")->text, NULL });
	call->done = on_shown;
	command_call_any(call, BACKEND_RELAY, "GET", path, NULL);
	free(path);
}

const struct adhoc_command command_show_limits = {
	.node = "show-limits",
	.name = "Show limits",
	.roles = ROLE_RELAY,
	.right = ADHOC_ADMINS,
	.instructions = "0: not set for this account; -1: forbidden.",
	.fields = show_fields,
	.run = show,
};

/* ---- set-limits ---- */

/* clang-format off */
static const struct field set_fields[] = {
	{ "account", FIELD_ACCOUNT_LABEL, FIELD_ACCOUNT, FIELD_REQUIRED },
	{ "file", "Limit of one transfer (in MB)", FIELD_LIMIT },
	{ "user", "Limit of a user's month (in MB)", FIELD_LIMIT },
	{ "domain", "Limit of a domain's month (in MB)", FIELD_LIMIT },
	{ "credit", "Credit (in MB)", FIELD_BYTES,
	  .help = "So much less counts as used this month." },
	{ NULL },
};
/* clang-format on */

/* The limits of an account, as fields of the form and in relayd's API. */
static const char *const limits[] = { "file", "user", "domain" };

struct change {
	struct command_call call;
	char account[JID_TEXT_MAX];
	int64_t limits[ARRAY_LEN(limits)];
	bool given[ARRAY_LEN(limits)]; /* the other limits stay as they are */
	int64_t credit;                /* 0: none */
};

static void call_relay(struct change *change, const char *method, const char *base,
                       const char *rest, json_t *body)
{
	char *path = api_call_path_of(base, change->account, rest);

	command_call_any(&change->call, BACKEND_RELAY, method, path, body);
	free(path);
}

static void on_credited(struct command_call *call)
{
	const struct command_reply *reply = call->replies;
	char *warning, *text;

	if (reply->status < 200 || reply->status >= 300) {
		command_call_fail(call, reply);
		return;
	}
	warning = name_open_relays();
	text = mem_printf("It is done.%s%s", warning != NULL ? " " : "",
	                  warning != NULL ? warning : "");
	adhoc_reply_note(&call->request, text);
	free(text);
	free(warning);
}

static void give_credit(struct change *change)
{
	change->call.done = on_credited;
	call_relay(change, "POST", "/v1/usage", "/credit",
	           json_pack("{s:I}", "bytes", (json_int_t)change->credit));
}

static void on_set(struct command_call *call)
{
	struct change *change = container_of(call, struct change, call);
	unsigned status = call->replies->status;

	if (change->credit > 0 && status >= 200 && status < 300)
		give_credit(change);
	else
		on_credited(call);
}

/* PUT replaces all limits of an account, so those that the form doesn't set are sent again. */
static void on_read(struct command_call *call)
{
	struct change *change = container_of(call, struct change, call);
	const struct command_reply *reply = call->replies;
	json_t *body;

	if (reply->status != 200 && reply->status != 404) {
		command_call_fail(call, reply);
		return;
	}
	body = json_object();
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		json_t *old = json_object_get(reply->body, limits[i]);

		if (change->given[i])
			json_object_set_new(body, limits[i], json_integer(change->limits[i]));
		else if (json_is_integer(old))
			json_object_set(body, limits[i], old);
	}
	call->done = on_set;
	call_relay(change, "PUT", "/v1/limits", "", body);
}

static void set(struct adhoc_request *request, const struct field_values *values)
{
	struct change *change;
	bool any_limit = false;

	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		any_limit |= fields_get(values, limits[i])->text != NULL;
	if (!any_limit && fields_get(values, "credit")->text == NULL) {
		iq_error(request->iq, IQ_BAD_REQUEST, "There is nothing to be changed.");
		return;
	}
	change = command_call_new(sizeof(*change), request);
	snprintf(change->account, sizeof(change->account), "%s",
	         fields_get(values, "account")->text);
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		const struct field_value *value = fields_get(values, limits[i]);

		change->given[i] = value->text != NULL;
		change->limits[i] = value->bytes;
	}
	change->credit = fields_get(values, "credit")->bytes;
	if (!any_limit) {
		give_credit(change);
		return;
	}
	change->call.done = on_read;
	call_relay(change, "GET", "/v1/limits", "", NULL);
}

static void ask_set(struct adhoc_request *request)
{
	char *notice = name_open_relays();

	adhoc_ask(request, &(struct field_offer){ .notice = notice });
	free(notice);
}

const struct adhoc_command command_set_limits = {
	.node = "set-limits",
	.name = "Set limits",
	.roles = ROLE_RELAY,
	.right = ADHOC_ADMINS,
	.instructions = "A bare number is MB; B, k, M, G and T can follow it. 0: not set for this "
	                "account; -1: forbidden. What is left empty stays as it is.",
	.fields = set_fields,
	.ask = ask_set,
	.run = set,
};
