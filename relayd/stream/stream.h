/*
 * A stream: the two halves that named one hash. It is claimed for this relay when its first half
 * comes, and nothing moves before it is activated.
 *
 *   claiming ─▶ waiting ◀─▶ paired ─▶ active ─▶ draining ─▶ (ended)
 *
 * Draining is an active stream of which one direction, or one half, is over. A stream that has lost
 * its last half before it was activated ends as well.
 */
#ifndef OG_RELAYD_STREAM_STREAM_H
#define OG_RELAYD_STREAM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "relayd/io/deadline.h"
#include "relayd/wire/socks5.h"

struct half;

/* clang-format off */
#define STREAM_STATES(X)                                                                        \
	X(STREAM_CLAIMING, "claiming")                                                          \
	X(STREAM_WAITING,  "waiting")                                                           \
	X(STREAM_PAIRED,   "paired")                                                            \
	X(STREAM_ACTIVE,   "active")                                                            \
	X(STREAM_DRAINING, "draining")

/* Why a stream ended: constant, text, and whether an RST tells the halves that it was cut. */
#define STREAM_REASONS(X)                                                                       \
	X(STREAM_COMPLETED,     "completed",     false)                                         \
	X(STREAM_LINGERED,      "lingered",      false)                                         \
	X(STREAM_RESET,         "reset",         true)                                          \
	X(STREAM_PEER_LOST,     "peer-lost",     true)                                          \
	X(STREAM_IDLE,          "idle",          true)                                          \
	X(STREAM_OVER_LIMIT,    "over-limit",    false)                                         \
	X(STREAM_CUT,           "cut",           true)                                          \
	X(STREAM_HALVES_LEFT,   "halves-left",   false)                                         \
	X(STREAM_NOT_ACTIVATED, "not-activated", false)                                         \
	X(STREAM_EVICTED,       "evicted",       false)                                         \
	X(STREAM_OWNER_LEFT,    "owner-left",    false)                                         \
	X(STREAM_CLAIM_LOST,    "claim-lost",    false)                                         \
	X(STREAM_RELAY_STOPPED, "relay-stopped", true)
/* clang-format on */

#define STREAM_STATE_ENUM(constant, text) constant,
enum stream_state { STREAM_STATES(STREAM_STATE_ENUM) STREAM_STATE_COUNT };

#define STREAM_REASON_ENUM(constant, text, reset) constant,
enum stream_reason { STREAM_REASONS(STREAM_REASON_ENUM) STREAM_REASON_COUNT };

extern const char *const stream_state_names[];
extern const char *const stream_reason_names[];

struct stream {
	uint8_t hash[SOCKS5_HASH_LEN]; /* its key in the table */
	uint8_t state;                 /* enum stream_state */
	uint8_t broken_by;             /* enum stream_reason, once a half has failed */
	bool bridged;                  /* another relay's: the middle of a bridge, in no table */
	uint32_t unacknowledged;       /* bytes in the sockets when it last seemed quiet */
	struct half *halves[2];        /* first and second, owned; NULL: a free seat */
	struct list_link renewed;      /* among those whose claim is renewed */
	struct claim *claim;           /* while it is being claimed */
	struct task task;              /* the rest of a long transfer */
	struct deadline deadline;      /* once active: idleness, lingering, flushing */
	uint64_t opened_ms;
	uint64_t progress_ms; /* while flushing: when bytes were last acknowledged */
	char *about;          /* parties and tag as JSON text, owned; NULL before activation */
	int64_t started_ms;   /* since 1970: when it was activated */
	struct admission *admission; /* while its activation is being judged */
	struct quota *quota;         /* once active: what it may relay, owned; NULL: anything */
};

enum stream_join {
	STREAM_JOIN_SETTLED,
	STREAM_JOIN_CLAIMING,
	STREAM_JOIN_FULL,
	STREAM_JOIN_DRAINING,
	STREAM_JOIN_NOT_OWNED, /* a peer's half, of a hash that isn't here */
};

enum stream_activate { STREAM_ACTIVATED, STREAM_INCOMPLETE };

/* How the claim of a stream came out. */
enum stream_claim { STREAM_CLAIM_OURS, STREAM_CLAIM_ELSEWHERE, STREAM_CLAIM_UNKNOWN };

/* The relay that owns a hash, while that isn't this one; borrowed. */
struct stream_owner {
	const char *id;
	const char *peer; /* "host:port"; NULL if it can't be bridged to */
};

/* Module; stopping ends every stream. */
extern const struct daemon_module stream_module;

/*
 * Seats HALF in the stream of HASH, which is made and claimed if need be; the half has a seat
 * unless it is full or draining.
 */
enum stream_join stream_join(struct half *half, const uint8_t hash[SOCKS5_HASH_LEN]);

/*
 * The claim is settled: grants, bridges to OWNER (of STREAM_CLAIM_ELSEWHERE) or refuses the halves
 * that wait for it. The stream may be gone after.
 */
void stream_claimed(struct stream *stream, enum stream_claim claim,
                    const struct stream_owner *owner);

/*
 * HALF gives up its seat in a stream that isn't active; REASON is why the stream ends if it was the
 * last.
 */
void stream_leave(struct half *half, enum stream_reason reason);

/*
 * Lets bytes flow; ABOUT (heap) is taken over. Again: nothing changes, and the first ABOUT stays.
 */
enum stream_activate stream_activate(struct stream *stream, char *about);

/* The one way to end: log line, counter, claim, both connections. The stream is gone after. */
void stream_end(struct stream *stream, enum stream_reason reason);

/* For transfer.c: enters a state, and counts the bytes that HALVES[side] has sent. */
void stream_enter(struct stream *stream, enum stream_state state);
void stream_count_bytes(const struct stream *stream, unsigned side, uint64_t bytes);

/* For bridge.c: closes what is left of both halves, with an RST if that is REASON's way. */
void stream_close_halves(struct stream *stream, enum stream_reason reason);

/* The stream of HASH, or NULL. */
struct stream *stream_find(const uint8_t hash[SOCKS5_HASH_LEN]);

size_t stream_count(void);

/* Bytes relayed since the start, in both directions. */
uint64_t stream_bytes(void);

/* All streams in the order of their hashes: a heap array of borrowed pointers. */
struct stream **stream_sorted(size_t *count);

#endif
