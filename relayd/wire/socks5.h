/*
 * The server's side of SOCKS5 (RFC 1928) as XEP-0065 uses it: pure functions, bytes in and bytes
 * out. A message is read from its first byte on; as long as it isn't whole the answer says how long
 * it has to be, so that a caller who reads no more than that leaves everything behind it in the
 * socket.
 */
#ifndef OG_RELAYD_WIRE_SOCKS5_H
#define OG_RELAYD_WIRE_SOCKS5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOCKS5_GREETING_MAX 257 /* version, count, 255 methods */
#define SOCKS5_REQUEST_LEN 47   /* the only request that is granted: a name of 40 digits */
#define SOCKS5_METHOD_REPLY_LEN 2
#define SOCKS5_GRANT_LEN SOCKS5_REQUEST_LEN
#define SOCKS5_REFUSAL_LEN 10
#define SOCKS5_NAME_LEN 40
#define SOCKS5_HASH_LEN 20

/*
 * Why a handshake did not become a half: constant, text, RFC 1928 reply code (0: none, the
 * connection is just closed; before the request the only refusal that the protocol has is "no
 * acceptable method").
 */
/* clang-format off */
#define SOCKS5_REFUSALS(X)                                                                      \
	X(SOCKS5_BAD_VERSION,      "bad-version",      0x01)                                    \
	X(SOCKS5_NO_METHOD,        "no-method",        0x01)                                    \
	X(SOCKS5_BAD_COMMAND,      "bad-command",      0x07)                                    \
	X(SOCKS5_BAD_ADDRESS_TYPE, "bad-address-type", 0x08)                                    \
	X(SOCKS5_BAD_NAME,         "bad-name",         0x04)                                    \
	X(SOCKS5_THIRD_HALF,       "third-half",       0x02)                                    \
	X(SOCKS5_RELAY_DRAINS,     "relay-drains",     0x01)                                    \
	X(SOCKS5_STORE_AWAY,       "store-away",       0x01)                                    \
	X(SOCKS5_OWNED_ELSEWHERE,  "owned-elsewhere",  0x01)                                    \
	X(SOCKS5_BRIDGE_FAILED,    "bridge-failed",    0x01)                                    \
	X(SOCKS5_BAD_PROOF,        "bad-proof",        0x01)                                    \
	X(SOCKS5_NOT_OWNED,        "not-owned",        0x01)                                    \
	X(SOCKS5_ADDRESS_FULL,     "address-full",     0x02)                                    \
	X(SOCKS5_EVICTED,          "evicted",          0x01)                                    \
	X(SOCKS5_BAD_PROXY_HEADER, "bad-proxy-header", 0)                                       \
	X(SOCKS5_TIMED_OUT,        "timed-out",        0)                                       \
	X(SOCKS5_CLIENT_LEFT,      "client-left",      0)
/* clang-format on */

#define SOCKS5_REFUSAL_ENUM(constant, text, code) constant,
enum socks5_refusal { SOCKS5_REFUSALS(SOCKS5_REFUSAL_ENUM) SOCKS5_REFUSAL_COUNT };

/* Indexed by enum socks5_refusal. */
extern const char *const socks5_refusal_names[];
extern const uint8_t socks5_refusal_codes[];

enum socks5_status { SOCKS5_MORE, SOCKS5_DONE, SOCKS5_REFUSED };

struct socks5_answer {
	enum socks5_status status;
	size_t need;                 /* of SOCKS5_MORE: the length it has to have to be read on */
	enum socks5_refusal refusal; /* of SOCKS5_REFUSED */
};

/* Reads a client's greeting of which LEN bytes are there; refused unless method 0x00 is offered. */
struct socks5_answer socks5_read_greeting(const uint8_t *bytes, size_t len);

/*
 * Reads a request: CONNECT to a name of 40 hex digits in any case; the port is not looked at
 * (XEP-0065, 6).
 */
struct socks5_answer socks5_read_request(const uint8_t *bytes, size_t len);

/* The hash that a whole and accepted request names. */
void socks5_request_hash(const uint8_t request[SOCKS5_REQUEST_LEN], uint8_t hash[SOCKS5_HASH_LEN]);

/* The reply to a greeting: method 0x00, or 0xFF for none. */
void socks5_method_reply(uint8_t reply[SOCKS5_METHOD_REPLY_LEN], bool accepted);

/* The reply to a granted request: it echoes name and port byte for byte, as XEP-0065 demands. */
void socks5_grant_reply(uint8_t reply[SOCKS5_GRANT_LEN], const uint8_t request[SOCKS5_REQUEST_LEN]);

/* The reply to a refused request, with an address of zeros. */
void socks5_refusal_reply(uint8_t reply[SOCKS5_REFUSAL_LEN], enum socks5_refusal refusal);

/* The hash as 40 lower-case digits and a NUL. */
void socks5_hash_format(const uint8_t hash[SOCKS5_HASH_LEN], char text[SOCKS5_NAME_LEN + 1]);

/* Reads LEN hex digits of any case; -1 unless they are 40 of them. */
int socks5_hash_parse(const char *text, size_t len, uint8_t hash[SOCKS5_HASH_LEN]);

#endif
