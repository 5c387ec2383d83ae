/*
 * Whom a notification is for: the device with its node, or, where the node is a device's token
 * (the dialect fpush) and its module one that a provider serves, the device that is pinned to that
 * token and to the publisher's domain.
 */
#ifndef OG_PUSHD_DEVICE_ADDRESSEE_H
#define OG_PUSHD_DEVICE_ADDRESSEE_H

#include "pushd/device/device.h"
#include "pushd/provider/notification.h"

/* For the daemon's table of modules. */
extern const struct daemon_module addressee_module;

/*
 * Starts QUERY (done is set; device_query_cancel() ends it) for NOTIFICATION's device. Whether its
 * publisher may publish is the caller's to say.
 */
void addressee_find(struct device_query *query, const struct notification *notification);

#endif
