/* What a daemon answers, as a table in a stanza: whatever it is, the stanza is whole. */
#include "tests/fuzz/stream.h"
#include "xmppgw/adhoc/table.c"
#include "xmppgw/xmpp/form.h"

/* clang-format off */
static const struct table_column columns[] = {
	{ "text", "Text", TABLE_TEXT, "text" },
	{ "jid", "JID", TABLE_TEXT, "parties.0.user" },
	{ "number", "Number", TABLE_NUMBER, "number" },
	{ "limit", "Limit", TABLE_LIMIT, "bytes" },
	{ "size", "Size", TABLE_SIZE, "bytes" },
	{ "time", "Time", TABLE_TIME, "number" },
	{ "seconds", "Seconds", TABLE_SECONDS, "number" },
	{ "yes-no", "Yes or no", TABLE_YES_NO, "parties.1.flag" },
};
/* clang-format on */
static const struct table table = { columns, ARRAY_LEN(columns) };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *value = json_loadb((const char *)data, size, 0, NULL);
	json_t *rows = json_array();
	struct buf out = { 0 };

	json_array_append_new(rows, value); /* nothing if the input is no JSON */
	buf_text(&out, "<iq><x xmlns='" FORM_NS "'>");
	add_rows(&table, rows, &out);
	buf_text(&out, "</x></iq>");
	assert(stream_count(buf_data(&out), buf_len(&out)) == 1);
	buf_release(&out);
	json_decref(rows);
	return 0;
}
