/*
 * TCP on addresses: text to addresses and back, listeners, connecting without blocking. No name is
 * ever looked up here (see resolve.h). Sockets are non-blocking and close-on-exec.
 */
#ifndef OG_COMMON_NET_NET_H
#define OG_COMMON_NET_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define NET_HOST_MAX 253 /* longest host name, RFC 1035 */
#define NET_TEXT_MAX 80  /* enough for any address as text, with brackets, port and NUL */

union net_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage storage;
};

/*
 * Splits "host:port" or "[v6]:port" into HOST (at least NET_HOST_MAX + 1 bytes; without brackets)
 * and *PORT (0 to 65535). Returns 0, or -1 when TEXT isn't of that form.
 */
int net_split(const char *text, char *host, uint16_t *port);

/* Reads a numeric address "1.2.3.4:80" or "[::1]:80"; -1 when it isn't one. */
int net_parse(const char *text, union net_address *address);

/* Puts a numeric HOST and PORT together; -1 when HOST is a name. */
int net_numeric(const char *host, uint16_t port, union net_address *address);

socklen_t net_length(const union net_address *address);
uint16_t net_port(const union net_address *address);

/*
 * "1.2.3.4:80" (for v4-mapped ones too) or "[::1]:80" into TEXT (NET_TEXT_MAX bytes), which is
 * returned.
 */
const char *net_format(const union net_address *address, char *text);

/* True for 127.0.0.0/8, ::1 and v4-mapped loopback. */
bool net_is_loopback(const union net_address *address);

/* True for 0.0.0.0 and ::, which stand for all addresses of the machine. */
bool net_is_wildcard(const union net_address *address);

/*
 * A listening socket on a numeric ADDRESS (port 0: the kernel chooses); IPv6 wildcard addresses
 * also accept IPv4, and only IPv4 on a machine without IPv6. Returns the descriptor, or -1 with
 * errno.
 */
int net_listen(const union net_address *address, int backlog);

/*
 * A socket, without Nagle's delay, that is connecting to ADDRESS: wait for EPOLLOUT, then ask
 * net_connect_error(). -1 with errno.
 */
int net_connect(const union net_address *address);

/* The outcome of a connect: 0 or an errno. */
int net_connect_error(int fd);

/* The local address of FD; 0, or -1 with errno. */
int net_local(int fd, union net_address *address);

/* Keepalive probes after IDLE_S seconds of silence, then every INTERVAL_S; 3 unanswered end it. */
void net_keepalive(int fd, int idle_s, int interval_s);

/* TCP_USER_TIMEOUT: bytes unacknowledged for TIMEOUT_MS end the connection. */
void net_user_timeout(int fd, unsigned timeout_ms);

#endif
