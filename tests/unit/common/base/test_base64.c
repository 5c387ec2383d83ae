#include "common/base/base64.c"

#include "tests/unit/unit.h"

/* RFC 4648, section 10. */
static const struct {
	const char *plain, *text;
} cases[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
};

START_TEST(the_vectors_of_the_rfc_go_both_ways)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = 99;
		char *text = base64_encode(cases[i].plain, strlen(cases[i].plain));
		char *plain = base64_decode(cases[i].text, &len);

		ck_assert_str_eq(text, cases[i].text);
		ck_assert_str_eq(plain, cases[i].plain);
		ck_assert_uint_eq(len, strlen(cases[i].plain));
		free(plain);
		free(text);
	}
}
END_TEST

START_TEST(every_byte_goes_both_ways)
{
	unsigned char bytes[256];
	size_t len;
	char *text, *back;

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7);
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		text = base64_encode(bytes, n);
		back = base64_decode(text, &len);
		ck_assert_uint_eq(len, n);
		ck_assert_int_eq(memcmp(back, bytes, n), 0);
		free(back);
		free(text);
	}
}
END_TEST

static void check(const char *text, const char *expected)
{
	size_t len;
	char *plain = base64_decode(text, &len);

	if (expected == NULL)
		ck_assert_ptr_null(plain);
	else
		ck_assert_str_eq(plain, expected);
	free(plain);
}

START_TEST(blanks_and_missing_padding_are_forgiven_and_nothing_else)
{
	check(" Zm9v\r\n\tYmFy \n", "foobar");
	check("Zm9vYg", "foob");
	check("Zm8 = \n", "fo");
	check("Zg= =", "f");
	check("Zg=", NULL);
	check("Zm8==", NULL);
	check("Zm9v=", NULL);
	check("Z", NULL);
	check("Zm9v!", NULL);
	check("Zm9v=YmFy", NULL);
	check("Zm-_", NULL);
	check("Zm9v\xc3\xa4", NULL);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_vectors_of_the_rfc_go_both_ways,
		every_byte_goes_both_ways,
		blanks_and_missing_padding_are_forgiven_and_nothing_else,
	};

	return unit_run("base64", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
