/*
 * The part of the control API that forgets an account (DELETE /v1/accounts/{jid}): the individual
 * limits of a user, its usage, and the records and events that name it.
 */
#ifndef OG_RELAYD_API_ACCOUNTS_H
#define OG_RELAYD_API_ACCOUNTS_H

#include "common/http/http_route.h"

extern const struct http_route accounts_routes[];

#endif
