#include "pushd/device/device_call.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/mem.h"

#define UNHEARD_MAX 64

const char *const device_field_names[DEVICE_FIELDS] = {
	"node",      "secret",  "component", "owner",       "provider",   "token",   "second_token",
	"device_id", "dialect", "account",   "environment", "registered", "expires", "suspect_days",
};

static bool complained; /* Redis's last error was logged */
static struct redis_call unheard[UNHEARD_MAX];

void device_argument(struct device_arguments *arguments, const char *value)
{
	assert(arguments->count < ARRAY_LEN(arguments->values));
	arguments->values[arguments->count++] = value;
}

static void own(struct device_arguments *arguments, char *value)
{
	assert(arguments->owned_count < ARRAY_LEN(arguments->owned));
	arguments->owned[arguments->owned_count++] = value;
	device_argument(arguments, value);
}

void device_argument_number(struct device_arguments *arguments, int64_t number)
{
	own(arguments, mem_printf("%lld", (long long)number));
}

void device_argument_field(struct device_arguments *arguments, enum device_field field,
                           const char *value)
{
	if (value == NULL)
		return;
	device_argument(arguments, device_field_names[field]);
	device_argument(arguments, value);
}

char *device_call_key(struct redis *redis, const char *what, const char *name)
{
	return mem_printf("%spush:%s%s", redis_prefix(redis), what, name);
}

void device_argument_key(struct device_arguments *arguments, struct redis *redis, const char *what,
                         const char *name)
{
	own(arguments, device_call_key(redis, what, name));
}

static void release(struct device_arguments *arguments)
{
	while (arguments->owned_count > 0)
		free(arguments->owned[--arguments->owned_count]);
}

void device_call(struct redis *redis, struct redis_call *call, struct redis_script *script,
                 size_t keys, struct device_arguments *arguments)
{
	redis_eval(redis, call, script,
	           &(struct redis_args){ keys, arguments->count, arguments->values });
	release(arguments);
}

static void on_unheard(struct redis_call *call, const struct redisReply *reply)
{
	if (redis_reply_error(reply) != NULL)
		device_call_away(reply);
}

void device_call_unheard(struct redis *redis, struct redis_script *script, size_t keys,
                         struct device_arguments *arguments)
{
	for (size_t i = 0; i < UNHEARD_MAX; i++)
		if (!redis_busy(&unheard[i])) {
			unheard[i].done = on_unheard;
			device_call(redis, &unheard[i], script, keys, arguments);
			return;
		}
	release(arguments);
}

enum stored device_call_away(const struct redisReply *reply)
{
	const char *error = redis_reply_error(reply);

	if (error != NULL && !complained)
		log_error("storage-refused error=\"%s\"", error);
	complained = complained || error != NULL;
	return STORED_AWAY;
}

void device_call_served(void)
{
	complained = false;
}
