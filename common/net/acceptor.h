/*
 * A listening socket that hands its connections on once they have sent something: the first bytes
 * of a request, or with TLS the whole first record (RFC 8446, section 5.1). A silent connection
 * costs a descriptor until its deadline; above silent_max, the oldest silent one is closed.
 *
 * A TLS handshake costs a signature, in the loop in which all else happens. So with TLS one
 * connection is handed on in a turn of the loop, and of one address (IPv4: of one /32, IPv6: of one
 * /64) ACCEPTOR_HANDSHAKES in a second; the others wait for their turn, until their deadline.
 */
#ifndef OG_COMMON_NET_ACCEPTOR_H
#define OG_COMMON_NET_ACCEPTOR_H

#include <stdbool.h>

#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/net/net.h"

#define ACCEPTOR_SILENCE_MS 10000
#define ACCEPTOR_HANDSHAKES 20
#define ACCEPTOR_ADDRESSES 1024 /* places by the address's hash; who shares one shares its count */

/* How many connections of an address were handed on in a second of the clock. */
struct acceptor_share {
	uint64_t second;
	unsigned count;
};

struct acceptor {
	/* In: set before acceptor_start(). */
	void (*spoke)(struct acceptor *acceptor, int fd, const union net_address *address);
	bool tls;
	unsigned silent_max; /* of those that are silent or wait for their turn; at least 1 */
	/* The module's own. */
	struct io io;
	struct timer pause;
	struct list silent; /* the oldest is first */
	struct list ready;  /* they have spoken, and wait for their turn */
	struct list paced;  /* they have spoken, and wait for the next second */
	unsigned count;     /* of all three */
	struct task turn;
	struct timer next_second;
	uint64_t salt;                 /* so that nobody knows who shares a place */
	uint64_t logged_ms;            /* that a connection could not be watched */
	struct acceptor_share *shares; /* ACCEPTOR_ADDRESSES of them, owned */
};

/*
 * Listens on ADDRESS. spoke is called for each connection that has sent something: the bytes are
 * still unread in FD, which the callee owns; it is non-blocking and close-on-exec. 0, or -1 with
 * errno.
 */
int acceptor_start(struct acceptor *acceptor, const union net_address *address);

/* Stops listening and closes the silent connections. Does nothing when it isn't started. */
void acceptor_stop(struct acceptor *acceptor);

#endif
