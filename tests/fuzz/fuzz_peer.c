#include "relayd/wire/peer.h"
#include "tests/fuzz/fuzz.h"

#define SECRET "secret"

static struct socks5_answer read_reply(const uint8_t *bytes, size_t len)
{
	static const uint8_t challenge[PEER_CHALLENGE_LEN], hash[SOCKS5_HASH_LEN] = { 1, 2, 3 };
	uint8_t request[PEER_REQUEST_LEN];

	peer_request(request, challenge, hash, SECRET);
	return peer_read_reply(bytes, len, request);
}

/* One of the messages, byte by byte: what is asked for is always more than what is there. */
static bool read_whole(struct socks5_answer (*read)(const uint8_t *bytes, size_t len),
                       const uint8_t *data, size_t size, size_t most)
{
	struct socks5_answer answer = read(data, 0);

	for (size_t len = 0; answer.status == SOCKS5_MORE; len++) {
		assert(answer.need > len && answer.need <= most);
		if (len == size)
			return false;
		answer = read(data, len + 1);
	}
	return answer.status == SOCKS5_DONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t hash[SOCKS5_HASH_LEN], nonce[PEER_NONCE_LEN];
	uint8_t request[PEER_REQUEST_LEN];

	(void)read_whole(peer_read_greeting, data, size, PEER_GREETING_LEN);
	(void)read_whole(read_reply, data, size, SOCKS5_GRANT_LEN);
	if (read_whole(peer_read_request, data, size, PEER_REQUEST_LEN))
		assert(!peer_proof_is_right(data, nonce, SECRET));
	if (!read_whole(peer_read_challenge, data, size, PEER_CHALLENGE_LEN))
		return 0;
	peer_request(request, data, hash, SECRET);
	assert(read_whole(peer_read_request, request, sizeof(request), sizeof(request)));
	assert(peer_proof_is_right(request, data + 2, SECRET));
	return 0;
}
