#include "relayd/api/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/mem.h"
#include "common/config/config.h"
#include "relayd/api/query.h"
#include "relayd/api/usage_account.lua.h"
#include "relayd/api/usage_list.lua.h"
#include "relayd/api/usage_transfers.lua.h"
#include "relayd/quota/calendar.h"
#include "relayd/quota/denial.h"
#include "relayd/quota/ledger_credit.lua.h"
#include "relayd/quota/ledger_import.lua.h"

#define NUMBER_SIZE 24
#define KEY_SIZE 32
#define ID_SIZE 48 /* of the id of an entry in a Redis stream */

/* Records of transfers that one call looks at: some 20 ms of Redis's time. */
#define LOOKED_AT_MAX "5000"

static struct redis_script list_script = { usage_list_lua, "" };
static struct redis_script account_script = { usage_account_lua, "" };
static struct redis_script credit_script = { ledger_credit_lua, "" };
static struct redis_script import_script = { ledger_import_lua, "" };
static struct redis_script transfers_script = { usage_transfers_lua, "" };

/* The keys of MONTH, for the scripts. */
struct month_keys {
	char ledgers[KEY_SIZE], usage[KEY_SIZE];
	const char *names[3];
};

static void name_keys(struct month_keys *keys, unsigned month)
{
	snprintf(keys->ledgers, KEY_SIZE, "ledgers:%u", month);
	snprintf(keys->usage, KEY_SIZE, "usage:%u", month);
	keys->names[0] = keys->ledgers;
	keys->names[1] = keys->usage;
	keys->names[2] = NULL;
}

/* Usage */

/* NULL if ROW is none. */
static json_t *describe(const struct redisReply *row)
{
	const char *name = redis_reply_string(redis_reply_at(row, 0), NULL), *account, *kind;

	if (name == NULL)
		return NULL;
	kind = ledger_split(name, &account);
	return json_pack("{s:s, s:s, s:I}", "account", account, "kind", kind, "bytes",
	                 (json_int_t)redis_reply_integer(redis_reply_at(row, 1), 0));
}

static void on_usage(struct query *query, const struct redisReply *reply)
{
	size_t count = redis_reply_count(reply);
	json_t *page = json_array(), *next = json_null();
	char month[NUMBER_SIZE];

	for (size_t i = 0; i < count && i < query->limit; i++)
		json_array_append_new(page, describe(redis_reply_at(reply, i)));
	if (count > query->limit)
		next = json_string(redis_reply_string(
		        redis_reply_at(redis_reply_at(reply, query->limit - 1), 0), NULL));
	snprintf(month, sizeof(month), "%u", query->month);
	http_reply(query->request, 200,
	           json_pack("{s:s, s:o, s:o}", "month", month, "usage", page, "next", next));
}

/* Asks for all ledgers that ACCOUNT may have: those of another kind have no bytes. */
static void query_ledgers(struct query *query, const struct month_keys *keys, const char *account)
{
	char *user = mem_printf("user:%s", account), *domain = mem_printf("domain:%s", account);
	char *instance = mem_printf("instance:%s", account);
	const char *global = strcmp(account, "global") == 0 ? account : NULL;

	query_eval(query, &account_script, keys->names,
	           (const char *[]){ user, domain, instance, global, NULL });
	free(user);
	free(domain);
	free(instance);
}

/* Reads `month`, by default the current one. MONTH_NONE after answering 400. */
static unsigned read_month(struct http_request *request)
{
	const char *text = http_query(request, "month");
	unsigned month = text == NULL ? calendar_month()->number : month_parse(text);

	if (month == MONTH_NONE)
		http_fail(request, 400, "bad_request", "month: must be YYYYMM");
	return month;
}

