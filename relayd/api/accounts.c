#include "relayd/api/accounts.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "relayd/api/accounts_forget.lua.h"
#include "relayd/api/accounts_purge.lua.h"
#include "relayd/api/query.h"
#include "relayd/quota/calendar.h"

#define MONTHS_BEFORE "119" /* usage is kept for 400 days, but may be imported for older months */
#define LOOKED_AT_MAX 5000  /* entries in one call: some 20 ms of Redis's time */
#define ID_SIZE 48

static struct redis_script forget_script = { accounts_forget_lua, "" };
static struct redis_script purge_script = { accounts_purge_lua, "" };

/* Are searched one after the other. */
static const char *const streams[] = { "transfers", "events" };

struct forgetting {
	struct query query;
	bool limits;
	int64_t months, deleted[ARRAY_LEN(streams)];
	size_t stream;      /* of STREAMS, that is searched now */
	char last[ID_SIZE]; /* where its last page ended; "": at its start */
};

static void reply(struct forgetting *forgetting)
{
	log_info("account-forgotten limits=%s months=%lld transfers=%lld events=%lld",
	         forgetting->limits ? "yes" : "no", (long long)forgetting->months,
	         (long long)forgetting->deleted[0], (long long)forgetting->deleted[1]);
	http_reply(forgetting->query.request, 200,
	           json_pack("{s:b, s:I, s:I, s:I}", "limits", forgetting->limits, "months",
	                     (json_int_t)forgetting->months, "transfers",
	                     (json_int_t)forgetting->deleted[0], "events",
	                     (json_int_t)forgetting->deleted[1]));
}

/* Searches the next entries of a stream, which begin at FROM. */
static void purge(struct forgetting *forgetting, const char *from)
{
	char most[16];

	snprintf(most, sizeof(most), "%d", LOOKED_AT_MAX);
	query_eval(&forgetting->query, &purge_script,
	           (const char *[]){ streams[forgetting->stream], NULL },
	           (const char *[]){ http_param(forgetting->query.request, 0), from, most, NULL });
}

static void on_purged(struct query *query, const struct redisReply *purged)
{
	struct forgetting *forgetting = container_of(query, struct forgetting, query);
	int64_t deleted = redis_reply_integer(redis_reply_at(purged, 0), 0);
	const char *last = redis_reply_string(redis_reply_at(purged, 1), NULL);
	char from[ID_SIZE] = "-";

	if (last != NULL && strcmp(last, forgetting->last) == 0) {
		http_fail(query->request, 503, "unavailable", "a search of Redis doesn't end");
		return;
	}
	if (deleted > 0 && deleted <= LOOKED_AT_MAX)
		forgetting->deleted[forgetting->stream] += deleted;
	snprintf(forgetting->last, ID_SIZE, "%s", last != NULL ? last : "");
	if (last != NULL)
		snprintf(from, sizeof(from), "(%s", last);
	else
		forgetting->stream++;
	if (forgetting->stream < ARRAY_LEN(streams))
		purge(forgetting, from);
	else
		reply(forgetting);
}

static void on_forgotten(struct query *query, const struct redisReply *forgotten)
{
	struct forgetting *forgetting = container_of(query, struct forgetting, query);

	forgetting->limits = redis_reply_integer(redis_reply_at(forgotten, 0), 0) != 0;
	forgetting->months = redis_reply_integer(redis_reply_at(forgotten, 1), 0);
	query->found = on_purged;
	purge(forgetting, "-");
}

static void serve_forget(struct http_request *request)
{
	const char *account = query_account(request, http_param(request, 0), QUERY_ACCOUNT_MAX);
	struct forgetting *forgetting;
	char month[24];

	if (account == NULL)
		return;
	if (strchr(account, '@') == NULL || strchr(account, '/') != NULL) {
		http_fail(request, 400, "bad_request", "the account must be a user's bare JID");
		return;
	}
	forgetting = query_new(sizeof(*forgetting), request, on_forgotten);
	if (forgetting == NULL)
		return;
	snprintf(month, sizeof(month), "%u", calendar_month()->number);
	query_eval(&forgetting->query, &forget_script,
	           (const char *[]){ "limits", "limit:", "ledgers:", "usage:", NULL },
	           (const char *[]){ account, month, MONTHS_BEFORE, NULL });
}

const struct http_route accounts_routes[] = {
	{ "DELETE", "/v1/accounts/{jid}", serve_forget },
	{ NULL },
};
