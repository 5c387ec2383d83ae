#include "xmppgw/commands/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/loop.h"
#include "common/base/mem.h"
#include "xmppgw/commands/account.h"
#include "xmppgw/commands/adhoc_call.h"
#include "xmppgw/xmpp/page.h"

#define MONTH_LEN 6 /* YYYYMM */
#define ALL "all"   /* of the kinds */
#define GLOBAL "global"

/* clang-format off */
static const struct table_column columns[] = {
	{ "account", "Account", TABLE_TEXT,   "account" },
	{ "kind",    "Kind",    TABLE_TEXT,   "kind" },
	{ "used",    "Used",    TABLE_SIZE,   "bytes" },
	{ "bytes",   "Bytes",   TABLE_NUMBER, "bytes" },
};
/* clang-format on */

static const struct table table = { columns, ARRAY_LEN(columns) };
static const char *const kinds[] = { ALL, "user", "domain", "instance", GLOBAL };

struct usage {
	struct adhoc_call call;
	const char *kind; /* of KINDS */
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

static bool take_month(struct iq *iq, const struct xml *form, char *month)
{
	const char *text = form_value(form, "month");

	if (text == NULL) {
		this_month(month);
		return true;
	}
	if (strlen(text) != MONTH_LEN || strspn(text, "0123456789") != MONTH_LEN) {
		iq_error(iq, IQ_BAD_REQUEST, "month must be YYYYMM.");
		return false;
	}
	memcpy(month, text, MONTH_LEN + 1);
	return true;
}

static const char *take_kind(struct iq *iq, const struct xml *form)
{
	const char *text = form_value(form, "kind");

	if (text == NULL)
		return ALL;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i], text) == 0)
			return kinds[i];
	iq_error(iq, IQ_BAD_REQUEST, "kind must be all, user, domain, instance or global.");
	return NULL;
}

/*
 * Appends the rows of the kind that is wanted; whether the last of them was among these: the API's
 * pages are sorted by kind.
 */
static bool add_rows(const struct usage *usage, const json_t *rows, struct buf *out)
{
	bool all = strcmp(usage->kind, ALL) == 0, ended = false;
	size_t i;
	json_t *row;

	json_array_foreach (rows, i, row) {
		const char *kind = json_string_value(json_object_get(row, "kind"));

		if (all || (kind != NULL && strcmp(kind, usage->kind) == 0))
			table_add(&table, row, out);
		else
			ended = true;
	}
	return ended;
}

static void on_page(struct adhoc_call *call, unsigned status, const json_t *body)
{
	const struct usage *usage = container_of(call, struct usage, call);
	const char *next = json_string_value(json_object_get(body, "next"));
	struct buf rows = { 0 }, *out;

	if (status != 200) {
		adhoc_call_fail(call->iq, status, body);
		return;
	}
	if (add_rows(usage, json_object_get(body, "usage"), &rows))
		next = NULL;
	out = adhoc_begin_table(call->iq, &call->session, &table, next);
	if (buf_len(&rows) > 0)
		buf_append(out, buf_data(&rows), buf_len(&rows));
	buf_release(&rows);
	adhoc_end(call->iq, out);
}

/* Ledgers are named KIND:ACCOUNT and listed in that order; there is one for all together. */
static char *path_of(const struct xml *form, const char *month, const char *kind,
                     const char *account)
{
	const char *after = form_value(form, "after");
	char *first = NULL;
	struct buf path = { 0 };

	if (strcmp(kind, GLOBAL) == 0)
		account = GLOBAL;
	else if (after == NULL && strcmp(kind, ALL) != 0)
		after = first = mem_printf("%s:", kind);
	page_begin(&path, "/v1/usage", PAGE_ROWS, after);
	page_add(&path, "month", month);
	page_add(&path, "account", account);
	free(first);
	return buf_take(&path);
}

void usage_submit(struct iq *iq, const struct adhoc_session *session, const struct xml *form)
{
	char account[JID_TEXT_MAX], month[MONTH_LEN + 1], *path;
	const char *kind = NULL;
	struct usage *usage;

	if (!account_take(iq, form, false, account) || !take_month(iq, form, month) ||
	    (kind = take_kind(iq, form)) == NULL)
		return;
	usage = adhoc_call_new(sizeof *usage, iq, session);
	usage->call.done = on_page;
	usage->kind = kind;
	path = path_of(form, month, kind, account);
	adhoc_call_ask_relay(&usage->call, "GET", path, NULL);
	free(path);
}
