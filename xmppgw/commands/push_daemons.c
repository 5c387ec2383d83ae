#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "xmppgw/adhoc/command_call.h"
#include "xmppgw/adhoc/table.h"
#include "xmppgw/commands/commands.h"

/* ---- show-push-statistics ---- */

/* clang-format off */
static const struct table_column statistics_columns[] = {
	{ "id",          "Provider",          TABLE_TEXT,   "id" },
	{ "kind",        "Kind",              TABLE_TEXT,   "kind" },
	{ "sent",        "Sent",              TABLE_NUMBER, "outcomes.sent" },
	{ "queued",      "Queued",            TABLE_NUMBER, "outcomes.queued" },
	{ "merged",      "Merged",            TABLE_NUMBER, "outcomes.merged" },
	{ "gone",        "Gone",              TABLE_NUMBER, "outcomes.gone" },
	{ "unavailable", "Unavailable",       TABLE_NUMBER, "outcomes.unavailable" },
	{ "waiting",     "Waiting now",       TABLE_NUMBER, "queued" },
	{ "requests",    "Requests accepted", TABLE_NUMBER, "sent" },
	{ "removed",     "Devices removed",   TABLE_NUMBER, "removed" },
};
/* clang-format on */

static const struct table statistics_table = { statistics_columns, ARRAY_LEN(statistics_columns) };

/* The row of the provider ID, or NULL. */
static json_t *find_row(const json_t *rows, const char *id)
{
	size_t i;
	json_t *row;

	json_array_foreach (rows, i, row)
		if (id != NULL && strcmp(json_string_value(json_object_get(row, "id")), id) == 0)
			return row;
	return NULL;
}

static void add_number(json_t *sum, const json_t *more, const char *key)
{
	json_t *number = json_object_get(more, key);

	if (json_is_integer(number))
		json_object_set_new(sum, key,
		                    json_integer(json_integer_value(json_object_get(sum, key)) +
		                                 json_integer_value(number)));
}

/* Adds MORE, of another process, to ROW. What waits is in Redis: all processes count the same. */
static void add_up(json_t *row, const json_t *more)
{
	json_t *outcomes = json_object_get(row, "outcomes");
	const json_t *others = json_object_get(more, "outcomes");
	const char *key;
	json_t *value;

	json_object_foreach (outcomes, key, value)
		add_number(outcomes, others, key);
	add_number(row, more, "sent");
	add_number(row, more, "removed");
	if (!json_is_integer(json_object_get(row, "queued")))
		json_object_set(row, "queued", json_object_get(more, "queued"));
}

static void add_reply(json_t *rows, const json_t *body)
{
	size_t i;
	json_t *provider;

	json_array_foreach (json_object_get(body, "providers"), i, provider) {
		const char *id = json_string_value(json_object_get(provider, "id"));
		json_t *row = find_row(rows, id);

		if (row != NULL)
			add_up(row, provider);
		else if (id != NULL)
			json_array_append_new(rows, json_deep_copy(provider));
	}
}

static void on_statistics(struct command_call *call)
{
	json_t *rows = json_array();
	char *warning = NULL, *text;
	size_t answered = 0;

	for (size_t i = 0; i < call->count; i++) {
		add_reply(rows, call->replies[i].body);
		if (call->replies[i].status == 200)
			answered++;
		else if (warning == NULL)
			warning = mem_printf("Push daemon %s didn't tell what it did.",
			                     call->replies[i].daemon);
	}
	text = mem_printf("%zu, each since it started", answered);
	if (answered == 0)
		command_call_fail(call, call->replies);
	else
		table_reply(&call->request, &statistics_table,
		            &(struct table_page){
		                    .rows = rows,
		                    .facts =
		                            (const struct table_fact[]){
		                                    { "daemons", "Push daemons", text }, { NULL } },
		                    .warning = warning });
	free(text);
	free(warning);
	json_decref(rows);
}

static void show_statistics(struct adhoc_request *request, const struct field_values *values)
{
	struct command_call *call = command_call_new(sizeof(*call), request);

	call->done = on_statistics;
	command_call_all(call, BACKEND_PUSH, "GET", "/v1/statistics");
}

const struct adhoc_command command_show_push_statistics = {
	.node = "show-push-statistics",
	.name = "Show push statistics",
	.roles = ROLE_PUSH,
	.right = ADHOC_ADMINS,
	.run = show_statistics,
};

/* ---- show-queue ---- */

