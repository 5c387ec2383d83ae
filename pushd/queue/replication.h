/*
 * Writes to Redis that count only once enough replicas have them (WAIT). One WAIT is for all that
 * was written when it is sent; it holds up what comes after it on its connection.
 */
#ifndef OG_PUSHD_QUEUE_REPLICATION_H
#define OG_PUSHD_QUEUE_REPLICATION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/redis/redis.h"

/* The caller's; list_remove(&write->link) takes it back. */
struct replicated_write {
	void (*done)(struct replicated_write *write, bool enough);
	struct list_link link;
};

struct replication {
	struct redis *redis;
	int64_t wanted; /* replicas */
	struct redis_call wait;
	struct list written; /* since the last WAIT was sent */
	struct list waiting; /* those that it is for */
	bool short_of;       /* the last WAIT had too few, and that was logged */
};

/* REDIS (borrowed) is the connection that writes. */
void replication_init(struct replication *replication, struct redis *redis, int64_t wanted);

/*
 * WRITE, whose answer has just come, is done when enough replicas have it, or haven't within half a
 * second: in a later turn.
 */
void replication_await(struct replication *replication, struct replicated_write *write);

#endif
