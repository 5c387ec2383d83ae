/*
 * How the sockets that carry streams are set up.
 */
#ifndef OG_RELAYD_IO_SOCKET_H
#define OG_RELAYD_IO_SOCKET_H

#include <stdbool.h>

struct relay_conf;

/*
 * Sets FD up, a connection or a listener whose connections inherit it: no delay, keepalive (more
 * often BETWEEN_RELAYS), user timeout, and an RST for the other end should this process die.
 * Nothing of it can fail in a way that matters.
 */
void socket_tune(int fd, bool between_relays, const struct relay_conf *conf);

/* Closes FD, with an RST or else with a proper end. */
void socket_close(int fd, bool reset);

#endif
