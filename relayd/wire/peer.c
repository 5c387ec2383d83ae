#include "relayd/wire/peer.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define VERSION 0x05
#define METHOD_PEER 0x80
#define HEAD_LEN 5 /* of a request, before the name */

static const uint8_t greeting_bytes[PEER_GREETING_LEN] = { VERSION, 1, METHOD_PEER };

static struct socks5_answer more(size_t need)
{
	return (struct socks5_answer){ .status = SOCKS5_MORE, .need = need };
}

static struct socks5_answer refused(enum socks5_refusal refusal)
{
	return (struct socks5_answer){ .status = SOCKS5_REFUSED, .refusal = refusal };
}

static struct socks5_answer done(void)
{
	return (struct socks5_answer){ .status = SOCKS5_DONE };
}

/* The name is taken in lower case, whatever case the request has. */
static void prove(uint8_t proof[PEER_PROOF_LEN], const uint8_t nonce[PEER_NONCE_LEN],
                  const uint8_t hash[SOCKS5_HASH_LEN], const char *secret)
{
	uint8_t message[PEER_NONCE_LEN + SOCKS5_NAME_LEN + 1];
	unsigned len = PEER_PROOF_LEN;
	const uint8_t *made;

	memcpy(message, nonce, PEER_NONCE_LEN);
	socks5_hash_format(hash, (char *)message + PEER_NONCE_LEN);
	made = HMAC(EVP_sha256(), secret, (int)strlen(secret), message, sizeof(message) - 1, proof,
	            &len);
	assert(made != NULL);
}

/* The owner's end */

struct socks5_answer peer_read_greeting(const uint8_t *bytes, size_t len)
{
	size_t there = len < PEER_GREETING_LEN ? len : PEER_GREETING_LEN;

	if (len >= 1 && bytes[0] != VERSION)
		return refused(SOCKS5_BAD_VERSION);
	if (memcmp(bytes, greeting_bytes, there) != 0)
		return refused(SOCKS5_NO_METHOD);
	return len < PEER_GREETING_LEN ? more(PEER_GREETING_LEN) : done();
}

void peer_challenge(uint8_t challenge[PEER_CHALLENGE_LEN], const uint8_t nonce[PEER_NONCE_LEN])
{
	challenge[0] = VERSION;
	challenge[1] = METHOD_PEER;
	memcpy(challenge + 2, nonce, PEER_NONCE_LEN);
}

struct socks5_answer peer_read_request(const uint8_t *bytes, size_t len)
{
	struct socks5_answer answer;

	if (len <= PEER_PROOF_LEN)
		return more(PEER_REQUEST_LEN);
	answer = socks5_read_request(bytes + PEER_PROOF_LEN, len - PEER_PROOF_LEN);
	return answer.status == SOCKS5_MORE ? more(PEER_REQUEST_LEN) : answer;
}

bool peer_proof_is_right(const uint8_t request[PEER_REQUEST_LEN],
                         const uint8_t nonce[PEER_NONCE_LEN], const char *secret)
{
	uint8_t hash[SOCKS5_HASH_LEN], proof[PEER_PROOF_LEN];

	socks5_request_hash(request + PEER_PROOF_LEN, hash);
	prove(proof, nonce, hash, secret);
	return CRYPTO_memcmp(proof, request, PEER_PROOF_LEN) == 0;
}

/* The bridging relay's end */

void peer_greeting(uint8_t greeting[PEER_GREETING_LEN])
{
	memcpy(greeting, greeting_bytes, PEER_GREETING_LEN);
}

struct socks5_answer peer_read_challenge(const uint8_t *bytes, size_t len)
{
	if (len >= 1 && bytes[0] != VERSION)
		return refused(SOCKS5_BAD_VERSION);
	if (len >= 2 && bytes[1] != METHOD_PEER)
		return refused(SOCKS5_NO_METHOD);
	/* A refusal is two bytes long, and whoever sends one may keep the connection open. */
	if (len < 2)
		return more(2);
	return len < PEER_CHALLENGE_LEN ? more(PEER_CHALLENGE_LEN) : done();
}

void peer_request(uint8_t request[PEER_REQUEST_LEN], const uint8_t challenge[PEER_CHALLENGE_LEN],
                  const uint8_t hash[SOCKS5_HASH_LEN], const char *secret)
{
	static const uint8_t head[HEAD_LEN] = { VERSION, 0x01, 0x00, 0x03, SOCKS5_NAME_LEN };
	uint8_t *name = request + PEER_PROOF_LEN + HEAD_LEN;
	char text[SOCKS5_NAME_LEN + 1];

	prove(request, challenge + 2, hash, secret);
	memcpy(request + PEER_PROOF_LEN, head, HEAD_LEN);
	socks5_hash_format(hash, text);
	memcpy(name, text, SOCKS5_NAME_LEN);
	memset(name + SOCKS5_NAME_LEN, 0, 2);
}

static struct socks5_answer read_grant(const uint8_t *bytes, size_t len,
                                       const uint8_t request[PEER_REQUEST_LEN])
{
	uint8_t grant[SOCKS5_GRANT_LEN];

	socks5_grant_reply(grant, request + PEER_PROOF_LEN);
	if (memcmp(bytes, grant, len < SOCKS5_GRANT_LEN ? len : SOCKS5_GRANT_LEN) != 0)
		return refused(SOCKS5_BAD_VERSION);
	return len < SOCKS5_GRANT_LEN ? more(SOCKS5_GRANT_LEN) : done();
}

struct socks5_answer peer_read_reply(const uint8_t *bytes, size_t len,
                                     const uint8_t request[PEER_REQUEST_LEN])
{
	if (len >= 1 && bytes[0] != VERSION)
		return refused(SOCKS5_BAD_VERSION);
	if (len < 2)
		return more(2);
	if (bytes[1] == 0x00)
		return read_grant(bytes, len, request);
	/* What else a refusal says is of no use. */
	return refused(bytes[1] == socks5_refusal_codes[SOCKS5_THIRD_HALF] ? SOCKS5_THIRD_HALF
	                                                                   : SOCKS5_NOT_OWNED);
}
