/*
 * Notifications that wait in Redis: each is due at a time, and whoever takes it holds it under a
 * lease, by Redis's clock, so that what a dead pushd held comes back by itself. A device has one
 * waiting place (slot), in which a newer notification is merged with the one that waits.
 *
 * Every answer comes in a later turn, once, unless the call was cancelled. STORE_AWAY means that
 * Redis (or too few of its replicas) didn't answer: the call may or may not have been carried out.
 */
#ifndef OG_PUSHD_QUEUE_STORE_H
#define OG_PUSHD_QUEUE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/redis/redis.h"
#include "pushd/provider/notification.h"
#include "pushd/queue/replication.h"

enum store_result {
	STORE_DONE,
	STORE_MERGED, /* the one that waits in the slot stands for this one too */
	STORE_FULL,   /* `queue-max`, or the item is longer than STORE_ITEM_MAX */
	STORE_ABSENT, /* settled, replaced, merged or expired meanwhile */
	STORE_AWAY,
};

#define STORE_ID_SIZE 37 /* a UUID and a NUL */
#define STORE_ITEM_MAX 65536
#define STORE_TAKE_MAX 256 /* entries of one take */

/* Texts are borrowed for the call; times are by our own wall clock. */
struct store_entry {
	const char *id; /* the apns-id: stable over retries */
	const char *node;
	const char *provider;
	const char *domain; /* the publisher's */
	enum priority priority;
	const char *item; /* the notification as JSON: an item of POST /v1/notifications */
	int64_t count;    /* message-count, instead of the item's own; or NOTIFICATION_ABSENT */
	int64_t created_ms, expires_ms;
	unsigned attempts;
};

/* What may wait in a slot: the places in decisions. */
enum store_waiting {
	STORE_WAITING_HIGH,
	STORE_WAITING_LOW,
	STORE_WAITING_DISMISSAL, /* low, with message-count 0 */
	STORE_WAITING_COUNT
};

/* Of decisions. */
#define STORE_REPLACE 'r' /* the one that waits goes: this one takes its place */
#define STORE_ABSORB 'a'  /* the one that waits stays: this one is merged into it */

struct store_place {
	uint64_t delay_ms; /* until it is due; not heeded when it is leased */
	bool leased;       /* ours for `lease`; then anybody's */
	bool slot;         /* it waits in its device's slot; never for VoIP */
	bool untried;      /* of store_return(): it doesn't count as an attempt */
	/* With SLOT: STORE_WAITING_COUNT characters, what to do where such a one waits. */
	const char *decisions;
};

struct store_call {
	void (*done)(struct store_call *call, enum store_result result);
	bool replaced; /* out, with STORE_DONE: the one that waited in the slot has gone */
	/* The module's own. */
	struct redis_call call;
	struct list_link link;
	struct replicated_write write;
	enum store_result result;
	char id[STORE_ID_SIZE];
	uint64_t until_ms;
};

struct store_taking {
	/*
	 * ENTRIES are borrowed for the call. NEXT_DUE_MS: how long until the provider's next entry
	 * is due (0: there are more now), also one that is leased; -1: there is none.
	 */
	void (*done)(struct store_taking *taking, enum store_result result,
	             const struct store_entry *entries, size_t count, int64_t next_due_ms);
	struct redis_call call; /* the module's; redis_cancel() takes the call back */
};

struct store_count {
	const char *provider;
	int64_t count;
};

struct store_counting {
	/* COUNTS (borrowed) are of providers that have something stored, also unknown ones. */
	void (*done)(struct store_counting *counting, enum store_result result,
	             const struct store_count *counts, size_t count);
	struct redis_call call; /* the module's; redis_cancel() takes the call back */
};

/* For the daemon's table of modules, after storage: its own connection to the same Redis. */
extern const struct daemon_module store_module;

/* `lease`: what is taken or put with `leased` should be settled or returned well before. */
uint64_t store_lease_ms(void);

/*
 * Puts ENTRY; the same id again changes nothing and is STORE_DONE. Where one waits in the slot:
 * - STORE_REPLACE: it goes. ENTRY inherits its attempts, if these are more, and its due time (a
 *   throttled device's), unless one of the two is leased. STORE_DONE and `replaced`.
 * - STORE_ABSORB: it takes ENTRY's count, unless that is absent. STORE_MERGED.
 * A full queue refuses only what would make it longer.
 * After STORE_AWAY the entry may be there: settle it when it gets its verdict all the same.
 */
void store_put(struct store_call *call, const struct store_entry *entry,
               const struct store_place *place);

/*
 * Takes up to COUNT due entries of PROVIDER under a lease: VoIP, then high, then low; the domains
 * in turn, the one that was served least recently first. An entry that is taken leaves its slot.
 * One that has expired is dropped and counted. STORE_DONE (perhaps with none) or STORE_AWAY.
 */
void store_take(struct store_taking *taking, const char *provider, unsigned count);

/*
 * The verdict is in: the entry goes, leased or not. STORE_DONE or STORE_ABSENT; while Redis is away
 * the store tries again by itself for as long as a lease, then STORE_AWAY. Only after the put has
 * answered.
 */
void store_settle(struct store_call *call, const char *id);

/*
 * Gives the entry back: due once more after place->delay_ms, attempts + 1 unless
 * it was untried. With SLOT it goes back
 * to its device's waiting place. One that waits there meanwhile is newer:
 * - STORE_REPLACE: it goes, and the returned one takes its count, unless absent. STORE_DONE and
 *   `replaced`.
 * - STORE_ABSORB: the returned one goes; the one that waits is due no earlier than this would have
 *   been. STORE_MERGED.
 * STORE_AWAY: it comes back when its lease ends.
 */
void store_return(struct store_call *call, const char *id, const struct store_place *place);

/* How many are stored, per provider. */
void store_counts(struct store_counting *counting);

/* Forgets CALL: done won't run (it may be carried out all the same). Does nothing when idle. */
void store_cancel(struct store_call *call);

/* True between a call and its done. */
bool store_busy(const struct store_call *call);

#endif
