#include "relayd/fleet/store.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "relayd/conf.h"

static struct {
	struct redis *redis;
	const char *id;
	char *owner;
	int64_t epoch_ms;
} store;

static int start(void *config)
{
	const struct relay_conf *conf = config;
	const struct redis_options options = { conf->redis, conf->redis_prefix, STORE_TIMEOUT_MS };

	store.epoch_ms = loop_wall_ms();
	store.id = conf_id(conf);
	store.owner = mem_printf("%s %lld", store.id, (long long)store.epoch_ms);
	if (!conf_has_redis(conf))
		return 0;
	store.redis = redis_new(&options);
	return store.redis != NULL ? 0 : -1;
}

static void stop(void)
{
	if (store.redis != NULL)
		redis_free(store.redis);
	store.redis = NULL;
	free(store.owner);
	store.owner = NULL;
}

struct redis *store_redis(void)
{
	return store.redis;
}

bool store_ready(void)
{
	return store.redis == NULL || redis_connected(store.redis);
}

const char *store_owner(void)
{
	return store.owner;
}

const char *store_id(void)
{
	return store.id;
}

int64_t store_epoch_ms(void)
{
	return store.epoch_ms;
}

const struct daemon_module store_module = { "store", start, stop };
