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
static void (*const kinds[])(const json_t *value, struct buf *out) = {
	[TABLE_TEXT]    = add_text,
	[TABLE_NUMBER]  = add_number,
	[TABLE_LIMIT]   = add_limit,
	[TABLE_SIZE]    = add_size,
	[TABLE_TIME]    = table_add_time,
	[TABLE_SECONDS] = add_seconds,
	[TABLE_YES_NO]  = add_yes_no,
};
/* clang-format on */

/* A field for each cell that isn't empty, named COLUMN.ROW. The first one's label has a bullet. */
static void add_row(const struct table *table, const json_t *object, size_t number, struct buf *out)
{
	const char *bullet = "• ";

	for (size_t i = 0; i < table->count; i++) {
		const struct table_column *column = &table->columns[i];
		struct buf cell = { 0 };

		kinds[column->kind](find(object, column->path), &cell);
		if (buf_len(&cell) > 0) {
			markup_add(out, "<field var='%s.", column->var);
			buf_printf(out, "%zu", number);
			markup_add(out, "' type='text-single' label='%s%s'><value>", bullet,
			           column->label);
			buf_append(out, buf_data(&cell), buf_len(&cell));
			buf_text(out, "</value></field>");
			bullet = "";
		}
		buf_release(&cell);
	}
}

static void add_rows(const struct table *table, const json_t *rows, struct buf *out)
{
	size_t i;
	const json_t *row;

	if (json_array_size(rows) == 0)
		adhoc_add_text(out, "nothing", "Result", "There is nothing to show.");
	json_array_foreach (rows, i, row)
		add_row(table, row, i + 1, out);
}

static void add_facts(const struct table_fact *facts, struct buf *out)
{
	for (; facts != NULL && facts->var != NULL; facts++)
		if (facts->text != NULL)
			adhoc_add_text(out, facts->var, facts->label, facts->text);
}

#define GO_ON "\"Next\" shows it, or sending this form."
#define GIVE_UP "Ask for less: this can't go on."

void table_reply(const struct adhoc_request *request, const struct table *table,
                 const struct table_page *page)
{
	struct buf *out = page->next == NULL ? NULL : adhoc_begin_part(request);
	bool part = out != NULL;

	if (!part)
		out = adhoc_begin(request);
	markup_add(out, "<title>%s</title>", request->command->name);
	if (page->warning != NULL)
		adhoc_add_text(out, "warning", "Warning", page->warning);
	add_facts(page->facts, out);
	add_rows(table, page->rows, out);
	if (page->next != NULL)
		adhoc_add_text(out, "more", "There is more", part ? GO_ON : GIVE_UP);
	if (part)
		adhoc_add_next(request, out, page->next);
	adhoc_end(request, out, page->warning);
}
