#include "xmppgw/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/loop.h"
#include "common/mem.h"
#include "xmppgw/account.h"
#include "xmppgw/adhoc_call.h"
#include "xmppgw/page.h"

#define MONTH_LEN 6  /* YYYYMM */
#define ALL "all"    /* of the kinds */
#define PAGES_MAX 10 /* of the API's that are looked through for rows of one kind */

/* clang-format off */
static const struct table_column columns[] = {
	{ "account", "Account", TABLE_TEXT,   "account" },
	{ "kind",    "Kind",    TABLE_TEXT,   "kind" },
	{ "used",    "Used",    TABLE_SIZE,   "bytes" },
	{ "bytes",   "Bytes",   TABLE_NUMBER, "bytes" },
};
/* clang-format on */

static const struct table table = { columns, ARRAY_LEN(columns) };
static const char *const kinds[] = { ALL, "user", "domain", "instance", "global" };

struct usage {
	struct adhoc_call call;
	char account[JID_TEXT_MAX];
	char month[MONTH_LEN + 1];
	const char *kind;
	json_t *rows; /* that were found so far */
	unsigned pages;
};

static void this_month(char *text)
{
	time_t now = (time_t)(loop_wall_ms() / 1000);
	struct tm parts;

	if (gmtime_r(&now, &parts) == NULL || strftime(text, MONTH_LEN + 1, "%Y%m", &parts) == 0)
		text[0] = '\0';
}

void usage_form(struct buf *out)
{
	char month[MONTH_LEN + 1];

	this_month(month);
	buf_text(out, "<title>Show usage</title>");
	form_add_field(out, &(struct form_field){ .var = "month",
	                                          .type = "text-single",
	                                          .label = "Month (YYYYMM, UTC)",
	                                          .value = month });
	form_add_field(out, &(struct form_field){ .var = "kind",
	                                          .type = "list-single",
	                                          .label = "Of whom",
	                                          .value = ALL,
	                                          .options = kinds,
	                                          .option_count = ARRAY_LEN(kinds) });
	account_add_field(out, "Empty: all.");
	page_add_field(out);
}

static bool take_month(struct answer *answer, const struct xml *form, char *month)
{
	const char *text = form_value(form, "month");

	if (text == NULL) {
		this_month(month);
		return true;
	}
	if (strlen(text) != MONTH_LEN || strspn(text, "0123456789") != MONTH_LEN) {
		answer_error(answer, ANSWER_BAD_REQUEST, "month must be YYYYMM.");
		return false;
	}
	memcpy(month, text, MONTH_LEN + 1);
	return true;
}

static const char *take_kind(struct answer *answer, const struct xml *form)
{
	const char *text = form_value(form, "kind");

	if (text == NULL)
		return ALL;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i], text) == 0)
			return kinds[i];
	answer_error(answer, ANSWER_BAD_REQUEST,
	             "kind must be all, user, domain, instance or global.");
	return NULL;
}

static void ask(struct usage *usage, const char *after)
{
	struct buf page = { 0 };
	char *path;

	page_begin(&page, "/v1/usage", PAGE_ROWS, after);
	page_add(&page, "month", usage->month);
	page_add(&page, "account", usage->account);
	path = buf_take(&page);
	adhoc_call_ask_relay(&usage->call, "GET", path, NULL);
	free(path);
}

static void keep_rows(struct usage *usage, const json_t *body)
{
	size_t i;
	json_t *row;

	json_array_foreach (json_object_get(body, "usage"), i, row) {
		const char *kind = json_string_value(json_object_get(row, "kind"));

		if (strcmp(usage->kind, ALL) == 0 ||
		    (kind != NULL && strcmp(kind, usage->kind) == 0))
			json_array_append(usage->rows, row);
	}
}

static void show(struct usage *usage, const char *next)
{
	struct answer *answer = usage->call.answer;
	struct buf *out = adhoc_begin_table(answer, &usage->call.session, &table, next);
	size_t i;
	json_t *row;

	json_array_foreach (usage->rows, i, row)
		table_add(&table, row, out);
	adhoc_end(answer, out);
}

/* The API's pages are of all kinds: what has too few rows of the one that is wanted goes on. */
static void on_page(struct adhoc_call *call, unsigned status, const json_t *body)
{
	struct usage *usage = container_of(call, struct usage, call);
	const char *next = json_string_value(json_object_get(body, "next"));

	if (status != 200) {
		adhoc_call_fail(call->answer, status, body);
		return;
	}
	keep_rows(usage, body);
	if (next != NULL && json_array_size(usage->rows) == 0 && ++usage->pages < PAGES_MAX)
		ask(usage, next);
	else
		show(usage, next);
}

static void release(struct adhoc_call *call)
{
	json_decref(container_of(call, struct usage, call)->rows);
}

void usage_submit(struct answer *answer, const struct adhoc_session *session,
                  const struct xml *form)
{
	char account[JID_TEXT_MAX], month[MONTH_LEN + 1];
	const char *kind = NULL;
	struct usage *usage;

	if (!account_take(answer, form, false, account) || !take_month(answer, form, month) ||
	    (kind = take_kind(answer, form)) == NULL)
		return;
	usage = adhoc_call_new(sizeof *usage, answer, session);
	usage->call.done = on_page;
	usage->call.release = release;
	usage->rows = json_array();
	usage->kind = kind;
	memcpy(usage->account, account, sizeof account);
	memcpy(usage->month, month, sizeof month);
	ask(usage, form_value(form, "after"));
}
