/*
 * Sockets that are closed while the client still sends: the kernel would answer its bytes with a
 * reset, which can destroy our last response before the client has read it. Such a socket is kept
 * for a while and its input discarded, up to a bound in time, bytes and number.
 */
#ifndef OG_COMMON_NET_LINGER_H
#define OG_COMMON_NET_LINGER_H

#include "common/base/list.h"

struct lingers {
	struct list all;
	unsigned count;
};

void lingers_init(struct lingers *lingers);

/* Shuts FD down for writing and keeps the connection after the caller's close(FD). */
void lingers_add(struct lingers *lingers, int fd);

/* Closes all. */
void lingers_release(struct lingers *lingers);

#endif
