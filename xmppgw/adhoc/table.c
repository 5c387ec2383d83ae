#include "xmppgw/adhoc/table.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/config/config_value.h"
#include "xmppgw/xmpp/markup.h"

static const struct config_key limit = { "limit", CONFIG_LIMIT };
static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };

/* The value at PATH within VALUE, or NULL. */
static const json_t *find(const json_t *value, const char *path)
{
	while (value != NULL && *path != '\0') {
		size_t len = strcspn(path, ".");

		if (json_is_array(value))
			value = json_array_get(value, strtoul(path, NULL, 10));
		else
			value = json_object_getn(value, path, len);
		path += len + (path[len] == '.');
	}
	return value;
}

static void add_text(const json_t *value, struct buf *out)
{
	size_t i;
	const json_t *item;

	if (json_is_string(value))
		markup_add(out, "%s", json_string_value(value));
	json_array_foreach (value, i, item)
		if (json_is_string(item))
			markup_add(out, "%s%s", i == 0 ? "" : ", ", json_string_value(item));
}

static void add_number(const json_t *value, struct buf *out)
{
	if (json_is_integer(value))
		buf_printf(out, "%lld", (long long)json_integer_value(value));
}

/* As a form and relayd's configuration take it, exactly. */
static void add_limit(const json_t *value, struct buf *out)
{
	int64_t bytes = json_integer_value(value);

	config_value_print(&limit, &bytes, out);
}

/* For people, rounded to a tenth: "1.4 GB" (powers of 1024). */
static void add_size(const json_t *value, struct buf *out)
{
	double size = (double)json_integer_value(value);
	size_t unit = 0;

	if (!json_is_integer(value))
		return;
	for (; size >= 1024 && unit + 1 < ARRAY_LEN(units); unit++)
		size /= 1024;
	buf_printf(out, unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]);
}

void table_add_time(const json_t *value, struct buf *out)
{
	time_t seconds = (time_t)(json_integer_value(value) / 1000);
	struct tm parts;
	char text[32];

	if (json_is_integer(value) && gmtime_r(&seconds, &parts) != NULL &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts) > 0)
		buf_text(out, text);
}

static void add_seconds(const json_t *value, struct buf *out)
{
	if (json_is_integer(value))
		buf_printf(out, "%lld", (long long)json_integer_value(value) / 1000);
}

static void add_yes_no(const json_t *value, struct buf *out)
{
	buf_text(out, json_is_true(value) ? "yes" : "no");
}

/* clang-format off */
static const struct {
	const char *type; /* of the form's field */
	void (*add)(const json_t *value, struct buf *out);
} kinds[] = {
	[TABLE_TEXT]    = { "text-single", add_text },
	[TABLE_JID]     = { "jid-single", add_text },
	[TABLE_NUMBER]  = { "text-single", add_number },
	[TABLE_LIMIT]   = { "text-single", add_limit },
	[TABLE_SIZE]    = { "text-single", add_size },
	[TABLE_TIME]    = { "text-single", table_add_time },
	[TABLE_SECONDS] = { "text-single", add_seconds },
	[TABLE_YES_NO]  = { "text-single", add_yes_no },
};
/* clang-format on */

static void add_head(const struct table *table, struct buf *out)
{
	buf_text(out, "<reported>");
	for (size_t i = 0; i < table->count; i++)
		markup_add(out, "<field var='%s' type='%s' label='%s'/>", table->columns[i].var,
		           kinds[table->columns[i].kind].type, table->columns[i].label);
	buf_text(out, "</reported>");
}

static void add_row(const struct table *table, const json_t *object, struct buf *out)
{
	buf_text(out, "<item>");
	for (size_t i = 0; i < table->count; i++) {
		const struct table_column *column = &table->columns[i];

		markup_add(out, "<field var='%s'><value>", column->var);
		kinds[column->kind].add(find(object, column->path), out);
		buf_text(out, "</value></field>");
	}
	buf_text(out, "</item>");
}

static void add_rows(const struct table *table, const json_t *rows, struct buf *out)
{
	size_t i;
	const json_t *row;

	add_head(table, out);
	json_array_foreach (rows, i, row)
		add_row(table, row, out);
}

/* The same for clients that show no tables: a line for each row, without its empty cells. */
static void add_text_rows(const struct table *table, const json_t *rows, struct buf *out)
{
	size_t i;
	const json_t *row;

	buf_text(out, "<field var='text' type='text-multi' label='As text'>");
	if (json_array_size(rows) == 0)
		buf_text(out, "<value>There is nothing to show.</value>");
	json_array_foreach (rows, i, row) {
		bool first = true;

		buf_text(out, "<value>");
		for (size_t k = 0; k < table->count; k++) {
			const struct table_column *column = &table->columns[k];
			struct buf cell = { 0 };

			kinds[column->kind].add(find(row, column->path), &cell);
			if (buf_len(&cell) > 0) {
				markup_add(out, first ? "%s: " : ", %s: ", column->label);
				buf_append(out, buf_data(&cell), buf_len(&cell));
				first = false;
			}
			buf_release(&cell);
		}
		buf_text(out, "</value>");
	}
	buf_text(out, "</field>");
}

void table_reply(struct adhoc_request *request, const struct table *table,
                 const struct table_page *page)
{
	struct buf *out =
	        page->next != NULL ? adhoc_begin_part(request, page->next) : adhoc_begin(request);

	markup_add(out, "<title>%s</title>", request->command->name);
	if (page->text != NULL)
		markup_add(out,
		           "<instructions>%s</instructions><field var='about' type='fixed'>"
		           "<value>%s</value></field>",
		           page->text, page->text);
	if (page->next != NULL)
		markup_add(out,
		           "<instructions>There is more: \"next\" shows it.</instructions>"
		           "<field var='next' type='text-single' label='Next'><value>%s</value>"
		           "</field>",
		           page->next);
	add_text_rows(table, page->rows, out);
	add_rows(table, page->rows, out);
	adhoc_end(request, out, page->warning);
}
