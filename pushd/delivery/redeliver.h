/*
 * Sends what is in the queue: for each provider it takes the entries that are due, as many as the
 * sender has room for, and makes deliveries of them. It knows when an entry that this process put
 * there is due, and looks each second for those that another pushd left.
 */
#ifndef OG_PUSHD_DELIVERY_REDELIVER_H
#define OG_PUSHD_DELIVERY_REDELIVER_H

#include "common/daemon.h"

/* For the daemon's table of modules: before the deliveries. Takes nothing while draining. */
extern const struct daemon_module redeliver_module;

#endif
