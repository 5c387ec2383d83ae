/*
 * Notifications that wait in Redis. Each is due at a time; a pushd that takes it holds it under a
 * lease, by Redis's clock, so that what a dead pushd held becomes due again by itself. A device has
 * one place where a notification may wait (its slot), and a newer one coalesces with it there.
 *
 * Every answer comes in a later turn of the loop, once, unless the call was cancelled.
 * QUEUE_UNAVAILABLE means that Redis (or too few of its replicas) didn't answer: the call may have
 * been carried out or not.
 */
#ifndef OG_PUSHD_QUEUE_QUEUE_H
#define OG_PUSHD_QUEUE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/redis/redis.h"
#include "pushd/provider/notification.h"

enum queue_result {
	QUEUE_DONE,
	QUEUE_MERGED, /* the entry that waits in the slot stands for this one too */
	QUEUE_FULL,   /* `queue-max`, or the item is longer than QUEUE_ITEM_MAX */
	QUEUE_ABSENT, /* the entry was settled, replaced or merged, or has expired */
	QUEUE_UNAVAILABLE,
};

#define QUEUE_ID_SIZE 37 /* a UUID and a NUL */
#define QUEUE_ITEM_MAX 65536
#define QUEUE_TAKE_MAX 256 /* entries of one take */

/* Texts are borrowed for the call; times are by our own wall clock. */
struct queue_entry {
	const char *id; /* the apns-id: the same for all attempts */
	const char *node;
	const char *provider;
	const char *domain; /* the publisher's */
	enum priority priority;
	const char *item; /* the notification as JSON: an item of POST /v1/notifications */
	int64_t count;    /* message-count, instead of the item's own; or NOTIFICATION_ABSENT */
	int64_t created_ms, expires_ms;
	unsigned attempts;
	int64_t due_ms; /* of queue_list() alone */
};

/* What the rule which of two entries survives distinguishes; the numbers are kept in Redis. */
enum queue_class {
	QUEUE_HIGH,
	QUEUE_LOW,
	QUEUE_DISMISSAL, /* low, with message-count 0 */
	QUEUE_CLASSES
};

enum queue_class queue_class(enum priority priority, int64_t count);

/*
 * The rule for two notifications for one device, of which OLDER still waits: the newest survives,
 * but what waits never falls in priority, save for a dismissal, after which there is nothing left
 * to be told. True: NEWER takes OLDER's place. False: OLDER stays, with NEWER's message-count if
 * that has one.
 */
bool queue_replaces(enum queue_class older, enum queue_class newer);

struct queue_place {
	uint64_t delay_ms; /* until the entry is due; without effect on a leased one */
	bool leased;       /* ours for `lease`; then anybody's */
	bool slot;         /* it waits in its device's slot; never a call (VoIP) */
	bool late;         /* of queue_put(): newer ones may have overtaken it */
	bool untried;      /* of queue_give_back(): it doesn't count as an attempt */
};

struct queue_call {
	void (*done)(struct queue_call *call, enum queue_result result);
	/* The module's own. */
	struct redis_call call;
	struct list_link link; /* in the list of what it waits for, if that isn't CALL */
	enum queue_result result;
	char id[QUEUE_ID_SIZE];
	uint64_t until_ms;
};

struct queue_taking {
	/*
	 * ENTRIES are borrowed for the call. NEXT_DUE_MS: how long until the provider's next entry
	 * is due (0: there are more now), also one that is leased; -1: there is none.
	 */
	void (*done)(struct queue_taking *taking, enum queue_result result,
	             const struct queue_entry *entries, size_t count, int64_t next_due_ms);
	struct redis_call call; /* the module's; redis_cancel() takes the call back */
};

struct queue_count {
	const char *provider;
	int64_t count;
};

struct queue_counting {
	/* COUNTS (borrowed) are of providers with entries, also of unknown providers. */
	void (*done)(struct queue_counting *counting, enum queue_result result,
	             const struct queue_count *counts, size_t count);
	struct redis_call call; /* the module's; redis_cancel() takes the call back */
};

/* A page of what waits. */
struct queue_listing {
	/*
	 * ENTRIES are borrowed for the call: without item and count, but with due_ms by Redis's
	 * clock. TOTAL: how many there are in all.
	 */
	void (*done)(struct queue_listing *listing, enum queue_result result,
	             const struct queue_entry *entries, size_t count, int64_t total);
	struct redis_call call; /* the module's; redis_cancel() takes the call back */
};

/* For the daemon's table of modules, after db: it has its own connection to the same Redis. */
extern const struct daemon_module queue_module;

/* `lease`: a taken or leased entry should be settled or given back well before. */
uint64_t queue_lease_ms(void);

/*
 * Puts ENTRY; the same id again changes nothing and is QUEUE_DONE. If an entry waits in the slot,
 * queue_replaces() decides. ENTRY is the newer one, unless it is late and the other one was created
 * after it:
 * - ENTRY replaces it: QUEUE_DONE. ENTRY inherits its attempts, if these are more, and its due time
 *   (a throttled device's), unless one of the two is leased; a late one is due no earlier than
 *   it would be alone.
 * - It stays: QUEUE_MERGED. It is due no earlier than a late one would have been.
 * A full queue refuses only what would make it longer.
 * After QUEUE_UNAVAILABLE the entry may be there: settle it when its verdict comes all the same.
 */
void queue_put(struct queue_call *call, const struct queue_entry *entry,
               const struct queue_place *place);

/*
 * Takes up to COUNT due entries of PROVIDER under a lease: VoIP, then high, then low; the domains
 * in turn, the one that was served least recently first. An entry that is taken leaves its slot.
 * An expired one is dropped and counted. QUEUE_DONE (perhaps with none) or QUEUE_UNAVAILABLE.
 */
void queue_take(struct queue_taking *taking, const char *provider, unsigned count);

/*
 * The entry has its verdict: it is removed, leased or not. QUEUE_DONE or QUEUE_ABSENT; while Redis
 * can't be reached the module tries again for as long as a lease, then QUEUE_UNAVAILABLE. Call it
 * only after the put has answered.
 */
void queue_settle(struct queue_call *call, const char *id);

/*
 * Gives the entry back: it is due again after place->delay_ms, with one attempt more unless it is
 * untried. With SLOT it goes back to its device's slot. If an entry waits there meanwhile, which is
 * newer, queue_replaces() decides:
 * - The newer one survives: QUEUE_MERGED. It is due no earlier than this one would have been.
 * - This one survives: QUEUE_DONE. It takes the newer one's count, unless that is absent.
 * After QUEUE_UNAVAILABLE the entry becomes due when its lease ends.
 */
void queue_give_back(struct queue_call *call, const char *id, const struct queue_place *place);

/* How many entries there are, per provider. */
void queue_counts(struct queue_counting *counting);

/*
 * Lists up to COUNT entries, those that expire first first, leased ones too: the first ones (AFTER
 * NULL), or those behind the entry AFTER that expires at AFTER_MS.
 */
void queue_list(struct queue_listing *listing, const char *after, int64_t after_ms, unsigned count);

/* Forgets CALL: done won't run (it may be carried out all the same). Does nothing when idle. */
void queue_cancel(struct queue_call *call);

/* True between a call and its done. */
bool queue_busy(const struct queue_call *call);

#endif
