/*
 * A pair: two connections that belong together, and what moves bytes between them. Before it is
 * started it is only where the two wait for each other. The pair decides when it is over and tells
 * its owner, a stream or a bridge, which embeds it.
 *
 *   waiting ─▶ open ─▶ half-closed ─▶ (completed, idle, linger-timeout)
 *               │           │
 *               ├───────────┼─▶ failed ──▶ flushing ─▶ (reset, unreachable)
 *               └───────────┴─▶ stopped ─▶ cutting ──▶ (the reason that pair_stop() was given)
 *
 * Half-closed: one direction has ended, the other one goes on. Failed: one connection is broken;
 * what was read from it is delivered, then (flushing) the other end's kernel has to acknowledge it,
 * and then that connection is reset too. Stopped: nothing more is relayed; what was read is
 * delivered and (cutting) acknowledged, and then both are closed. A failed pair may still be
 * stopped.
 *
 * From failed and stopped on, a client that still has to take bytes is read from, up to a bound,
 * and what it sends is discarded: it may be one that reads only once its own bytes have gone. All
 * of this ends after a minute without progress, and after ten minutes in any case.
 *
 * A connection gets a FIN only where that says something true: a client that compares no sizes
 * takes it for the end of a whole file.
 */
#ifndef OG_RELAYD_IO_PAIR_H
#define OG_RELAYD_IO_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "relayd/io/conn.h"
#include "relayd/io/deadline.h"

struct bucket;
struct metric;
struct pair;
struct throttle;

/* Why streams and bridges end: constant, text, and whether both clients get an RST. */
/* clang-format off */
#define REASONS(X)                                                                              \
	X(REASON_COMPLETED,      "completed",      false)                                       \
	X(REASON_LINGER_TIMEOUT, "linger-timeout", false)                                       \
	X(REASON_RESET,          "reset",          true)                                        \
	X(REASON_UNREACHABLE,    "unreachable",    true)                                        \
	X(REASON_IDLE,           "idle",           true)                                        \
	X(REASON_OVER_LIMIT,     "over-limit",     true)                                        \
	X(REASON_DENIED,         "denied",         true)                                        \
	X(REASON_KILLED,         "killed",         true)                                        \
	X(REASON_ABANDONED,      "abandoned",      false)                                       \
	X(REASON_NOT_ACTIVATED,  "not-activated",  true)                                        \
	X(REASON_EVICTED,        "evicted",        true)                                        \
	X(REASON_OWNER_LEFT,     "owner-left",     true)                                        \
	X(REASON_CLAIM_LOST,     "claim-lost",     true)                                        \
	X(REASON_RELAY_STOPPED,  "relay-stopped",  true)

#define PAIR_STATES(X)                                                                          \
	X(PAIR_WAITING,     "waiting")                                                          \
	X(PAIR_OPEN,        "open")                                                             \
	X(PAIR_HALF_CLOSED, "half-closed")                                                      \
	X(PAIR_FAILED,      "failed")                                                           \
	X(PAIR_FLUSHING,    "flushing")                                                         \
	X(PAIR_STOPPED,     "stopped")                                                          \
	X(PAIR_CUTTING,     "cutting")
/* clang-format on */

#define REASON_ENUM(constant, text, reset) constant,
enum reason { REASONS(REASON_ENUM) REASON_COUNT };

#define PAIR_STATE_ENUM(constant, text) constant,
enum pair_state { PAIR_STATES(PAIR_STATE_ENUM) PAIR_STATE_COUNT };

extern const char *const reason_names[];

/* Who decides how long nothing may happen: this relay, or the one at the end of conns[1]. */
enum pair_timing { PAIR_TIMING_OWN, PAIR_TIMING_REMOTE };

/* What all pairs of one kind of owner have in common. */
struct pair_kind {
	struct metric *bytes; /* two series: bytes sent by conns[0], and by conns[1] */
	enum pair_timing timing;
	/* CONN, of a pair that isn't started, is about to be closed: takes it out of the pair. */
	void (*left)(struct pair *pair, struct conn *conn, enum reason reason);
	/* The pair is open no more; called once. */
	void (*closing)(struct pair *pair);
	/* The pair has run; STARVING: bytes wait, but there is no budget. NULL without budgets. */
	void (*spent)(struct pair *pair, bool starving);
	/* The pair is over: has to close it. */
	void (*ended)(struct pair *pair, enum reason reason);
	/*
	 * Sets USERS to the buckets that the bytes are charged to besides the pair's own and the
	 * relay's, which all live until the pair is closed. NULL: rates don't hold.
	 */
	void (*find_buckets)(struct pair *pair, struct bucket *users[2]);
};

struct pair {
	const struct pair_kind *kind; /* static */
	struct conn *conns[2];        /* owned; NULL: a free place */
	uint64_t *budget;             /* bytes that may be read, borrowed; NULL: any number */
	struct throttle *throttle;    /* how fast, owned; NULL: no rate is set */
	struct task task;             /* goes on with a long transfer */
	struct deadline deadline;     /* of the state */
	uint64_t progress_ms;         /* flushing, cutting: of the last acknowledgement */
	uint64_t ending_ms;           /* when it failed or was stopped */
	uint32_t discarded;           /* bytes read since then that went nowhere */
	uint32_t unacknowledged;      /* bytes in the sockets when the deadline last expired */
	uint8_t state;                /* enum pair_state */
	uint8_t reason;               /* enum reason: failed, flushing, stopped, cutting */
	bool second_first;            /* throttled: conns[1] may read first in the next turn */
};

/* Module: deadlines and rates of pairs that are started. The configuration stays borrowed. */
extern const struct daemon_module pair_module;

/* Puts CONN into the first free place, and takes it out of the place that it has. */
void pair_seat(struct pair *pair, struct conn *conn);
void pair_unseat(struct conn *conn);

/* CONN gives up its place in a pair that isn't started; the caller closes it. */
void pair_leave(struct conn *conn, enum reason reason);

/* Starts to relay; both connections are there. */
void pair_start(struct pair *pair);

/* There is budget again. */
void pair_resume(struct pair *pair);

/*
 * Nothing more is relayed: once what was read is delivered and acknowledged, or that takes too
 * long, the pair ends for REASON.
 */
void pair_stop(struct pair *pair, enum reason reason);

/*
 * Ends, as idle, the pair that has been open without a byte for longest, if that is LEAST_MS; false
 * if there is none. Not one whose reader's kernel still takes bytes, or that waits for budget.
 */
bool pair_end_idlest(uint64_t least_ms);

/*
 * Closes the connections that are left and stops the pair. An RST goes out if that is REASON's way,
 * and, from a pair that was started, to a client that wasn't sent the end of the other's bytes.
 */
void pair_close(struct pair *pair, enum reason reason);

#endif
