/*
 * The last verdicts of each device, for an operator who asks why a phone stays silent. Failures are
 * kept in Redis (push:history:{node}: the last HISTORY_MAX, for a week), where each process sees
 * them. Successes are kept in this process alone, the last one of each of the devices that were
 * sent to most recently.
 */
#ifndef OG_PUSHD_DELIVERY_HISTORY_H
#define OG_PUSHD_DELIVERY_HISTORY_H

#include <jansson.h>

#include "common/daemon.h"
#include "common/redis/redis.h"
#include "pushd/provider/outcome.h"

#define HISTORY_MAX 8

/* For the daemon's table of modules: before the senders. */
extern const struct daemon_module history_module;

/*
 * PROVIDER (its id, borrowed for the process's life) answered STATUS (0: it didn't) with REASON (""
 * or NULL: none) to a notification for NODE, whose OUTCOME is that. Returns at once: what Redis
 * doesn't take is forgotten.
 */
void history_add(const char *node, const char *provider, unsigned status, const char *reason,
                 enum outcome outcome);

struct history_query {
	/* VERDICTS: an array, the newest first (schemas/pushd/device.response.json); borrowed. */
	void (*done)(struct history_query *query, json_t *verdicts);
	/* The module's own. */
	struct redis_call call;
	const char *node;
};

/*
 * Finds the verdicts of NODE, which is borrowed until then; done runs in a later turn, unless
 * redis_cancel() on call came first. While Redis is unavailable it has what this process knows.
 */
void history_find(struct history_query *query, const char *node);

#endif
