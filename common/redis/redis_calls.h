/*
 * The calls of one Redis connection that have no answer yet. All have the same timeout, so they
 * stand in the order of their deadlines and one timer, for the oldest, serves them all. Their
 * number and bytes are bounded: what is too much ends with no reply, in a later turn.
 */
#ifndef OG_COMMON_REDIS_REDIS_CALLS_H
#define OG_COMMON_REDIS_REDIS_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/redis/redis.h"

#define REDIS_CALLS_MAX 65536
#define REDIS_CALLS_MAX_BYTES (32u << 20)

struct redis_calls {
	/* One that was sent is too late; it can't be taken back, so the connection must go. */
	void (*overdue)(struct redis_calls *calls);
	uint32_t timeout_ms;
	struct list all;       /* oldest first */
	struct list unsent;    /* those of ALL that wait for a connection */
	struct list refused;   /* those that were too many; not in ALL */
	size_t count, bytes;   /* of all and refused */
	struct timer deadline; /* armed, no later than for the first of ALL, while there is one */
	struct task refuse;
};

struct redis_pending {
	struct redis_calls *calls; /* NULL: released while the library still knew this one */
	struct redis_call *call;   /* NULL: cancelled */
	struct list_link link;     /* in all or refused */
	struct list_link in_unsent;
	uint64_t deadline_ms;
	bool sent;     /* the library has it, and gives it back once, come what may */
	char *command; /* heap, as it goes over the wire; NULL once it isn't needed any more */
	size_t len;
	const struct redis_script *script; /* to be loaded if the server doesn't know it */
};

/* Members overdue and timeout_ms are set; makes the rest ready. */
void redis_calls_init(struct redis_calls *calls);

/* Forgets all; those that were sent stay until the library gives them back. */
void redis_calls_release(struct redis_calls *calls);

/* Takes COMMAND. CALL waits for a connection from now on, or for its refusal. */
struct redis_pending *redis_calls_add(struct redis_calls *calls, struct redis_call *call,
                                      char *command, size_t len);

/* True if PENDING waits for a connection. */
bool redis_calls_waits(const struct redis_pending *pending);

/* The library has taken PENDING's command. */
void redis_calls_sent(struct redis_pending *pending);

/* Answers and frees PENDING: the last thing to do in a callback, since done() may do anything. */
void redis_calls_finish(struct redis_pending *pending, const struct redisReply *reply);

/* Nobody wants PENDING's answer any more. */
void redis_calls_cancel(struct redis_pending *pending);

#endif
