#include "common/text/percent.c"

#include <stdlib.h>

#include "tests/unit/unit.h"

static void is_encoded(const char *text, const char *expected)
{
	char *encoded = percent_encode(text), *decoded;

	ck_assert_str_eq(encoded, expected);
	decoded = percent_decode(encoded, strlen(encoded));
	ck_assert_str_eq(decoded, text);
	free(encoded);
	free(decoded);
}

START_TEST(all_but_unreserved_characters_are_escaped_and_come_back)
{
	char all[256] = "";

	is_encoded("", "");
	is_encoded("AZaz09-._~", "AZaz09-._~");
	is_encoded("a@b/c?d&e=f%20 g+", "a%40b%2Fc%3Fd%26e%3Df%2520%20g%2B");
	is_encoded("m\xc3\xbcnchen", "m%C3%BCnchen");
	for (unsigned i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	free(percent_encode(all));
}
END_TEST

START_TEST(malformed_escapes_and_hidden_nuls_are_refused)
{
	static const char *const wrong[] = { "%", "%1", "a%", "%zz", "%0g", "%00", "a%00b" };

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		ck_assert_ptr_null(percent_decode(wrong[i], strlen(wrong[i])));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		all_but_unreserved_characters_are_escaped_and_come_back,
		malformed_escapes_and_hidden_nuls_are_refused,
	};

	return unit_run("percent", tests, ARRAY_LEN(tests), NULL, NULL);
}
