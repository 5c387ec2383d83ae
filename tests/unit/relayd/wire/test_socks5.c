#include "relayd/wire/socks5.c"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

#define HASH "0123456789abcdefABCDEF0123456789abcdef01"

typedef struct parse reader(const uint8_t *bytes, size_t len);

/*
 * Feeds BYTES one at a time as a caller does that reads no more than is asked for: the answer at
 * the first byte that settles the matter, with the number of bytes that it took in *USED.
 */
static struct parse feed(reader *read, const void *bytes, size_t len, size_t *used)
{
	struct parse parse = read(bytes, 0);

	*used = 0;
	while (parse.status == PARSE_MORE && *used < len) {
		ck_assert_uint_gt(parse.need, *used);
		parse = read(bytes, ++*used);
	}
	return parse;
}

static void check_refused(reader *read, const void *bytes, size_t len, enum parse_fault fault)
{
	size_t used;
	struct parse whole = read(bytes, len), fed = feed(read, bytes, len, &used);

	ck_assert_int_eq(whole.status, PARSE_BAD);
	ck_assert_int_eq(whole.fault, fault);
	ck_assert_int_eq(fed.status, PARSE_BAD);
	ck_assert_int_eq(fed.fault, fault);
}

static void check_done(reader *read, const void *bytes, size_t len)
{
	size_t used;

	ck_assert_int_eq(read(bytes, len).status, PARSE_DONE);
	ck_assert_int_eq(feed(read, bytes, len, &used).status, PARSE_DONE);
	ck_assert_uint_eq(used, len);
}

START_TEST(a_greeting_with_method_zero_is_accepted_wherever_it_stands)
{
	uint8_t longest[SOCKS5_GREETING_MAX];

	check_done(socks5_read_greeting, "\x05\x01\x00", 3);
	check_done(socks5_read_greeting, "\x05\x03\x02\x00\x01", 5);
	memset(longest, 0xee, sizeof(longest));
	longest[0] = 5;
	longest[1] = 255;
	longest[256] = 0;
	check_done(socks5_read_greeting, longest, sizeof(longest));
}
END_TEST

START_TEST(a_greeting_asks_for_no_byte_behind_it)
{
	ck_assert_uint_eq(socks5_read_greeting((const uint8_t *)"", 0).need, 2);
	ck_assert_uint_eq(socks5_read_greeting((const uint8_t *)"\x05\x02", 2).need, 4);
	ck_assert_uint_eq(socks5_read_greeting((const uint8_t *)"\x05\xff", 2).need,
	                  SOCKS5_GREETING_MAX);
}
END_TEST

START_TEST(a_greeting_that_offers_nothing_of_use_is_refused)
{
	check_refused(socks5_read_greeting, "\x05\x00", 2, PARSE_NO_METHOD);
	check_refused(socks5_read_greeting, "\x05\x01\x02", 3, PARSE_NO_METHOD);
	check_refused(socks5_read_greeting, "\x05\x02\x01\xff", 4, PARSE_NO_METHOD);
}
END_TEST

START_TEST(another_version_is_refused_at_its_first_byte)
{
	size_t used;

	check_refused(socks5_read_greeting, "\x04\x01\x00\x50", 4, PARSE_BAD_VERSION);
	check_refused(socks5_read_greeting, "GET / HTTP/1.1\r\n", 16, PARSE_BAD_VERSION);
	check_refused(socks5_read_request, "\x04\x01\x00\x03", 4, PARSE_BAD_VERSION);
	(void)feed(socks5_read_greeting, "GET /", 5, &used);
	ck_assert_uint_eq(used, 1);
}
END_TEST

START_TEST(a_request_for_forty_digits_is_accepted_with_any_port)
{
	check_done(socks5_read_request, "\x05\x01\x00\x03\x28" HASH "\x00\x00", SOCKS5_REQUEST_LEN);
	check_done(socks5_read_request, "\x05\x01\x00\x03\x28" HASH "\x1f\x90", SOCKS5_REQUEST_LEN);
}
END_TEST

START_TEST(a_request_asks_for_no_byte_behind_it)
{
	ck_assert_uint_eq(socks5_read_request((const uint8_t *)"", 0).need, 5);
	ck_assert_uint_eq(socks5_read_request((const uint8_t *)"\x05\x01\x00\x03\x28", 5).need,
	                  SOCKS5_REQUEST_LEN);
}
END_TEST

