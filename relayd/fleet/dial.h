/*
 * Reaching the relay that owns a stream: connects to its peering address, proves that this relay
 * belongs to the fleet, and asks for the hash (peering.h). The owner has to grant it within 2 s.
 */
#ifndef OG_RELAYD_FLEET_DIAL_H
#define OG_RELAYD_FLEET_DIAL_H

#include "common/base/loop.h"
#include "common/net/net.h"
#include "common/net/resolve.h"
#include "relayd/io/deadline.h"
#include "relayd/wire/peering.h"

#define DIAL_ADDRESSES_MAX 3 /* of a name: tried one after the other */

/* How it ends: constant, text. */
/* clang-format off */
#define DIAL_OUTCOMES(X)                                                                        \
	X(DIAL_GRANTED,     "granted")                                                          \
	X(DIAL_NO_ADDRESS,  "no-address")                                                       \
	X(DIAL_UNREACHABLE, "unreachable")                                                      \
	X(DIAL_TIMED_OUT,   "timed-out")                                                        \
	X(DIAL_CUT_OFF,     "cut-off")                                                          \
	X(DIAL_NO_RELAY,    "no-relay")                                                         \
	X(DIAL_REFUSED,     "refused")                                                          \
	X(DIAL_THIRD_HALF,  "third-half")
/* clang-format on */

#define DIAL_OUTCOME_ENUM(constant, text) constant,
enum dial_outcome { DIAL_OUTCOMES(DIAL_OUTCOME_ENUM) DIAL_OUTCOME_COUNT };

extern const char *const dial_outcome_names[];

/* Embedded in its owner; all zeros before dial_open(). */
struct dial {
	/*
	 * Called once, unless dial_close() comes first. FD leads to the owner and the callee has to
	 * close it; -1 unless granted. The dial may be freed in here.
	 */
	void (*done)(struct dial *dial, int fd, enum dial_outcome outcome);
	struct io io;
	struct resolve resolve;
	struct deadline deadline;
	unsigned count, next; /* of addresses: how many, and which is tried next */
	union net_address addresses[DIAL_ADDRESSES_MAX];
	uint8_t hash[SOCKS5_HASH_LEN];
	uint8_t state;     /* enum dial_state, of dial.c */
	uint8_t len;       /* bytes of the message that have come */
	const char *owner; /* the id of the relay that is dialled, borrowed */
	uint8_t bytes[PEERING_GRANT_LEN];
	uint8_t grant[PEERING_GRANT_LEN]; /* that is expected */
};

/* Module: secret and timeouts of the configuration. */
extern const struct daemon_module dial_module;

/*
 * Dials the relay OWNER (borrowed while it lasts) at ADDRESS ("host:port") for HASH; dial->done is
 * set, and called in a later turn.
 */
void dial_open(struct dial *dial, const char *owner, const char *address,
               const uint8_t hash[SOCKS5_HASH_LEN]);

/* Gives up a dial that isn't done. */
void dial_close(struct dial *dial);

/* The address that was dialled last. */
const union net_address *dial_address(const struct dial *dial);

#endif
