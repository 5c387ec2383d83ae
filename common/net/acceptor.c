#include "common/net/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"

#define ACCEPTS_MAX 64 /* in one turn of the loop */
#define PAUSE_MS 100   /* after an accept that failed, mostly for lack of descriptors */
#define TLS_HEADER 5
#define TLS_HANDSHAKE 22
#define TLS_HELLO_MAX 16384

struct silent {
	struct io io;
	struct timer deadline;
	struct acceptor *acceptor;
	struct list_link link;
	union net_address address;
};

/* Removes SILENT from the list; its descriptor belongs to the caller. */
static int release(struct silent *silent)
{
	int fd = silent->io.fd;

	io_stop(&silent->io);
	timer_stop(&silent->deadline);
	list_remove(&silent->link);
	silent->acceptor->count--;
	free(silent);
	return fd;
}

static void on_deadline(struct timer *timer)
{
	struct silent *silent = container_of(timer, struct silent, deadline);

	log_debug("silent-client-closed fd=%d", silent->io.fd);
	close(release(silent));
}

/* True when FD has enough to be handed on: data, an error or the end of the stream. */
static bool has_spoken(const struct acceptor *acceptor, int fd)
{
	static unsigned char bytes[TLS_HEADER + TLS_HELLO_MAX];
	ssize_t len = recv(fd, bytes, acceptor->tls ? sizeof(bytes) : 1, MSG_PEEK | MSG_DONTWAIT);

	if (len < 0)
		return errno != EAGAIN && errno != EINTR;
	if (!acceptor->tls || len == 0 || bytes[0] != TLS_HANDSHAKE)
		return true;
	if (len < TLS_HEADER)
		return false;
	return len >= TLS_HEADER + (bytes[3] << 8 | bytes[4]) || len == sizeof(bytes);
}

/* Edge-triggered: the bytes are only peeked at, so a level-triggered event would come for ever. */
static void on_ready(struct io *io, uint32_t events)
{
	struct silent *silent = container_of(io, struct silent, io);
	struct acceptor *acceptor = silent->acceptor;
	union net_address address = silent->address;

	if (has_spoken(acceptor, io->fd) || events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		acceptor->spoke(acceptor, release(silent), &address);
}

static void watch(struct acceptor *acceptor, int fd, const union net_address *address)
{
	struct silent *silent = mem_alloc(1, sizeof(*silent));

	silent->acceptor = acceptor;
	silent->address = *address;
	silent->io.ready = on_ready;
	silent->deadline.expired = on_deadline;
	timer_start(&silent->deadline, ACCEPTOR_SILENCE_MS);
	list_append(&acceptor->silent, &silent->link);
	acceptor->count++;
	if (io_start(&silent->io, fd, EPOLLIN | EPOLLRDHUP | EPOLLET) < 0) {
		silent->io.fd = fd;
		close(release(silent));
	}
}

static void make_room(struct acceptor *acceptor)
{
	struct list_link *oldest = list_first(&acceptor->silent);

	if (acceptor->count >= acceptor->silent_max && acceptor->count > 1)
		close(release(container_of(oldest, struct silent, link)));
}

static void on_connection(struct io *io, uint32_t events)
{
	struct acceptor *acceptor = container_of(io, struct acceptor, io);

	for (int i = 0; i < ACCEPTS_MAX; i++) {
		union net_address address = { 0 };
		socklen_t len = sizeof(address);
		int fd = accept4(io->fd, &address.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0 && has_spoken(acceptor, fd)) {
			acceptor->spoke(acceptor, fd, &address);
		} else if (fd >= 0) {
			watch(acceptor, fd, &address);
			make_room(acceptor);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			log_warn("accept-failed reason=\"%m\"");
			io_start(io, io->fd, 0);
			timer_start(&acceptor->pause, PAUSE_MS);
			return;
		}
	}
}

static void on_pause_end(struct timer *timer)
{
	struct acceptor *acceptor = container_of(timer, struct acceptor, pause);

	if (io_start(&acceptor->io, acceptor->io.fd, EPOLLIN) < 0)
		timer_start(timer, PAUSE_MS);
}

int acceptor_start(struct acceptor *acceptor, const union net_address *address)
{
	int fd = net_listen(address, SOMAXCONN);

	if (fd < 0)
		return -1;
	list_init(&acceptor->silent);
	acceptor->io.ready = on_connection;
	acceptor->pause.expired = on_pause_end;
	if (io_start(&acceptor->io, fd, EPOLLIN) == 0)
		return 0;
	acceptor->io.ready = NULL;
	close(fd);
	return -1;
}

void acceptor_stop(struct acceptor *acceptor)
{
	if (acceptor->io.ready == NULL)
		return;
	acceptor->io.ready = NULL;
	timer_stop(&acceptor->pause);
	io_stop(&acceptor->io);
	close(acceptor->io.fd);
	list_for_each (link, &acceptor->silent)
		close(release(container_of(link, struct silent, link)));
}
