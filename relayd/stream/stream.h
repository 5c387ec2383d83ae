/*
 * A stream: the two connections (halves) that named one hash. Its hash is claimed for this relay
 * when the first half comes, and no byte moves before the stream is activated.
 *
 *   claiming ─▶ waiting ◀─▶ paired ─▶ active ─▶ closing ─▶ (ended)
 *
 * Closing: one direction, or one half, is over. A stream that loses its last half before it was
 * activated ends too.
 */
#ifndef OG_RELAYD_STREAM_STREAM_H
#define OG_RELAYD_STREAM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relayd/fleet/claim.h"
#include "relayd/io/pair.h"
#include "relayd/quota/active.h"
#include "relayd/wire/socks5.h"

struct lease;

/* clang-format off */
#define STREAM_STATES(X)                                                                        \
	X(STREAM_CLAIMING, "claiming")                                                          \
	X(STREAM_WAITING,  "waiting")                                                           \
	X(STREAM_PAIRED,   "paired")                                                            \
	X(STREAM_ACTIVE,   "active")                                                            \
	X(STREAM_CLOSING,  "closing")
/* clang-format on */

#define STREAM_STATE_ENUM(constant, text) constant,
enum stream_state { STREAM_STATES(STREAM_STATE_ENUM) STREAM_STATE_COUNT };

extern const char *const stream_state_names[];

/* Embedded in what has to know that a stream ends. */
struct stream_watch {
	void (*ended)(struct stream_watch *watch); /* the stream is gone after */
};

/* How the claim of a stream's hash was settled, for each half that waited for it. */
struct stream_verdict {
	enum claim_outcome outcome;
	const uint8_t *hash;             /* borrowed */
	const struct claim_owner *owner; /* of CLAIM_ELSEWHERE; borrowed */
};

struct stream {
	uint8_t hash[SOCKS5_HASH_LEN]; /* its key in the table */
	uint8_t state;                 /* enum stream_state */
	struct pair pair;              /* the first half that came and the second */
	struct claim claim;
	void (*settled)(struct conn *conn, const struct stream_verdict *verdict);
	uint64_t opened_ms;
	char *about;                /* parties and tag as JSON text, owned; NULL until activated */
	int64_t started_ms;         /* since 1970: when it was activated */
	struct stream_watch *watch; /* borrowed; NULL: nobody watches */
	struct lease *lease;        /* once active: what it may relay, owned; NULL: anything */
	struct active active;       /* for whom it counts: active, or about to be */
};

enum stream_join {
	STREAM_JOIN_SETTLED,
	STREAM_JOIN_CLAIMING, /* settled() will be called */
	STREAM_JOIN_FULL,
	STREAM_JOIN_DRAINING,
	STREAM_JOIN_NOT_OWNED, /* a relay's half, of a hash that isn't here */
};

enum stream_activate { STREAM_ACTIVATED, STREAM_INCOMPLETE };

/* Module; stopping ends every stream. */
extern const struct daemon_module stream_module;

/*
 * Seats CONN in the stream of HASH, which is made and claimed if need be. CONN has a place with
 * SETTLED and CLAIMING. SETTLED is called once for each half that waits for the claim, in a later
 * turn; unless the hash is ours, the half has no place any more and the stream is gone. The callee
 * may close the half.
 */
enum stream_join stream_join(struct conn *conn, const uint8_t hash[SOCKS5_HASH_LEN],
                             void (*settled)(struct conn *conn,
                                             const struct stream_verdict *verdict));

/*
 * Lets bytes flow; ABOUT (heap) is taken over. Again: nothing changes, and the first ABOUT stays.
 */
enum stream_activate stream_activate(struct stream *stream, char *about);

/* True from the activation on. */
bool stream_is_active(const struct stream *stream);

/* The one way to end: log line, counter, claim, both connections. The stream is gone after. */
void stream_end(struct stream *stream, enum reason reason);

/* The stream of HASH, or NULL. */
struct stream *stream_find(const uint8_t hash[SOCKS5_HASH_LEN]);

size_t stream_count(void);

/* Bytes relayed since the start, in both directions. */
uint64_t stream_bytes(void);

/* All streams in the order of their hashes: a heap array of borrowed pointers. */
struct stream **stream_sorted(size_t *count);

#endif
