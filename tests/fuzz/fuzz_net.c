/* Addresses as text: the first line is a list of networks, the rest an X-Forwarded-For. */
#include "common/net/net.h"
#include "common/net/networks.h"
#include "pushd/api/rest.c"
#include "tests/fuzz/fuzz.h"

static void check_address(const char *text)
{
	char host[NET_HOST_MAX + 1], again[NET_TEXT_MAX];
	union net_address address, other;
	uint16_t port;

	if (net_split(text, host, &port) == 0)
		assert(strlen(host) <= NET_HOST_MAX);
	if (net_parse(text, &address) == 0)
		assert(net_parse(net_format(&address, again), &other) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	char *line = fuzz_line(&input), *header = fuzz_rest(&input);
	const char *texts[] = { line, "127.0.0.1", NULL };
	struct networks networks = { 0 };
	union net_address address;

	check_address(line);
	check_address(header);
	assert(net_parse("127.0.0.1:80", &address) == 0);
	(void)networks_read(&networks, texts);
	resolve_forwarded(&address, header, &networks);
	assert(address.sa.sa_family == AF_INET || address.sa.sa_family == AF_INET6);
	networks_release(&networks);
	free(header);
	free(line);
	return 0;
}
