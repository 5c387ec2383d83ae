#include "common/net/net.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads a decimal port that ends TEXT. */
static int read_port(const char *text, uint16_t *port)
{
	unsigned long number;
	char *end;

	if (!isdigit((unsigned char)text[0]) || strlen(text) > 5)
		return -1;
	number = strtoul(text, &end, 10);
	if (*end != '\0' || number > UINT16_MAX)
		return -1;
	*port = (uint16_t)number;
	return 0;
}

/* True for LEN bytes that may make up a host name or an IPv4 address. */
static bool is_host(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)text[i]) && strchr("-._", text[i]) == NULL)
			return false;
	}
	return len > 0;
}

int net_split(const char *text, char *host, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	const char *start = text;
	size_t len;
	struct in6_addr v6;

	if (colon == NULL)
		return -1;
	len = (size_t)(colon - text);
	if (text[0] == '[') {
		if (len < 2 || colon[-1] != ']')
			return -1;
		start++;
		len -= 2;
	}
	if (len > NET_HOST_MAX || (start == text && !is_host(start, len)))
		return -1;
	memcpy(host, start, len);
	host[len] = '\0';
	if (start != text && inet_pton(AF_INET6, host, &v6) != 1)
		return -1;
	return read_port(colon + 1, port);
}

int net_parse(const char *text, union net_address *address)
{
	char host[NET_HOST_MAX + 1];
	uint16_t port;

	if (net_split(text, host, &port) < 0)
		return -1;
	return net_numeric(host, port, address);
}

int net_numeric(const char *host, uint16_t port, union net_address *address)
{
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, host, &address->in.sin_addr) == 1) {
		address->in.sin_family = AF_INET;
		address->in.sin_port = htons(port);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &address->in6.sin6_addr) == 1) {
		address->in6.sin6_family = AF_INET6;
		address->in6.sin6_port = htons(port);
		return 0;
	}
	return -1;
}

socklen_t net_length(const union net_address *address)
{
	return address->sa.sa_family == AF_INET ? sizeof(address->in) : sizeof(address->in6);
}

uint16_t net_port(const union net_address *address)
{
	if (address->sa.sa_family == AF_INET)
		return ntohs(address->in.sin_port);
	return address->sa.sa_family == AF_INET6 ? ntohs(address->in6.sin6_port) : 0;
}

/* True when ADDRESS is IPv4, plain or mapped into IPv6, whose bytes are then put at BYTES. */
static bool is_v4(const union net_address *address, struct in_addr *bytes)
{
	if (address->sa.sa_family == AF_INET) {
		*bytes = address->in.sin_addr;
		return true;
	}
	if (address->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr))
		return false;
	memcpy(bytes, &address->in6.sin6_addr.s6_addr[12], sizeof(*bytes));
	return true;
}

const char *net_format(const union net_address *address, char *text)
{
	char host[INET6_ADDRSTRLEN];
	struct in_addr v4;

	if (is_v4(address, &v4)) {
		inet_ntop(AF_INET, &v4, host, sizeof(host));
		snprintf(text, NET_TEXT_MAX, "%s:%u", host, net_port(address));
	} else if (address->sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &address->in6.sin6_addr, host, sizeof(host));
		snprintf(text, NET_TEXT_MAX, "[%s]:%u", host, net_port(address));
	} else {
		snprintf(text, NET_TEXT_MAX, "-");
	}
	return text;
}

bool net_is_loopback(const union net_address *address)
{
	struct in_addr v4;

	if (is_v4(address, &v4))
		return ntohl(v4.s_addr) >> 24 == 127;
	return address->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr);
}

bool net_is_wildcard(const union net_address *address)
{
	if (address->sa.sa_family == AF_INET)
		return address->in.sin_addr.s_addr == htonl(INADDR_ANY);
	return address->sa.sa_family == AF_INET6 &&
	       IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr);
}

static void set_option(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

static int open_socket(const union net_address *address)
{
	return socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Closes FD with errno as it was; returns -1. */
static int give_up(int fd)
{
	int saved_errno = errno;

	close(fd);
	errno = saved_errno;
	return -1;
}

static bool is_v6_wildcard(const union net_address *address)
{
	return address->sa.sa_family == AF_INET6 && net_is_wildcard(address);
}

int net_listen(const union net_address *address, int backlog)
{
	union net_address v4;
	int fd = open_socket(address);

	if (fd < 0 && errno == EAFNOSUPPORT && is_v6_wildcard(address)) {
		/* A machine without IPv6: the wildcard's other half is all there is. */
		net_numeric("0.0.0.0", net_port(address), &v4);
		address = &v4;
		fd = open_socket(address);
	}
	if (fd < 0)
		return -1;
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (is_v6_wildcard(address))
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (bind(fd, &address->sa, net_length(address)) < 0 || listen(fd, backlog) < 0)
		return give_up(fd);
	return fd;
}

int net_connect(const union net_address *address)
{
	int fd = open_socket(address);

	if (fd < 0)
		return -1;
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (connect(fd, &address->sa, net_length(address)) < 0 && errno != EINPROGRESS)
		return give_up(fd);
	return fd;
}

int net_connect_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

int net_local(int fd, union net_address *address)
{
	socklen_t len = sizeof(*address);

	memset(address, 0, sizeof(*address));
	return getsockname(fd, &address->sa, &len);
}

void net_keepalive(int fd, int idle_s, int interval_s)
{
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

void net_user_timeout(int fd, unsigned timeout_ms)
{
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)timeout_ms);
}
