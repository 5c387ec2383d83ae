/* The kinds of push providers that there are. */
#ifndef OG_PUSHD_PROVIDER_KINDS_H
#define OG_PUSHD_PROVIDER_KINDS_H

#include "pushd/provider/provider.h"

/* clang-format off */
#define PROVIDER_KINDS(row) \
	row(apns)           \
	row(fcm)
/* clang-format on */

/* In the order of the rows; ended by NULL. */
extern const struct provider_kind *const provider_kinds[];

#endif
