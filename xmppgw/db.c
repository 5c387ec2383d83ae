#include "xmppgw/db.h"

#include <stddef.h>
#include <string.h>

#include "common/daemon.h"
#include "common/redis/redis_memory.h"
#include "xmppgw/conf.h"

#define TIMEOUT_MS 2000

static struct redis *connections[DBS];
static struct redis_memory memories[DBS]; /* of each connection once */

struct redis *db_redis(enum db which)
{
	return connections[which];
}

/* Watches the connection at WHICH unless it is also an earlier one's. */
static void watch(enum db which)
{
	for (unsigned i = 0; i < which; i++)
		if (connections[i] == connections[which])
			return;
	redis_memory_start(&memories[which], connections[which]);
}

/* The connection that an earlier one of URLS has to the same server, or a new one. */
static struct redis *connect_to(const char *const urls[DBS], enum db which, const char *prefix)
{
	const struct redis_options options = { urls[which], prefix, TIMEOUT_MS };

	for (unsigned i = 0; i < which; i++)
		if (strcmp(urls[i], urls[which]) == 0)
			return connections[i];
	return redis_new(&options);
}

static int start(void *config)
{
	const struct conf *conf = config;
	const char *const urls[DBS] = {
		[DB_OWN] = conf->daemon.redis,
		[DB_RELAY] = conf_redis_or(conf, conf->daemon.relay_redis),
		[DB_PUSH] = conf_redis_or(conf, conf->daemon.push_redis),
	};

	if (!conf_with_redis(conf))
		return 0;
	for (unsigned i = 0; i < DBS; i++) {
		connections[i] = connect_to(urls, i, conf->daemon.redis_prefix);
		if (connections[i] == NULL)
			return -1;
		watch(i);
	}
	return 0;
}

static void stop(void)
{
	for (unsigned i = 0; i < DBS; i++)
		redis_memory_stop(&memories[i]);
	for (unsigned i = 0; i < DBS; i++) {
		struct redis *redis = connections[i];

		for (unsigned later = i; later < DBS; later++)
			if (connections[later] == redis)
				connections[later] = NULL;
		if (redis != NULL)
			redis_free(redis);
	}
}

const struct daemon_module db_module = { "db", start, stop };
