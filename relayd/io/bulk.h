/*
 * Sources that send fast. The kernel would wake us for each segment that arrives; SO_RCVLOWAT lets
 * it gather some first, which spares most of the wake-ups. The end of the source and its errors
 * wake us as ever, and a source that pauses is taken out within BULK_PAUSE_MS, so what it sent last
 * waits no longer than that.
 */
#ifndef OG_RELAYD_IO_BULK_H
#define OG_RELAYD_IO_BULK_H

#include <stdint.h>

#include "relayd/io/pump.h"

#define BULK_BURST_BYTES (128 * 1024)  /* read since it was woken: fast */
#define BULK_GATHER_BYTES (256 * 1024) /* before it is woken again */
#define BULK_PAUSE_MS 5

/* FLOW, whose SOURCE has nothing more to read for now, has read BURST bytes since it was woken. */
void bulk_wait(struct flow *flow, int source, uint64_t burst);

/* FLOW has ended; its source isn't touched. Does nothing for one that isn't in bulk. */
void bulk_forget(struct flow *flow);

#endif
