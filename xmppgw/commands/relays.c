#include <stdlib.h>

#include "common/base/mem.h"
#include "xmppgw/adhoc/command_call.h"
#include "xmppgw/adhoc/table.h"
#include "xmppgw/commands/commands.h"

/* ---- list-relays ---- */

/* clang-format off */
static const struct table_column columns[] = {
	{ "id",        "Relay",        TABLE_TEXT,   "id" },
	{ "addresses", "Addresses",    TABLE_TEXT,   "advertise" },
	{ "streams",   "Streams",      TABLE_NUMBER, "streams" },
	{ "halves",    "Connections",  TABLE_NUMBER, "halves" },
	{ "rate",      "A second",     TABLE_SIZE,   "bytes_per_second" },
	{ "draining",  "Draining",     TABLE_YES_NO, "draining" },
	{ "full",      "Full",         TABLE_YES_NO, "full" },
	{ "control",   "API",          TABLE_TEXT,   "control" },
};
/* clang-format on */

static const struct table table = { columns, ARRAY_LEN(columns) };

static void list(struct adhoc_request *request, const struct field_values *values)
{
	struct backend *relay = backend_first(BACKEND_RELAY);
	json_t *rows = json_array();

	for (; relay != NULL; relay = backend_next(relay, BACKEND_RELAY))
		json_array_append(rows, relay->record);
	table_reply(request, &table, &(struct table_page){ .rows = rows });
	json_decref(rows);
}

const struct adhoc_command command_list_relays = {
	.node = "list-relays",
	.name = "List relays",
	.roles = ROLE_RELAY,
	.right = ADHOC_ADMINS,
	.run = list,
};

/* ---- drain-relay ---- */

static size_t offer_relays(const char **ids)
{
	struct backend *relay = backend_first(BACKEND_RELAY);
	size_t count = 0;

	for (; relay != NULL && count < FIELD_CHOICES_MAX;
	     relay = backend_next(relay, BACKEND_RELAY))
		ids[count++] = relay->id;
	return count;
}

static const struct field drain_fields[] = {
	{ "relay", "Relay", FIELD_CHOICE, FIELD_REQUIRED, .offer = offer_relays },
	{ NULL },
};

static void on_drained(struct command_call *call)
{
	const struct command_reply *reply = call->replies;
	char *text;

	if (reply->status != 202) {
		command_call_fail(call, reply);
		return;
	}
	text = mem_printf("The relay drains; it has %lld streams.",
	                  (long long)json_integer_value(json_object_get(reply->body, "streams")));
	adhoc_reply_note(&call->request, text);
	free(text);
}

static void drain(struct adhoc_request *request, const struct field_values *values)
{
	struct backend *relay = backend_find(BACKEND_RELAY, fields_get(values, "relay")->text);
	struct command_call *call;

	if (relay == NULL) {
		iq_error(request->iq, IQ_ITEM_NOT_FOUND, "There is no such relay.");
		return;
	}
	call = command_call_new(sizeof(*call), request);
	call->done = on_drained;
	command_call_one(call, relay, "POST", "/v1/drain", json_object());
}

const struct adhoc_command command_drain_relay = {
	.node = "drain-relay",
	.name = "Drain a relay",
	.roles = ROLE_RELAY,
	.right = ADHOC_ADMINS,
	.instructions = "It serves the streams that it has, takes no new ones, and ends.",
	.fields = drain_fields,
	.run = drain,
};
