#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "xmppgw/adhoc/command_call.h"
#include "xmppgw/adhoc/table.h"
#include "xmppgw/commands/commands.h"

/* ---- list-streams ---- */

/* clang-format off */
static const struct table_column columns[] = {
	{ "hash",      "Stream",             TABLE_TEXT,    "hash" },
	{ "relay",     "Relay",              TABLE_TEXT,    "relay" },
	{ "state",     "State",              TABLE_TEXT,    "state" },
	{ "age",       "Age in seconds",     TABLE_SECONDS, "age_ms" },
	{ "requester", "Requester",          TABLE_JID,     "tag.requester" },
	{ "target",    "Target",             TABLE_JID,     "tag.target" },
	{ "first",     "Bytes of one half",  TABLE_NUMBER,  "halves.0.received" },
	{ "second",    "Bytes of the other", TABLE_NUMBER,  "halves.1.received" },
};
/* clang-format on */

static const struct table table = { columns, ARRAY_LEN(columns) };
static const struct field list_fields[] = { FIELD_AFTER, { NULL } };

static const char *hash_of(const json_t *stream)
{
	const char *hash = json_string_value(json_object_get(stream, "hash"));

	return hash == NULL ? "" : hash;
}

static int by_hash(const void *one, const void *other)
{
	return strcmp(hash_of(*(const json_t *const *)one), hash_of(*(const json_t *const *)other));
}

/*
 * The streams of all replies, sorted by hash, each with its relay's id. The array is heap, the
 * streams are borrowed. *MORE becomes true if a relay has more streams than it listed.
 */
static json_t **gather(const struct command_call *call, size_t *count, bool *more)
{
	json_t **streams = mem_alloc(call->count * TABLE_PAGE_ROWS + 1, sizeof(*streams));

	*count = 0;
	for (size_t i = 0; i < call->count; i++) {
		const struct command_reply *reply = &call->replies[i];
		json_t *list = json_object_get(reply->body, "streams");

		for (size_t k = 0; k < json_array_size(list) && k < TABLE_PAGE_ROWS; k++) {
			json_t *stream = json_array_get(list, k);

			json_object_set_new(stream, "relay", json_string(reply->daemon));
			streams[(*count)++] = stream;
		}
		*more |= json_is_string(json_object_get(reply->body, "next"));
	}
	qsort(streams, *count, sizeof(*streams), by_hash);
	return streams;
}

/* The first relay that didn't list its streams, or NULL; *LISTED: how many relays did. */
static const struct command_reply *find_failed(const struct command_call *call, size_t *listed)
{
	const struct command_reply *failed = NULL;

	*listed = 0;
	for (size_t i = 0; i < call->count; i++) {
		if (call->replies[i].status == 200)
			(*listed)++;
		else if (failed == NULL)
			failed = &call->replies[i];
	}
	return failed;
}

/* Each relay listed its first TABLE_PAGE_ROWS streams, so the first ones of all are among them. */
static void reply_streams(struct command_call *call, const char *warning)
{
	bool more = false;
	size_t count, shown;
	json_t **streams = gather(call, &count, &more);
	struct table_page page = { .warning = warning };
	json_t *rows = json_array();

	shown = count < TABLE_PAGE_ROWS ? count : TABLE_PAGE_ROWS;
	for (size_t i = 0; i < shown; i++)
		json_array_append(rows, streams[i]);
	page.rows = rows;
	if (shown > 0 && (more || count > shown))
		page.next = hash_of(streams[shown - 1]);
	table_reply(&call->request, &table, &page);
	json_decref(rows);
	free(streams);
}

static void on_listed(struct command_call *call)
{
	size_t listed;
	const struct command_reply *failed = find_failed(call, &listed);
	char *warning = NULL;

	if (listed == 0) {
		command_call_fail(call, failed);
		return;
	}
	if (failed != NULL)
		warning = mem_printf("Relay %s didn't tell its streams.", failed->daemon);
	reply_streams(call, warning);
	free(warning);
}

static void list(struct adhoc_request *request, const struct field_values *values)
{
	struct command_call *call = command_call_new(sizeof(*call), request);
	char *path = api_call_path("/v1/streams",
	                           (const char *[]){ "limit", TABLE_PAGE, "after",
	                                             fields_get(values, "after")->text, NULL });

	call->done = on_listed;
	command_call_all(call, BACKEND_RELAY, "GET", path);
	free(path);
}

const struct adhoc_command command_list_streams = {
	.node = "list-streams",
	.name = "List live streams",
	.roles = ROLE_RELAY,
	.right = ADHOC_ADMINS,
	.fields = list_fields,
	.run = list,
};

/* ---- cut-stream ---- */

static const struct field cut_fields[] = {
	{ "hash", "Stream", FIELD_HASH, FIELD_REQUIRED,
	  "The 40 hex digits that list-streams shows." },
	{ NULL },
};

/*
 * The reply of the relay that had the stream. The other relays reply 404; if all do, the first
 * reply is as good as any.
 */
static const struct command_reply *find_decisive(const struct command_call *call)
{
	const struct command_reply *decisive = &call->replies[0];

	for (size_t i = 0; i < call->count; i++) {
		const struct command_reply *reply = &call->replies[i];

		if (reply->status == 204)
			return reply;
		if (reply->status != 404)
			decisive = reply;
	}
	return decisive;
}

static void on_cut(struct command_call *call)
{
	const struct command_reply *reply = find_decisive(call);

	if (reply->status == 204)
		adhoc_reply_note(&call->request, "The stream was cut.");
	else
		command_call_fail(call, reply);
}

static void cut(struct adhoc_request *request, const struct field_values *values)
{
	struct command_call *call = command_call_new(sizeof(*call), request);
	char *path = mem_printf("/v1/streams/%s", fields_get(values, "hash")->text);

	call->done = on_cut;
	command_call_all(call, BACKEND_RELAY, "DELETE", path);
	free(path);
}

const struct adhoc_command command_cut_stream = {
	.node = "cut-stream",
	.name = "Cut a stream",
	.roles = ROLE_RELAY,
	.right = ADHOC_ADMINS,
	.fields = cut_fields,
	.run = cut,
};