/* clang-format off */
static const struct table_column queue_columns[] = {
	{ "provider", "Provider",  TABLE_TEXT,   "provider" },
	{ "domain",   "Publisher", TABLE_TEXT,   "domain" },
	{ "node",     "Node",      TABLE_TEXT,   "node" },
	{ "priority", "Priority",  TABLE_TEXT,   "priority" },
	{ "attempts", "Attempts",  TABLE_NUMBER, "attempts" },
	{ "created",  "Created",   TABLE_TIME,   "created_ms" },
	{ "due",      "Due",       TABLE_TIME,   "due_ms" },
	{ "expires",  "Expires",   TABLE_TIME,   "expires_ms" },
};
/* clang-format on */

static const struct table queue_table = { queue_columns, ARRAY_LEN(queue_columns) };
static const struct field queue_fields[] = { FIELD_AFTER, { NULL } };

static void on_queue(struct command_call *call)
{
	const struct command_reply *reply = call->replies;
	char *text;

	if (reply->status != 200) {
		command_call_fail(call, reply);
		return;
	}
	text = mem_printf("%lld",
	                  (long long)json_integer_value(json_object_get(reply->body, "count")));
	table_reply(
	        &call->request, &queue_table,
	        &(struct table_page){
	                .rows = json_object_get(reply->body, "queue"),
	                .facts =
	                        (const struct table_fact[]){
	                                { "count", "Notifications that wait", text }, { NULL } },
	                .next = json_string_value(json_object_get(reply->body, "next")) });
	free(text);
}

static void show_queue(struct adhoc_request *request, const struct field_values *values)
{
	struct command_call *call = command_call_new(sizeof(*call), request);
	char *path = api_call_path("/v1/queue",
	                           (const char *[]){ "limit", TABLE_PAGE, "after",
	                                             fields_get(values, "after")->text, NULL });

	call->done = on_queue;
	command_call_any(call, BACKEND_PUSH, "GET", path, NULL);
	free(path);
}

const struct adhoc_command command_show_queue = {
	.node = "show-queue",
	.name = "Show the push queue",
	.roles = ROLE_PUSH,
	.right = ADHOC_ADMINS,
	.fields = queue_fields,
	.run = show_queue,
};

/* ---- list-push-daemons ---- */

/* clang-format off */
static const struct table_column daemon_columns[] = {
	{ "id",       "Push daemon", TABLE_TEXT,   "id" },
	{ "draining", "Draining",    TABLE_YES_NO, "draining" },
	{ "since",    "Started",     TABLE_TIME,   "epoch" },
	{ "api",      "API",         TABLE_TEXT,   "api" },
};
/* clang-format on */

static const struct table daemon_table = { daemon_columns, ARRAY_LEN(daemon_columns) };

static void list_daemons(struct adhoc_request *request, const struct field_values *values)
{
	struct backend *push = backend_first(BACKEND_PUSH);
	json_t *rows = json_array();

	for (; push != NULL; push = backend_next(push, BACKEND_PUSH))
		json_array_append(rows, push->record);
	table_reply(request, &daemon_table, &(struct table_page){ .rows = rows });
	json_decref(rows);
}

const struct adhoc_command command_list_push_daemons = {
	.node = "list-push-daemons",
	.name = "List push daemons",
	.roles = ROLE_PUSH,
	.right = ADHOC_ADMINS,
	.run = list_daemons,
};

/* ---- drain-push-daemon ---- */

static size_t offer_daemons(const char **ids)
{
	struct backend *push = backend_first(BACKEND_PUSH);
	size_t count = 0;

	for (; push != NULL && count < FIELD_CHOICES_MAX; push = backend_next(push, BACKEND_PUSH))
		ids[count++] = push->id;
	return count;
}

static const struct field drain_fields[] = {
	{ "daemon", "Push daemon", FIELD_CHOICE, FIELD_REQUIRED, .offer = offer_daemons },
	{ NULL },
};

static void on_drained(struct command_call *call)
{
	if (call->replies->status == 202)
		adhoc_reply_note(&call->request, "The push daemon drains.");
	else
		command_call_fail(call, call->replies);
}

static void drain(struct adhoc_request *request, const struct field_values *values)
{
	struct backend *push = backend_find(BACKEND_PUSH, fields_get(values, "daemon")->text);
	struct command_call *call;

	if (push == NULL) {
		iq_error(request->iq, IQ_ITEM_NOT_FOUND, "There is no such push daemon.");
		return;
	}
	call = command_call_new(sizeof(*call), request);
	call->done = on_drained;
	command_call_one(call, push, "POST", "/v1/drain", json_object());
}

const struct adhoc_command command_drain_push_daemon = {
	.node = "drain-push-daemon",
	.name = "Drain a push daemon",
	.roles = ROLE_PUSH,
	.right = ADHOC_ADMINS,
	.instructions = "It sends or gives back what it has, takes nothing new, and ends.",
	.fields = drain_fields,
	.run = drain,
};
