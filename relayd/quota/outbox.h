/*
 * What this relay has still to write to Redis and nobody waits for: records, events, and leases
 * that are given back. All of it is written in order and exactly once, however often Redis goes
 * away in between, as long as the process lives; its end writes what it can.
 *
 * The queue is bounded: what is too much is dropped, logged and counted. Without Redis everything
 * is dropped silently.
 */
#ifndef OG_RELAYD_QUOTA_OUTBOX_H
#define OG_RELAYD_QUOTA_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

/* Module; after the store, and before whatever adds to the box. */
extern const struct daemon_module outbox_module;

/* Adds TEXT (JSON, copied) to the stream of records, or to that of events. */
void outbox_record(const char *text);
void outbox_event(const char *text);

/* Bytes of a lease that go back to the ledgers they came from. */
struct outbox_return {
	const char *lease; /* its key in Redis */
	unsigned seen;     /* the lease's last call whose answer is known */
	bool last;         /* the lease is over: also what a later call has taken goes back */
	unsigned month;    /* that BYTES were taken in */
	unsigned long long bytes;
	const char *const *ledgers; /* their names */
	size_t count;
};

/* Gives them back. What RETURN points to is copied. */
void outbox_give_back(const struct outbox_return *back);

/* True if nothing waits to be written. */
bool outbox_empty(void);

#endif
