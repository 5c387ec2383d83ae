/*
 * Publishes that nobody may make: to no device, or to one that isn't the publisher's. All of them
 * get the answer of an unknown node, so that nobody can find nodes by trying; why it was is told to
 * the operator alone, in the log and in a metric.
 */
#ifndef OG_PUSHD_DELIVERY_REFUSAL_H
#define OG_PUSHD_DELIVERY_REFUSAL_H

#include <stdbool.h>

#include "common/daemon.h"
#include "pushd/device/device.h"
#include "pushd/provider/notification.h"

/* For the daemon's table of modules. */
extern const struct daemon_module refusal_module;

/*
 * True if NOTIFICATION may not go to DEVICE (NULL: its node has none); both are borrowed. With
 * TELLS a refusal is also counted and logged (common/base/log_rate.h).
 */
bool refusal_applies(const struct notification *notification, const struct device *device,
                     bool tells);

#endif
