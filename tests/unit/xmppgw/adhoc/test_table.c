#include "xmppgw/adhoc/table.c"

#include "common/base/mem.h"
#include "tests/unit/stanza.h"
#include "tests/unit/unit.h"

/* clang-format off */
static const struct table_column columns[] = {
	{ "text",   "A \"text\"", TABLE_TEXT,    "text" },
	{ "texts",  "Texts",      TABLE_TEXT,    "texts" },
	{ "jid",    "JID",        TABLE_TEXT,    "tag.requester" },
	{ "number", "Number",     TABLE_NUMBER,  "halves.1.received" },
	{ "limit",  "Limit",      TABLE_LIMIT,   "limit" },
	{ "size",   "Size",       TABLE_SIZE,    "size" },
	{ "time",   "Time",       TABLE_TIME,    "at_ms" },
	{ "age",    "Age",        TABLE_SECONDS, "age_ms" },
	{ "yes",    "Yes",        TABLE_YES_NO,  "yes" },
};
/* clang-format on */
static const struct table table = { columns, ARRAY_LEN(columns) };

#define CELL(var, label, value)                                                                    \
	"<field var='" var ".7' type='text-single' label='" label "'><value>" value                \
	"</value></field>"

static void has_row(const char *json, const char *expected)
{
	json_t *object = json_loads(json, JSON_DECODE_ANY, NULL);
	struct buf out = { 0 };
	char *text;

	ck_assert_ptr_nonnull(object);
	add_row(&table, object, 7, &out);
	json_decref(object);
	text = buf_take(&out);
	ck_assert_str_eq(text, expected);
	free(text);
}

START_TEST(each_cell_is_a_field_and_the_first_one_of_a_row_is_marked)
{
	has_row("{\"text\":\"<&'\", \"texts\":[\"a:1\",\"b:2\"], \"tag\":{\"requester\":\"a@b/c\"},"
	        "\"halves\":[{\"received\":1},{\"received\":9007199254740993}],"
	        "\"limit\":10485760, \"size\":1536, \"at_ms\":1700000000999, \"age_ms\":61999,"
	        "\"yes\":true}",
	        CELL("text", "• A &quot;text&quot;", "&lt;&amp;&apos;") CELL("texts", "Texts",
	                                                                     "a:1, b:2")
	                CELL("jid", "JID", "a@b/c") CELL("number", "Number", "9007199254740993")
	                        CELL("limit", "Limit", "10M") CELL("size", "Size", "1.5 kB")
	                                CELL("time", "Time", "2023-11-14T22:13:20Z")
	                                        CELL("age", "Age", "61") CELL("yes", "Yes", "yes"));
}
END_TEST

START_TEST(what_is_missing_or_of_another_type_has_no_field)
{
	static const char *const odd[] = {
		"{}",
		"[]",
		"\"x\"",
		"{\"text\":1,\"texts\":[1,null],\"tag\":null,\"halves\":[{\"received\":1}],"
		"\"limit\":null,\"size\":\"1\",\"at_ms\":true,\"age_ms\":[],\"yes\":1}",
		"{\"text\":{},\"texts\":{},\"tag\":\"x\",\"halves\":{\"1\":5},\"limit\":\"x\","
		"\"size\":1.5,\"at_ms\":null,\"age_ms\":\"1\",\"yes\":\"yes\"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		has_row(odd[i], CELL("limit", "• Limit", "0") CELL("yes", "Yes", "no"));
}
END_TEST

START_TEST(times_beyond_the_calendar_are_written)
{
	has_row("{\"at_ms\":9223372036854775807}",
	        CELL("limit", "• Limit", "0") CELL("time", "Time", "292278994-08-17T07:12:55Z")
	                CELL("yes", "Yes", "no"));
}
END_TEST

/* clang-format off */
static const struct {
	const char *text;
	int64_t bytes;
	const char *exact, *rounded;
} amounts[] = {
	{ "0",       0,                          "0",       "0 B" },
	{ "-1",      -1,                         "-1",      "-1 B" },
	{ "1",       1 << 20,                    "1M",      "1.0 MB" },
	{ "10",      10 << 20,                   "10M",     "10.0 MB" },
	{ "1B",      1,                          "1B",      "1 B" },
	{ "1023B",   1023,                       "1023B",   "1023 B" },
	{ "1536k",   1536 << 10,                 "1536k",   "1.5 MB" },
	{ "1500B",   1500,                       "1500B",   "1.5 kB" },
	{ "3G",      INT64_C(3) << 30,           "3G",      "3.0 GB" },
	{ "2048G",   INT64_C(2) << 40,           "2T",      "2.0 TB" },
};
/* clang-format on */

static void is_written(void (*add)(const json_t *value, struct buf *out), int64_t bytes,
                       const char *expected)
{
	json_t *value = json_integer(bytes);
	struct buf out = { 0 };
	char *got;

	add(value, &out);
	got = buf_take(&out);
	ck_assert_str_eq(got, expected);
	free(got);
	json_decref(value);
}

START_TEST(amounts_are_read_and_written_as_in_the_configuration)
{
	for (size_t i = 0; i < ARRAY_LEN(amounts); i++) {
		int64_t bytes = 0;

		ck_assert_ptr_null(config_value_parse(&limit, &bytes, amounts[i].text));
		ck_assert_int_eq(bytes, amounts[i].bytes);
		is_written(add_limit, bytes, amounts[i].exact);
		is_written(add_size, bytes, amounts[i].rounded);
	}
}
END_TEST

START_TEST(every_number_fits)
{
	is_written(add_size, INT64_MAX, "8.0 EB");
	is_written(add_limit, INT64_MAX, "9223372036854775807B");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		each_cell_is_a_field_and_the_first_one_of_a_row_is_marked,
		what_is_missing_or_of_another_type_has_no_field,
		times_beyond_the_calendar_are_written,
		amounts_are_read_and_written_as_in_the_configuration,
		every_number_fits,
	};

	return unit_run("table", tests, ARRAY_LEN(tests), NULL, NULL);
}