START_TEST(other_commands_are_refused)
{
	check_refused(socks5_read_request, "\x05\x02\x00\x03\x28", 5, PARSE_BAD_COMMAND);
	check_refused(socks5_read_request, "\x05\x03\x00\x01", 4, PARSE_BAD_COMMAND);
	check_refused(socks5_read_request, "\x05\x00\x00\x03", 4, PARSE_BAD_COMMAND);
}
END_TEST

START_TEST(addresses_are_refused_before_they_are_read)
{
	check_refused(socks5_read_request, "\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50", 10,
	              PARSE_BAD_ADDRESS_TYPE);
	check_refused(socks5_read_request, "\x05\x01\x00\x04", 4, PARSE_BAD_ADDRESS_TYPE);
	check_refused(socks5_read_request, "\x05\x01\x00\x02", 4, PARSE_BAD_ADDRESS_TYPE);
}
END_TEST

START_TEST(names_that_are_no_hash_are_refused)
{
	check_refused(socks5_read_request, "\x05\x01\x00\x03\x0bexample.org\x00\x50", 18,
	              PARSE_BAD_NAME);
	check_refused(socks5_read_request, "\x05\x01\x00\x03\x27" HASH, 44, PARSE_BAD_NAME);
	check_refused(socks5_read_request, "\x05\x01\x00\x03\x29" HASH "0", 46, PARSE_BAD_NAME);
	check_refused(socks5_read_request, "\x05\x01\x00\x03\x00\x00\x00", 7, PARSE_BAD_NAME);
	for (int c = 0; c < 256; c++) {
		uint8_t request[SOCKS5_REQUEST_LEN] = "\x05\x01\x00\x03\x28" HASH "\x00";

		request[5 + c % 40] = (uint8_t)c;
		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F'))
			check_refused(socks5_read_request, request, sizeof(request),
			              PARSE_BAD_NAME);
		else
			check_done(socks5_read_request, request, sizeof(request));
	}
}
END_TEST

START_TEST(replies_are_those_of_the_rfc)
{
	const uint8_t *request = (const uint8_t *)"\x05\x01\xaa\x03\x28" HASH "\x12\x34";
	uint8_t method[SOCKS5_METHOD_REPLY_LEN], grant[SOCKS5_GRANT_LEN],
	        refusal[SOCKS5_REFUSAL_LEN];

	socks5_method_reply(method, true);
	ck_assert_mem_eq(method, "\x05\x00", 2);
	socks5_method_reply(method, false);
	ck_assert_mem_eq(method, "\x05\xff", 2);
	socks5_grant_reply(grant, request);
	ck_assert_mem_eq(grant, "\x05\x00\x00\x03\x28" HASH "\x12\x34", SOCKS5_GRANT_LEN);
	socks5_refusal_reply(refusal, SOCKS5_NOT_ALLOWED);
	ck_assert_mem_eq(refusal, "\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", SOCKS5_REFUSAL_LEN);
	socks5_refusal_reply(refusal, SOCKS5_ADDRESS_TYPE_NOT_SUPPORTED);
	ck_assert_uint_eq(refusal[1], 0x08);
}
END_TEST

START_TEST(a_hash_is_the_same_in_any_case_and_is_written_in_lower_case)
{
	const uint8_t *request = (const uint8_t *)"\x05\x01\x00\x03\x28" HASH "\x00\x00";
	uint8_t hash[SOCKS5_HASH_LEN], other[SOCKS5_HASH_LEN];
	char text[SOCKS5_NAME_LEN + 1];

	socks5_request_hash(request, hash);
	socks5_hash_format(hash, text);
	ck_assert_str_eq(text, "0123456789abcdefabcdef0123456789abcdef01");
	ck_assert_int_eq(socks5_hash_parse(text, strlen(text), other), 0);
	ck_assert_mem_eq(hash, other, sizeof(hash));
	ck_assert_int_eq(socks5_hash_parse(text, strlen(text) - 1, other), -1);
	ck_assert_int_eq(socks5_hash_parse("0123456789abcdefabcdef0123456789abcdef0x", 40, other),
	                 -1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_greeting_with_method_zero_is_accepted_wherever_it_stands,
		a_greeting_asks_for_no_byte_behind_it,
		a_greeting_that_offers_nothing_of_use_is_refused,
		another_version_is_refused_at_its_first_byte,
		a_request_for_forty_digits_is_accepted_with_any_port,
		a_request_asks_for_no_byte_behind_it,
		other_commands_are_refused,
		addresses_are_refused_before_they_are_read,
		names_that_are_no_hash_are_refused,
		replies_are_those_of_the_rfc,
		a_hash_is_the_same_in_any_case_and_is_written_in_lower_case,
	};

	return unit_run("socks5", tests, ARRAY_LEN(tests), NULL, NULL);
}
