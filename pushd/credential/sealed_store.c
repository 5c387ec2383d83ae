#include "pushd/credential/sealed_store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/daemon.h"
#include "pushd/conf.h"
#include "pushd/credential/seal.h"
#include "pushd/db.h"

#define FILE_MAX 1024

static struct seal_key *master; /* NULL: none */

/* The key in the file at PATH; NULL with *WHY (heap). */
static struct seal_key *read_master(const char *path, char **why)
{
	struct seal_key *key = mem_alloc(1, sizeof(*key));
	size_t len;
	char *text = file_read(path, FILE_MAX, &len);

	*why = NULL;
	if (text == NULL)
		*why = mem_printf("master-key-file %s: %s", path, strerror(errno));
	else if (seal_key_read(key, text) != 0)
		*why = mem_printf("master-key-file %s has no key of 32 bytes in 64 hex digits",
		                  path);
	mem_free_secret(text);
	if (*why == NULL)
		return key;
	free(key);
	return NULL;
}

static void drop_master(struct seal_key *key)
{
	mem_wipe(key, sizeof(*key));
	free(key);
}

int sealed_store_check(const char *path, char **why)
{
	struct seal_key *key = read_master(path, why);

	if (key == NULL)
		return -1;
	drop_master(key);
	return 0;
}

static int start(void *config)
{
	const struct conf *conf = config;
	char *why;

	if (conf->daemon.master_key_file == NULL)
		return 0;
	master = read_master(conf->daemon.master_key_file, &why);
	if (master != NULL)
		return 0;
	log_error("config-refused reason=\"%s\"", why);
	free(why);
	return -1;
}

static void stop(void)
{
	if (master != NULL)
		drop_master(master);
	master = NULL;
}

bool sealed_store_usable(void)
{
	return master != NULL;
}

/* ---- getting ---- */

static void take_sealed(struct sealed_store_call *call, const char *sealed)
{
	char *text;

	if (call->seen != NULL && strcmp(call->seen, sealed) == 0) {
		call->done(call, SEALED_SAME, NULL);
		return;
	}
	free(call->seen);
	call->seen = mem_dup(sealed);
	text = seal_unwrap(master, call->name, sealed);
	call->done(call, text != NULL ? SEALED_DONE : SEALED_UNREADABLE, text);
	mem_free_secret(text);
}

static void on_got(struct redis_call *redis, const struct redisReply *reply)
{
	struct sealed_store_call *call = container_of(redis, struct sealed_store_call, redis);
	const char *sealed = redis_reply_string(reply, NULL);

	if (reply == NULL || redis_reply_error(reply) != NULL) {
		call->done(call, SEALED_UNAVAILABLE, NULL);
	} else if (sealed == NULL) {
		free(call->seen);
		call->seen = NULL;
		call->done(call, SEALED_NONE, NULL);
	} else {
		take_sealed(call, sealed);
	}
}

void sealed_store_get(struct sealed_store_call *call, const char *name)
{
	assert(sealed_store_usable() && !sealed_store_busy(call));
	if (call->name == NULL || strcmp(call->name, name) != 0) {
		free(call->name);
		call->name = mem_dup(name);
	}
	call->redis.done = on_got;
	redis_command(db_redis(), &call->redis, "GET %s%s", redis_prefix(db_redis()), name);
}

/* ---- the rest ---- */

static void on_settled(struct redis_call *redis, const struct redisReply *reply)
{
	struct sealed_store_call *call = container_of(redis, struct sealed_store_call, redis);
	enum sealed_store_result result = SEALED_DONE;

	if (reply == NULL)
		result = SEALED_UNAVAILABLE;
	else if (redis_reply_error(reply) != NULL)
		result = SEALED_REFUSED;
	else if (redis_reply_nil(reply))
		result = SEALED_NONE;
	call->done(call, result, NULL);
}

void sealed_store_put(struct sealed_store_call *call, const char *name, const char *text,
                      int64_t life_ms)
{
	const char *prefix = redis_prefix(db_redis());
	char *sealed;

	assert(sealed_store_usable() && !sealed_store_busy(call));
	sealed = seal_wrap(master, name, text);
	call->redis.done = on_settled;
	if (life_ms > 0)
		redis_command(db_redis(), &call->redis, "SET %s%s %s PX %lld", prefix, name, sealed,
		              (long long)life_ms);
	else
		redis_command(db_redis(), &call->redis, "SET %s%s %s", prefix, name, sealed);
	free(sealed);
}

void sealed_store_remove(struct sealed_store_call *call, const char *name)
{
	assert(sealed_store_usable() && !sealed_store_busy(call));
	call->redis.done = on_settled;
	redis_command(db_redis(), &call->redis, "DEL %s%s", redis_prefix(db_redis()), name);
}

void sealed_store_lock(struct sealed_store_call *call, const char *name, int64_t life_ms)
{
	assert(sealed_store_usable() && !sealed_store_busy(call));
	call->redis.done = on_settled;
	redis_command(db_redis(), &call->redis, "SET %s%s 1 NX PX %lld", redis_prefix(db_redis()),
	              name, (long long)life_ms);
}

void sealed_store_forget(struct sealed_store_call *call)
{
	redis_cancel(&call->redis);
	free(call->name);
	free(call->seen);
	call->name = call->seen = NULL;
}

const struct daemon_module sealed_store_module = { "sealed_store", start, stop };
