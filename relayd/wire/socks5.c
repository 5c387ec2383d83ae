#include "relayd/wire/socks5.h"

#include <string.h>

#include "common/text/hex.h"

#define VERSION 0x05
#define METHOD_NONE 0x00
#define METHOD_REFUSED 0xff
#define COMMAND_CONNECT 0x01
#define ADDRESS_IPV4 0x01
#define ADDRESS_NAME 0x03
#define NAME_AT 5 /* version, command, reserved, address type, length */

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct parse socks5_read_greeting(const uint8_t *bytes, size_t len)
{
	size_t whole;

	if (len >= 1 && bytes[0] != VERSION)
		return parse_bad(PARSE_BAD_VERSION);
	if (len < 2)
		return parse_more(2);
	whole = 2 + (size_t)bytes[1];
	if (bytes[1] == 0)
		return parse_bad(PARSE_NO_METHOD);
	if (len < whole)
		return parse_more(whole);
	if (memchr(bytes + 2, METHOD_NONE, bytes[1]) == NULL)
		return parse_bad(PARSE_NO_METHOD);
	return parse_done();
}

struct parse socks5_read_request(const uint8_t *bytes, size_t len)
{
	if (len >= 1 && bytes[0] != VERSION)
		return parse_bad(PARSE_BAD_VERSION);
	if (len >= 2 && bytes[1] != COMMAND_CONNECT)
		return parse_bad(PARSE_BAD_COMMAND);
	if (len >= 4 && bytes[3] != ADDRESS_NAME)
		return parse_bad(PARSE_BAD_ADDRESS_TYPE);
	if (len >= NAME_AT && bytes[NAME_AT - 1] != SOCKS5_NAME_LEN)
		return parse_bad(PARSE_BAD_NAME);
	for (size_t i = NAME_AT; i < len && i < NAME_AT + SOCKS5_NAME_LEN; i++) {
		if (hex_value(bytes[i]) < 0)
			return parse_bad(PARSE_BAD_NAME);
	}
	if (len < NAME_AT)
		return parse_more(NAME_AT);
	if (len < SOCKS5_REQUEST_LEN)
		return parse_more(SOCKS5_REQUEST_LEN);
	return parse_done();
}

void socks5_request_hash(const uint8_t request[SOCKS5_REQUEST_LEN], uint8_t hash[SOCKS5_HASH_LEN])
{
	(void)socks5_hash_parse((const char *)request + NAME_AT, SOCKS5_NAME_LEN, hash);
}

void socks5_method_reply(uint8_t reply[SOCKS5_METHOD_REPLY_LEN], bool accepted)
{
	reply[0] = VERSION;
	reply[1] = accepted ? METHOD_NONE : METHOD_REFUSED;
}

void socks5_grant_reply(uint8_t reply[SOCKS5_GRANT_LEN], const uint8_t request[SOCKS5_REQUEST_LEN])
{
	memcpy(reply, request, SOCKS5_GRANT_LEN);
	reply[1] = SOCKS5_SUCCEEDED;
	reply[2] = 0x00;
}

void socks5_refusal_reply(uint8_t reply[SOCKS5_REFUSAL_LEN], enum socks5_reply why)
{
	memset(reply, 0, SOCKS5_REFUSAL_LEN);
	reply[0] = VERSION;
	reply[1] = (uint8_t)why;
	reply[3] = ADDRESS_IPV4;
}

void socks5_hash_format(const uint8_t hash[SOCKS5_HASH_LEN], char text[SOCKS5_NAME_LEN + 1])
{
	hex_write(text, hash, SOCKS5_HASH_LEN);
}

int socks5_hash_parse(const char *text, size_t len, uint8_t hash[SOCKS5_HASH_LEN])
{
	if (len != SOCKS5_NAME_LEN)
		return -1;
	for (size_t i = 0; i < SOCKS5_HASH_LEN; i++) {
		int high = hex_value((uint8_t)text[2 * i]);
		int low = hex_value((uint8_t)text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		hash[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}
