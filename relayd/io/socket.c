#include "relayd/io/socket.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/net/net.h"
#include "relayd/conf.h"

#define CLIENT_IDLE_S 60
#define CLIENT_INTERVAL_S 20
#define RELAY_IDLE_S 20
#define RELAY_INTERVAL_S 5

/*
 * The user timeout is the idle timeout: a shorter one would also end streams whose reader only
 * pauses, since the kernel applies it to a closed window too. What a process leaves open when it
 * crashes is closed by the kernel, which without the linger option would look like the end of the
 * data.
 */
void socket_tune(int fd, bool between_relays, const struct relay_conf *conf)
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

void socket_close(int fd, bool reset)
{
	const struct linger now = { .l_onoff = reset, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}
