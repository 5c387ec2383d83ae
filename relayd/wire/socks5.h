/*
 * The server's side of SOCKS5 (RFC 1928) as XEP-0065 uses it: bytes in, bytes out. Pure.
 */
#ifndef OG_RELAYD_WIRE_SOCKS5_H
#define OG_RELAYD_WIRE_SOCKS5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relayd/wire/parse.h"

#define SOCKS5_GREETING_MAX 257 /* version, count, 255 methods */
#define SOCKS5_REQUEST_LEN 47   /* the only request that is granted: a name of 40 digits */
#define SOCKS5_METHOD_REPLY_LEN 2
#define SOCKS5_GRANT_LEN SOCKS5_REQUEST_LEN
#define SOCKS5_REFUSAL_LEN 10
#define SOCKS5_NAME_LEN 40
#define SOCKS5_HASH_LEN 20

/* The reply field (RFC 1928, 6), as far as it is used. */
enum socks5_reply {
	SOCKS5_SUCCEEDED = 0x00,
	SOCKS5_GENERAL_FAILURE = 0x01,
	SOCKS5_NOT_ALLOWED = 0x02,
	SOCKS5_HOST_UNREACHABLE = 0x04,
	SOCKS5_COMMAND_NOT_SUPPORTED = 0x07,
	SOCKS5_ADDRESS_TYPE_NOT_SUPPORTED = 0x08,
};

/* Reads a client's greeting of which LEN bytes are there; bad unless it offers method 0x00. */
struct parse socks5_read_greeting(const uint8_t *bytes, size_t len);

/*
 * Reads a request: CONNECT to a name of 40 hex digits in any case; the port is ignored (XEP-0065,
 * 6).
 */
struct parse socks5_read_request(const uint8_t *bytes, size_t len);

/* The hash that a whole and accepted request names. */
void socks5_request_hash(const uint8_t request[SOCKS5_REQUEST_LEN], uint8_t hash[SOCKS5_HASH_LEN]);

/* The reply to a greeting: method 0x00, or 0xFF for none. */
void socks5_method_reply(uint8_t reply[SOCKS5_METHOD_REPLY_LEN], bool accepted);

/* The reply to a granted request: it echoes name and port byte for byte, as XEP-0065 demands. */
void socks5_grant_reply(uint8_t reply[SOCKS5_GRANT_LEN], const uint8_t request[SOCKS5_REQUEST_LEN]);

/* The reply to a refused request, with an address of zeros. */
void socks5_refusal_reply(uint8_t reply[SOCKS5_REFUSAL_LEN], enum socks5_reply why);

/* The hash as 40 lower-case digits and a NUL. */
void socks5_hash_format(const uint8_t hash[SOCKS5_HASH_LEN], char text[SOCKS5_NAME_LEN + 1]);

/* Reads LEN hex digits of any case; -1 unless they are 40 of them. */
int socks5_hash_parse(const char *text, size_t len, uint8_t hash[SOCKS5_HASH_LEN]);

#endif
