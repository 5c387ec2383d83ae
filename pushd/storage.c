#include "pushd/storage.h"

#include "common/log.h"
#include "pushd/conf.h"

#define TIMEOUT_MS 2000

static struct redis *redis;

int storage_start(void *config)
{
	const struct conf *conf = config;
	struct redis_options options = {
		.url = conf->daemon.redis,
		.prefix = conf->daemon.redis_prefix,
		.timeout_ms = TIMEOUT_MS,
	};
	const char *why;

	redis = redis_new(&options, &why);
	if (redis != NULL)
		return 0;
	log_error("config-refused key=redis reason=\"%s\"", why);
	return -1;
}

void storage_stop(void)
{
	redis_free(redis);
	redis = NULL;
}

struct redis *storage_redis(void)
{
	return redis;
}
