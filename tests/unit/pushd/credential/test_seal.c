#include "pushd/credential/seal.c"

#include "tests/unit/unit.h"

#define DIGITS "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"
#define PURPOSE "push:credential:apns-main"
#define TEXT "-----BEGIN PRIVATE KEY-----\nhush\n"

static struct seal_key key, other;

static void setup(void)
{
	ck_assert_int_eq(seal_key_read(&key, DIGITS), 0);
	other = key;
	other.bytes[31] ^= 1;
}

START_TEST(a_key_is_64_hex_digits_and_nothing_else)
{
	struct seal_key read;

	ck_assert_int_eq(seal_key_read(&read, " \n" DIGITS "\n"), 0);
	for (unsigned i = 0; i < SEAL_KEY_BYTES; i++)
		ck_assert_uint_eq(read.bytes[i], i);
	ck_assert_int_eq(seal_key_read(&read, ""), -1);
	ck_assert_int_eq(seal_key_read(&read, DIGITS "0"), -1);
	ck_assert_int_eq(seal_key_read(&read, DIGITS " 00"), -1);
	ck_assert_int_eq(seal_key_read(&read, &DIGITS[1]), -1);
	ck_assert_int_eq(seal_key_read(&read, "g" DIGITS), -1);
}
END_TEST

START_TEST(what_was_sealed_comes_back_and_never_looks_the_same)
{
	char *one = seal_wrap(&key, PURPOSE, TEXT), *two = seal_wrap(&key, PURPOSE, TEXT);
	char *text = seal_unwrap(&key, PURPOSE, one);

	ck_assert_str_eq(text, TEXT);
	ck_assert_str_ne(one, two);
	ck_assert_ptr_null(strstr(one, "BEGIN"));
	free(text);
	free(two);
	free(one);
	one = seal_wrap(&key, PURPOSE, "");
	text = seal_unwrap(&key, PURPOSE, one);
	ck_assert_str_eq(text, "");
	free(text);
	free(one);
}
END_TEST

START_TEST(another_key_or_another_purpose_opens_nothing)
{
	char *sealed = seal_wrap(&key, PURPOSE, TEXT);

	ck_assert_ptr_null(seal_unwrap(&other, PURPOSE, sealed));
	ck_assert_ptr_null(seal_unwrap(&key, "push:credential:apns-mine", sealed));
	ck_assert_ptr_null(seal_unwrap(&key, "", sealed));
	free(sealed);
}
END_TEST

START_TEST(a_change_of_any_byte_is_noticed)
{
	char *sealed = seal_wrap(&key, PURPOSE, TEXT), *spoiled;
	size_t len;
	char *bytes = base64_decode(sealed, &len);

	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		spoiled = base64_encode(bytes, len);
		ck_assert_ptr_null(seal_unwrap(&key, PURPOSE, spoiled));
		free(spoiled);
		bytes[i] ^= 1;
		spoiled = base64_encode(bytes, i);
		ck_assert_ptr_null(seal_unwrap(&key, PURPOSE, spoiled));
		free(spoiled);
	}
	ck_assert_ptr_null(seal_unwrap(&key, PURPOSE, ""));
	ck_assert_ptr_null(seal_unwrap(&key, PURPOSE, "no base64!"));
	free(bytes);
	free(sealed);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_key_is_64_hex_digits_and_nothing_else,
		what_was_sealed_comes_back_and_never_looks_the_same,
		another_key_or_another_purpose_opens_nothing,
		a_change_of_any_byte_is_noticed,
	};

	return unit_run("seal", tests, sizeof(tests) / sizeof(tests[0]), setup, NULL);
}
