#include "relayd/wire/proxyv2.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct parse parse = proxyv2_read(data, 0);
	uint8_t address[PROXYV2_ADDRESS_LEN];
	size_t len = 0;
	uint16_t port;

	for (; parse.status == PARSE_MORE && len < size; len++) {
		assert(parse.need > len && parse.need <= PROXYV2_READ_MAX);
		parse = proxyv2_read(data, len + 1);
	}
	if (parse.status != PARSE_DONE)
		return 0;
	assert(len + parse.rest <= 16 + UINT16_MAX);
	(void)proxyv2_source(data, address, &port);
	return 0;
}
