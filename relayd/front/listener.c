#include "relayd/front/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "relayd/conf.h"
#include "relayd/io/conn.h"

#define BACKLOG 4096
#define ACCEPTS_PER_EVENT 64
#define PAUSE_MS 200       /* when descriptors have run out */
#define LOG_EVERY_MS 10000 /* pauses can follow each other closely */

struct listener {
	struct io io;
	int fd;
	enum handshake_origin origin;
	union net_address address;
};

static struct {
	struct listener *items;
	size_t count;
	bool paused;
	struct timer pause;
	int reserve; /* a descriptor, given up to turn one client away when none is left */
	uint64_t logged_ms;
} listeners = { .reserve = -1 };

static const char *const pause_names[] = { "descriptors" };
static int64_t pauses[1];
static struct metric pauses_metric = {
	.name = "outrigger_relayd_accept_pauses_total",
	.help = "Times that no connection was accepted for a while, by reason.",
	.kind = METRIC_COUNTER,
	.label = "reason",
	.values = pause_names,
	.series = ARRAY_LEN(pause_names),
	.numbers = pauses,
};

static void pause_all(void)
{
	metric_add(&pauses_metric, 0, 1);
	if (loop_once_in(LOG_EVERY_MS, &listeners.logged_ms))
		log_warn("accept-paused reason=descriptors connections=%zu", conn_count());
	listeners.paused = true;
	for (size_t i = 0; i < listeners.count; i++)
		io_stop(&listeners.items[i].io);
	timer_start(&listeners.pause, PAUSE_MS);
}

static void resume(void)
{
	listeners.paused = false;
	for (size_t i = 0; i < listeners.count; i++) {
		struct listener *listener = &listeners.items[i];

		io_insist(&listener->io, listener->fd, EPOLLIN);
	}
}

static void keep_reserve(void)
{
	if (listeners.reserve < 0)
		listeners.reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_pause_over(struct timer *timer)
{
	keep_reserve();
	resume();
}

/* Closes the first connection in the queue, so that its client tries its next candidate at once. */
static void turn_one_away(struct listener *listener)
{
	int fd;

	if (listeners.reserve < 0)
		return;
	close(listeners.reserve);
	listeners.reserve = -1;
	fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	keep_reserve();
}

/* True: there may be more. */
static bool accept_one(struct listener *listener)
{
	union net_address client;
	socklen_t len = sizeof(client);
	int fd;

	fd = accept4(listener->fd, &client.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		handshake_accept(fd, &client, listener->origin);
		return true;
	}
	switch (errno) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		turn_one_away(listener);
		pause_all();
		return false;
	case EAGAIN:
		return false;
	default: /* accept(2): the error of a connection that has failed already */
		return true;
	}
}

static void on_readable(struct io *io, uint32_t events)
{
	struct listener *listener = container_of(io, struct listener, io);

	for (int n = 0; n < ACCEPTS_PER_EVENT && accept_one(listener); n++)
		;
}

static int open_listener(struct listener *listener, const char *text, const struct relay_conf *conf)
{
	const char *what = listener->origin == ORIGIN_RELAY ? "peering" : "socks";
	char where[NET_TEXT_MAX];

	(void)net_parse(text, &listener->address); /* checked with the configuration */
	listener->fd = net_listen(&listener->address, BACKLOG);
	if (listener->fd < 0) {
		log_error("listen-failed what=%s address=%s reason=\"%m\"", what, text);
		return -1;
	}
	conn_tune(listener->fd, listener->origin == ORIGIN_RELAY, conf);
	listener->io.ready = on_readable;
	if (net_local(listener->fd, &listener->address) != 0 ||
	    io_start(&listener->io, listener->fd, EPOLLIN) != 0) {
		log_error("listen-failed what=%s address=%s reason=\"%m\"", what, text);
		return -1;
	}
	log_info("listening what=%s address=%s", what, net_format(&listener->address, where));
	return 0;
}

static void stop(void)
{
	timer_stop(&listeners.pause);
	listeners.paused = false;
	for (size_t i = 0; i < listeners.count; i++) {
		io_stop(&listeners.items[i].io);
		close(listeners.items[i].fd);
	}
	free(listeners.items);
	listeners.items = NULL;
	listeners.count = 0;
	if (listeners.reserve >= 0)
		close(listeners.reserve);
	listeners.reserve = -1;
}

static int start(void *config)
{
	const struct relay_conf *conf = config;
	size_t clients = 0, count;

	metrics_add(&pauses_metric);
	while (conf->listen[clients] != NULL)
		clients++;
	count = clients + conf_has_peers(conf);
	listeners.items = mem_alloc(count, sizeof(struct listener));
	listeners.pause.expired = on_pause_over;
	listeners.reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (; listeners.count < count; listeners.count++) {
		struct listener *listener = &listeners.items[listeners.count];
		bool last = listeners.count == clients;

		listener->origin = last ? ORIGIN_RELAY : ORIGIN_CLIENT;
		if (open_listener(listener,
		                  last ? conf->peer_listen : conf->listen[listeners.count],
		                  conf) != 0) {
			stop();
			return -1;
		}
	}
	return 0;
}

const union net_address *listener_address(enum handshake_origin origin, size_t index)
{
	for (size_t i = 0; i < listeners.count; i++)
		if (listeners.items[i].origin == origin && index-- == 0)
			return &listeners.items[i].address;
	return NULL;
}

const struct daemon_module listener_module = { "listener", start, stop };
