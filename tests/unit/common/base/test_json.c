#include "common/base/json.c"

#include "tests/unit/unit.h"

static struct json_reader reader;
static json_t *document;

/* Parses TEXT and starts to read it. */
static struct json_object top(const char *text)
{
	json_decref(document);
	document = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	ck_assert_ptr_nonnull(document);
	return json_object_top(&reader, document);
}

static void teardown(void)
{
	json_decref(document);
}

START_TEST(a_document_that_is_right_is_read_without_complaint)
{
	struct json_object object = top("{\"node\":\"ab\",\"count\":3,\"voip\":true,\"body\":\"\","
	                                "\"tag\":[1],\"media\":[\"audio\",\"video\"]}");

	ck_assert_str_eq(json_string_member(&object, "node", 64, true), "ab");
	ck_assert_str_eq(json_string_member(&object, "body", 64, false), "");
	ck_assert_int_eq(json_integer_member(&object, "count", 0, 10, -1), 3);
	ck_assert(json_boolean_member(&object, "voip", false));
	ck_assert(json_is_array(json_any_member(&object, "tag")));
	ck_assert_uint_eq(json_array_count(&object, "media", 2, true), 2);
	ck_assert_str_eq(json_array_string(&object, "media", 1, 5), "video");
	json_object_end(&object);
	ck_assert(json_reader_ok(&reader));
	ck_assert_str_eq(reader.complaint, "");
}
END_TEST

START_TEST(absent_and_null_members_give_the_fallback)
{
	struct json_object object = top("{\"count\":null,\"node\":null,\"inner\":null}");
	struct json_object inner = json_object_member(&object, "inner", false);

	ck_assert_ptr_null(json_string_member(&object, "node", 64, false));
	ck_assert_int_eq(json_integer_member(&object, "count", 0, 10, 7), 7);
	ck_assert(json_boolean_member(&object, "voip", true));
	ck_assert_uint_eq(json_array_count(&object, "media", 2, false), 0);
	ck_assert_ptr_null(json_any_member(&object, "tag"));
	ck_assert_ptr_null(inner.value);
	ck_assert_ptr_null(json_string_member(&inner, "body", 64, true));
	json_object_end(&inner);
	json_object_end(&object);
	ck_assert_str_eq(reader.complaint, "");
}
END_TEST

START_TEST(a_complaint_carries_the_whole_path)
{
	struct json_object object =
	        top("{\"notifications\":[{},{},{},{\"summary\":{\"body\":5}}]}");

	ck_assert_uint_eq(json_array_count(&object, "notifications", 256, true), 4);
	for (size_t i = 0; i < 4; i++) {
		struct json_object item = json_object_element(&object, "notifications", i);
		struct json_object summary = json_object_member(&item, "summary", false);

		ck_assert_ptr_null(json_string_member(&summary, "body", 100, false));
		json_object_end(&summary);
		json_object_end(&item);
	}
	ck_assert_str_eq(reader.complaint,
	                 "notifications[3].summary.body: must be a string of 0 to 100 bytes");
	ck_assert(!json_reader_ok(&reader));
}
END_TEST

/* What each reader says of a document {"a": VALUE}. */
static void check_complaint(const char *value, void (*read)(struct json_object *object),
                            const char *expected)
{
	char text[200];
	struct json_object object;

	snprintf(text, sizeof(text), "{\"a\":%s}", value);
	object = top(text);
	read(&object);
	ck_assert_str_eq(reader.complaint, expected);
}

static void read_needed_string(struct json_object *object)
{
	ck_assert_ptr_null(json_string_member(object, "a", 4, true));
}

static void read_integer(struct json_object *object)
{
	ck_assert_int_eq(json_integer_member(object, "a", 1, 60000, 9), 9);
}

static void read_boolean(struct json_object *object)
{
	ck_assert(json_boolean_member(object, "a", true));
}

static void read_count(struct json_object *object)
{
	ck_assert_uint_eq(json_array_count(object, "a", 2, true), 0);
}

static void read_object(struct json_object *object)
{
	ck_assert_ptr_null(json_object_member(object, "a", true).value);
}

static void read_element(struct json_object *object)
{
	ck_assert_ptr_null(json_object_element(object, "a", 0).value);
}

static void read_element_string(struct json_object *object)
{
	ck_assert_ptr_null(json_array_string(object, "a", 0, 4));
}

static void read_nothing(struct json_object *object)
{
	json_object_end(object);
}

