/* Two ends of a TCP connection over loopback, in one process. */
#ifndef OG_TESTS_UNIT_TCP_PAIR_H
#define OG_TESTS_UNIT_TCP_PAIR_H

#include <check.h>
#include <unistd.h>

#include "common/net/net.h"

/* Puts two connected, non-blocking descriptors into ENDS. */
static inline void tcp_pair(int ends[2])
{
	union net_address address;
	int listener;

	ck_assert_int_eq(net_parse("127.0.0.1:0", &address), 0);
	listener = net_listen(&address, 1);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(net_local(listener, &address), 0);
	ends[0] = net_connect(&address);
	do
		ends[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	while (ends[1] < 0);
	close(listener);
}

/* Closes FD with an RST. */
static inline void tcp_reset(int fd)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(fd);
}

#endif
