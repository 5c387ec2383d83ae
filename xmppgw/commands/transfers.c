#include "xmppgw/commands/transfers.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "xmppgw/commands/adhoc_call.h"
#include "xmppgw/xmpp/form.h"
#include "xmppgw/xmpp/page.h"

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

void transfers_form(struct buf *out)
{
	buf_text(out, "<title>List transfers</title>");
	page_add_field(out);
}

static void on_page(struct adhoc_call *call, unsigned status, const json_t *body)
{
	struct buf *out;
	size_t i;
	json_t *row;

	if (status != 200) {
		adhoc_call_fail(call->iq, status, body);
		return;
	}
	out = adhoc_begin_table(call->iq, &call->session, &table,
	                        json_string_value(json_object_get(body, "next")));
	json_array_foreach (json_object_get(body, "transfers"), i, row)
		table_add(&table, row, out);
	adhoc_end(call->iq, out);
}

void transfers_submit(struct iq *iq, const struct adhoc_session *session, const struct xml *form)
{
	struct adhoc_call *call = adhoc_call_new(sizeof *call, iq, session);
	struct buf page = { 0 };
	char *path;

	page_begin(&page, "/v1/transfers", PAGE_ROWS, form_value(form, "after"));
	path = buf_take(&page);
	call->done = on_page;
	adhoc_call_ask_relay(call, "GET", path, NULL);
	free(path);
}
