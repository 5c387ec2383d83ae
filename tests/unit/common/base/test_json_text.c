#include "common/base/json_text.c"

#include <jansson.h>

#include "common/base/mem.h"
#include "tests/unit/unit.h"

static char bytes[4096];
static struct json_text out;

static void setup(void)
{
	out = (struct json_text){ .bytes = bytes, .size = sizeof(bytes) };
}

/* What was written since the start. */
static const char *written(void)
{
	ck_assert_uint_lt(out.len, sizeof(bytes));
	bytes[out.len] = '\0';
	return bytes;
}

START_TEST(members_are_written_as_they_come)
{
	json_text_add(&out, "{\"a\":");
	json_text_integer(&out, INT64_MIN);
	json_text_add(&out, ",\"b\":");
	json_text_string(&out, "text");
	json_text_add(&out, "}");
	ck_assert_str_eq(written(), "{\"a\":-9223372036854775808,\"b\":\"text\"}");
}
END_TEST

START_TEST(every_character_comes_back_from_a_reader)
{
	char text[] = "?/\xc3\xa9\xf0\x9f\x98\x80\x7f";

	for (int c = 1; c < 0x80; c++) {
		json_t *value;

		text[0] = (char)c;
		setup();
		json_text_string(&out, text);
		value = json_loads(written(), JSON_DECODE_ANY, NULL);
		ck_assert_msg(value != NULL, "%s is no JSON", bytes);
		ck_assert_str_eq(json_string_value(value), text);
		json_decref(value);
	}
}
END_TEST

START_TEST(only_what_must_be_is_escaped)
{
	json_text_string(&out, "\"\\/\x1f\n<é");
	ck_assert_str_eq(written(), "\"\\\"\\\\/\\u001f\\u000a<é\"");
	setup();
	json_text_string(&out, "");
	ck_assert_str_eq(written(), "\"\"");
}
END_TEST

START_TEST(what_does_not_fit_is_left_out_and_counted)
{
	const char *text = "a\"b\x01", *whole = "\"a\\\"b\\u0001\"";

	for (size_t size = 0; size <= strlen(whole); size++) {
		memset(bytes, '#', sizeof(bytes));
		out = (struct json_text){ .bytes = bytes, .size = size };
		json_text_string(&out, text);
		ck_assert_uint_eq(out.len, strlen(whole));
		ck_assert_int_eq(memcmp(bytes, whole, size), 0);
		ck_assert_int_eq(bytes[size], '#');
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		members_are_written_as_they_come,
		every_character_comes_back_from_a_reader,
		only_what_must_be_is_escaped,
		what_does_not_fit_is_left_out_and_counted,
	};

	return unit_run("json_text", tests, ARRAY_LEN(tests), setup, NULL);
}
