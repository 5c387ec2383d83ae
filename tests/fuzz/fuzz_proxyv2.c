#include "relayd/wire/proxyv2.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxyv2_answer answer = proxyv2_read(data, 0);
	uint8_t address[PROXYV2_ADDRESS_LEN];
	size_t len = 0;
	uint16_t port;

	for (; answer.status == PROXYV2_MORE && len < size; len++) {
		assert(answer.need > len && answer.need <= PROXYV2_READ_MAX);
		answer = proxyv2_read(data, len + 1);
	}
	if (answer.status != PROXYV2_DONE)
		return 0;
	assert(len + answer.rest <= 16 + UINT16_MAX);
	(void)proxyv2_source(data, address, &port);
	return 0;
}