START_TEST(each_reader_says_what_it_wants)
{
	static const char string_wanted[] = "a: must be a string of 1 to 4 bytes";
	static const char integer_wanted[] = "a: must be an integer from 1 to 60000";
	static const char element_wanted[] = "a[0]: must be a string of 1 to 4 bytes";

	check_complaint("\"\"", read_needed_string, string_wanted);
	check_complaint("\"12345\"", read_needed_string, string_wanted);
	check_complaint("\"a\\u0000b\"", read_needed_string, string_wanted);
	check_complaint("1", read_needed_string, string_wanted);
	check_complaint("null", read_needed_string, "a: is missing");
	check_complaint("0", read_integer, integer_wanted);
	check_complaint("60001", read_integer, integer_wanted);
	check_complaint("3.0", read_integer, integer_wanted);
	check_complaint("\"3\"", read_integer, integer_wanted);
	check_complaint("1", read_boolean, "a: must be true or false");
	check_complaint("{}", read_count, "a: must be an array");
	check_complaint("[1,2,3]", read_count, "a: must have at most 2 elements");
	check_complaint("[]", read_object, "a: must be an object");
	check_complaint("null", read_object, "a: is missing");
	check_complaint("[7]", read_element, "a[0]: must be an object");
	check_complaint("[\"\"]", read_element_string, element_wanted);
	check_complaint("[\"12345\"]", read_element_string, element_wanted);
	check_complaint("[7]", read_element_string, element_wanted);
	check_complaint("7", read_nothing, "unknown member 'a'");
}
END_TEST

START_TEST(a_top_that_is_no_object_is_refused)
{
	struct json_object object = top("[1]");

	ck_assert_str_eq(reader.complaint, "must be a JSON object");
	ck_assert_ptr_null(json_string_member(&object, "a", 10, true));
	json_object_end(&object);
	ck_assert_str_eq(reader.complaint, "must be a JSON object");
}
END_TEST

START_TEST(only_the_first_complaint_is_kept_and_nothing_is_read_after_it)
{
	struct json_object object = top("{\"a\":1,\"b\":\"text\",\"c\":{\"d\":1},\"e\":[1]}");

	json_complain(&object, "a", "is odd");
	ck_assert_ptr_null(json_string_member(&object, "b", 10, true));
	ck_assert_ptr_null(json_object_member(&object, "c", true).value);
	ck_assert_uint_eq(json_array_count(&object, "e", 5, true), 0);
	ck_assert_ptr_null(json_object_element(&object, "e", 0).value);
	ck_assert_ptr_null(json_any_member(&object, "a"));
	json_object_end(&object);
	ck_assert_str_eq(reader.complaint, "a: is odd");
}
END_TEST

START_TEST(a_complaint_without_a_key_is_about_the_object)
{
	struct json_object object = top("{\"a\":{}}");
	struct json_object inner = json_object_member(&object, "a", true);

	json_complain(&inner, NULL, "is empty");
	ck_assert_str_eq(reader.complaint, "a: is empty");
}
END_TEST

START_TEST(an_unknown_member_is_named_safely)
{
	struct json_object object =
	        top("{\"a\":{\"known\":1,\"\\u00e4\\n\\u001b[2J0123456789012345678"
	            "901234567890123456789\":2}}");
	struct json_object inner = json_object_member(&object, "a", true);

	json_integer_member(&inner, "known", 0, 9, 0);
	json_integer_member(&inner, "known", 0, 9, 0);
	json_object_end(&inner);
	ck_assert_str_eq(reader.complaint, "a: unknown member '????[2J0123456789012345678901234'");
}
END_TEST

START_TEST(a_path_that_is_too_long_is_cut_and_marked)
{
	struct json_object object = top("{}");

	memset(object.path, 'p', JSON_PATH_MAX - 2);
	json_complain(&object, "key", "is missing");
	ck_assert_uint_eq(strlen(reader.complaint), JSON_PATH_MAX - 1 + strlen(": is missing"));
	ck_assert_ptr_nonnull(strstr(reader.complaint, "ppp...: is missing"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_document_that_is_right_is_read_without_complaint,
		absent_and_null_members_give_the_fallback,
		a_complaint_carries_the_whole_path,
		each_reader_says_what_it_wants,
		a_top_that_is_no_object_is_refused,
		only_the_first_complaint_is_kept_and_nothing_is_read_after_it,
		a_complaint_without_a_key_is_about_the_object,
		an_unknown_member_is_named_safely,
		a_path_that_is_too_long_is_cut_and_marked,
	};

	return unit_run("json", tests, ARRAY_LEN(tests), NULL, teardown);
}
