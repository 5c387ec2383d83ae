/*
 * What keeps the notifications for one device apart in this process: its gate.
 * - One at a time is on its way to the device, and after one was sent the next waits for the
 *   provider's interval.
 * - One at a time is being put into the queue. Of those that come meanwhile the one that survives
 *   (queue_replaces()) is put next, and the others are merged into it.
 * Pure: time is given, in milliseconds of a monotonic clock.
 *
 * The table of gates is bounded: a gate that is held stays; of the others those go whose interval
 * has passed, and when there are too many the one that was quiet the longest.
 */
#ifndef OG_PUSHD_DELIVERY_COALESCE_H
#define OG_PUSHD_DELIVERY_COALESCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/map.h"
#include "pushd/provider/notification.h"
#include "pushd/queue/queue.h"

/* A notification that is to be put into the queue, embedded in its owner. */
struct waiter {
	enum queue_class class;
	int64_t created_ms;
	int64_t *count;        /* its message-count; borrowed */
	struct list followers; /* waiters that were merged into this one, by FOLLOWER */
	struct list_link follower;
};

struct gate {
	bool taken;                /* one is on its way */
	uint64_t free_ms;          /* when the interval after the last one ends; 0: long ago */
	struct waiter *enqueueing; /* being put into the queue; NULL: none */
	struct waiter *next;       /* to be put after that; NULL: none */
	/* The module's own. */
	unsigned holders;
	struct list_link link; /* among the quiet ones */
	size_t node_len;
	char node[];
};

struct gates {
	struct map by_node;
	struct list quiet; /* those that nobody holds, the longest quiet first */
	size_t quiet_count, quiet_max;
};

/*
 * True when NOTIFICATION, of PRIORITY, waits for no other one of its device and is merged with
 * none: a call, and the end of an account.
 */
bool coalesce_bypasses(const struct notification *notification, enum priority priority);

/* Keeps at most QUIET_MAX gates that nobody holds. */
void gates_init(struct gates *gates, size_t quiet_max);

/* Nobody holds one any more. */
void gates_release(struct gates *gates);

/* The gate of NODE; it stays until gate_drop(). */
struct gate *gate_hold(struct gates *gates, const char *node);

void gate_drop(struct gates *gates, struct gate *gate, uint64_t now_ms);

/*
 * How long the next one has to wait: 0 when it may pass; INTERVAL_MS while one is on its way, since
 * nobody knows when that is sent.
 */
uint64_t gate_wait_ms(const struct gate *gate, uint64_t now_ms, uint64_t interval_ms);

/* One is on its way; then it was sent, or came to nothing. */
void gate_enter(struct gate *gate);
void gate_leave(struct gate *gate, bool sent, uint64_t now_ms, uint64_t interval_ms);

/*
 * True: WAITER (class, created_ms and count set) is put into the queue now. False: it waits, as the
 * next one or merged into that. Of two that were created together it is the newer one.
 */
bool gate_enqueue(struct gate *gate, struct waiter *waiter);

/* ENQUEUEING has been put, or was given up. Returns the next one, which is put now, or NULL. */
struct waiter *gate_enqueued(struct gate *gate);

/* WAITER, which waits, gives up. Its followers stay its own. */
void gate_give_up(struct gate *gate, struct waiter *waiter);

#endif
