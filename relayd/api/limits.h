/*
 * The part of the control API about individual limits: a row for each account (a bare JID or a
 * domain), with the bytes of one file, of a user a month and of a domain a month. 0 means not set
 * in this row, -1 forbidden. A row appears at the account's first transfer, or when it is set.
 */
#ifndef OG_RELAYD_API_LIMITS_H
#define OG_RELAYD_API_LIMITS_H

#include "common/http/http_route.h"

extern const struct http_route limits_routes[];

#endif
