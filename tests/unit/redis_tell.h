/* Has a Redis server carry out a command over a connection of its own. */
#ifndef OG_TESTS_UNIT_REDIS_TELL_H
#define OG_TESTS_UNIT_REDIS_TELL_H

#include "common/redis/redis.h"
#include "tests/unit/wait.h"

struct told {
	struct redis_call call;
	bool done;
};

static inline void on_told(struct redis_call *call, const struct redisReply *reply)
{
	ck_assert(reply != NULL && redis_reply_error(reply) == NULL);
	container_of(call, struct told, call)->done = true;
}

/* Waits until the server at URL has carried out COMMAND. */
static inline void redis_tell(const char *url, const char *command)
{
	struct redis_options options = { .url = url, .prefix = "og:", .timeout_ms = 60000 };
	struct told told = { .call.done = on_told };
	struct redis *redis = redis_new(&options);

	redis_command(redis, &told.call, command);
	WAIT_UNTIL(told.done);
	redis_free(redis);
}

#endif
