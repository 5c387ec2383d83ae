/*
 * Sends what is stored: for each provider it takes from the store what is due, as much as the
 * sender has room for, and makes deliveries of it. Due entries are found when they were stored
 * here, and by a look each second when somebody else left them.
 */
#ifndef OG_PUSHD_DELIVERY_BACKLOG_H
#define OG_PUSHD_DELIVERY_BACKLOG_H

#include <stdint.h>

#include "pushd/sender/sender.h"

/* For the daemon's table of modules: before the deliveries. Takes nothing while draining. */
extern const struct daemon_module backlog_module;

/* Something that SENDER is to send was stored, and is due DELAY_MS from now. */
void backlog_expect(const struct sender *sender, uint64_t delay_ms);

#endif
