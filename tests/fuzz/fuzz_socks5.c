#include "relayd/wire/socks5.h"
#include "tests/fuzz/fuzz.h"

typedef struct parse reader(const uint8_t *bytes, size_t len);

/* Reads byte by byte; *LEN becomes how many it took to know, or all SIZE. */
static enum parse_status read_on(reader *read, const uint8_t *data, size_t size, size_t *len)
{
	struct parse parse = read(data, 0);

	for (*len = 0; parse.status == PARSE_MORE && *len < size; ++*len) {
		assert(parse.need > *len);
		parse = read(data, *len + 1);
	}
	return parse.status;
}

static void check_request(const uint8_t *request)
{
	uint8_t hash[SOCKS5_HASH_LEN], again[SOCKS5_HASH_LEN], grant[SOCKS5_GRANT_LEN];
	char text[SOCKS5_NAME_LEN + 1];

	socks5_request_hash(request, hash);
	socks5_hash_format(hash, text);
	assert(socks5_hash_parse(text, SOCKS5_NAME_LEN, again) == 0);
	assert(memcmp(hash, again, sizeof(hash)) == 0);
	socks5_grant_reply(grant, request);
	assert(grant[1] == 0 && memcmp(grant + 4, request + 4, sizeof(grant) - 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len;

	if (read_on(socks5_read_greeting, data, size, &len) != PARSE_DONE)
		return 0;
	assert(len <= SOCKS5_GREETING_MAX);
	data += len;
	size -= len;
	if (read_on(socks5_read_request, data, size, &len) != PARSE_DONE)
		return 0;
	assert(len == SOCKS5_REQUEST_LEN);
	check_request(data);
	return 0;
}
