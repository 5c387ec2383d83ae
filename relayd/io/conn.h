/*
 * The TCP connection of one half of a stream: a client's, or that of another relay that bridges its
 * client to this one; and, where this relay bridges, the connection that it made to the owner. The
 * front leads it through its handshake, then it waits in a pair, and then the pair moves its bytes.
 *
 *   proxied ─▶ greeting ─▶ request ─▶ claiming ─▶ waiting ─▶ active ◀─ dialled
 *      └──────────┴───────────┴───────────┴─▶ refused (the reply is sent; input is discarded)
 *
 * Nothing is read between the request and the activation: what the client sends meanwhile waits in
 * the kernel. Functions without a result don't fail.
 */
#ifndef OG_RELAYD_IO_CONN_H
#define OG_RELAYD_IO_CONN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/loop.h"
#include "common/net/net.h"
#include "relayd/io/deadline.h"
#include "relayd/io/pump.h"

struct pair;
struct relay_conf;

/* clang-format off */
#define CONN_STATES(X)                                                                          \
	X(CONN_PROXIED,  "proxied")                                                             \
	X(CONN_GREETING, "greeting")                                                            \
	X(CONN_REQUEST,  "request")                                                             \
	X(CONN_CLAIMING, "claiming")                                                            \
	X(CONN_WAITING,  "waiting")                                                             \
	X(CONN_ACTIVE,   "active")                                                              \
	X(CONN_REFUSED,  "refused")                                                             \
	X(CONN_DIALLED,  "dialled")
/* clang-format on */

#define CONN_STATE_ENUM(constant, text) constant,
enum conn_state { CONN_STATES(CONN_STATE_ENUM) CONN_STATE_COUNT };

extern const char *const conn_state_names[];

/*
 * Thousands of these sit idle, so it is kept small: what only the handshake needs is allocated for
 * its duration, and the flow of an active connection takes the place of what waiting needed.
 */
struct conn {
	struct io io;
	struct pair *pair; /* NULL before it has a place in one */
	union {
		struct flow flow; /* once active: from this connection to the other one */
		struct {
			/* The front's; NULL: nothing. Frees what it hung here. */
			void (*release)(struct conn *conn);
			struct handshake *handshake;  /* the front's; NULL once granted */
			struct source_place *counted; /* the front's; NULL if it isn't counted */
			struct deadline deadline;     /* of the state */
		};
	};
	struct in6_addr address; /* the client's; IPv4 is mapped */
	in_port_t port;          /* network order */
	uint8_t state;           /* enum conn_state */
	bool peering;            /* the other end is a relay that bridges its client to here */
	bool by_address;         /* the front counts it for its address until it is closed */
};

/* Module: the metric alone. */
extern const struct daemon_module conn_module;

/* Set by the front, or NULL: runs once CONN is closed and counted no more, before it is freed. */
extern void (*conn_closed)(const struct conn *conn);

/* Takes over the non-blocking socket FD, whose other end is ADDRESS; it isn't watched yet. */
struct conn *conn_new(int fd, const union net_address *address, enum conn_state state);

/* Enters STATE, in which READY (NULL: as before) gets EVENTS. */
void conn_enter(struct conn *conn, enum conn_state state,
                void (*ready)(struct io *io, uint32_t events), uint32_t events);

/*
 * The messages of a handshake, at either end. Sends LEN bytes as one segment; false if the socket
 * doesn't take all of them.
 */
bool conn_send(int fd, const uint8_t *bytes, size_t len);

/*
 * Reads up to MOST bytes of a message into BYTES (NULL: discards them), and none of what may follow
 * it. Returns their number, 0 if none are there yet, -1 at the end or after a failure.
 */
ssize_t conn_read(int fd, uint8_t *bytes, size_t most);

/*
 * READY gets all events from here on, edge-triggered; what waits in the socket causes one soon. A
 * relay at the other end is told.
 */
void conn_activate(struct conn *conn, void (*ready)(struct io *io, uint32_t events));

/* Closes and frees, with a FIN or, if RESET, with an RST. */
void conn_close(struct conn *conn, bool reset);

/* Bytes read from CONN, and bytes of those that the other one's socket took; 0 unless active. */
uint64_t conn_received(const struct conn *conn);
uint64_t conn_delivered(const struct conn *conn);

/* How many connections there are, in any state. */
size_t conn_count(void);

/* The client's address as text (NET_TEXT_MAX bytes), which is returned. */
const char *conn_address(const struct conn *conn, char *text);

/*
 * Sets up FD, a connection or a listener whose connections inherit it: no delay, keepalive (more
 * often BETWEEN_RELAYS), user timeout, and an RST for the other end should this process die. No
 * failure of these matters.
 */
void conn_tune(int fd, bool between_relays, const struct relay_conf *conf);

#endif
