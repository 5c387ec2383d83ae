/*
 * The part of the control API about usage: the bytes of each ledger in a month, including leases
 * in flight; credits, which lower a ledger; and the records of single transfers.
 */
#ifndef OG_RELAYD_API_USAGE_H
#define OG_RELAYD_API_USAGE_H

#include "common/http/http_route.h"

extern const struct http_route usage_routes[];

#endif
