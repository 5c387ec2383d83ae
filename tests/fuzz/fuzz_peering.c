#include "relayd/wire/peering.h"
#include "tests/fuzz/fuzz.h"

static const struct peering_key key = { "secret", "relay-1" };
static const uint8_t nonce[PEERING_NONCE_LEN];

static struct parse read_reply(const uint8_t *bytes, size_t len)
{
	static const uint8_t challenge[PEERING_CHALLENGE_LEN], hash[SOCKS5_HASH_LEN] = { 1, 2, 3 };
	uint8_t request[PEERING_REQUEST_LEN], grant[PEERING_GRANT_LEN];

	peering_request(request, challenge, nonce, hash, &key);
	peering_grant(grant, request, challenge, &key);
	return peering_read_reply(bytes, len, grant);
}

/* One of the messages, byte by byte: what is asked for is always more than what is there. */
static bool read_whole(struct parse (*read)(const uint8_t *bytes, size_t len), const uint8_t *data,
                       size_t size, size_t most)
{
	struct parse parse = read(data, 0);

	for (size_t len = 0; parse.status == PARSE_MORE; len++) {
		assert(parse.need > len && parse.need <= most);
		if (len == size)
			return false;
		parse = read(data, len + 1);
	}
	return parse.status == PARSE_DONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t hash[SOCKS5_HASH_LEN];
	uint8_t request[PEERING_REQUEST_LEN];

	(void)read_whole(peering_read_greeting, data, size, PEERING_GREETING_LEN);
	(void)read_whole(read_reply, data, size, PEERING_GRANT_LEN);
	if (read_whole(peering_read_request, data, size, PEERING_REQUEST_LEN))
		assert(!peering_proof_is_right(data, nonce, &key));
	if (!read_whole(peering_read_challenge, data, size, PEERING_CHALLENGE_LEN))
		return 0;
	peering_request(request, data, nonce, hash, &key);
	assert(read_whole(peering_read_request, request, sizeof(request), sizeof(request)));
	assert(peering_proof_is_right(request, data + 2, &key));
	return 0;
}
