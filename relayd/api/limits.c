#include "relayd/api/limits.h"

#include <stdio.h>
#include <string.h>

#include "common/base/json.h"
#include "common/config/config.h"
#include "relayd/api/limits_delete.lua.h"
#include "relayd/api/limits_get.lua.h"
#include "relayd/api/limits_list.lua.h"
#include "relayd/api/limits_put.lua.h"
#include "relayd/api/query.h"

#define NUMBER_SIZE 24

/* Keys of all scripts: the accounts that have a row, and the prefix of the rows' keys. */
static const char *const keys[] = { "limits", "limit:", NULL };

static struct redis_script list_script = { limits_list_lua, "" };
static struct redis_script get_script = { limits_get_lua, "" };
static struct redis_script put_script = { limits_put_lua, "" };
static struct redis_script delete_script = { limits_delete_lua, "" };

static json_t *describe(const struct redisReply *row)
{
	return json_pack("{s:s, s:I, s:I, s:I}", "account",
	                 redis_reply_string(redis_reply_at(row, 0), NULL), "file",
	                 (json_int_t)redis_reply_integer(redis_reply_at(row, 1), 0), "user",
	                 (json_int_t)redis_reply_integer(redis_reply_at(row, 2), 0), "domain",
	                 (json_int_t)redis_reply_integer(redis_reply_at(row, 3), 0));
}

static void on_page(struct query *query, const struct redisReply *reply)
{
	size_t count = redis_reply_count(reply);
	json_t *page = json_array(), *next = json_null();

	for (size_t i = 0; i < count && i < query->limit; i++)
		json_array_append_new(page, describe(redis_reply_at(reply, i)));
	if (count > query->limit)
		next = json_incref(
		        json_object_get(json_array_get(page, query->limit - 1), "account"));
	http_reply(query->request, 200, json_pack("{s:o, s:o}", "limits", page, "next", next));
}

static void serve_list(struct http_request *request)
{
	const char *after = http_query(request, "after");
	char from[QUERY_FROM_SIZE], count[NUMBER_SIZE];
	struct query *query;
	size_t limit;

	if (!http_query_page(request, &limit) || !query_from(request, after, from))
		return;
	query = query_new(sizeof(struct query), request, on_page);
	if (query == NULL)
		return;
	query->limit = limit;
	snprintf(count, sizeof(count), "%zu", limit + 1);
	query_eval(query, &list_script, keys, (const char *[]){ from, count, NULL });
}

static void on_row(struct query *query, const struct redisReply *reply)
{
	if (redis_reply_count(reply) == 0)
		http_fail(query->request, 404, "not_found", "no limits of that account");
	else
		http_reply(query->request, 200, describe(reply));
}

static void on_deleted(struct query *query, const struct redisReply *reply)
{
	if (redis_reply_integer(reply, 0) == 0)
		http_fail(query->request, 404, "not_found", "no limits of that account");
	else
		http_reply(query->request, 204, NULL);
}

/*
 * Runs SCRIPT with ARGV, whose first place becomes the account that the path names, of at most MOST
 * bytes.
 */
static void eval_for_account(struct http_request *request, size_t most, struct redis_script *script,
                             const char **argv,
                             void (*found)(struct query *query, const struct redisReply *reply))
{
	struct query *query;

	argv[0] = query_account(request, http_param(request, 0), most);
	if (argv[0] == NULL)
		return;
	query = query_new(sizeof(struct query), request, found);
	if (query != NULL)
		query_eval(query, script, keys, argv);
}

static void serve_get(struct http_request *request)
{
	eval_for_account(request, QUERY_ACCOUNT_MAX, &get_script, (const char *[]){ NULL, NULL },
	                 on_row);
}

static void serve_delete(struct http_request *request)
{
	eval_for_account(request, QUERY_ACCOUNT_MAX, &delete_script, (const char *[]){ NULL, NULL },
	                 on_deleted);
}

static void serve_put(struct http_request *request)
{
	static const char *const names[] = { "file", "user", "domain" };
	const json_t *body = http_body_json(request);
	struct json_reader reader = { 0 };
	struct json_object top;
	char numbers[3][NUMBER_SIZE];

	if (body == NULL)
		return;
	top = json_object_top(&reader, body);
	for (int i = 0; i < 3; i++)
		snprintf(numbers[i], NUMBER_SIZE, "%lld",
		         (long long)json_integer_member(&top, names[i], -1, CONFIG_LIMIT_MOST, 0));
	json_object_end(&top);
	if (!json_reader_ok(&reader))
		http_fail(request, 400, "bad_request", "%s", reader.complaint);
	else
		eval_for_account(request, QUERY_CHARGED_MAX, &put_script,
		                 (const char *[]){ NULL, numbers[0], numbers[1], numbers[2], NULL },
		                 on_row);
}

/* clang-format off */
const struct http_route limits_routes[] = {
	{ "GET",    "/v1/limits",           serve_list },
	{ "GET",    "/v1/limits/{account}", serve_get },
	{ "PUT",    "/v1/limits/{account}", serve_put },
	{ "DELETE", "/v1/limits/{account}", serve_delete },
	{ NULL },
};
/* clang-format on */
