#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "xmppgw/adhoc/command_call.h"
#include "xmppgw/adhoc/table.h"
#include "xmppgw/commands/commands.h"

#define ALL "all" /* of the kinds */
#define GLOBAL "global"

/* clang-format off */
static const struct table_column columns[] = {
	{ "account", "Account", TABLE_TEXT,   "account" },
	{ "kind",    "Kind",    TABLE_TEXT,   "kind" },
	{ "used",    "Used",    TABLE_SIZE,   "bytes" },
	{ "bytes",   "Bytes",   TABLE_NUMBER, "bytes" },
};

static const char *const kinds[] = { ALL, "user", "domain", "instance", GLOBAL, NULL };

static const struct field fields[] = {
	{ "month", "Month (YYYYMM, UTC)", FIELD_MONTH },
	{ "kind", "Of whom", FIELD_CHOICE, .choices = kinds },
	{ "account", FIELD_ACCOUNT_LABEL, FIELD_ACCOUNT, .help = "Empty: all." },
	FIELD_AFTER,
	{ NULL },
};
/* clang-format on */

static const struct table table = { columns, ARRAY_LEN(columns) };

struct usage_call {
	struct command_call call;
	const char *kind; /* of KINDS */
};

/*
 * The rows of KIND alone (owned by the caller). *ENDED becomes true if rows of another kind came:
 * the API's pages are sorted by kind, so no page after this one has any of KIND.
 */
static json_t *pick_rows(const json_t *rows, const char *kind, bool *ended)
{
	json_t *picked = json_array(), *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		const char *other = json_string_value(json_object_get(row, "kind"));

		if (strcmp(kind, ALL) == 0 || (other != NULL && strcmp(other, kind) == 0))
			json_array_append(picked, row);
		else
			*ended = true;
	}
	return picked;
}

static void on_page(struct command_call *call)
{
	const struct usage_call *usage = container_of(call, struct usage_call, call);
	const struct command_reply *reply = call->replies;
	struct table_page page = { 0 };
	bool ended = false;
	json_t *rows;

	if (reply->status != 200) {
		command_call_fail(call, reply);
		return;
	}
	rows = pick_rows(json_object_get(reply->body, "usage"), usage->kind, &ended);
	page.rows = rows;
	if (!ended)
		page.next = json_string_value(json_object_get(reply->body, "next"));
	table_reply(&call->request, &table, &page);
	json_decref(rows);
}

/* Ledgers are named KIND:ACCOUNT and listed in that order; only one is GLOBAL. */
static char *path_of(const struct field_values *values)
{
	const char *kind = fields_get(values, "kind")->text,
	           *account = fields_get(values, "account")->text;
	const char *after = fields_get(values, "after")->text;
	char *first = NULL, *path;

	if (strcmp(kind, GLOBAL) == 0)
		account = GLOBAL;
	else if (after == NULL && strcmp(kind, ALL) != 0)
		after = first = mem_printf("%s:", kind);
	path = api_call_path("/v1/usage",
	                     (const char *[]){ "limit", TABLE_PAGE, "after", after, "month",
	                                       fields_get(values, "month")->text, "account",
	                                       account, NULL });
	free(first);
	return path;
}

static void show(struct adhoc_request *request, const struct field_values *values)
{
	struct usage_call *usage = command_call_new(sizeof(*usage), request);
	char *path = path_of(values);

	usage->call.done = on_page;
	usage->kind = fields_get(values, "kind")->text;
	command_call_any(&usage->call, BACKEND_RELAY, "GET", path, NULL);
	free(path);
}

const struct adhoc_command command_show_usage = {
	.node = "show-usage",
	.name = "Show usage",
	.roles = ROLE_RELAY,
	.right = ADHOC_ADMINS,
	.fields = fields,
	.run = show,
};
