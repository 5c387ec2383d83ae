#include "common/net/resolve.h"

#include <ares.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/base/panic.h"

/* The library's timeout grows with each try: 2 s, then 4 s, on each server. */
#define TRY_MS 2000
#define TRIES 2
/* c-ares reads resolv.conf when a channel is opened: an idle channel of this age is opened anew. */
#define CHANNEL_MS 60000

/*
 * One look-up. The library calls on_answer() for it once, even if nobody wants the answer any more.
 */
struct resolve_query {
	struct resolve *resolve; /* NULL: stopped */
	bool answered;
	struct task deliver; /* the library may answer inside the call that asks */
	uint16_t port;
	union net_address addresses[RESOLVE_MAX];
	size_t count;
	const char *why;
};

/* A descriptor of c-ares. */
struct watched {
	struct io io;
	struct list_link link;
};

static ares_channel channel; /* NULL until the first look-up */
static uint64_t opened_ms;
static unsigned under_way; /* look-ups that the library has */
static struct list sockets;
static struct timer timeout;

/* Asks for the time of the next retry, which any call into the library may have changed. */
static void reschedule(void)
{
	struct timeval tv, *next = ares_timeout(channel, NULL, &tv);

	if (next != NULL)
		timer_start(&timeout, (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1);
	else
		timer_stop(&timeout);
}

static void on_socket_ready(struct io *io, uint32_t events)
{
	ares_socket_t fd = io->fd;
	bool readable = events & (EPOLLIN | EPOLLERR | EPOLLHUP);

	ares_process_fd(channel, readable ? fd : ARES_SOCKET_BAD,
	                events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
	reschedule();
}

static void on_timeout(struct timer *timer)
{
	ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	reschedule();
}

static struct watched *find_socket(ares_socket_t fd)
{
	list_for_each (link, &sockets) {
		struct watched *watched = container_of(link, struct watched, link);

		if (watched->io.fd == fd)
			return watched;
	}
	return NULL;
}

/* The library opened, wants or is about to close a socket. */
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct watched *watched = find_socket(fd);

	if (!readable && !writable) {
		if (watched == NULL)
			return;
		io_stop(&watched->io);
		list_remove(&watched->link);
		free(watched);
		return;
	}
	if (watched == NULL) {
		watched = mem_alloc(1, sizeof(*watched));
		watched->io.ready = on_socket_ready;
		list_append(&sockets, &watched->link);
	}
	io_insist(&watched->io, fd, (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0));
}

static int open_channel(void)
{
	struct ares_options options = {
		.timeout = TRY_MS,
		.tries = TRIES,
		.sock_state_cb = on_socket_state,
	};
	int status = ares_library_init(ARES_LIB_INIT_ALL);

	list_init(&sockets);
	timeout.expired = on_timeout;
	opened_ms = loop_now_ms();
	if (status == ARES_SUCCESS)
		status = ares_init_options(&channel, &options,
		                           ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
		                                   ARES_OPT_SOCK_STATE_CB);
	if (status != ARES_SUCCESS)
		channel = NULL;
	return status;
}

static void close_channel(void)
{
	if (channel == NULL)
		return;
	ares_destroy(channel);
	ares_library_cleanup();
	channel = NULL;
	timer_stop(&timeout);
}

/* ---- a look-up ---- */

static void on_deliver(struct task *task)
{
	struct resolve_query *query = container_of(task, struct resolve_query, deliver);
	struct resolve *resolve = query->resolve;

	resolve->query = NULL;
	resolve->done(resolve, query->addresses, query->count,
	              query->count > 0 ? NULL : query->why);
	free(query);
}

static void answered(struct resolve_query *query, const char *why)
{
	query->answered = true;
	query->why = why;
	task_start(&query->deliver);
}

static void add_address(struct resolve_query *query, const struct ares_addrinfo_node *node)
{
	union net_address *address = &query->addresses[query->count];

	if (query->count == RESOLVE_MAX || node->ai_addrlen > sizeof(*address))
		return;
	memcpy(address, node->ai_addr, node->ai_addrlen);
	if (node->ai_family == AF_INET)
		address->in.sin_port = htons(query->port);
	else if (node->ai_family == AF_INET6)
		address->in6.sin6_port = htons(query->port);
	else
		return;
	query->count++;
}

static void on_answer(void *data, int status, int timeouts, struct ares_addrinfo *info)
{
	struct resolve_query *query = data;

	under_way--;
	if (info != NULL && query->resolve != NULL)
		for (struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next)
			add_address(query, node);
	if (info != NULL)
		ares_freeaddrinfo(info);
	if (query->resolve == NULL)
		free(query);
	else
		answered(query, status == ARES_SUCCESS ? "no address" : ares_strerror(status));
}

static void ask(struct resolve_query *query, const char *host)
{
	const struct ares_addrinfo_hints hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	int status = ARES_SUCCESS;

	if (channel != NULL && under_way == 0 && loop_now_ms() - opened_ms > CHANNEL_MS)
		close_channel();
	if (channel == NULL)
		status = open_channel();
	if (status != ARES_SUCCESS) {
		answered(query, ares_strerror(status));
		return;
	}
	under_way++;
	ares_getaddrinfo(channel, host, NULL, &hints, on_answer, query);
	reschedule();
}

/* RFC 6761 section 6.3: loopback, and never a question. Not every machine has a hosts file. */
static void give_localhost(struct resolve_query *query)
{
	if (net_numeric("127.0.0.1", query->port, &query->addresses[0]) < 0 ||
	    net_numeric("::1", query->port, &query->addresses[1]) < 0)
		panic("the addresses of localhost");
	query->count = 2;
	answered(query, NULL);
}

void resolve_start(struct resolve *resolve, const char *host, uint16_t port)
{
	struct resolve_query *query;

	resolve_stop(resolve);
	query = mem_alloc(1, sizeof(*query));
	query->resolve = resolve;
	query->deliver.run = on_deliver;
	query->port = port;
	resolve->query = query;
	if (net_numeric(host, port, &query->addresses[0]) == 0) {
		query->count = 1;
		answered(query, NULL);
	} else if (strcasecmp(host, "localhost") == 0) {
		give_localhost(query);
	} else {
		ask(query, host);
	}
}

void resolve_stop(struct resolve *resolve)
{
	struct resolve_query *query = resolve->query;

	if (query == NULL)
		return;
	resolve->query = NULL;
	query->resolve = NULL;
	if (!query->answered)
		return; /* on_answer() frees it */
	task_stop(&query->deliver);
	free(query);
}

void resolve_release(void)
{
	close_channel();
}

const char *resolve_version(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "c-ares %s", ares_version(NULL));
	return text;
}
