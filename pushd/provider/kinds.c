#include "pushd/provider/kinds.h"

#include <stddef.h>

#include "pushd/provider/apns.h"
#include "pushd/provider/fcm.h"

#define KIND(kind) &kind##_kind,
const struct provider_kind *const provider_kinds[] = { PROVIDER_KINDS(KIND) NULL };
