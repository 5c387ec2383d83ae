#include "tests/fakes/h2_request.c"

#include "tests/unit/unit.h"

#define START ":method=POST|:scheme=https|:path=/token|:authority=x"

/* Takes "name=value|…"; true if all is good, with a body of BODY bytes. */
static bool good(const char *fields, size_t body)
{
	struct h2_request form = { 0 };

	for (size_t len; *fields != '\0'; fields += len + (fields[len] == '|')) {
		size_t name;

		len = strcspn(fields, "|");
		name = strcspn(fields + 1, "=") + 1;
		if (!h2_request_field(&form, fields, name, fields + name + 1, len - name - 1))
			return false;
	}
	return h2_request_whole(&form, body);
}

START_TEST(a_request_needs_method_scheme_and_path_once_and_first)
{
	ck_assert(good(START, 0));
	ck_assert(good(":path=/|:method=GET|:scheme=https", 7));
	ck_assert(!good(":scheme=https|:path=/token", 0));
	ck_assert(!good(":method=POST|:path=/token", 0));
	ck_assert(!good(":method=POST|:scheme=https", 0));
	ck_assert(!good(START "|:path=/token", 0));
	ck_assert(!good(":method=POST|:scheme=https|a=b|:path=/token", 0));
	ck_assert(!good(START "|:protocol=websocket", 0));
	ck_assert(!good(":method=|:scheme=https|:path=/token", 0));
	ck_assert(!good(":method=POST|:scheme=https|:path=token", 0));
}
END_TEST

START_TEST(the_scheme_is_https_also_with_its_colon)
{
	ck_assert(good(":method=POST|:scheme=https:|:path=/token", 0));
	ck_assert(!good(":method=POST|:scheme=http|:path=/token", 0));
	ck_assert(!good(":method=POST|:scheme=https::|:path=/token", 0));
}
END_TEST

START_TEST(fields_have_lower_case_names_and_none_is_of_the_connection)
{
	ck_assert(good(START "|x-a_b!=c|te=trailers|empty=", 0));
	ck_assert(!good(START "|Accept=b", 0));
	ck_assert(!good(START "|a b=c", 0));
	ck_assert(!good(START "|connection=close", 0));
	ck_assert(!good(START "|transfer-encoding=chunked", 0));
	ck_assert(!good(START "|te=gzip", 0));
	ck_assert(!good(START "|a=b\r", 0));
	ck_assert(!good(START "|a=b\nc", 0));
}
END_TEST

START_TEST(no_name_is_empty_and_no_value_has_a_nul)
{
	struct h2_request form = { 0 };

	ck_assert(!h2_request_field(&form, "", 0, "b", 1));
	ck_assert(!h2_request_field(&form, "a", 1, "b\0c", 3));
}
END_TEST

START_TEST(a_content_length_is_digits_once_and_the_bodys)
{
	ck_assert(good(START "|content-length=12", 12));
	ck_assert(!good(START "|content-length=12", 11));
	ck_assert(!good(START "|content-length=", 0));
	ck_assert(!good(START "|content-length=+1", 1));
	ck_assert(!good(START "|content-length=1|content-length=1", 1));
	ck_assert(!good(START "|content-length=9999999999", 1));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_request_needs_method_scheme_and_path_once_and_first,
		the_scheme_is_https_also_with_its_colon,
		fields_have_lower_case_names_and_none_is_of_the_connection,
		no_name_is_empty_and_no_value_has_a_nul,
		a_content_length_is_digits_once_and_the_bodys,
	};

	return unit_run("fake-h2-request", tests, ARRAY_LEN(tests), NULL, NULL);
}
