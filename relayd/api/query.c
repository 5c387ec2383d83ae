#include "relayd/api/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "relayd/fleet/fleet.h"

#define ARGS_MAX 16

static void on_reply(struct redis_call *call, const struct redisReply *reply)
{
	struct query *query = container_of(call, struct query, call);
	const char *error = redis_reply_error(reply);

	if (error != NULL)
		log_warn("query-refused reason=\"%s\"", error);
	if (error != NULL || reply == NULL)
		http_fail(query->request, 503, "unavailable", "Redis did not answer");
	else
		query->found(query, reply);
}

static void release(void *state)
{
	struct query *query = state;

	redis_cancel(&query->call);
	free(query);
}

void *query_new(size_t size, struct http_request *request,
                void (*found)(struct query *query, const struct redisReply *reply))
{
	struct query *query;

	if (fleet_redis() == NULL) {
		http_fail(request, 503, "unavailable", "this relay has no Redis");
		return NULL;
	}
	query = mem_alloc(1, size);
	query->request = request;
	query->found = found;
	query->call.done = on_reply;
	http_attach(request, query, release);
	return query;
}

void query_eval(struct query *query, struct redis_script *script, const char *const *keys,
                const char *const *argv)
{
	const char *words[ARGS_MAX];
	char *owned[QUERY_KEYS_MAX];
	size_t count = 0, argc;

	for (; keys[count] != NULL && count < QUERY_KEYS_MAX; count++)
		words[count] = owned[count] =
		        mem_printf("%s%s", redis_prefix(fleet_redis()), keys[count]);
	for (argc = count; *argv != NULL && argc < ARGS_MAX; argv++)
		words[argc++] = *argv;
	redis_eval(fleet_redis(), &query->call, script, &(struct redis_args){ count, argc, words });
	while (count > 0)
		free(owned[--count]);
}

bool query_from(struct http_request *request, const char *after, char *from)
{
	if (after == NULL) {
		snprintf(from, QUERY_FROM_SIZE, "-");
		return true;
	}
	if (snprintf(from, QUERY_FROM_SIZE, "(%s", after) < QUERY_FROM_SIZE)
		return true;
	http_fail(request, 400, "bad_request", "after: is too long");
	return false;
}

const char *query_account(struct http_request *request, const char *text, size_t most)
{
	size_t len = strlen(text);
	json_t *string = json_string(text);
	bool fine = string != NULL && len >= 1 && len <= most;

	json_decref(string);
	if (fine)
		return text;
	http_fail(request, 400, "bad_request",
	          "account: must be a bare JID or a domain, of 1 to %zu bytes", most);
	return NULL;
}
