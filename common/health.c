#include "common/health.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/loop.h"
#include "common/net/net.h"

#define SCHEME "http://"

/* Waits for EVENTS on FD until DEADLINE_MS. 0, or -1 with errno. */
static int wait_for(int fd, short events, uint64_t deadline_ms)
{
	for (;;) {
		struct pollfd item = { .fd = fd, .events = events };
		uint64_t now_ms = loop_now_ms();
		int n = now_ms >= deadline_ms ? 0 : poll(&item, 1, (int)(deadline_ms - now_ms));

		if (n > 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ETIMEDOUT;
		return -1;
	}
}

static int finish_connect(int fd, uint64_t deadline_ms)
{
	if (wait_for(fd, POLLOUT, deadline_ms) < 0)
		return -1;
	errno = net_connect_error(fd);
	return errno == 0 ? 0 : -1;
}

/* Reads the status line, "HTTP/1.1 200 OK", up to its end. The status, or -1 with errno. */
static int read_status(int fd, uint64_t deadline_ms)
{
	char line[128];
	size_t len = 0;
	int status;

	while (len < sizeof(line) - 1 && memchr(line, '\n', len) == NULL) {
		ssize_t n = recv(fd, line + len, sizeof(line) - 1 - len, 0);

		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else if (errno != EAGAIN || wait_for(fd, POLLIN, deadline_ms) < 0)
			return -1;
	}
	line[len] = '\0';
	if (sscanf(line, "HTTP/1.%*1d %3d", &status) == 1)
		return status;
	errno = EBADMSG;
	return -1;
}

/* The status of the answer, or -1 with errno. */
static int ask(int fd, const char *host, const char *path, uint64_t deadline_ms)
{
	char request[512];
	int len = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path,
	                   host);

	if (finish_connect(fd, deadline_ms) < 0)
		return -1;
	/* A request this short fits the empty send buffer, so one write is enough. */
	if (send(fd, request, (size_t)len, MSG_NOSIGNAL) != len)
		return -1;
	return read_status(fd, deadline_ms);
}

int health_ask(const char *url, int timeout_ms, char *why, size_t why_size)
{
	const char *path = "/";
	union net_address address;
	char host[NET_TEXT_MAX];
	size_t len;
	int fd, status;

	snprintf(why, why_size, "%s: not http://ADDRESS:PORT/…", url);
	if (strncmp(url, SCHEME, strlen(SCHEME)) != 0)
		return -1;
	len = strcspn(url + strlen(SCHEME), "/");
	if (url[strlen(SCHEME) + len] == '/')
		path = url + strlen(SCHEME) + len;
	if (len >= sizeof(host) || strlen(path) > 200)
		return -1;
	memcpy(host, url + strlen(SCHEME), len);
	host[len] = '\0';
	if (net_parse(host, &address) < 0)
		return -1;
	/* A machine without IPv6 can't connect to [::], where net_listen() listens all the same. */
	if (net_is_wildcard(&address))
		(void)net_numeric("127.0.0.1", net_port(&address), &address);
	fd = net_connect(&address);
	status = fd < 0 ? -1 : ask(fd, host, path, loop_now_ms() + (uint64_t)timeout_ms);
	if (status < 0)
		snprintf(why, why_size, "%s: %s", url, strerror(errno));
	else
		snprintf(why, why_size, "%s: status %d", url, status);
	if (fd >= 0)
		close(fd);
	return status == 200 ? 0 : -1;
}
