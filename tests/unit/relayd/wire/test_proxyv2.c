#include "relayd/wire/proxyv2.c"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

#define SIGN "\r\n\r\n\0\r\nQUIT\n"
#define TCP4 SIGN "\x21\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x30\x39\x04\x38"

/* Feeds BYTES one at a time, as a caller does that reads no more than is asked for. */
static struct parse feed(const char *bytes, size_t len, size_t *used)
{
	struct parse parse = proxyv2_read((const uint8_t *)bytes, 0);

	*used = 0;
	while (parse.status == PARSE_MORE && *used < len) {
		ck_assert_uint_gt(parse.need, *used);
		ck_assert_uint_le(parse.need, PROXYV2_READ_MAX);
		parse = proxyv2_read((const uint8_t *)bytes, ++*used);
	}
	return parse;
}

/* A header of LEN bytes of which the last REST say nothing. */
static void check_done(const char *bytes, size_t len, size_t rest)
{
	size_t used;
	struct parse fed = feed(bytes, len, &used);

	ck_assert_int_eq(fed.status, PARSE_DONE);
	ck_assert_uint_eq(used + fed.rest, len);
	ck_assert_uint_eq(fed.rest, rest);
}

/* Bad at byte PLACE (counted from 1), and whatever comes behind it. */
static void check_bad(const char *bytes, size_t len, size_t place)
{
	size_t used;

	ck_assert_int_eq(feed(bytes, len, &used).status, PARSE_BAD);
	ck_assert_uint_eq(used, place);
	ck_assert_int_eq(proxyv2_read((const uint8_t *)bytes, len).status, PARSE_BAD);
}

static void check_source(const char *bytes, const char *address, unsigned wanted_port)
{
	uint8_t source[PROXYV2_ADDRESS_LEN];
	uint16_t port;

	ck_assert(proxyv2_source((const uint8_t *)bytes, source, &port));
	ck_assert_mem_eq(source, address, sizeof(source));
	ck_assert_uint_eq(port, wanted_port);
}

START_TEST(an_ipv4_client_is_named_as_a_mapped_address)
{
	check_done(TCP4, 28, 0);
	check_source(TCP4, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x07", 12345);
}
END_TEST

START_TEST(an_ipv6_client_is_named)
{
	const char *header = SIGN "\x21\x21\x00\x24"
	                          "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
	                          "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
	                          "\xff\xff\x04\x38";

	check_done(header, PROXYV2_READ_MAX, 0);
	check_source(header, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07", 65535);
}
END_TEST

START_TEST(what_follows_the_addresses_is_counted_and_not_read)
{
	const char *tlv = SIGN "\x21\x11\x00\x13\xc0\x00\x02\x07\x0a\x00\x00\x01\x30\x39\x04\x38"
	                       "\x03\x00\x04\x01\x02\x03\x04";
	const char *longest =
	        SIGN "\x21\x11\xff\xff\xc0\x00\x02\x07\x0a\x00\x00\x01\x30\x39\x04\x38";

	check_done(tlv, 35, 7);
	check_source(tlv, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x07", 12345);
	ck_assert_uint_eq(proxyv2_read((const uint8_t *)longest, 28).rest, 65535 - 12);
}
END_TEST

START_TEST(a_health_check_names_nobody_whatever_family_it_says)
{
	uint8_t source[PROXYV2_ADDRESS_LEN];
	uint16_t port;

	check_done(SIGN "\x20\x00\x00\x00", 16, 0);
	check_done(SIGN "\x20\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c", 28, 12);
	check_done(SIGN "\x20\x99\x00\x01\xee", 17, 1);
	ck_assert(!proxyv2_source((const uint8_t *)SIGN "\x20\x11\x00\x0c\x01\x02\x03\x04", source,
	                          &port));
}
END_TEST

START_TEST(a_connection_that_is_not_tcp_over_ip_names_nobody)
{
	uint8_t source[PROXYV2_ADDRESS_LEN];
	uint16_t port;
	char of_unix[16 + 216] = SIGN "\x21\x31\x00\xd8";

	check_done(SIGN "\x21\x00\x00\x00", 16, 0);
	check_done(of_unix, sizeof(of_unix), 216);
	ck_assert(!proxyv2_source((const uint8_t *)of_unix, source, &port));
}
END_TEST

START_TEST(garbage_is_bad_at_its_first_byte)
{
	check_bad("\x05\x01\x00", 3, 1);
	check_bad("GET / HTTP/1.1\r\n\r\n", 18, 1);
	check_bad("PROXY TCP4 192.0.2.7 10.0.0.1 12345 1080\r\n", 42, 1);
	check_bad("\r\n\r\n\0\r\nQUIT\r", 12, 12);
	for (size_t at = 0; at < SIGNATURE_LEN; at++) {
		char header[] = TCP4;

		header[at] ^= 0x40;
		check_bad(header, 28, at + 1);
	}
}
END_TEST

START_TEST(versions_commands_and_families_that_do_not_exist_are_bad)
{
	check_bad(SIGN "\x11\x11\x00\x0c", 16, 13);
	check_bad(SIGN "\x31\x11\x00\x0c", 16, 13);
	check_bad(SIGN "\x22\x11\x00\x0c", 16, 13);
	for (int family = 0; family < 256; family++) {
		char header[] = SIGN "\x21\x11\x01\x00";

		header[FAMILY_AT] = (char)family;
		if (family != 0x00 && family != 0x11 && family != 0x21 && family != 0x31)
			check_bad(header, 16, 14);
	}
}
END_TEST

START_TEST(a_length_that_leaves_no_room_for_the_addresses_is_bad)
{
	check_bad(SIGN "\x21\x11\x00\x0b\0\0\0\0\0\0\0\0\0\0\0", 27, 16);
	check_bad(SIGN "\x21\x21\x00\x23", 16, 16);
	check_bad(SIGN "\x21\x11\x00\x00", 16, 16);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_ipv4_client_is_named_as_a_mapped_address,
		an_ipv6_client_is_named,
		what_follows_the_addresses_is_counted_and_not_read,
		a_health_check_names_nobody_whatever_family_it_says,
		a_connection_that_is_not_tcp_over_ip_names_nobody,
		garbage_is_bad_at_its_first_byte,
		versions_commands_and_families_that_do_not_exist_are_bad,
		a_length_that_leaves_no_room_for_the_addresses_is_bad,
	};

	return unit_run("proxyv2", tests, ARRAY_LEN(tests), NULL, NULL);
}
