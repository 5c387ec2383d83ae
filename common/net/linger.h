/*
 * Sockets that are closed while their peer still sends: the kernel would answer what comes with a
 * reset, which can destroy our last answer before the peer has read it. Such a socket is kept a
 * while, and what it gets is thrown away, up to a bound in time, bytes and number.
 */
#ifndef OG_COMMON_NET_LINGER_H
#define OG_COMMON_NET_LINGER_H

#include "common/base/list.h"

struct lingers {
	struct list all;
	unsigned count;
};

void lingers_init(struct lingers *lingers);

/* Ends what we send on FD and keeps its connection beyond the caller's close(FD). */
void lingers_add(struct lingers *lingers, int fd);

/* Closes all. */
void lingers_release(struct lingers *lingers);

#endif
