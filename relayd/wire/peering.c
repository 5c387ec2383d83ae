#include "relayd/wire/peering.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define VERSION 0x05
#define METHOD_PEERING 0x81
#define HEAD_LEN 5 /* of a request, before the name */

const uint8_t peering_greeting[PEERING_GREETING_LEN] = { VERSION, 1, METHOD_PEERING };

#define OWNER_MAX 300 /* bytes of a relay's id that a proof covers; ids are shorter */

/* Whose proof it is. */
enum prover { BRIDGING = 'B', OWNER = 'O' };

/*
 * The proof of WHO for a REQUEST with a nonce and a name, after the challenge by NONCE. It covers
 * the name in lower case, whatever case the request has.
 */
static void prove(uint8_t proof[PEERING_PROOF_LEN], enum prover who,
                  const uint8_t request[PEERING_REQUEST_LEN],
                  const uint8_t nonce[PEERING_NONCE_LEN], const struct peering_key *key)
{
	uint8_t message[1 + 2 * PEERING_NONCE_LEN + SOCKS5_NAME_LEN + OWNER_MAX];
	uint8_t hash[SOCKS5_HASH_LEN], *at = message;
	size_t owner_len = strnlen(key->owner, OWNER_MAX);
	unsigned len = PEERING_PROOF_LEN;
	const uint8_t *made;

	socks5_request_hash(request + PEERING_HEAD_LEN, hash);
	*at++ = (uint8_t)who;
	memcpy(at, nonce, PEERING_NONCE_LEN);
	memcpy(at + PEERING_NONCE_LEN, request, PEERING_NONCE_LEN);
	at += 2 * PEERING_NONCE_LEN;
	socks5_hash_format(hash, (char *)at);
	at += SOCKS5_NAME_LEN;
	memcpy(at, key->owner, owner_len);
	at += owner_len;
	made = HMAC(EVP_sha256(), key->secret, (int)strlen(key->secret), message,
	            (size_t)(at - message), proof, &len);
	assert(made != NULL);
}

/* The owner's end */

struct parse peering_read_greeting(const uint8_t *bytes, size_t len)
{
	size_t there = len < PEERING_GREETING_LEN ? len : PEERING_GREETING_LEN;

	if (len >= 1 && bytes[0] != VERSION)
		return parse_bad(PARSE_BAD_VERSION);
	if (memcmp(bytes, peering_greeting, there) != 0)
		return parse_bad(PARSE_NO_METHOD);
	return len < PEERING_GREETING_LEN ? parse_more(PEERING_GREETING_LEN) : parse_done();
}

void peering_challenge(uint8_t challenge[PEERING_CHALLENGE_LEN],
                       const uint8_t nonce[PEERING_NONCE_LEN])
{
	challenge[0] = VERSION;
	challenge[1] = METHOD_PEERING;
	memcpy(challenge + 2, nonce, PEERING_NONCE_LEN);
}

struct parse peering_read_request(const uint8_t *bytes, size_t len)
{
	struct parse request;

	if (len <= PEERING_HEAD_LEN)
		return parse_more(PEERING_REQUEST_LEN);
	request = socks5_read_request(bytes + PEERING_HEAD_LEN, len - PEERING_HEAD_LEN);
	return request.status == PARSE_MORE ? parse_more(PEERING_REQUEST_LEN) : request;
}

bool peering_proof_is_right(const uint8_t request[PEERING_REQUEST_LEN],
                            const uint8_t nonce[PEERING_NONCE_LEN], const struct peering_key *key)
{
	uint8_t proof[PEERING_PROOF_LEN];

	prove(proof, BRIDGING, request, nonce, key);
	return CRYPTO_memcmp(proof, request + PEERING_NONCE_LEN, PEERING_PROOF_LEN) == 0;
}

void peering_owner_proof(uint8_t proof[PEERING_PROOF_LEN],
                         const uint8_t request[PEERING_REQUEST_LEN],
                         const uint8_t nonce[PEERING_NONCE_LEN], const struct peering_key *key)
{
	prove(proof, OWNER, request, nonce, key);
}

/* The bridging relay's end */

struct parse peering_read_challenge(const uint8_t *bytes, size_t len)
{
	if (len >= 1 && bytes[0] != VERSION)
		return parse_bad(PARSE_BAD_VERSION);
	if (len >= 2 && bytes[1] != METHOD_PEERING)
		return parse_bad(PARSE_NO_METHOD);
	/* A refusal has two bytes, and its sender may keep the connection open. */
	if (len < 2)
		return parse_more(2);
	return len < PEERING_CHALLENGE_LEN ? parse_more(PEERING_CHALLENGE_LEN) : parse_done();
}

void peering_request(uint8_t request[PEERING_REQUEST_LEN],
                     const uint8_t challenge[PEERING_CHALLENGE_LEN],
                     const uint8_t nonce[PEERING_NONCE_LEN], const uint8_t hash[SOCKS5_HASH_LEN],
                     const struct peering_key *key)
{
	static const uint8_t head[HEAD_LEN] = { VERSION, 0x01, 0x00, 0x03, SOCKS5_NAME_LEN };
	uint8_t *name = request + PEERING_HEAD_LEN + HEAD_LEN;
	char text[SOCKS5_NAME_LEN + 1];

	memcpy(request, nonce, PEERING_NONCE_LEN);
	memcpy(request + PEERING_HEAD_LEN, head, HEAD_LEN);
	socks5_hash_format(hash, text);
	memcpy(name, text, SOCKS5_NAME_LEN);
	memset(name + SOCKS5_NAME_LEN, 0, 2);
	prove(request + PEERING_NONCE_LEN, BRIDGING, request, challenge + 2, key);
}

void peering_grant(uint8_t grant[PEERING_GRANT_LEN], const uint8_t request[PEERING_REQUEST_LEN],
                   const uint8_t challenge[PEERING_CHALLENGE_LEN], const struct peering_key *key)
{
	socks5_grant_reply(grant, request + PEERING_HEAD_LEN);
	prove(grant + SOCKS5_GRANT_LEN, OWNER, request, challenge + 2, key);
}

static struct parse read_grant(const uint8_t *bytes, size_t len,
                               const uint8_t grant[PEERING_GRANT_LEN])
{
	const uint8_t *head = grant; /* before the proof */

	if (memcmp(bytes, head, len < SOCKS5_GRANT_LEN ? len : SOCKS5_GRANT_LEN) != 0)
		return parse_bad(PARSE_BAD_VERSION);
	if (len < PEERING_GRANT_LEN)
		return parse_more(PEERING_GRANT_LEN);
	return CRYPTO_memcmp(bytes, grant, PEERING_GRANT_LEN) == 0 ? parse_done()
	                                                           : parse_bad(PARSE_BAD_VERSION);
}

struct parse peering_read_reply(const uint8_t *bytes, size_t len,
                                const uint8_t grant[PEERING_GRANT_LEN])
{
	if (len >= 1 && bytes[0] != VERSION)
		return parse_bad(PARSE_BAD_VERSION);
	if (len < 2)
		return parse_more(2);
	if (bytes[1] == SOCKS5_SUCCEEDED)
		return read_grant(bytes, len, grant);
	/* The address and port of a refusal mean nothing. */
	return (struct parse){ .status = PARSE_BAD, .fault = PARSE_REFUSED, .reply = bytes[1] };
}
