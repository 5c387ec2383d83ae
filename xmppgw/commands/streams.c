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
	{ "requester", "Requester",          TABLE_TEXT,    "tag.requester" },
	{ "target",    "Target",             TABLE_TEXT,    "tag.target" },
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
 * The streams of all replies, at most MOST of each, sorted by hash, each with its relay's id. The
 * array is heap, the streams are borrowed. *MORE becomes true if a relay has more streams than it
 * listed.
 */
static json_t **gather(const struct command_call *call, size_t most, size_t *count, bool *more)
{
	json_t **streams = mem_alloc(call->count * most + 1, sizeof(*streams));

	*count = 0;
	for (size_t i = 0; i < call->count; i++) {
		const struct command_reply *reply = &call->replies[i];
		json_t *list = json_object_get(reply->body, "streams");

		for (size_t k = 0; k < json_array_size(list) && k < most; k++) {
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
	json_t **streams = gather(call, TABLE_PAGE_ROWS, &count, &more);
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
	{ "hash", "Stream", FIELD_HASH, FIELD_REQUIRED },
	{ NULL },
};

/* The form takes a hash then. */
#define TOO_MANY "Too many to choose from: list-streams shows the hashes."

#define PARTY_CHARACTERS 17 /* of a party's name in an option */

/* Appends the bare JID of a party (UTF-8), cut to PARTY_CHARACTERS. */
static void add_party(struct buf *out, const char *jid)
{
	size_t len = 0, cut = 0, characters = 0;

	for (; jid[len] != '\0' && jid[len] != '/'; len++)
		if (((unsigned char)jid[len] & 0xc0) != 0x80 && ++characters == PARTY_CHARACTERS)
			cut = len;
	if (characters <= PARTY_CHARACTERS) {
		buf_append(out, jid, len);
	} else {
		buf_append(out, jid, cut);
		buf_text(out, "…");
	}
}

static const char *party_of(const json_t *stream, const char *key)
{
	return json_string_value(json_object_get(json_object_get(stream, "tag"), key));
}

/*
 * "1a2b alice@example.org→bob@example.org": no wider than 40 characters, because poezio shows no
 * option that is wider than half of its screen.
 */
static json_t *make_option(const json_t *stream)
{
	const char *requester = party_of(stream, "requester"), *target = party_of(stream, "target");
	struct buf label = { 0 };
	char *text;
	json_t *option;

	buf_printf(&label, "%.4s ", hash_of(stream));
	if (requester != NULL && target != NULL) {
		add_party(&label, requester);
		buf_text(&label, "→");
		add_party(&label, target);
	} else {
		buf_text(&label, "waits for the other half");
	}
	text = buf_take(&label);
	option = json_pack("{s:s, s:s}", "value", hash_of(stream), "label", text);
	free(text);
	return option;
}

static void offer_streams(struct adhoc_request *request, json_t **streams, size_t count)
{
	json_t *options = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(options, make_option(streams[i]));
	adhoc_ask(request, &(struct field_offer){ .var = "hash", .options = options });
	json_decref(options);
}

static void on_choices(struct command_call *call)
{
	size_t listed, count;
	const struct command_reply *failed = find_failed(call, &listed);
	bool more = false;
	json_t **streams;

	if (listed == 0) {
		command_call_fail(call, failed);
		return;
	}
	streams = gather(call, FIELD_CHOICES_MAX, &count, &more);
	if (more || count > FIELD_CHOICES_MAX)
		adhoc_ask(&call->request, &(struct field_offer){ .notice = TOO_MANY });
	else if (count > 0)
		offer_streams(&call->request, streams, count);
	else
		iq_error(call->request.iq, IQ_ITEM_NOT_FOUND, "There is no stream.");
	free(streams);
}

static void ask_cut(struct adhoc_request *request)
{
	struct command_call *call = command_call_new(sizeof(*call), request);
	char *path = mem_printf("/v1/streams?limit=%d", FIELD_CHOICES_MAX);

	call->done = on_choices;
	command_call_all(call, BACKEND_RELAY, "GET", path);
	free(path);
}

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
	.ask = ask_cut,
	.run = cut,
};
