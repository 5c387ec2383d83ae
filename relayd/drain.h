/*
 * Draining: the relay isn't advertised any more and takes no new hash; the streams and bridges that
 * it has are served to their end. When the last is gone and everything is written to Redis the
 * process exits. The time that this may take is the daemon's drain-timeout.
 */
#ifndef OG_RELAYD_DRAIN_H
#define OG_RELAYD_DRAIN_H

/* Module: only draining starts something. */
extern const struct daemon_module drain_module;

#endif
