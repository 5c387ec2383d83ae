/*
 * The running daemons: each relayd and pushd writes a record of itself to Redis every second, and
 * gateways read all records of one kind. A record that isn't renewed expires after
 * REGISTRY_TTL_MS. Records are signed with the API's token, which the whole fleet has, so that
 * nobody else who writes to Redis can divert tokens and messages to another address. They bear the
 * time at which they were written, by the clock of their machine: one that is REGISTRY_AGE_MS from
 * the reader's is not believed, so that an old one can't be shown once more after that.
 */
#ifndef OG_COMMON_REGISTRY_H
#define OG_COMMON_REGISTRY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/redis/redis.h"

#define REGISTRY_BEAT_MS 1000
#define REGISTRY_TTL_MS 5000
#define REGISTRY_AGE_MS (10 * 60 * 1000)

/* A daemon's own record. */
struct registry_entry {
	/*
	 * Makes the record, which has epoch_ms as "epoch" and gets "host", "process" and "at_ms";
	 * the caller owns it. Only called while there is a connection.
	 */
	json_t *(*describe)(struct registry_entry *entry);
	const char *kind; /* "relay" or "push" */
	const char *id;   /* unique among its kind; borrowed */
	int64_t epoch_ms; /* when the process started, by the wall clock */
	struct redis *redis;
	const char *token, *token_also; /* the API's; borrowed; TOKEN_ALSO NULL: it has one */
	/*
	 * Another process renews a record with this id while this one waits to write its first:
	 * both can't run, and this one came later. Logged; called once.
	 */
	void (*taken)(struct registry_entry *entry);
	/* The module's own. */
	struct redis_call call;
	struct timer beat;
	bool refused;       /* by Redis, the last time: that was logged */
	bool joined;        /* it has written a record */
	bool replacing;     /* the call under way may replace another's record */
	int64_t theirs_ms;  /* when the record of another process with this id expires, by Redis's
	                       clock; 0: there was none the last time */
	uint64_t logged_ms; /* when a bad record in its place was logged last */
};

/*
 * Writes the record now, or once there is a connection, and every REGISTRY_BEAT_MS. The members
 * down to taken are set. The record of another process with this id is left until it isn't renewed
 * any more, which takes REGISTRY_TTL_MS after a crash; but one that drains gives way, and so does
 * one that was of this machine (and container) and exists no more.
 */
void registry_join(struct registry_entry *entry);

/* Writes the record again at once (something changed, such as draining). */
void registry_touch(struct registry_entry *entry);

/*
 * Stops renewing and deletes the record (as far as Redis can be reached in this turn), unless it is
 * of another process that was started with this id.
 */
void registry_leave(struct registry_entry *entry);

/*
 * The address at which others reach LISTENER (NULL: JSON null), as a new string for the record:
 * GIVEN, if the operator configured it, else SCHEME and the address on which it listens. For a
 * wildcard address that is the local address of the connection to Redis, since the other daemons
 * are in that network; or the host's name, if Redis is on a unix socket or LISTENER isn't of the
 * same address family.
 */
json_t *registry_place(const struct redis *redis, const char *given, const char *scheme,
                       const union net_address *listener);

/*
 * Reads TEXT (LEN bytes), the record of the daemon ID of KIND; the caller owns it. NULL if it is
 * malformed, isn't signed with TOKEN, or wasn't written within REGISTRY_AGE_MS of now; without a
 * token (NULL) no record is believed.
 */
json_t *registry_open(const char *kind, const char *id, const char *text, size_t len,
                      const char *token);

/* Logs that such a record was refused; once a minute for each LOGGED_MS, which begins with 0. */
void registry_log_refused(const char *kind, const char *id, uint64_t *logged_ms);

/* A reader of all records of one kind. */
struct registry_watch {
	/*
	 * Called after each reading with an object id -> record (borrowed). Not called while Redis
	 * can't be reached.
	 */
	void (*changed)(struct registry_watch *watch, const json_t *records);
	const char *kind;
	struct redis *redis;
	const char *token; /* as in struct registry_entry */
	struct redis_call call;
	struct timer again;
	bool refused;       /* as in struct registry_entry */
	uint64_t logged_ms; /* when a bad record was logged last */
};

/* Reads now and every REGISTRY_BEAT_MS. changed, kind, redis and token are set. */
void registry_watch_start(struct registry_watch *watch);
void registry_watch_stop(struct registry_watch *watch);

#endif
