/*
 * The part of the control API about usage: the bytes of each ledger in a month, including leases
 * in flight; credits, which lower a ledger; and the records of single transfers.
 */
#ifndef OG_RELAYD_API_USAGE_H
#define OG_RELAYD_API_USAGE_H

struct http_request;

void usage_list(struct http_request *request);
void usage_credit(struct http_request *request);
void usage_transfers(struct http_request *request);

/* clang-format off */
#define USAGE_ROUTES                                                                            \
	{ "GET",  "/v1/usage",                  usage_list },                                   \
	{ "POST", "/v1/usage/{account}/credit", usage_credit },                                 \
	{ "GET",  "/v1/transfers",              usage_transfers }
/* clang-format on */

#endif
