#include "common/net/networks.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define MAPPED_BITS 96 /* of ::ffff:0:0/96, which stands for all of IPv4 */

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

void networks_key(const union net_address *address, unsigned char key[16])
{
	if (address->sa.sa_family == AF_INET) {
		memcpy(key, mapped, sizeof(mapped));
		memcpy(key + sizeof(mapped), &address->in.sin_addr, 4);
	} else {
		memcpy(key, &address->in6.sin6_addr, 16);
	}
}

static bool is_mapped(const unsigned char key[16])
{
	return memcmp(key, mapped, sizeof(mapped)) == 0;
}

void networks_cut_to_site(unsigned char key[16])
{
	if (!is_mapped(key))
		memset(key + 8, 0, 8);
}

void networks_cut_to_network(unsigned char key[16])
{
	size_t bytes = is_mapped(key) ? 15 : 6;

	memset(key + bytes, 0, 16 - bytes);
}

/* Reads the digits behind "/"; -1 unless they are a number up to MOST. */
static int read_bits(const char *text, unsigned most)
{
	char *end;
	unsigned long bits;

	if (*text < '0' || *text > '9')
		return -1;
	bits = strtoul(text, &end, 10);
	return *end != '\0' || bits > most ? -1 : (int)bits;
}

static int read_network(struct network *network, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	union net_address address;
	char host[NET_HOST_MAX + 1];
	unsigned shift;
	int bits;

	if (len >= sizeof(host))
		return -1;
	memcpy(host, text, len);
	host[len] = '\0';
	if (net_numeric(host, 0, &address) != 0)
		return -1;
	networks_key(&address, network->prefix);
	shift = address.sa.sa_family == AF_INET ? MAPPED_BITS : 0;
	bits = slash != NULL ? read_bits(slash + 1, 128 - shift) : (int)(128 - shift);
	if (bits < 0)
		return -1;
	network->bits = (unsigned)bits + shift;
	return 0;
}

const char *networks_read(struct networks *networks, const char *const *texts)
{
	for (; texts != NULL && *texts != NULL; texts++) {
		networks->items =
		        mem_resize(networks->items, networks->count + 1, sizeof(struct network));
		if (read_network(&networks->items[networks->count], *texts) != 0)
			return *texts;
		networks->count++;
	}
	return NULL;
}

static bool has_prefix(const struct network *network, const unsigned char key[16])
{
	unsigned whole = network->bits / 8, rest = network->bits % 8;
	unsigned char mask = (unsigned char)(0xff00 >> rest);

	if (memcmp(network->prefix, key, whole) != 0)
		return false;
	return rest == 0 || ((network->prefix[whole] ^ key[whole]) & mask) == 0;
}

bool networks_contain(const struct networks *networks, const union net_address *address)
{
	unsigned char key[16];

	networks_key(address, key);
	for (size_t i = 0; i < networks->count; i++)
		if (has_prefix(&networks->items[i], key))
			return true;
	return false;
}

void networks_release(struct networks *networks)
{
	free(networks->items);
	*networks = (struct networks){ 0 };
}
