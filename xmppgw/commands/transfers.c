#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "xmppgw/adhoc/command_call.h"
#include "xmppgw/adhoc/table.h"
#include "xmppgw/commands/commands.h"

/* clang-format off */
static const struct table_column columns[] = {
	{ "ended",     "Ended",               TABLE_TIME,   "ended_ms" },
	{ "started",   "Started",             TABLE_TIME,   "started_ms" },
	{ "requester", "Requester",           TABLE_TEXT,   "tag.requester" },
	{ "target",    "Target",              TABLE_TEXT,   "tag.target" },
	{ "first",     "Bytes of one half",   TABLE_NUMBER, "bytes.0" },
	{ "second",    "Bytes of the other",  TABLE_NUMBER, "bytes.1" },
	{ "relay",     "Relay",               TABLE_TEXT,   "relay" },
	{ "reason",    "End",                 TABLE_TEXT,   "reason" },
	{ "hash",      "Stream",              TABLE_TEXT,   "hash" },
};
/* clang-format on */

static const struct table table = { columns, ARRAY_LEN(columns) };
/* clang-format off */
static const struct field fields[] = {
	{ "user", "User (user@domain)", FIELD_USER, .help = "Empty: all." },
	{ "domain", "Domain", FIELD_DOMAIN, .help = "Empty: all." },
	{ "from", "From (UTC)", FIELD_TIME, .help = "YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ" },
	{ "to", "To (UTC)", FIELD_TIME, .help = "The same; not itself within the time." },
	FIELD_AFTER,
	{ NULL },
};
/* clang-format on */

/* What a page that matches nothing among so many records says; the user may go on. */
#define NOTHING_YET "Not among the records looked at; older ones follow."

/* Milliseconds as text in TEXT, or NULL where the field was left empty. */
static const char *time_argument(const struct field_values *values, const char *var, int64_t less,
                                 char text[24])
{
	const struct field_value *value = fields_get(values, var);

	if (value->text == NULL)
		return NULL;
	snprintf(text, 24, "%lld", (long long)(value->at_ms - less));
	return text;
}

static void on_page(struct command_call *call)
{
	const struct command_reply *reply = call->replies;
	const json_t *rows = json_object_get(reply->body, "transfers");
	bool more = json_is_string(json_object_get(reply->body, "next"));

	if (reply->status == 200)
		table_reply(
		        &call->request, &table,
		        &(struct table_page){
		                .rows = rows,
		                .facts =
		                        (const struct table_fact[]){
		                                { "hint", "Note",
		                                  json_array_size(rows) == 0 && more ? NOTHING_YET
		                                                                     : NULL },
		                                { NULL } },
		                .next = json_string_value(json_object_get(reply->body, "next")) });
	else
		command_call_fail(call, reply);
}

static void list(struct adhoc_request *request, const struct field_values *values)
{
	struct command_call *call = command_call_new(sizeof(*call), request);
	char from[24], to[24];
	char *path = api_call_path(
	        "/v1/transfers", (const char *[]){ "order", "newest", "limit", TABLE_PAGE, "after",
	                                           fields_get(values, "after")->text, "user",
	                                           fields_get(values, "user")->text, "domain",
	                                           fields_get(values, "domain")->text, "from_ms",
	                                           time_argument(values, "from", 0, from), "to_ms",
	                                           time_argument(values, "to", 1, to), NULL });

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
