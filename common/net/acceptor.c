#include "common/net/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/backoff.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/net/networks.h"

#define ACCEPTS_MAX 64 /* in one turn of the loop */
#define PAUSE_MS 100   /* after an accept that failed, mostly for lack of descriptors */
#define SECOND_MS 1000
#define MOVES_MAX 64 /* connections that one turn may put off because of their address */
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

/* ---- taking turns ---- */

/* Every bit of X changes about half of the result's (splitmix64). */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* The place that counts for ADDRESS. */
static struct acceptor_share *share_of(struct acceptor *acceptor, const union net_address *address)
{
	unsigned char key[16];
	uint64_t parts[2];

	networks_key(address, key);
	networks_cut_to_site(key);
	memcpy(parts, key, sizeof(parts));
	return &acceptor->shares[mix(mix(parts[0] ^ acceptor->salt) ^ parts[1]) %
	                         ACCEPTOR_ADDRESSES];
}

/* Counts a handshake of ADDRESS; false: it had enough of them in this second. */
static bool take_share(struct acceptor *acceptor, const union net_address *address)
{
	struct acceptor_share *share = share_of(acceptor, address);
	uint64_t second = loop_now_ms() / SECOND_MS;

	if (share->second != second)
		*share = (struct acceptor_share){ .second = second };
	return share->count++ < ACCEPTOR_HANDSHAKES;
}

static void wait_for_second(struct acceptor *acceptor, struct silent *silent)
{
	list_append(&acceptor->paced, &silent->link);
	if (!timer_active(&acceptor->next_second))
		timer_start(&acceptor->next_second, SECOND_MS - loop_now_ms() % SECOND_MS);
}

static void on_turn(struct task *task)
{
	struct acceptor *acceptor = container_of(task, struct acceptor, turn);
	struct list_link *link;

	for (int i = 0; i < MOVES_MAX && (link = list_take(&acceptor->ready)) != NULL; i++) {
		struct silent *silent = container_of(link, struct silent, link);
		union net_address address = silent->address;

		if (!take_share(acceptor, &address)) {
			wait_for_second(acceptor, silent);
			continue;
		}
		acceptor->spoke(acceptor, release(silent), &address);
		break;
	}
	if (!list_empty(&acceptor->ready))
		task_start(task);
}

static void on_next_second(struct timer *timer)
{
	struct acceptor *acceptor = container_of(timer, struct acceptor, next_second);
	struct list_link *link;

	while ((link = list_take(&acceptor->paced)) != NULL)
		list_append(&acceptor->ready, link);
	task_start(&acceptor->turn);
}

/* SILENT has spoken: it is handed on, now or when it is its turn. */
static void hand_on(struct silent *silent)
{
	struct acceptor *acceptor = silent->acceptor;
	union net_address address = silent->address;

	if (!acceptor->tls) {
		acceptor->spoke(acceptor, release(silent), &address);
		return;
	}
	io_stop(&silent->io);
	list_remove(&silent->link);
	list_append(&acceptor->ready, &silent->link);
	task_start(&acceptor->turn);
}

/* ---- listening ---- */

/* Edge-triggered: the bytes are only peeked at, so a level-triggered event would come for ever. */
static void on_ready(struct io *io, uint32_t events)
{
	struct silent *silent = container_of(io, struct silent, io);

	if (has_spoken(silent->acceptor, io->fd) || events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		hand_on(silent);
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
		if (loop_once_in(PAUSE_MS, &acceptor->logged_ms))
			log_warn("accept-failed reason=\"%m\"");
		silent->io.fd = fd;
		close(release(silent));
	}
}

/* Those of greedy addresses go first, then the silent ones. */
static void make_room(struct acceptor *acceptor)
{
	struct list_link *oldest = list_first(&acceptor->paced);

	if (oldest == NULL)
		oldest = list_first(&acceptor->silent);
	if (oldest == NULL)
		oldest = list_first(&acceptor->ready);
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

		if (fd >= 0 && !acceptor->tls && has_spoken(acceptor, fd)) {
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
	list_init(&acceptor->ready);
	list_init(&acceptor->paced);
	acceptor->turn.run = on_turn;
	acceptor->next_second.expired = on_next_second;
	acceptor->salt = (uint64_t)backoff_random() << 32 | backoff_random();
	acceptor->shares = mem_alloc(ACCEPTOR_ADDRESSES, sizeof(*acceptor->shares));
	acceptor->io.ready = on_connection;
	acceptor->pause.expired = on_pause_end;
	if (io_start(&acceptor->io, fd, EPOLLIN) == 0)
		return 0;
	acceptor->io.ready = NULL;
	free(acceptor->shares);
	close(fd);
	return -1;
}

static void close_all(struct list *list)
{
	list_for_each (link, list)
		close(release(container_of(link, struct silent, link)));
}

void acceptor_stop(struct acceptor *acceptor)
{
	if (acceptor->io.ready == NULL)
		return;
	acceptor->io.ready = NULL;
	timer_stop(&acceptor->pause);
	timer_stop(&acceptor->next_second);
	task_stop(&acceptor->turn);
	io_stop(&acceptor->io);
	close(acceptor->io.fd);
	close_all(&acceptor->silent);
	close_all(&acceptor->ready);
	close_all(&acceptor->paced);
	free(acceptor->shares);
	acceptor->shares = NULL;
}