static void serve_list(struct http_request *request)
{
	const char *account = http_query(request, "account");
	char from[QUERY_FROM_SIZE], count[NUMBER_SIZE];
	unsigned month = read_month(request);
	struct month_keys keys;
	struct query *query;
	size_t limit;

	if (month == MONTH_NONE || !http_query_page(request, &limit) ||
	    !query_from(request, http_query(request, "after"), from) ||
	    (account != NULL && query_account(request, account, QUERY_ACCOUNT_MAX) == NULL))
		return;
	query = query_new(sizeof(struct query), request, on_usage);
	if (query == NULL)
		return;
	query->limit = limit;
	query->month = month;
	name_keys(&keys, month);
	snprintf(count, sizeof(count), "%zu", limit + 1);
	if (account != NULL)
		query_ledgers(query, &keys, account);
	else
		query_eval(query, &list_script, keys.names, (const char *[]){ from, count, NULL });
}

static void on_changed(struct query *query, const struct redisReply *reply)
{
	json_t *row = describe(reply);
	char month[NUMBER_SIZE];

	snprintf(month, sizeof(month), "%u", query->month);
	json_object_set_new(row, "month", json_string(month));
	http_reply(query->request, 200, row);
}

/* Reads the body's `bytes`, LEAST (0 or 1) at least. -1 after answering. */
static int64_t read_bytes(struct http_request *request, int64_t least)
{
	const json_t *body = http_body_json(request);
	struct json_reader reader = { 0 };
	struct json_object top;
	int64_t bytes;

	if (body == NULL)
		return -1;
	top = json_object_top(&reader, body);
	bytes = json_integer_member(&top, "bytes", least, CONFIG_LIMIT_MOST, -1);
	if (bytes < 0)
		json_complain(&top, "bytes", "is missing");
	json_object_end(&top);
	if (json_reader_ok(&reader))
		return bytes;
	http_fail(request, 400, "bad_request", "%s", reader.complaint);
	return -1;
}

/*
 * Changes the ledger of the account in MONTH by SCRIPT. An account with an @ is a user, "global"
 * all of them, any other a domain.
 */
static void change(struct http_request *request, struct redis_script *script, unsigned month,
                   int64_t number)
{
	const char *account = query_account(request, http_param(request, 0), QUERY_CHARGED_MAX);
	struct query *query =
	        account == NULL ? NULL : query_new(sizeof(struct query), request, on_changed);
	struct month_keys keys;
	char bytes[NUMBER_SIZE], *ledger;

	if (query == NULL)
		return;
	query->month = month;
	name_keys(&keys, month);
	snprintf(bytes, sizeof(bytes), "%lld", (long long)number);
	if (strcmp(account, "global") == 0)
		ledger = mem_dup(account);
	else
		ledger = mem_printf("%s:%s", strchr(account, '@') != NULL ? "user" : "domain",
		                    account);
	query_eval(query, script, keys.names, (const char *[]){ ledger, bytes, NULL });
	free(ledger);
}

static void serve_credit(struct http_request *request)
{
	int64_t bytes = read_bytes(request, 1);

	if (bytes >= 0)
		change(request, &credit_script, calendar_month()->number, bytes);
}

static void serve_import(struct http_request *request)
{
	int64_t bytes = read_bytes(request, 0);
	unsigned month = bytes < 0 ? MONTH_NONE : read_month(request);

	if (month != MONTH_NONE)
		change(request, &import_script, month, bytes);
}

/* Transfers */

/* The record in ENTRY, with the entry's id; NULL if there is none. */
static json_t *describe_transfer(const struct redisReply *entry)
{
	const struct redisReply *fields = redis_reply_at(entry, 1);
	const char *text = redis_reply_string(redis_reply_at(fields, 1), NULL);
	json_t *record = text == NULL ? NULL : json_loads(text, 0, NULL);

	if (record != NULL)
		json_object_set_new(
		        record, "id",
		        json_string(redis_reply_string(redis_reply_at(entry, 0), NULL)));
	return record;
}

