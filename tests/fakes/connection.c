#include "tests/fakes/connection.h"

#include <inttypes.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "tests/fakes/http1.h"
#include "tests/fakes/session.h"

#define RECORD 16384       /* bytes of the longest TLS record */
#define HANDSHAKE_MS 10000 /* to agree on h2, or to leave */
#define READS_PER_TURN 16  /* records, before others have their turn */

enum state { CONNECTION_HANDSHAKE, CONNECTION_WITHOUT_H2, CONNECTION_HTTP1, CONNECTION_OPEN };

struct connection {
	struct list_link link;
	struct connection_owner *owner;
	uint64_t id;
	uint64_t since_ms;
	char client[NET_TEXT_MAX];
	enum state state;
	struct io io;
	struct task more; /* there is more to do in the next turn */
	struct timer deadline;
	SSL *tls;
	bool want_write;        /* TLS waits for room in the socket */
	struct session session; /* HTTP/2 */
	struct http1 http1;
	size_t out_len, out_sent;
	char out[RECORD]; /* one record of frames */
};

static void close_connection(struct connection *connection, const char *reason)
{
	struct stats *stats = &connection->owner->service->stats;
	int fd = connection->io.fd;

	log_info("connection-ended id=%" PRIu64 " client=%s requests=%" PRIu64
	         " duration-ms=%" PRIu64 " reason=%s",
	         connection->id, connection->client,
	         connection->session.requests + connection->http1.requests,
	         loop_now_ms() - connection->since_ms, reason);
	if (connection->state == CONNECTION_OPEN)
		session_stop(&connection->session);
	else if (connection->state == CONNECTION_HTTP1)
		http1_stop(&connection->http1);
	else
		stats->connections_failed++;
	stats_connection_closed(stats);
	io_stop(&connection->io);
	task_stop(&connection->more);
	timer_stop(&connection->deadline);
	list_remove(&connection->link);
	SSL_free(connection->tls);
	/* In TLS 1.3 the client's first request has come, and would be answered by a reset. */
	if (connection->state == CONNECTION_HANDSHAKE)
		lingers_add(&connection->owner->lingers, fd);
	close(fd);
	free(connection);
}

/* What a TLS call's RESULT means: NULL to wait and go on, else why the connection ends. */
static const char *tls_trouble(struct connection *connection, int result)
{
	switch (SSL_get_error(connection->tls, result)) {
	case SSL_ERROR_WANT_WRITE:
		connection->want_write = true;
		return NULL;
	case SSL_ERROR_WANT_READ:
		return NULL;
	case SSL_ERROR_ZERO_RETURN:
		return "client-closed";
	case SSL_ERROR_SYSCALL:
		return "client-gone";
	default:
		return "tls-failed";
	}
}

static void on_wake(struct session *session)
{
	task_start(&container_of(session, struct connection, session)->more);
}

static bool h2_selected(const SSL *tls)
{
	const unsigned char *name;
	unsigned len;

	SSL_get0_alpn_selected(tls, &name, &len);
	return len == 2 && memcmp(name, "h2", 2) == 0;
}

static void on_http1_wake(struct http1 *http1)
{
	task_start(&container_of(http1, struct connection, http1)->more);
}

static void start_http1(struct connection *connection)
{
	struct http1 *http1 = &connection->http1;

	connection->state = CONNECTION_HTTP1;
	http1->service = connection->owner->service;
	http1->connection = connection->id;
	http1->wake = on_http1_wake;
	http1->environment = connection->owner->environment;
	client_read(&http1->client, connection->tls);
	http1_start(http1);
	http1->service->stats.connections_http1++;
}

static void start_http2(struct connection *connection)
{
	struct session *session = &connection->session;

	connection->state = CONNECTION_OPEN;
	session->service = connection->owner->service;
	session->connection = connection->id;
	session->wake = on_wake;
	session->environment = connection->owner->environment;
	client_read(&session->client, connection->tls);
	session_start(session);
}

static const char *step_handshake(struct connection *connection)
{
	int result;

	ERR_clear_error();
	result = SSL_accept(connection->tls);
	if (result != 1)
		return tls_trouble(connection, result);
	if (connection->owner->no_http) {
		connection->state = CONNECTION_WITHOUT_H2;
		return NULL;
	}
	timer_stop(&connection->deadline);
	if (h2_selected(connection->tls))
		start_http2(connection);
	else
		start_http1(connection);
	return NULL;
}

/* Nothing is served: what a client sends is counted, and ends it. */
static const char *step_without_h2(struct connection *connection)
{
	char bytes[512];
	int count;

	ERR_clear_error();
	count = SSL_read(connection->tls, bytes, sizeof(bytes));
	if (count <= 0)
		return tls_trouble(connection, count);
	connection->owner->service->stats.bytes_without_h2 += (uint64_t)count;
	return "sent-without-h2";
}

