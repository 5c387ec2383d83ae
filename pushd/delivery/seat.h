/*
 * Who sends to a device: in this process one notification at a time is on its way to it, and after
 * one was sent the next waits for the provider's interval. A seat also says which delivery is being
 * stored for the device, and which one waits for that. Pure: time is given, deliveries are pointers
 * that are only kept.
 *
 * The table is bounded: seats that somebody holds stay; of the others those go whose interval has
 * passed, and when there are too many the one that was quiet the longest.
 */
#ifndef OG_PUSHD_DELIVERY_SEAT_H
#define OG_PUSHD_DELIVERY_SEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/map.h"

struct seat {
	bool taken;       /* one is on its way */
	uint64_t free_ms; /* when the interval after the last one ends; 0: long ago */
	void *storing;    /* the owner's: what is being stored; NULL: nothing */
	void *next;       /* the owner's: what is stored after that */
	/* The module's own. */
	unsigned holders;
	struct list_link link; /* among the quiet ones */
	size_t node_len;
	char node[];
};

struct seats {
	struct map by_node;
	struct list quiet; /* that nobody holds, the longest quiet first */
	size_t quiet_count, quiet_max;
};

/* Keeps at most QUIET_MAX seats that nobody holds. */
void seats_init(struct seats *seats, size_t quiet_max);

/* Nobody holds one any more. */
void seats_release(struct seats *seats);

/* The seat of NODE; it stays until seat_drop(). */
struct seat *seat_hold(struct seats *seats, const char *node);

void seat_drop(struct seats *seats, struct seat *seat, uint64_t now_ms);

/*
 * How long, in milliseconds, the next one has to wait: 0 when it may take the seat; INTERVAL_MS
 * while one is on its way, since nobody knows when that is sent.
 */
uint64_t seat_wait_ms(const struct seat *seat, uint64_t now_ms, uint64_t interval_ms);

/* The one that took the seat is SENT, or came to nothing. */
void seat_vacate(struct seat *seat, bool sent, uint64_t now_ms, uint64_t interval_ms);

#endif
