/* Apple's push service: HTTP/2 provider API, requests and answers. */
#ifndef OG_PUSHD_PROVIDER_APNS_H
#define OG_PUSHD_PROVIDER_APNS_H

#include "pushd/provider/provider.h"

/* Its keys in [provider ID]; NULL: not set. */
struct apns_conf {
	char *topic;
	char *key_file, *key_id, *team_id;
	char *cert_file, *cert_password;
	char *voip_cert_file, *voip_cert_password;
	int environment; /* production or sandbox, in this order */
	bool try_other_environment;
	char *other_endpoint;
	char *retired; /* never set: where retired keys would go */
};

extern const struct provider_kind apns_kind;

#endif
