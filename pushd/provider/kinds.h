/* The kinds of push providers that there are: a row each. */
#ifndef OG_PUSHD_PROVIDER_KINDS_H
#define OG_PUSHD_PROVIDER_KINDS_H

#include "pushd/provider/provider.h"

/* Ended by NULL; conf_provider.kind is a place in it. */
extern const struct provider_kind *const provider_kinds[];

#endif
