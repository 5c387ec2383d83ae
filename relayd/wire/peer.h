/*
 * What two relays say to each other before a half is bridged (schema in bytes, RFC 1928 framing):
 * pure functions for both ends.
 *
 *   bridging relay                              owner
 *   05 01 80                              ─▶
 *                                         ◀─    05 80, nonce (32)
 *   HMAC-SHA-256(secret, nonce ‖ name) (32),
 *   05 01 00 03 28, name (40), 00 00      ─▶
 *                                         ◀─    05 00 00 03 28, name, 00 00, or a refusal (10)
 *                                         ◀─    00, when the stream is activated
 *   bytes                                 ◀─▶   bytes
 *
 * The name is the stream's hash as 40 lower-case digits. The byte at activation keeps the bridging
 * relay from reading its client before that. Answers are read as in socks5.h.
 */
#ifndef OG_RELAYD_WIRE_PEER_H
#define OG_RELAYD_WIRE_PEER_H

#include "relayd/wire/socks5.h"

#define PEER_GREETING_LEN 3
#define PEER_NONCE_LEN 32
#define PEER_CHALLENGE_LEN (2 + PEER_NONCE_LEN)
#define PEER_PROOF_LEN 32
#define PEER_REQUEST_LEN (PEER_PROOF_LEN + SOCKS5_REQUEST_LEN)
#define PEER_GO 0x00

/* The owner's end. */

/* Reads a greeting; refused unless it is exactly the one above. */
struct socks5_answer peer_read_greeting(const uint8_t *bytes, size_t len);

void peer_challenge(uint8_t challenge[PEER_CHALLENGE_LEN], const uint8_t nonce[PEER_NONCE_LEN]);

/* Reads proof and request; whether the proof is right is another question. */
struct socks5_answer peer_read_request(const uint8_t *bytes, size_t len);

/* Does a whole request prove that whoever sent it knows SECRET? */
bool peer_proof_is_right(const uint8_t request[PEER_REQUEST_LEN],
                         const uint8_t nonce[PEER_NONCE_LEN], const char *secret);

/* The bridging relay's end. */

void peer_greeting(uint8_t greeting[PEER_GREETING_LEN]);

/* Reads the challenge; SOCKS5_NO_METHOD: it is no relay of this protocol. */
struct socks5_answer peer_read_challenge(const uint8_t *bytes, size_t len);

/* The answer to a whole CHALLENGE: proof, and the request for HASH. */
void peer_request(uint8_t request[PEER_REQUEST_LEN], const uint8_t challenge[PEER_CHALLENGE_LEN],
                  const uint8_t hash[SOCKS5_HASH_LEN], const char *secret);

/*
 * Reads the reply to REQUEST: done when granted; else SOCKS5_THIRD_HALF, SOCKS5_BAD_VERSION if it
 * is none, and SOCKS5_NOT_OWNED for any other refusal.
 */
struct socks5_answer peer_read_reply(const uint8_t *bytes, size_t len,
                                     const uint8_t request[PEER_REQUEST_LEN]);

#endif
