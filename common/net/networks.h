/*
 * A list of addresses and networks ("192.0.2.7", "10.0.0.0/8", "2001:db8::/32"), such as the
 * proxies that are trusted. IPv4 addresses that come mapped into IPv6 match as IPv4.
 */
#ifndef OG_COMMON_NET_NETWORKS_H
#define OG_COMMON_NET_NETWORKS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/net/net.h"

struct network {
	unsigned char prefix[16]; /* as IPv6, IPv4 mapped */
	unsigned bits;            /* 0 to 128 */
};

/* All zeros is an empty list. */
struct networks {
	struct network *items; /* heap, owned */
	size_t count;
};

/*
 * Fills an empty list from TEXTS (ended by NULL; NULL: none). Returns NULL, or the first text that
 * is neither an address nor a network; the list must be released in either case.
 */
const char *networks_read(struct networks *networks, const char *const *texts);

bool networks_contain(const struct networks *networks, const union net_address *address);

void networks_release(struct networks *networks);

/* The 16 bytes of ADDRESS as IPv6, IPv4 mapped: one key for both families. */
void networks_key(const union net_address *address, unsigned char key[16]);

/* Cuts KEY to the least that one site has: an IPv4 address, or an IPv6 /64 (RFC 6177). */
void networks_cut_to_site(unsigned char key[16]);

/* Cuts KEY to the most that one customer usually has: an IPv4 /24, or an IPv6 /48. */
void networks_cut_to_network(unsigned char key[16]);

#endif
