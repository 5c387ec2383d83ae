/*
 * How long records of transfers are kept: those that are older than `transfers-keep` are deleted
 * from Redis, at the start and from time to time. Their number is capped by the outbox.
 */
#ifndef OG_RELAYD_QUOTA_RETENTION_H
#define OG_RELAYD_QUOTA_RETENTION_H

#include "common/daemon.h"

/* Module; after the fleet. */
extern const struct daemon_module retention_module;

#endif
