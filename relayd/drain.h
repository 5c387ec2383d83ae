/*
 * Draining: the relay isn't advertised any more and takes no new hash; streams and bridges that it
 * has are served to their end, and when the last is gone and all is written to Redis the process
 * exits. The time that this may take is the daemon's drain-timeout.
 */
#ifndef OG_RELAYD_DRAIN_H
#define OG_RELAYD_DRAIN_H

/* Called once, when the daemon begins to drain. */
void drain_begin(void);

/* A stream or a bridge is gone, or the outbox has shrunk: was it the last? */
void drain_check(void);

/* Module: only its timer has to be stopped. */
extern const struct daemon_module drain_module;

#endif
