/*
 * Writes to Redis that nobody waits for: records, events, and leases that are given back. Each item
 * is written exactly once and in order, however often Redis is away in between, as long as the
 * process lives; at its end the process writes what it can.
 *
 * An item that Redis refuses again and again for a reason of its own is set aside in another key,
 * logged and counted, and the next go out.
 *
 * The queue is bounded: further items are dropped, logged and counted. With `redis = none` every
 * item is dropped silently.
 */
#ifndef OG_RELAYD_QUOTA_OUTBOX_H
#define OG_RELAYD_QUOTA_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

/* Module; after the fleet, and before the modules that add to it. */
extern const struct daemon_module outbox_module;

enum outbox_stream { OUTBOX_RECORDS, OUTBOX_EVENTS };

/* Adds TEXT (JSON, copied) to STREAM in Redis. */
void outbox_add(enum outbox_stream stream, const char *text);

/* Bytes of a lease that go back to the ledgers they came from. */
struct outbox_return {
	const char *lease; /* its key in Redis */
	unsigned seen;     /* the lease's last call whose reply is known */
	bool last;         /* the lease is over: bytes of a later call go back too */
	bool doubt;        /* and such a call may still arrive: it won't be carried out */
	unsigned month;    /* in which BYTES were taken */
	unsigned long long bytes;
	const char *const *ledgers; /* their names */
	size_t count;
};

/* Gives them back. Everything that BACK points to is copied. */
void outbox_give_back(const struct outbox_return *back);

/* True if nothing waits to be written. */
bool outbox_empty(void);

#endif
