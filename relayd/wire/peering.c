#include "relayd/wire/peering.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define VERSION 0x05
#define METHOD_PEERING 0x80
#define HEAD_LEN 5 /* of a request, before the name */

const uint8_t peering_greeting[PEERING_GREETING_LEN] = { VERSION, 1, METHOD_PEERING };

/* The proof covers the name in lower case, whatever case the request has. */
static void prove(uint8_t proof[PEERING_PROOF_LEN], const uint8_t nonce[PEERING_NONCE_LEN],
                  const uint8_t hash[SOCKS5_HASH_LEN], const char *secret)
{
	uint8_t message[PEERING_NONCE_LEN + SOCKS5_NAME_LEN + 1];
	unsigned len = PEERING_PROOF_LEN;
	const uint8_t *made;

	memcpy(message, nonce, PEERING_NONCE_LEN);
	socks5_hash_format(hash, (char *)message + PEERING_NONCE_LEN);
	made = HMAC(EVP_sha256(), secret, (int)strlen(secret), message, sizeof(message) - 1, proof,
	            &len);
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

	if (len <= PEERING_PROOF_LEN)
		return parse_more(PEERING_REQUEST_LEN);
	request = socks5_read_request(bytes + PEERING_PROOF_LEN, len - PEERING_PROOF_LEN);
	return request.status == PARSE_MORE ? parse_more(PEERING_REQUEST_LEN) : request;
}

bool peering_proof_is_right(const uint8_t request[PEERING_REQUEST_LEN],
                            const uint8_t nonce[PEERING_NONCE_LEN], const char *secret)
{
	uint8_t hash[SOCKS5_HASH_LEN], proof[PEERING_PROOF_LEN];

	socks5_request_hash(request + PEERING_PROOF_LEN, hash);
	prove(proof, nonce, hash, secret);
	return CRYPTO_memcmp(proof, request, PEERING_PROOF_LEN) == 0;
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
                     const uint8_t hash[SOCKS5_HASH_LEN], const char *secret)
{
	static const uint8_t head[HEAD_LEN] = { VERSION, 0x01, 0x00, 0x03, SOCKS5_NAME_LEN };
	uint8_t *name = request + PEERING_PROOF_LEN + HEAD_LEN;
	char text[SOCKS5_NAME_LEN + 1];

	prove(request, challenge + 2, hash, secret);
	memcpy(request + PEERING_PROOF_LEN, head, HEAD_LEN);
	socks5_hash_format(hash, text);
	memcpy(name, text, SOCKS5_NAME_LEN);
	memset(name + SOCKS5_NAME_LEN, 0, 2);
}

static struct parse read_grant(const uint8_t *bytes, size_t len,
                               const uint8_t request[PEERING_REQUEST_LEN])
{
	uint8_t grant[SOCKS5_GRANT_LEN];

	socks5_grant_reply(grant, request + PEERING_PROOF_LEN);
	if (memcmp(bytes, grant, len < SOCKS5_GRANT_LEN ? len : SOCKS5_GRANT_LEN) != 0)
		return parse_bad(PARSE_BAD_VERSION);
	return len < SOCKS5_GRANT_LEN ? parse_more(SOCKS5_GRANT_LEN) : parse_done();
}

struct parse peering_read_reply(const uint8_t *bytes, size_t len,
                                const uint8_t request[PEERING_REQUEST_LEN])
{
	if (len >= 1 && bytes[0] != VERSION)
		return parse_bad(PARSE_BAD_VERSION);
	if (len < 2)
		return parse_more(2);
	if (bytes[1] == SOCKS5_SUCCEEDED)
		return read_grant(bytes, len, request);
	/* The address and port of a refusal mean nothing. */
	return (struct parse){ .status = PARSE_BAD, .fault = PARSE_REFUSED, .reply = bytes[1] };
}
