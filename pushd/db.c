#include "pushd/db.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/daemon.h"
#include "common/redis/redis_memory.h"
#include "pushd/conf.h"

#define TIMEOUT_MS 2000
#define AGAIN_MS 2000 /* between two looks at the policy of a server that evicts */
#define POLICY "maxmemory_policy:"
#define POLICY_KEEPS "noeviction"

static struct {
	struct redis *redis;
	struct redis_call info;
	struct redis_memory memory;
	struct timer again;
	bool evicts;
	bool seen; /* a server has said its policy since the start */
} self;

static void refuse_server(const char *policy, size_t len)
{
	timer_start(&self.again, AGAIN_MS);
	if (self.evicts)
		return;
	self.evicts = true;
	log_error("storage-refused reason=\"Redis may evict what was promised: set its "
	          "maxmemory-policy to " POLICY_KEEPS "\" policy=%.*s",
	          (int)len, policy);
	if (!self.seen)
		daemon_fail();
}

static void on_info(struct redis_call *call, const struct redisReply *reply)
{
	const char *text = redis_reply_string(reply, NULL), *error = redis_reply_error(reply);
	const char *policy = text != NULL ? strstr(text, POLICY) : NULL;
	size_t len;

	if (self.evicts)
		timer_start(&self.again, AGAIN_MS);
	if (policy == NULL && reply != NULL)
		log_warn("storage-unchecked what=maxmemory-policy error=\"%s\"",
		         error != NULL ? error : "it isn't told");
	if (policy == NULL)
		return;
	policy += strlen(POLICY);
	len = strcspn(policy, "\r\n");
	if (len == strlen(POLICY_KEEPS) && memcmp(policy, POLICY_KEEPS, len) == 0)
		self.evicts = false;
	else
		refuse_server(policy, len);
	self.seen = true;
}

static void ask_policy(void)
{
	if (!redis_busy(&self.info))
		redis_command(self.redis, &self.info, "INFO memory");
}

static void on_again(struct timer *timer)
{
	ask_policy();
}

/* Each connection may be to another server, or to one that was reconfigured. */
static void on_change(struct redis *redis, bool connected)
{
	timer_stop(&self.again);
	if (connected)
		ask_policy();
}

struct redis *db_connect(const struct conf *conf)
{
	const struct redis_options options = {
		.url = conf->daemon.redis,
		.prefix = conf->daemon.redis_prefix,
		.timeout_ms = TIMEOUT_MS,
	};

	return redis_new(&options);
}

static int start(void *config)
{
	self.redis = db_connect(config);
	if (self.redis == NULL)
		return -1;
	self.info.done = on_info;
	self.again.expired = on_again;
	redis_on_change(self.redis, on_change);
	redis_memory_start(&self.memory, self.redis);
	return 0;
}

static void stop(void)
{
	timer_stop(&self.again);
	redis_memory_stop(&self.memory);
	redis_free(self.redis);
	memset(&self, 0, sizeof(self));
}

struct redis *db_redis(void)
{
	return self.redis;
}

bool db_keeps(void)
{
	return !self.evicts;
}

bool db_serving(void)
{
	return redis_connected(self.redis) && !self.evicts;
}

const struct daemon_module db_module = { "db", start, stop };
