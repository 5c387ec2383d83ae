/*
 * A listening socket that hands its connections on once they have sent something: the first bytes
 * of a request, or with TLS the whole first record (RFC 8446, section 5.1). A silent connection
 * costs a descriptor until its deadline; above silent_max, the oldest silent one is closed.
 */
#ifndef OG_COMMON_NET_ACCEPTOR_H
#define OG_COMMON_NET_ACCEPTOR_H

#include <stdbool.h>

#include "common/base/list.h"
#include "common/base/loop.h"
#include "common/net/net.h"

#define ACCEPTOR_SILENCE_MS 10000

struct acceptor {
	/* In: set before acceptor_start(). */
	void (*spoke)(struct acceptor *acceptor, int fd, const union net_address *address);
	bool tls;
	unsigned silent_max; /* at least 1 */
	/* The module's own. */
	struct io io;
	struct timer pause;
	struct list silent; /* the oldest is first */
	unsigned count;
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
