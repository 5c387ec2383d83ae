/* Google's Firebase Cloud Messaging: its HTTP v1 API, requests and answers. */
#ifndef OG_PUSHD_PROVIDER_FCM_H
#define OG_PUSHD_PROVIDER_FCM_H

#include "pushd/provider/provider.h"

/* Its keys in [provider ID]; NULL: not set. */
struct fcm_conf {
	char *service_account_file;
	char *project_id;
	int address;   /* what devices register with: token or fid, in this order */
	char *retired; /* never set: where retired keys would go */
};

extern const struct provider_kind fcm_kind;

#endif
