/*
 * One party's TCP connection: accepted, led through the SOCKS5 handshake, seated in its stream, and
 * then left alone until the stream is activated. Its other end may be another relay that bridges
 * the party's connection to here (peer); and where this relay bridges one, the half that leads to
 * the owner is dialled.
 *
 *   proxied ─▶ greeting ─▶ request ─▶ claiming ─▶ waiting ─▶ active ◀─ dialled
 *      └──────────┴───────────┴───────────┴─▶ refused (the reply is out; what comes is dropped)
 *
 * Handshake input is read to the byte and no further, and nothing is read between the request and
 * the activation: what the client sends meanwhile waits in the kernel. Trouble ends the half, never
 * the caller.
 */
#ifndef OG_RELAYD_IO_HALF_H
#define OG_RELAYD_IO_HALF_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/net/net.h"
#include "relayd/front/pending.h"
#include "relayd/io/deadline.h"
#include "relayd/io/pump.h"
#include "relayd/wire/socks5.h"

struct stream;

/* clang-format off */
#define HALF_STATES(X)                                                                          \
	X(HALF_PROXIED,  "proxied")                                                             \
	X(HALF_GREETING, "greeting")                                                            \
	X(HALF_REQUEST,  "request")                                                             \
	X(HALF_CLAIMING, "claiming")                                                            \
	X(HALF_WAITING,  "waiting")                                                             \
	X(HALF_ACTIVE,   "active")                                                              \
	X(HALF_REFUSED,  "refused")                                                             \
	X(HALF_DIALLED,  "dialled")
/* clang-format on */

#define HALF_STATE_ENUM(constant, text) constant,
enum half_state { HALF_STATES(HALF_STATE_ENUM) HALF_STATE_COUNT };

/*
 * Thousands of these sit idle, so it is kept small: what only the handshake needs is allocated for
 * its time, and what only an active half needs takes the place of what it doesn't need any more.
 */
struct half {
	struct io io;
	struct stream *stream; /* NULL before it has a seat */
	union {
		struct flow flow; /* once active: from this half to the other one */
		struct {
			struct handshake *handshake; /* owned; NULL once the grant is sent */
			struct pending *pending;     /* owned; NULL if it doesn't count */
			struct deadline deadline;    /* of the state */
		};
	};
	struct in6_addr address; /* the client's; IPv4 is mapped */
	in_port_t port;          /* network order */
	uint8_t state;           /* enum half_state */
	bool peer;               /* the other end is a relay that bridges the client to here */
};

/* Who connects: peers count for no address, and balancers send a PROXY header first. */
enum half_origin { HALF_OF_CLIENT, HALF_OF_PEER };

/* Module: deadlines from the configuration; stopping closes every connection that has no seat. */
extern const struct daemon_module half_module;

/* Takes over the socket FD, accepted from CLIENT. */
void half_open(int fd, const union net_address *client, enum half_origin origin);

/*
 * Takes over FD, by which this relay has reached the owner at ADDRESS: READY gets what comes before
 * the activation. Aborts only for want of memory.
 */
struct half *half_dialled(int fd, const union net_address *owner,
                          void (*ready)(struct io *io, uint32_t events));

/* The claim is settled: sends the client its grant. The half may be gone after. */
void half_grant(struct half *half);

/*
 * Replies with the refusal's code and closes; the half must have no seat any more and is gone
 * after.
 */
void half_refuse(struct half *half, enum socks5_refusal refusal);

/*
 * READY gets all events from here on, edge-triggered; what waits in the socket makes one soon. A
 * peer is told.
 */
void half_activate(struct half *half, void (*ready)(struct io *io, uint32_t events));

/* Closes and frees, with a FIN or, if RESET, with an RST. */
void half_close(struct half *half, bool reset);

/* Closes a half that isn't active, to make room for others. */
void half_evict(struct half *half);

/* Bytes read from HALF, and bytes of it that the other half took; 0 before activation. */
uint64_t half_received(const struct half *half);
uint64_t half_delivered(const struct half *half);

/* How many connections there are, in whatever state. */
size_t half_count(void);

/* The client's address as text (NET_TEXT_MAX bytes), which is returned. */
const char *half_address(const struct half *half, char *text);

/* For handshake.c. */

/* Counts a half whose address is known; false: there were too many, and it is gone. */
bool half_admit(struct half *half);

/* Enters STATE and waits for what that state waits for. */
void half_enter(struct half *half, enum half_state state);

/* Sends LEN bytes as one segment; false if the socket doesn't take them. */
bool half_reply(struct half *half, const uint8_t *bytes, size_t len);

#endif
