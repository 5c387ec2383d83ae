/* Firebase Cloud Messaging: HTTP v1, requests and answers. Pure. */
#ifndef OG_PUSHD_PROVIDER_FCM_H
#define OG_PUSHD_PROVIDER_FCM_H

#include "pushd/provider/provider.h"

extern const struct provider_kind fcm_kind;

#endif
