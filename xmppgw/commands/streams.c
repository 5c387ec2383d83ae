#include "xmppgw/commands/streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "xmppgw/commands/adhoc_call.h"
#include "xmppgw/commands/survey.h"
#include "xmppgw/services/bytestreams.h"
#include "xmppgw/xmpp/form.h"
#include "xmppgw/xmpp/page.h"

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

/* ---- list-streams ---- */

void streams_form(struct buf *out)
{
	buf_text(out, "<title>List live streams</title>");
	page_add_field(out);
}

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
 * The streams of all PARTS, sorted by hash, each with its relay's id; heap, borrowing the streams.
 * *MORE becomes true where a relay has others behind those.
 */
static json_t **gather(const struct survey *survey, size_t *count, bool *more)
{
	json_t **streams = mem_alloc(survey->count * PAGE_ROWS + 1, sizeof *streams);

	*count = 0;
	for (size_t i = 0; i < survey->count; i++) {
		const struct survey_part *part = &survey->parts[i];
		json_t *list = json_object_get(part->body, "streams");

		for (size_t k = 0; k < json_array_size(list) && k < PAGE_ROWS; k++) {
			json_t *stream = json_array_get(list, k);

			json_object_set_new(stream, "relay", json_string(part->relay));
			streams[(*count)++] = stream;
		}
		*more |= json_is_string(json_object_get(part->body, "next"));
	}
	qsort(streams, *count, sizeof *streams, by_hash);
	return streams;
}

/* The first relay that didn't tell its streams, or NULL; how many did goes to *TOLD. */
static const struct survey_part *find_silent(const struct survey *survey, size_t *told)
{
	const struct survey_part *silent = NULL;

	*told = 0;
	for (size_t i = 0; i < survey->count; i++) {
		if (survey->parts[i].status == 200)
			(*told)++;
		else if (silent == NULL)
			silent = &survey->parts[i];
	}
	return silent;
}

/* Each relay has told its first PAGE_ROWS, so the first PAGE_ROWS of all are among them. */
static void show(struct survey *survey, const char *warning)
{
	bool more = false;
	size_t count, shown;
	json_t **streams = gather(survey, &count, &more);
	const char *next = NULL;
	struct buf *out;

	shown = count < PAGE_ROWS ? count : PAGE_ROWS;
	if (shown > 0 && (more || count > shown))
		next = hash_of(streams[shown - 1]);
	out = adhoc_begin_table(survey->iq, &survey->session, &table, next);
	for (size_t i = 0; i < shown; i++)
		table_add(&table, streams[i], out);
	adhoc_end_warned(survey->iq, out, warning);
	free(streams);
}

static void on_listed(struct survey *survey)
{
	size_t told;
	const struct survey_part *silent = find_silent(survey, &told);
	char *warning = NULL;

	if (told == 0) {
		adhoc_call_fail(survey->iq, silent->status, silent->body);
		return;
	}
	if (silent != NULL)
		warning = mem_printf("Relay %s didn't tell its streams.", silent->relay);
	show(survey, warning);
	free(warning);
}

void streams_submit(struct iq *iq, const struct adhoc_session *session, const struct xml *form)
{
	struct survey *survey = survey_new(sizeof *survey, iq, session);
	struct buf page = { 0 };
	char *path;

	page_begin(&page, "/v1/streams", PAGE_ROWS, form_value(form, "after"));
	path = buf_take(&page);
	survey->done = on_listed;
	survey_ask(survey, "GET", path);
	free(path);
}

/* ---- cut-stream ---- */

void streams_cut_form(struct buf *out)
{
	buf_text(out, "<title>Cut a stream</title>");
	form_add_field(out,
	               &(struct form_field){ .var = "hash",
	                                     .type = "text-single",
	                                     .label = "Stream",
	                                     .help = "The 40 hex digits that list-streams shows.",
	                                     .required = true });
}

/* 404 is what all relays but one are to say; the one that doesn't tells how it went. */
static const struct survey_part *find_telling(const struct survey *survey)
{
	const struct survey_part *telling = &survey->parts[0];

	for (size_t i = 0; i < survey->count; i++) {
		const struct survey_part *part = &survey->parts[i];

		if (part->status == 204)
			return part;
		if (part->status != 404)
			telling = part;
	}
	return telling;
}

static void on_cut(struct survey *survey)
{
	const struct survey_part *telling = find_telling(survey);

	if (telling->status == 204)
		adhoc_note(survey->iq, &survey->session, "The stream was cut.");
	else
		adhoc_call_fail(survey->iq, telling->status, telling->body);
}

void streams_cut_submit(struct iq *iq, const struct adhoc_session *session, const struct xml *form)
{
	const char *hash = form_value(form, "hash");
	char path[sizeof "/v1/streams/" + BYTESTREAMS_HASH_LEN];
	struct survey *survey;

	if (hash == NULL || strlen(hash) != BYTESTREAMS_HASH_LEN ||
	    strspn(hash, "0123456789abcdef") != BYTESTREAMS_HASH_LEN) {
		iq_error(iq, IQ_BAD_REQUEST, "hash must be 40 hex digits.");
		return;
	}
	snprintf(path, sizeof path, "/v1/streams/%s", hash);
	survey = survey_new(sizeof *survey, iq, session);
	survey->done = on_cut;
	survey_ask(survey, "DELETE", path);
}
