#include "relayd/wire/proxyv2.h"

#include <string.h>

#define SIGNATURE_LEN 12
#define COMMAND_AT 12 /* version in the upper half of the byte */
#define FAMILY_AT 13  /* transport in the lower half */
#define LENGTH_AT 14
#define HEAD_LEN 16
#define VERSION_LOCAL 0x20
#define VERSION_PROXY 0x21
#define FAMILY_UNKNOWN 0x00
#define FAMILY_TCP4 0x11
#define FAMILY_TCP6 0x21
#define FAMILY_UNIX 0x31
#define TCP4_LEN 12
#define TCP6_LEN 36

static const uint8_t signature[SIGNATURE_LEN] = "\r\n\r\n\0\r\nQUIT\n";

static bool has_source(const uint8_t *bytes)
{
	return bytes[COMMAND_AT] == VERSION_PROXY &&
	       (bytes[FAMILY_AT] == FAMILY_TCP4 || bytes[FAMILY_AT] == FAMILY_TCP6);
}

/* Datagrams can't be carried by a connection, so their families are refused like unknown ones. */
static bool is_family(uint8_t family)
{
	return family == FAMILY_UNKNOWN || family == FAMILY_TCP4 || family == FAMILY_TCP6 ||
	       family == FAMILY_UNIX;
}

static bool head_is_legal(const uint8_t *bytes, size_t len)
{
	if (memcmp(bytes, signature, len < SIGNATURE_LEN ? len : SIGNATURE_LEN) != 0)
		return false;
	if (len > COMMAND_AT && bytes[COMMAND_AT] == VERSION_LOCAL)
		return true; /* its family means nothing */
	if (len > COMMAND_AT && bytes[COMMAND_AT] != VERSION_PROXY)
		return false;
	return len <= FAMILY_AT || is_family(bytes[FAMILY_AT]);
}

struct parse proxyv2_read(const uint8_t *bytes, size_t len)
{
	size_t whole, wanted = 0;

	if (!head_is_legal(bytes, len))
		return parse_bad(PARSE_BAD_HEADER);
	if (len < HEAD_LEN)
		return parse_more(HEAD_LEN);
	whole = (size_t)bytes[LENGTH_AT] << 8 | bytes[LENGTH_AT + 1];
	if (has_source(bytes))
		wanted = bytes[FAMILY_AT] == FAMILY_TCP4 ? TCP4_LEN : TCP6_LEN;
	if (whole < wanted)
		return parse_bad(PARSE_BAD_HEADER);
	if (len < HEAD_LEN + wanted)
		return parse_more(HEAD_LEN + wanted);
	return (struct parse){ .status = PARSE_DONE, .rest = whole - wanted };
}

/* The addresses are source, destination, then both ports. */
bool proxyv2_source(const uint8_t *bytes, uint8_t address[PROXYV2_ADDRESS_LEN], uint16_t *port)
{
	const uint8_t *at = bytes + HEAD_LEN;

	if (!has_source(bytes))
		return false;
	if (bytes[FAMILY_AT] == FAMILY_TCP4) {
		memset(address, 0, 10);
		address[10] = address[11] = 0xff;
		memcpy(address + 12, at, 4);
		at += 8;
	} else {
		memcpy(address, at, PROXYV2_ADDRESS_LEN);
		at += 32;
	}
	*port = (uint16_t)(at[0] << 8 | at[1]);
	return true;
}
