#include "pushd/provider/kinds.h"

#include <stddef.h>

#include "pushd/provider/apns.h"
#include "pushd/provider/fcm.h"

const struct provider_kind *const provider_kinds[] = { &apns_kind, &fcm_kind, NULL };
