#include "tests/bench/relay_load/wire.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>

#include "tests/bench/relay_load/options.h"
#include "tests/bench/relay_load/step.h"

#define PATIENCE_S 20
#define BACKLOG 4096

static void set_up(int fd)
{
	const int on = 1;
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	const char *congestion = options.congestion;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (congestion != NULL && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion,
	                                     (socklen_t)strlen(congestion)) != 0)
		step_fail("congestion control");
}

int wire_dial(const union net_address *address)
{
	int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		step_fail("socket");
	set_up(fd);
	if (connect(fd, &address->sa, net_length(address)) != 0)
		step_fail("connect");
	return fd;
}

int wire_listen(const union net_address *address)
{
	int fd = net_listen(address, BACKLOG);

	if (fd < 0)
		step_fail("listen");
	return fd;
}

int wire_accept(int listener)
{
	struct pollfd poll_fd = { .fd = listener, .events = POLLIN };
	int fd;

	errno = 0;
	if (poll(&poll_fd, 1, PATIENCE_S * 1000) != 1)
		step_fail("nobody connected to the sink");
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		step_fail("accept");
	set_up(fd);
	return fd;
}

void wire_say(int fd, const void *bytes, size_t len)
{
	if (send(fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
		step_fail("send");
}

void wire_hear(int fd, void *bytes, size_t len)
{
	errno = 0;
	if (recv(fd, bytes, len, MSG_WAITALL) != (ssize_t)len)
		step_fail("an answer of the relay");
}
