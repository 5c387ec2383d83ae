#include "common/net/linger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/loop.h"
#include "common/base/mem.h"

#define LINGERS_MAX 64
#define LINGER_MS 2000
#define LINGER_BYTES (64u << 20)

struct linger_socket {
	struct io io;
	struct timer deadline;
	struct lingers *lingers;
	struct list_link link;
	size_t bytes;
};

static void end(struct linger_socket *socket)
{
	io_stop(&socket->io);
	timer_stop(&socket->deadline);
	close(socket->io.fd);
	list_remove(&socket->link);
	socket->lingers->count--;
	free(socket);
}

static void on_deadline(struct timer *timer)
{
	end(container_of(timer, struct linger_socket, deadline));
}

static void on_ready(struct io *io, uint32_t events)
{
	static char rubbish[64 << 10];
	struct linger_socket *socket = container_of(io, struct linger_socket, io);
	ssize_t n = recv(io->fd, rubbish, sizeof(rubbish), MSG_DONTWAIT);

	if (n > 0)
		socket->bytes += (size_t)n;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || socket->bytes > LINGER_BYTES)
		end(socket);
}

void lingers_init(struct lingers *lingers)
{
	list_init(&lingers->all);
	lingers->count = 0;
}

void lingers_add(struct lingers *lingers, int fd)
{
	struct linger_socket *socket;

	fd = lingers->count < LINGERS_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (fd < 0)
		return;
	shutdown(fd, SHUT_WR);
	socket = mem_alloc(1, sizeof(*socket));
	socket->lingers = lingers;
	socket->io.ready = on_ready;
	socket->deadline.expired = on_deadline;
	list_append(&lingers->all, &socket->link);
	lingers->count++;
	timer_start(&socket->deadline, LINGER_MS);
	if (io_start(&socket->io, fd, EPOLLIN) == 0)
		return;
	socket->io.fd = fd;
	end(socket);
}

void lingers_release(struct lingers *lingers)
{
	list_for_each (link, &lingers->all)
		end(container_of(link, struct linger_socket, link));
}
