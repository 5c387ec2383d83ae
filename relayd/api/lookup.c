#include "relayd/api/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "relayd/fleet/store.h"

#define ARGS_MAX 16
#define PAGE_DEFAULT 100
#define PAGE_MAX 1000

static void on_reply(struct redis_call *call, const struct redisReply *reply)
{
	struct lookup *lookup = container_of(call, struct lookup, call);
	const char *error = redis_reply_error(reply);

	if (error != NULL)
		log_warn("lookup-trouble why=\"%s\"", error);
	if (error != NULL || reply == NULL)
		http_fail(lookup->request, 503, "unavailable", "Redis did not answer");
	else
		lookup->found(lookup, reply);
}

static void release(void *state)
{
	struct lookup *lookup = state;

	redis_cancel(&lookup->call);
	free(lookup);
}

struct lookup *lookup_new(struct http_request *request,
                          void (*found)(struct lookup *lookup, const struct redisReply *reply))
{
	struct lookup *lookup;

	if (store_redis() == NULL) {
		http_fail(request, 503, "unavailable", "this relay has no Redis");
		return NULL;
	}
	lookup = mem_alloc(1, sizeof(*lookup));
	lookup->request = request;
	lookup->found = found;
	lookup->call.done = on_reply;
	http_attach(request, lookup, release);
	return lookup;
}

void lookup_eval(struct lookup *lookup, struct redis_script *script, const char *const *keys,
                 const char *const *argv)
{
	const char *words[ARGS_MAX];
	char *owned[LOOKUP_KEYS_MAX];
	size_t count = 0, argc;

	for (; keys[count] != NULL && count < LOOKUP_KEYS_MAX; count++)
		words[count] = owned[count] =
		        mem_printf("%s%s", redis_prefix(store_redis()), keys[count]);
	for (argc = count; *argv != NULL && argc < ARGS_MAX; argv++)
		words[argc++] = *argv;
	redis_eval(store_redis(), &lookup->call, script,
	           &(struct redis_args){ count, argc, words });
	while (count > 0)
		free(owned[--count]);
}

bool lookup_page(struct http_request *request, size_t *limit)
{
	const char *text = http_query(request, "limit");
	char *end;

	*limit = PAGE_DEFAULT;
	if (text == NULL)
		return true;
	*limit = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0' && *limit >= 1 && *limit <= PAGE_MAX)
		return true;
	http_fail(request, 400, "bad_request", "limit: must be from 1 to %d", PAGE_MAX);
	return false;
}

bool lookup_from(struct http_request *request, const char *after, char *from)
{
	if (after == NULL) {
		snprintf(from, LOOKUP_FROM_SIZE, "-");
		return true;
	}
	if (snprintf(from, LOOKUP_FROM_SIZE, "(%s", after) < LOOKUP_FROM_SIZE)
		return true;
	http_fail(request, 400, "bad_request", "after: is too long");
	return false;
}

const char *lookup_account(struct http_request *request, const char *text)
{
	size_t len = strlen(text);
	json_t *string = json_string(text);
	bool fine = string != NULL && len >= 1 && len <= LOOKUP_ACCOUNT_MAX;

	json_decref(string);
	if (fine)
		return text;
	http_fail(request, 400, "bad_request",
	          "account: must be a bare JID or a domain, of 1 to %d bytes", LOOKUP_ACCOUNT_MAX);
	return NULL;
}
