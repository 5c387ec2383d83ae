/*
 * Peering: what two relays of a fleet say to each other before a half is bridged, in the framing of
 * RFC 1928. Both ends' messages. Pure.
 *
 *   bridging relay                              owner
 *   05 01 81                              ─▶
 *                                         ◀─    05 81, nonce (32)
 *   nonce (32), proof (32),
 *   05 01 00 03 28, name (40), 00 00      ─▶
 *                                         ◀─    05 00 00 03 28, name, 00 00, proof (32),
 *                                               or a refusal (10)
 *                                         ◀─    00, when the stream is activated
 *   bytes                                 ◀─▶   bytes
 *
 * The name is the stream's hash as 40 lower-case digits. A proof is HMAC-SHA-256(secret, "B" for
 * the bridging relay's or "O" for the owner's ‖ the owner's nonce ‖ the bridging relay's ‖ name ‖
 * the owner's id), so one that was made for another relay, connection or direction proves nothing.
 * The byte at activation keeps the bridging relay from reading its client before that.
 */
#ifndef OG_RELAYD_WIRE_PEERING_H
#define OG_RELAYD_WIRE_PEERING_H

#include "relayd/wire/socks5.h"

#define PEERING_GREETING_LEN 3
#define PEERING_NONCE_LEN 32
#define PEERING_CHALLENGE_LEN (2 + PEERING_NONCE_LEN)
#define PEERING_PROOF_LEN 32
#define PEERING_HEAD_LEN (PEERING_NONCE_LEN + PEERING_PROOF_LEN) /* before the request proper */
#define PEERING_REQUEST_LEN (PEERING_HEAD_LEN + SOCKS5_REQUEST_LEN)
#define PEERING_GRANT_LEN (SOCKS5_GRANT_LEN + PEERING_PROOF_LEN)
#define PEERING_GO 0x00

/* What both ends know; borrowed. */
struct peering_key {
	const char *secret;
	const char *owner; /* the id of the relay that was dialled */
};

/* The owner's end. */

/* Reads a greeting; bad unless it is exactly the one above. */
struct parse peering_read_greeting(const uint8_t *bytes, size_t len);

void peering_challenge(uint8_t challenge[PEERING_CHALLENGE_LEN],
                       const uint8_t nonce[PEERING_NONCE_LEN]);

/* Reads proof and request; doesn't check the proof. */
struct parse peering_read_request(const uint8_t *bytes, size_t len);

/* True if a whole request proves that its sender knows the secret and means this owner. */
bool peering_proof_is_right(const uint8_t request[PEERING_REQUEST_LEN],
                            const uint8_t nonce[PEERING_NONCE_LEN], const struct peering_key *key);

/* The owner's proof, to a request whose proof is right. */
void peering_owner_proof(uint8_t proof[PEERING_PROOF_LEN],
                         const uint8_t request[PEERING_REQUEST_LEN],
                         const uint8_t nonce[PEERING_NONCE_LEN], const struct peering_key *key);

/* The bridging relay's end. */

extern const uint8_t peering_greeting[PEERING_GREETING_LEN];

/* Reads the challenge; bad if the other end doesn't speak this protocol. */
struct parse peering_read_challenge(const uint8_t *bytes, size_t len);

/* The response to a whole CHALLENGE: NONCE, the proof, and the request for HASH. */
void peering_request(uint8_t request[PEERING_REQUEST_LEN],
                     const uint8_t challenge[PEERING_CHALLENGE_LEN],
                     const uint8_t nonce[PEERING_NONCE_LEN], const uint8_t hash[SOCKS5_HASH_LEN],
                     const struct peering_key *key);

/* How the owner grants REQUEST, the response to CHALLENGE. */
void peering_grant(uint8_t grant[PEERING_GRANT_LEN], const uint8_t request[PEERING_REQUEST_LEN],
                   const uint8_t challenge[PEERING_CHALLENGE_LEN], const struct peering_key *key);

/*
 * Reads the reply to a request that is granted by GRANT: done when it is that, PARSE_REFUSED with
 * the owner's reply field, or PARSE_BAD_VERSION if it is no reply or the owner doesn't know the
 * secret.
 */
struct parse peering_read_reply(const uint8_t *bytes, size_t len,
                                const uint8_t grant[PEERING_GRANT_LEN]);

#endif
