#include <stdlib.h>

#include "common/base/mem.h"
#include "xmppgw/commands/command_call.h"
#include "xmppgw/commands/commands.h"
#include "xmppgw/commands/table.h"

/* clang-format off */
static const struct table_column columns[] = {
	{ "ended",     "Ended",               TABLE_TIME,   "ended_ms" },
	{ "started",   "Started",             TABLE_TIME,   "started_ms" },
	{ "requester", "Requester",           TABLE_JID,    "tag.requester" },
	{ "target",    "Target",              TABLE_JID,    "tag.target" },
	{ "first",     "Bytes of one half",   TABLE_NUMBER, "bytes.0" },
	{ "second",    "Bytes of the other",  TABLE_NUMBER, "bytes.1" },
	{ "relay",     "Relay",               TABLE_TEXT,   "relay" },
	{ "reason",    "End",                 TABLE_TEXT,   "reason" },
	{ "hash",      "Stream",              TABLE_TEXT,   "hash" },
};
/* clang-format on */

static const struct table table = { columns, ARRAY_LEN(columns) };
static const struct field fields[] = { FIELD_AFTER, { NULL } };

static void on_page(struct command_call *call)
{
	const struct command_reply *reply = call->replies;

	if (reply->status == 200)
		table_reply(&call->request, &table,
		            &(struct table_page){ .rows = json_object_get(reply->body, "transfers"),
		                                  .next = json_string_value(
		                                          json_object_get(reply->body, "next")) });
	else
		command_call_fail(call, reply);
}

static void list(struct adhoc_request *request, const struct field_values *values)
{
	struct command_call *call = command_call_new(sizeof(*call), request);
	char *path = api_call_path("/v1/transfers",
	                           (const char *[]){ "limit", TABLE_PAGE, "after",
	                                             fields_get(values, "after")->text, NULL });

	call->done = on_page;
	command_call_any(call, BACKEND_RELAY, "GET", path, NULL);
	free(path);
}

const struct adhoc_command command_list_transfers = {
	.node = "list-transfers",
	.name = "List transfers",
	.roles = ROLE_RELAY,
	.right = ADHOC_ADMINS,
	.fields = fields,
	.run = list,
};
