/*
 * Tells the service manager the state of the daemon: the sd_notify protocol, which is one datagram
 * to the Unix socket that NOTIFY_SOCKET names.
 */
#ifndef OG_COMMON_NOTIFY_H
#define OG_COMMON_NOTIFY_H

/* Sends STATE ("READY=1"). Does nothing without NOTIFY_SOCKET or a listener on it. */
void notify_send(const char *state);

/* Says that a reload begins; notify_send("READY=1") says that it is over. */
void notify_reloading(void);

#endif
