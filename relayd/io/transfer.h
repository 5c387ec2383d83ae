/*
 * What goes on in an active stream: it runs the two flows, and decides when the stream is over.
 *
 * Both directions ended: completed. One ended and nothing moves for a minute: lingered. A half
 * failed: what was read from it is delivered to the other one and acknowledged, then that one gets
 * an RST too. A limit is reached: what was read is delivered and acknowledged, then both are
 * closed.
 */
#ifndef OG_RELAYD_IO_TRANSFER_H
#define OG_RELAYD_IO_TRANSFER_H

struct stream;

/* Module: the deadlines of active streams. */
extern const struct daemon_module transfer_module;

/* Starts to relay; the stream has both halves and has just become active. */
void transfer_start(struct stream *stream);

#endif
