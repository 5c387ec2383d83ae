/*
 * Reaching the relay that owns a stream: connects to its peer address, proves that this relay is
 * one of the fleet, and asks for the hash (peer.h). The owner has to grant it within 2 seconds.
 */
#ifndef OG_RELAYD_FLEET_DIAL_H
#define OG_RELAYD_FLEET_DIAL_H

#include "common/base/loop.h"
#include "common/net/net.h"
#include "common/net/resolve.h"
#include "relayd/io/deadline.h"
#include "relayd/wire/peer.h"

#define DIAL_ADDRESSES_MAX 3 /* of a name: tried one after the other */

/* How it ends: constant, text, and what the client is refused with. */
/* clang-format off */
#define DIAL_OUTCOMES(X)                                                                        \
	X(DIAL_GRANTED,     "granted",     SOCKS5_BRIDGE_FAILED)                                \
	X(DIAL_NO_ADDRESS,  "no-address",  SOCKS5_BRIDGE_FAILED)                                \
	X(DIAL_UNREACHABLE, "unreachable", SOCKS5_BRIDGE_FAILED)                                \
	X(DIAL_TIMED_OUT,   "timed-out",   SOCKS5_BRIDGE_FAILED)                                \
	X(DIAL_CUT_OFF,     "cut-off",     SOCKS5_BRIDGE_FAILED)                                \
	X(DIAL_NO_RELAY,    "no-relay",    SOCKS5_BRIDGE_FAILED)                                \
	X(DIAL_REFUSED,     "refused",     SOCKS5_BRIDGE_FAILED)                                \
	X(DIAL_THIRD_HALF,  "third-half",  SOCKS5_THIRD_HALF)
/* clang-format on */

#define DIAL_OUTCOME_ENUM(constant, text, refusal) constant,
enum dial_outcome { DIAL_OUTCOMES(DIAL_OUTCOME_ENUM) DIAL_OUTCOME_COUNT };

extern const char *const dial_outcome_names[];
extern const enum socks5_refusal dial_outcome_refusals[];

/* Embedded in its owner; all zeros before dial_open(). */
struct dial {
	/*
	 * Called once, unless dial_close() comes first: FD leads to the owner and is the callee's
	 * to close, or it is -1. The dial may be freed in it.
	 */
	void (*done)(struct dial *dial, int fd, enum dial_outcome outcome);
	struct io io;
	struct resolve resolve;
	struct deadline deadline;
	unsigned count, next; /* of addresses: how many, and the one to try next */
	union net_address addresses[DIAL_ADDRESSES_MAX];
	uint8_t hash[SOCKS5_HASH_LEN];
	uint8_t step;
	uint8_t len; /* bytes that are there of the message that is being read */
	uint8_t bytes[SOCKS5_GRANT_LEN];
	uint8_t request[PEER_REQUEST_LEN];
};

/* Module: secret and timeouts of the configuration. */
extern const struct daemon_module dial_module;

/* Dials PEER ("host:port") for HASH; dial->done is set. It is called in a later turn. */
void dial_open(struct dial *dial, const char *peer, const uint8_t hash[SOCKS5_HASH_LEN]);

/* Gives up a dial that isn't done. */
void dial_close(struct dial *dial);

/* The address that was dialled last. */
const union net_address *dial_address(const struct dial *dial);

#endif
