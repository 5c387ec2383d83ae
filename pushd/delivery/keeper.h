/*
 * Takes deliveries to the store and back: those that can't be sent now, those whose caller can't
 * wait any longer, and those that came from there. For one device one is being stored at a time;
 * of those that come meanwhile the newest waits, and the older ones are merged when it is stored.
 */
#ifndef OG_PUSHD_DELIVERY_KEEPER_H
#define OG_PUSHD_DELIVERY_KEEPER_H

#include <stdint.h>

#include "pushd/delivery/delivery.h"

/*
 * DELIVERY, which is not with its sender, is to be sent DELAY_MS from now: it is put into the store
 * or given back to it, and ends. `unavailable` when it expires before.
 */
void keeper_postpone(struct delivery *delivery, uint64_t delay_ms);

/* DELIVERY is on the wire: it is stored under a lease, so that its caller can be answered. */
void keeper_secure(struct delivery *delivery);

/* DELIVERY is at its end: so is what is stored of it, then the delivery ends. */
void keeper_settle(struct delivery *delivery);

/* Takes DELIVERY, which waits for another one to be stored, out of that line. */
void keeper_leave(struct delivery *delivery);

/* Tells the older ones that DELIVERY was to stand for: OUTCOME is DELIVERY's own. */
void keeper_dismiss(struct delivery *delivery, enum outcome outcome, const char *reason);

#endif
