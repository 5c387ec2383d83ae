/* A request to the control API that a script in Redis answers; without its reply, 503 is sent. */
#ifndef OG_RELAYD_API_QUERY_H
#define OG_RELAYD_API_QUERY_H

#include <stddef.h>

#include "common/http/http_server.h"
#include "common/redis/redis.h"

#define QUERY_KEYS_MAX 4
#define QUERY_ACCOUNT_MAX 2047 /* a bare JID: two parts of 1023 and an @ */
#define QUERY_CHARGED_MAX 512  /* of one that gets rows in Redis: its name is part of them */
#define QUERY_FROM_SIZE (QUERY_ACCOUNT_MAX + 16)

struct query {
	struct http_request *request;
	/* Has to answer REQUEST at once; QUERY may be gone after. */
	void (*found)(struct query *query, const struct redisReply *reply);
	size_t limit;   /* the caller's: most rows of the page */
	unsigned month; /* the caller's: which is asked for */
	struct redis_call call;
};

/*
 * Zeroed heap of SIZE bytes that begins with a struct query and lives until the request ends. NULL
 * after answering 503: the relay has no Redis.
 */
void *query_new(size_t size, struct http_request *request,
                void (*found)(struct query *query, const struct redisReply *reply));

/* Runs SCRIPT with KEYS (names without the prefix, ended by NULL) and ARGV (likewise). */
void query_eval(struct query *query, struct redis_script *script, const char *const *keys,
                const char *const *argv);

/*
 * Puts the start of ZRANGEBYLEX into FROM (QUERY_FROM_SIZE bytes): behind AFTER, or at the first
 * row if AFTER is NULL. False after answering 400 because AFTER is too long.
 */
bool query_from(struct http_request *request, const char *after, char *from);

/* TEXT if it can be an account (1 to MOST bytes of UTF-8), else NULL after answering 400. */
const char *query_account(struct http_request *request, const char *text, size_t most);

#endif
