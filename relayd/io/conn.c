#include "relayd/io/conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/metrics.h"
#include "common/daemon.h"
#include "relayd/conf.h"
#include "relayd/wire/peering.h"

#define CLIENT_IDLE_S 60
#define CLIENT_INTERVAL_S 20
#define RELAY_IDLE_S 20
#define RELAY_INTERVAL_S 5

#define STATE_NAME(constant, text) [constant] = text,
const char *const conn_state_names[] = { CONN_STATES(STATE_NAME) };
static int64_t by_state[CONN_STATE_COUNT];
static struct metric conns_metric = {
	.name = "outrigger_relayd_halves",
	.help = "Client connections by state.",
	.kind = METRIC_GAUGE,
	.label = "state",
	.values = conn_state_names,
	.series = CONN_STATE_COUNT,
	.numbers = by_state,
};

static size_t count;
void (*conn_closed)(const struct conn *conn);

/* Addresses */

static void store_address(struct conn *conn, const union net_address *address)
{
	if (address->sa.sa_family == AF_INET6) {
		conn->address = address->in6.sin6_addr;
		conn->port = address->in6.sin6_port;
		return;
	}
	conn->address.s6_addr[10] = conn->address.s6_addr[11] = 0xff;
	memcpy(&conn->address.s6_addr[12], &address->in.sin_addr, sizeof(address->in.sin_addr));
	conn->port = address->in.sin_port;
}

const char *conn_address(const struct conn *conn, char *text)
{
	union net_address address = { 0 };

	address.in6.sin6_family = AF_INET6;
	address.in6.sin6_addr = conn->address;
	address.in6.sin6_port = conn->port;
	return net_format(&address, text);
}

/* From accept or connect to close */

struct conn *conn_new(int fd, const union net_address *address, enum conn_state state)
{
	struct conn *conn = mem_alloc(1, sizeof(*conn));

	conn->io.fd = fd;
	conn->state = (uint8_t)state;
	store_address(conn, address);
	count++;
	metric_add(&conns_metric, state, 1);
	return conn;
}

void conn_enter(struct conn *conn, enum conn_state state,
                void (*ready)(struct io *io, uint32_t events), uint32_t events)
{
	log_debug("half fd=%d from=%s to=%s", conn->io.fd, conn_state_names[conn->state],
	          conn_state_names[state]);
	metric_add(&conns_metric, conn->state, -1);
	metric_add(&conns_metric, state, 1);
	conn->state = (uint8_t)state;
	if (ready != NULL)
		conn->io.ready = ready;
	io_insist(&conn->io, conn->io.fd, events);
}

/* A socket that has sent next to nothing has room for a reply. */
bool conn_send(int fd, const uint8_t *bytes, size_t len)
{
	return send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

ssize_t conn_read(int fd, uint8_t *bytes, size_t most)
{
	ssize_t n = recv(fd, bytes, most, MSG_DONTWAIT | (bytes == NULL ? MSG_TRUNC : 0));

	if (n > 0)
		return n;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void release_waiting(struct conn *conn)
{
	deadline_stop(&conn->deadline);
	if (conn->release != NULL)
		conn->release(conn);
}

void conn_activate(struct conn *conn, void (*ready)(struct io *io, uint32_t events))
{
	const uint8_t go = PEERING_GO;

	assert(conn->state == CONN_WAITING || conn->state == CONN_DIALLED);
	release_waiting(conn);
	/* A socket that doesn't take the byte has failed, and its first event will say so. */
	if (conn->peering)
		(void)conn_send(conn->io.fd, &go, sizeof(go));
	conn->flow = (struct flow){ 0 };
	conn_enter(conn, CONN_ACTIVE, ready, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

static void close_socket(int fd, bool reset)
{
	const struct linger now = { .l_onoff = reset, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

void conn_close(struct conn *conn, bool reset)
{
	io_stop(&conn->io);
	if (conn->state == CONN_ACTIVE)
		pump_abandon(&conn->flow);
	else
		release_waiting(conn);
	close_socket(conn->io.fd, reset);
	metric_add(&conns_metric, conn->state, -1);
	count--;
	if (conn_closed != NULL)
		conn_closed(conn);
	free(conn);
}

/* What there is */

uint64_t conn_received(const struct conn *conn)
{
	return conn->state == CONN_ACTIVE ? conn->flow.received : 0;
}

uint64_t conn_delivered(const struct conn *conn)
{
	return conn->state == CONN_ACTIVE ? conn->flow.delivered : 0;
}

size_t conn_count(void)
{
	return count;
}

/*
 * The user timeout is the idle timeout: a shorter one would also end streams whose reader only
 * pauses, since the kernel applies it to a closed window too. The linger option is for a crash:
 * without it the kernel closes a dead process's sockets with a FIN, which the other end takes for
 * the end of the data.
 */
void conn_tune(int fd, bool between_relays, const struct relay_conf *conf)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	const int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	if (between_relays)
		net_keepalive(fd, RELAY_IDLE_S, RELAY_INTERVAL_S);
	else
		net_keepalive(fd, CLIENT_IDLE_S, CLIENT_INTERVAL_S);
	net_user_timeout(fd, (unsigned)conf->idle_timeout_ms);
}

static int start(void *config)
{
	metrics_add(&conns_metric);
	return 0;
}

const struct daemon_module conn_module = { "connections", start, NULL };
