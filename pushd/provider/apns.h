/* Apple's push service: HTTP/2 provider API, requests and answers. Pure. */
#ifndef OG_PUSHD_PROVIDER_APNS_H
#define OG_PUSHD_PROVIDER_APNS_H

#include "pushd/provider/provider.h"

extern const struct provider_kind apns_kind;

#endif
