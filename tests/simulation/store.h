/*
 * The simulation's Redis: a real redis-server whose clock, for TIME, expiry and the ids of streams,
 * is the simulation's, and the network that lies between it and the processes.
 *
 * A process connects to store_url(), a socket of the simulation. Each of its commands travels, runs
 * in the real server, and the reply travels back; how long that takes, in simulated time, is
 * drawn, and so is what gets lost: the connection is cut before the command has run, or after that,
 * or everything hangs. On one connection order is kept. What a process has sent before its
 * connection ended, or before it was killed, may still arrive, also after commands that were sent
 * later on another connection.
 *
 * The simulation itself asks with store_ask(), to which nothing of this applies.
 */
#ifndef OG_TESTS_SIMULATION_STORE_H
#define OG_TESTS_SIMULATION_STORE_H

#include <stdbool.h>
#include <stdint.h>

struct redisReply; /* to be read with common/redis/redis.h */

/* How often the network does what, in 1000 commands. All zeros: each takes up to 2 ms, no more. */
struct store_weather {
	unsigned lost_before; /* the connection is cut, and the command doesn't run */
	unsigned lost_after;  /* it has run, and the connection is cut before the reply */
	unsigned slow;        /* takes up to a second */
	unsigned stuck;       /* takes 1 to 10 seconds, which is longer than anybody waits */
	unsigned late; /* of what was sent on a connection that has ended: arrives all the same */
};

/* Starts the server, whose socket is in a temporary directory; and ends it. */
void store_start(void);
void store_stop(void);

/* For a new seed: nothing is stored, no script is known, nobody is connected, the weather calm. */
void store_reset(void);

/* The URL for `redis`; static. */
const char *store_url(void);

void store_set_weather(const struct store_weather *weather);

/* Nobody can connect, and whoever is connected is cut; or they can again. */
void store_set_away(bool away);

/* The calm weather, and not away. */
void store_calm(void);

/* Cuts all connections. */
void store_cut(void);

/* Asks the real server at once; the answer is the caller's, for store_free(). */
struct redisReply *store_ask(const char *format, ...);
void store_free(struct redisReply *reply);

/* The same for a number; FALLBACK for any other answer. */
int64_t store_ask_number(int64_t fallback, const char *format, ...);

/*
 * EXECUTED (NULL: nothing) is called for each command of a process that has run, before anything
 * else happens. Both arguments are borrowed.
 */
void store_observe(void (*executed)(const struct redisReply *command,
                                    const struct redisReply *reply));

/* For process.h */

/*
 * Takes what OWNER, which has just run, has sent and connected. SEVERED: it was killed, nothing
 * reaches it any more, and what it sends from now on goes nowhere.
 */
void store_gather(const void *owner, bool severed);

/* Lets everything arrive that is due by now; true if anything did. */
bool store_turn(void);

/* When something arrives next: simulation_now_ns(), or SIMULATION_NEVER. */
uint64_t store_next_ns(void);

#endif
