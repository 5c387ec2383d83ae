/*
 * Names to addresses without blocking (c-ares): hosts file and DNS, A and AAAA. Numeric
 * hosts and localhost are answered, too, so that callers need not treat them apart. The answer
 * always comes in a later turn of the loop.
 */
#ifndef OG_COMMON_NET_RESOLVE_H
#define OG_COMMON_NET_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/net/net.h"

#define RESOLVE_MAX 16 /* most addresses that are kept of an answer */

struct resolve {
	/*
	 * Called once; COUNT 0 means failure, of which WHY is the reason (else NULL). ADDRESSES
	 * carry the port.
	 */
	void (*done)(struct resolve *resolve, const union net_address *addresses, size_t count,
	             const char *why);
	struct resolve_query *query; /* NULL: idle */
};

/*
 * Looks HOST up; resolve->done must be set. A look-up of RESOLVE that is under way is stopped.
 */
void resolve_start(struct resolve *resolve, const char *host, uint16_t port);

/* Forgets the look-up: done will not be called. Does nothing when idle. */
void resolve_stop(struct resolve *resolve);

/* Frees the library's channel at the end of the process. */
void resolve_release(void);

/* The library's name and version (static). */
const char *resolve_version(void);

#endif
