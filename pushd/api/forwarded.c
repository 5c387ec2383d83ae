#include "pushd/api/forwarded.h"

#include <string.h>

/* Reads "192.0.2.1", "2001:db8::1" or either with a port; -1 when it is neither. */
static int read_hop(union net_address *address, const char *text, size_t len)
{
	char copy[NET_TEXT_MAX];

	if (len == 0 || len >= sizeof(copy))
		return -1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (net_numeric(copy, 0, address) == 0)
		return 0;
	return net_parse(copy, address);
}

void forwarded_resolve(union net_address *address, const char *header,
                       const struct networks *trusted)
{
	size_t end = strlen(header);

	while (end > 0 && networks_contain(trusted, address)) {
		union net_address hop;
		size_t start, stop = end;

		while (stop > 0 && (header[stop - 1] == ' ' || header[stop - 1] == '\t'))
			stop--;
		for (start = stop; start > 0 && header[start - 1] != ',';)
			start--;
		end = start > 0 ? start - 1 : 0;
		while (start < stop && (header[start] == ' ' || header[start] == '\t'))
			start++;
		if (read_hop(&hop, header + start, stop - start) != 0)
			return;
		*address = hop;
	}
}
