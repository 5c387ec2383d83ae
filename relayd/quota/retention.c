#include "relayd/quota/retention.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/mem.h"
#include "relayd/conf.h"
#include "relayd/fleet/fleet.h"
#include "relayd/quota/retention.lua.h"

#define LOOK_MIN_MS 500
#define LOOK_MAX_MS 3600000

static struct redis_script script = { retention_lua, "" };

static struct {
	int64_t keep_ms;
	uint64_t look_ms; /* between two looks */
	struct timer look;
	struct redis_call call;
	bool complained;
} self;

static void on_trimmed(struct redis_call *call, const struct redisReply *reply)
{
	int64_t count = redis_reply_integer(reply, 0);

	redis_log_error(reply, "records-kept", &self.complained);
	if (count > 0)
		log_info("records-deleted count=%lld", (long long)count);
	if (reply != NULL && redis_reply_error(reply) == NULL)
		self.complained = false;
	timer_start(&self.look, self.look_ms);
}

static void on_look(struct timer *timer)
{
	char *key = mem_printf("%stransfers", redis_prefix(fleet_redis()));
	char *keep = mem_printf("%lld", (long long)self.keep_ms);

	redis_eval(fleet_redis(), &self.call, &script,
	           &(struct redis_args){ 1, 2, (const char *[]){ key, keep } });
	free(keep);
	free(key);
}

static int start(void *config)
{
	const struct relay_conf *conf = config;

	if (fleet_redis() == NULL)
		return 0;
	self.keep_ms = conf->transfers_keep_ms;
	self.look_ms = (uint64_t)self.keep_ms / 24;
	if (self.look_ms < LOOK_MIN_MS)
		self.look_ms = LOOK_MIN_MS;
	if (self.look_ms > LOOK_MAX_MS)
		self.look_ms = LOOK_MAX_MS;
	self.call.done = on_trimmed;
	self.look.expired = on_look;
	timer_start(&self.look, 0);
	return 0;
}

static void stop(void)
{
	timer_stop(&self.look);
	redis_cancel(&self.call);
}

const struct daemon_module retention_module = { "retention", start, stop };