static void on_transfers(struct query *query, const struct redisReply *reply)
{
	const struct redisReply *found = redis_reply_at(reply, 2);
	bool more = redis_reply_integer(redis_reply_at(reply, 0), 0) != 0;
	const char *last = redis_reply_string(redis_reply_at(reply, 1), NULL);
	json_t *page = json_array();

	for (size_t i = 0; i < redis_reply_count(found); i++)
		json_array_append_new(page, describe_transfer(redis_reply_at(found, i)));
	http_reply(query->request, 200,
	           json_pack("{s:o, s:o}", "transfers", page, "next",
	                     more && last != NULL ? json_string(last) : json_null()));
}

/* The range of ids in which the transfers of a page are, for the script. */
struct range {
	bool newest_first;
	char low[ID_SIZE], high[ID_SIZE];
};

/* Reads the time NAME (milliseconds since 1970) as an id into BOUND. False after answering 400. */
static bool read_bound(struct http_request *request, const char *name, char bound[ID_SIZE])
{
	const char *text = http_query(request, name);

	if (text == NULL)
		return true;
	if (text[0] == '\0' || strlen(text) > 18 || text[strspn(text, "0123456789")] != '\0') {
		http_fail(request, 400, "bad_request", "%s: must be milliseconds since 1970", name);
		return false;
	}
	snprintf(bound, ID_SIZE, "%s", text);
	return true;
}

/* Reads `order`: oldest (the default) or newest. False after answering 400. */
static bool read_order(struct http_request *request, bool *newest_first)
{
	const char *order = http_query(request, "order");

	*newest_first = order != NULL && strcmp(order, "newest") == 0;
	if (order == NULL || *newest_first || strcmp(order, "oldest") == 0)
		return true;
	http_fail(request, 400, "bad_request", "order: must be oldest or newest");
	return false;
}

/* Moves the end of RANGE at which the page starts behind the id `after`, if there is one. */
static bool read_after(struct http_request *request, struct range *range)
{
	const char *after = http_query(request, "after");
	size_t digits = after == NULL ? 0 : strspn(after, "0123456789");
	size_t more =
	        digits == 0 || after[digits] != '-' ? 0 : strspn(after + digits + 1, "0123456789");

	if (after == NULL)
		return true;
	if (digits > 19 || more == 0 || more > 19 || after[digits + 1 + more]) {
		http_fail(request, 400, "bad_request", "after: must be the id of a transfer");
		return false;
	}
	snprintf(range->newest_first ? range->high : range->low, ID_SIZE, "(%s", after);
	return true;
}

static bool read_range(struct http_request *request, struct range *range)
{
	*range = (struct range){ .low = "-", .high = "+" };
	return read_order(request, &range->newest_first) &&
	       read_bound(request, "from_ms", range->low) &&
	       read_bound(request, "to_ms", range->high) && read_after(request, range);
}

static void serve_transfers(struct http_request *request)
{
	const char *user = http_query(request, "user"), *domain = http_query(request, "domain");
	char count[NUMBER_SIZE];
	struct range range;
	struct query *query;
	size_t limit;

	if (!http_query_page(request, &limit) || !read_range(request, &range) ||
	    (user != NULL && query_account(request, user, QUERY_ACCOUNT_MAX) == NULL) ||
	    (domain != NULL && query_account(request, domain, QUERY_ACCOUNT_MAX) == NULL))
		return;
	query = query_new(sizeof(struct query), request, on_transfers);
	if (query == NULL)
		return;
	snprintf(count, sizeof(count), "%zu", limit);
	query_eval(query, &transfers_script, (const char *[]){ "transfers", NULL },
	           (const char *[]){ range.newest_first ? "1" : "0", range.low, range.high,
	                             user != NULL ? user : "", domain != NULL ? domain : "", count,
	                             LOOKED_AT_MAX, NULL });
}

/* clang-format off */
const struct http_route usage_routes[] = {
	{ "GET",  "/v1/usage",                    serve_list },
	{ "POST", "/v1/usage/{account}/credit",   serve_credit },
	{ "PUT",  "/v1/usage/{account}/imported", serve_import },
	{ "GET",  "/v1/transfers",                serve_transfers },
	{ NULL },
};
/* clang-format on */
