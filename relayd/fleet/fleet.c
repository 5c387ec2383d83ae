#include "relayd/fleet/fleet.h"

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/daemon.h"
#include "common/redis/redis_memory.h"
#include "common/redis/redis_url.h"
#include "relayd/conf.h"

static struct {
	struct redis *redis;
	struct redis_memory memory;
	const char *id;
	int64_t epoch_ms;
} fleet;

static int start(void *config)
{
	const struct relay_conf *conf = config;
	const struct redis_options options = { conf->redis, conf->redis_prefix, FLEET_TIMEOUT_MS };

	fleet.epoch_ms = loop_wall_ms();
	fleet.id = daemon_id(conf->id);
	if (redis_url_is_none(conf->redis))
		return 0;
	fleet.redis = redis_new(&options);
	if (fleet.redis == NULL)
		return -1;
	redis_memory_start(&fleet.memory, fleet.redis);
	return 0;
}

static void stop(void)
{
	redis_memory_stop(&fleet.memory);
	if (fleet.redis != NULL)
		redis_free(fleet.redis);
	fleet.redis = NULL;
}

struct redis *fleet_redis(void)
{
	return fleet.redis;
}

bool fleet_ready(void)
{
	return fleet.redis == NULL || redis_connected(fleet.redis);
}

const char *fleet_id(void)
{
	return fleet.id;
}

int64_t fleet_epoch_ms(void)
{
	return fleet.epoch_ms;
}

const struct daemon_module fleet_module = { "fleet", start, stop };
