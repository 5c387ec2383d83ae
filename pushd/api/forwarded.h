/* Who a request behind trusted proxies came from (X-Forwarded-For). Pure. */
#ifndef OG_PUSHD_API_FORWARDED_H
#define OG_PUSHD_API_FORWARDED_H

#include "common/net/net.h"
#include "common/net/networks.h"

/*
 * Walks HEADER from its end, where the proxy nearest to us wrote, as long as the hop
 * that names the one before is in TRUSTED, and leaves in ADDRESS, which holds the peer's, the first
 * that isn't.
 */
void forwarded_resolve(union net_address *address, const char *header,
                       const struct networks *trusted);

#endif