static void feed(struct connection *connection, const char *bytes, size_t len)
{
	if (connection->state == CONNECTION_HTTP1)
		http1_feed(&connection->http1, bytes, len);
	else
		session_feed(&connection->session, bytes, len);
}

static size_t fetch_output(struct connection *connection, char *out, size_t size)
{
	return connection->state == CONNECTION_HTTP1
	               ? http1_output(&connection->http1, out, size)
	               : session_output(&connection->session, out, size);
}

/* Why it has to end, by what was said on it; NULL: it goes on. */
static const char *end_of(const struct connection *connection)
{
	return connection->state == CONNECTION_HTTP1 ? connection->http1.end
	                                             : connection->session.end;
}

static bool ends_abruptly(const struct connection *connection)
{
	return connection->state == CONNECTION_HTTP1 ? connection->http1.abrupt
	                                             : connection->session.abrupt;
}

static const char *receive(struct connection *connection)
{
	static char bytes[RECORD];

	for (int i = 0; i < READS_PER_TURN; i++) {
		int count;

		ERR_clear_error();
		count = SSL_read(connection->tls, bytes, sizeof(bytes));
		if (count <= 0)
			return tls_trouble(connection, count);
		feed(connection, bytes, (size_t)count);
		if (end_of(connection) != NULL)
			return NULL;
	}
	task_start(&connection->more);
	return NULL;
}

static const char *transmit(struct connection *connection)
{
	for (;;) {
		int count;

		if (connection->out_sent == connection->out_len) {
			connection->out_sent = 0;
			connection->out_len =
			        fetch_output(connection, connection->out, sizeof(connection->out));
		}
		if (connection->out_len == 0)
			return NULL;
		ERR_clear_error();
		count = SSL_write(connection->tls, connection->out + connection->out_sent,
		                  (int)(connection->out_len - connection->out_sent));
		if (count <= 0)
			return tls_trouble(connection, count);
		connection->out_sent += (size_t)count;
	}
}

static const char *step_open(struct connection *connection)
{
	const char *trouble = NULL;

	if (end_of(connection) == NULL)
		trouble = receive(connection);
	if (trouble == NULL && !ends_abruptly(connection))
		trouble = transmit(connection);
	if (trouble != NULL)
		return trouble;
	if (end_of(connection) != NULL && !ends_abruptly(connection) && !connection->want_write)
		SSL_shutdown(connection->tls);
	return end_of(connection);
}

static const char *(*const steps[])(struct connection *connection) = {
	[CONNECTION_HANDSHAKE] = step_handshake,
	[CONNECTION_WITHOUT_H2] = step_without_h2,
	[CONNECTION_HTTP1] = step_open,
	[CONNECTION_OPEN] = step_open,
};

/* Steps until a step leaves the state as it was, which means that it waits for the socket. */
static void progress(struct connection *connection)
{
	const char *reason;
	enum state before;

	connection->want_write = false;
	do {
		before = connection->state;
		reason = steps[before](connection);
	} while (reason == NULL && connection->state != before);
	if (reason == NULL && io_start(&connection->io, connection->io.fd,
	                               connection->want_write ? EPOLLIN | EPOLLOUT : EPOLLIN) < 0)
		reason = "epoll-failed";
	if (reason != NULL)
		close_connection(connection, reason);
}

static void on_ready(struct io *io, uint32_t events)
{
	progress(container_of(io, struct connection, io));
}

static void on_more(struct task *task)
{
	progress(container_of(task, struct connection, more));
}

static void on_deadline(struct timer *timer)
{
	close_connection(container_of(timer, struct connection, deadline), "no-h2-in-time");
}

void connection_open(struct connection_owner *owner, int fd, const union net_address *client)
{
	struct connection *connection = mem_alloc(1, sizeof(*connection));
	int on = 1;

	connection->owner = owner;
	connection->id = ++owner->count;
	connection->since_ms = loop_now_ms();
	connection->io = (struct io){ .ready = on_ready, .fd = fd };
	connection->more.run = on_more;
	connection->deadline.expired = on_deadline;
	net_format(client, connection->client);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	connection->tls = SSL_new(owner->tls);
	if (connection->tls == NULL || SSL_set_fd(connection->tls, fd) != 1)
		abort();
	list_append(&owner->connections, &connection->link);
	stats_connection_opened(&owner->service->stats);
	timer_start(&connection->deadline, HANDSHAKE_MS);
	progress(connection);
}

void connection_close_all(struct connection_owner *owner)
{
	list_for_each (link, &owner->connections) {
		close_connection(container_of(link, struct connection, link), "exit");
	}
}
