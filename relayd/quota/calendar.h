/*
 * Which month it is, by Redis's clock: the one clock that all relays of a fleet share. Until Redis
 * has answered, and without Redis, the machine's clock counts.
 */
#ifndef OG_RELAYD_QUOTA_CALENDAR_H
#define OG_RELAYD_QUOTA_CALENDAR_H

#include <stdint.h>

#include "relayd/quota/month.h"

/* Module; after the fleet. */
extern const struct daemon_module calendar_module;

/* The current month. */
const struct month *calendar_month(void);

/* ROLLED_OVER is called when another month has begun. */
void calendar_on_rollover(void (*rolled_over)(void));

/* Redis says that it is NOW_MS, milliseconds since 1970. */
void calendar_set(int64_t now_ms);

#endif
