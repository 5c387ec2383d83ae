/*
 * The device that a notification is for: the one with its node. Or, in the dialect fpush, where the
 * node is a device's token and the publish names a module that a provider serves: the device that
 * was registered implicitly, by the first publish of that domain to that token. And whose users may
 * have devices here (`registrants`).
 */
#ifndef OG_PUSHD_DEVICE_RECIPIENT_H
#define OG_PUSHD_DEVICE_RECIPIENT_H

#include <stdbool.h>

#include "common/daemon.h"
#include "pushd/device/device.h"
#include "pushd/provider/notification.h"

/* For the daemon's table of modules. */
extern const struct daemon_module recipient_module;

/*
 * Starts QUERY (done is set; device_query_cancel() ends it) for NOTIFICATION's device. Whether its
 * publisher may publish is the caller's to check. DEVICE_ABSENT where its node isn't a device's:
 * it may be an alias (device_find_alias()). DEVICE_ALIAS where it could be a token, but is that.
 */
void recipient_find(struct device_query *query, const struct notification *notification);

/*
 * True if NOTIFICATION could be one of the dialect fpush, but no provider serves its module. Where
 * no provider has modules, only a notification that names one could be.
 */
bool recipient_lacks_module(const struct notification *notification);

/*
 * True if the user or domain JID may have devices here: anyone, unless `registrants` names domains;
 * then those of one of these.
 */
bool recipient_may_register(const char *jid);

/* How many devices there may be, as the configuration says. */
struct device_limits recipient_limits(void);

#endif
