/*
 * A real redis-server in a temporary directory, on a unix socket, for tests that run one. It dies
 * with the process that started it.
 */
#ifndef OG_TESTS_UNIT_REDIS_SERVER_H
#define OG_TESTS_UNIT_REDIS_SERVER_H

#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct redis_server {
	char dir[64];
	char socket[96];
	char url[128];
	pid_t pid;        /* 0: not running */
	const char *bind; /* the address for TCP; NULL: 127.0.0.1 */
};

/* Makes the directory and the URL; the server isn't started. */
static inline void redis_server_init(struct redis_server *server)
{
	snprintf(server->dir, sizeof(server->dir), "/tmp/og-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(server->dir));
	snprintf(server->socket, sizeof(server->socket), "%s/redis.sock", server->dir);
	snprintf(server->url, sizeof(server->url), "unix://%s", server->socket);
	server->pid = 0;
}

static inline int redis_server_answers(const struct redis_server *server)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), status;
	char reply[8] = "";

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", server->socket);
	status = connect(fd, (struct sockaddr *)&address, sizeof(address));
	if (status == 0 && write(fd, "PING\r\n", 6) == 6 && read(fd, reply, 7) < 1)
		reply[0] = '\0';
	close(fd);
	return reply[0] == '+' || reply[0] == '-';
}

/* Starts it, with TCP on PORT (0: none) and PASSWORD (NULL: none), and waits until it answers. */
static inline void redis_server_start_with(struct redis_server *server, int port,
                                           const char *password)
{
	char text[16];
	int null = open("/dev/null", O_RDWR);

	snprintf(text, sizeof(text), "%d", port);
	server->pid = fork();
	ck_assert_int_ge(server->pid, 0);
	if (server->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null, 0);
		dup2(null, 1);
		execlp("redis-server", "redis-server", "--port", text, "--bind",
		       server->bind ? server->bind : "127.0.0.1", "--unixsocket", server->socket,
		       "--dir", server->dir, "--save", "", "--appendonly", "no", "--requirepass",
		       password ? password : "", NULL);
		_exit(127);
	}
	close(null);
	for (int i = 0; !redis_server_answers(server); i++) {
		ck_assert_int_lt(i, 6000);
		ck_assert_int_eq(waitpid(server->pid, NULL, WNOHANG), 0);
		poll(NULL, 0, 10);
	}
}

static inline void redis_server_start(struct redis_server *server)
{
	redis_server_start_with(server, 0, NULL);
}

/* A TCP port of the loopback address that was free a moment ago. */
static inline int redis_server_free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

/* Kills it, as a crash does. */
static inline void redis_server_kill(struct redis_server *server)
{
	if (server->pid <= 0)
		return;
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	server->pid = 0;
	unlink(server->socket);
}

static inline void redis_server_release(struct redis_server *server)
{
	redis_server_kill(server);
	ck_assert_int_eq(rmdir(server->dir), 0);
}

#endif
