#include "common/text/hex.c"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

START_TEST(bytes_become_two_lower_case_digits_each)
{
	static const uint8_t bytes[] = { 0x00, 0x09, 0x0a, 0x7f, 0xf0, 0xff };
	char text[2 * sizeof(bytes) + 1];

	hex_write(text, bytes, sizeof(bytes));
	ck_assert_str_eq(text, "00090a7ff0ff");
	hex_write(text, bytes, 0);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(a_text_is_hex_of_a_length_by_all_of_its_bytes)
{
	ck_assert(hex_is("00af", 4));
	ck_assert(hex_is("", 0));
	ck_assert(!hex_is("00af", 3));
	ck_assert(!hex_is("00af", 5));
	ck_assert(!hex_is("00aF", 4));
	ck_assert(!hex_is("00a ", 4));
	ck_assert(!hex_is("00ag", 4));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		bytes_become_two_lower_case_digits_each,
		a_text_is_hex_of_a_length_by_all_of_its_bytes,
	};

	return unit_run("hex", tests, ARRAY_LEN(tests), NULL, NULL);
}
