#include "xmppgw/commands/relays.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "xmppgw/commands/adhoc_call.h"
#include "xmppgw/xmpp/form.h"

#define OPTIONS_MAX 256 /* more relays than this the form doesn't offer */

/* clang-format off */
static const struct table_column columns[] = {
	{ "id",        "Relay",        TABLE_TEXT,   "id" },
	{ "addresses", "Addresses",    TABLE_TEXT,   "advertise" },
	{ "streams",   "Streams",      TABLE_NUMBER, "streams" },
	{ "halves",    "Connections",  TABLE_NUMBER, "halves" },
	{ "rate",      "A second",     TABLE_SIZE,   "bytes_per_second" },
	{ "draining",  "Draining",     TABLE_YES_NO, "draining" },
	{ "control",   "API",          TABLE_TEXT,   "control" },
};
/* clang-format on */

static const struct table table = { columns, ARRAY_LEN(columns) };

void relays_submit(struct iq *iq, const struct adhoc_session *session, const struct xml *form)
{
	struct backend *relay = backend_first(BACKEND_RELAY);
	struct buf *out = adhoc_begin_table(iq, session, &table, NULL);

	for (; relay != NULL; relay = backend_next(relay, BACKEND_RELAY))
		table_add(&table, relay->record, out);
	adhoc_end(iq, out);
}

void relays_drain_form(struct buf *out)
{
	struct backend *relay = backend_first(BACKEND_RELAY);
	const char *ids[OPTIONS_MAX];
	size_t count = 0;

	for (; relay != NULL && count < OPTIONS_MAX; relay = backend_next(relay, BACKEND_RELAY))
		ids[count++] = relay->id;
	buf_text(out,
	         "<title>Drain a relay</title><instructions>It serves the streams that it has, "
	         "takes no new ones, and ends.</instructions>");
	form_add_field(out, &(struct form_field){ .var = "relay",
	                                          .type = "list-single",
	                                          .label = "Relay",
	                                          .required = true,
	                                          .options = ids,
	                                          .option_count = count });
}

static void on_drained(struct adhoc_call *call, unsigned status, const json_t *body)
{
	char *text;

	if (status != 202) {
		adhoc_call_fail(call->iq, status, body);
		return;
	}
	text = mem_printf("The relay drains; it has %lld streams.",
	                  (long long)json_integer_value(json_object_get(body, "streams")));
	adhoc_note(call->iq, &call->session, text);
	free(text);
}

void relays_drain_submit(struct iq *iq, const struct adhoc_session *session, const struct xml *form)
{
	const char *id = form_value(form, "relay");
	struct backend *relay = id == NULL ? NULL : backend_find(BACKEND_RELAY, id);
	struct adhoc_call *call;

	if (relay == NULL) {
		iq_error(iq, id == NULL ? IQ_BAD_REQUEST : IQ_ITEM_NOT_FOUND,
		         id == NULL ? "relay is missing." : "There is no such relay.");
		return;
	}
	call = adhoc_call_new(sizeof *call, iq, session);
	call->done = on_drained;
	adhoc_call_ask(call, relay, "POST", "/v1/drain", json_object());
}
