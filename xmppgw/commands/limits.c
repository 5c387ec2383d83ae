#include "xmppgw/commands/limits.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/text/percent.h"
#include "xmppgw/commands/account.h"
#include "xmppgw/commands/adhoc_call.h"
#include "xmppgw/commands/amount.h"
#include "xmppgw/xmpp/page.h"

/* clang-format off */
static const struct table_column columns[] = {
	{ "account", "User or domain",    TABLE_JID,   "account" },
	{ "file",    "One transfer",      TABLE_LIMIT, "file" },
	{ "user",    "A user's month",    TABLE_LIMIT, "user" },
	{ "domain",  "A domain's month",  TABLE_LIMIT, "domain" },
};

/* The limits of an account, as in relayd's API and as fields of the form. */
static const struct {
	const char *name, *label;
} limits[] = {
	{ "file",   "Limit of one transfer" },
	{ "user",   "Limit of a user's month" },
	{ "domain", "Limit of a domain's month" },
};
/* clang-format on */

enum { LIMITS = ARRAY_LEN(limits) };

static const struct table table = { columns, ARRAY_LEN(columns) };

/* Where one account's limits are; heap. */
static char *path_of(const char *account, const char *base, const char *rest)
{
	char *encoded = percent_encode(account);
	char *path = mem_printf("%s/%s%s", base, encoded, rest);

	free(encoded);
	return path;
}

/* ---- show-limits ---- */

void limits_form(struct buf *out)
{
	buf_text(out, "<title>Show limits</title>"
	              "<instructions>0: not set for this account; -1: forbidden.</instructions>");
	account_add_field(out, "Empty: all that have limits of their own.");
	page_add_field(out);
}

static void on_one(struct adhoc_call *call, unsigned status, const json_t *body)
{
	struct buf *out;

	if (status != 200) {
		adhoc_call_fail(call->iq, status, body);
		return;
	}
	out = adhoc_begin_table(call->iq, &call->session, &table, NULL);
	table_add(&table, body, out);
	adhoc_end(call->iq, out);
}

static void on_page(struct adhoc_call *call, unsigned status, const json_t *body)
{
	struct buf *out;
	size_t i;
	json_t *row;

	if (status != 200) {
		adhoc_call_fail(call->iq, status, body);
		return;
	}
	out = adhoc_begin_table(call->iq, &call->session, &table,
	                        json_string_value(json_object_get(body, "next")));
	json_array_foreach (json_object_get(body, "limits"), i, row)
		table_add(&table, row, out);
	adhoc_end(call->iq, out);
}

void limits_submit(struct iq *iq, const struct adhoc_session *session, const struct xml *form)
{
	char account[JID_TEXT_MAX], *path;
	struct buf page = { 0 };
	struct adhoc_call *call;

	if (!account_take(iq, form, false, account))
		return;
	page_begin(&page, "/v1/limits", PAGE_ROWS, form_value(form, "after"));
	path = account[0] == '\0' ? buf_take(&page) : path_of(account, "/v1/limits", "");
	call = adhoc_call_new(sizeof *call, iq, session);
	call->done = account[0] == '\0' ? on_page : on_one;
	adhoc_call_ask_relay(call, "GET", path, NULL);
	buf_release(&page);
	free(path);
}

/* ---- set-limits ---- */

/* What is wanted; a limit that isn't given stays as it is. */
struct wanted {
	char account[JID_TEXT_MAX];
	int64_t limits[LIMITS], credit;
	bool given[LIMITS], any_given, credited;
};

struct change {
	struct adhoc_call call;
	struct wanted wanted;
};

void limits_change_form(struct buf *out)
{
	buf_text(out,
	         "<title>Set limits</title><instructions>A bare number is MB; B, k, M, G and T "
	         "can follow it. 0: not set for this account; -1: forbidden. What is left empty "
	         "stays as it is.</instructions>");
	account_add_field(out, NULL);
	for (size_t i = 0; i < LIMITS; i++)
		form_add_field(out, &(struct form_field){ .var = limits[i].name,
		                                          .type = "text-single",
		                                          .label = limits[i].label });
	form_add_field(out,
	               &(struct form_field){ .var = "credit",
	                                     .type = "text-single",
	                                     .label = "Credit",
	                                     .help = "So much less counts as used this month." });
}

/*
 * Reads the amount in the field VAR. False after answering that it is none, or not positive where
 * that is wanted.
 */
static bool take_amount(struct iq *iq, const struct xml *form, const char *var, int64_t *bytes,
                        bool *given)
{
	const char *text = form_value(form, var);
	char *complaint = NULL, *sentence;

	*given = text != NULL;
	if (text != NULL)
		complaint = amount_parse(text, bytes);
	if (complaint == NULL)
		return true;
	sentence = mem_printf("%s: %s.", var, complaint);
	iq_error(iq, IQ_BAD_REQUEST, sentence);
	free(sentence);
	free(complaint);
	return false;
}

static bool take_wanted(struct iq *iq, const struct xml *form, struct wanted *wanted)
{
	if (!account_take(iq, form, true, wanted->account))
		return false;
	for (size_t i = 0; i < LIMITS; i++) {
		if (!take_amount(iq, form, limits[i].name, &wanted->limits[i], &wanted->given[i]))
			return false;
		wanted->any_given |= wanted->given[i];
	}
	if (!take_amount(iq, form, "credit", &wanted->credit, &wanted->credited))
		return false;
	if (wanted->credited && wanted->credit <= 0)
		iq_error(iq, IQ_BAD_REQUEST, "credit must be more than 0.");
	else if (!wanted->any_given && !wanted->credited)
		iq_error(iq, IQ_BAD_REQUEST, "There is nothing to be changed.");
	else
		return true;
	return false;
}

static void ask(struct change *change, const char *method, const char *base, const char *rest,
                json_t *body)
{
	char *path = path_of(change->wanted.account, base, rest);

	adhoc_call_ask_relay(&change->call, method, path, body);
	free(path);
}

static void on_credited(struct adhoc_call *call, unsigned status, const json_t *body)
{
	if (status >= 200 && status < 300)
		adhoc_note(call->iq, &call->session, "It is done.");
	else
		adhoc_call_fail(call->iq, status, body);
}

static void credit(struct change *change)
{
	change->call.done = on_credited;
	ask(change, "POST", "/v1/usage", "/credit",
	    json_pack("{s:I}", "bytes", (json_int_t)change->wanted.credit));
}

static void on_set(struct adhoc_call *call, unsigned status, const json_t *body)
{
	struct change *change = container_of(call, struct change, call);

	if (change->wanted.credited && status >= 200 && status < 300)
		credit(change);
	else
		on_credited(call, status, body);
}

/* PUT replaces all limits of an account, so those that aren't given are read before. */
static void on_old(struct adhoc_call *call, unsigned status, const json_t *body)
{
	struct change *change = container_of(call, struct change, call);
	json_t *fresh = json_object();

	if (status != 200 && status != 404) {
		json_decref(fresh);
		adhoc_call_fail(call->iq, status, body);
		return;
	}
	for (size_t i = 0; i < LIMITS; i++) {
		const json_t *old = json_object_get(body, limits[i].name);

		if (change->wanted.given[i])
			json_object_set_new(fresh, limits[i].name,
			                    json_integer(change->wanted.limits[i]));
		else if (json_is_integer(old))
			json_object_set(fresh, limits[i].name, (json_t *)old);
	}
	call->done = on_set;
	ask(change, "PUT", "/v1/limits", "", fresh);
}

void limits_change_submit(struct iq *iq, const struct adhoc_session *session,
                          const struct xml *form)
{
	struct wanted wanted = { 0 };
	struct change *change;

	if (!take_wanted(iq, form, &wanted))
		return;
	change = adhoc_call_new(sizeof *change, iq, session);
	change->wanted = wanted;
	if (!wanted.any_given) {
		credit(change);
		return;
	}
	change->call.done = on_old;
	ask(change, "GET", "/v1/limits", "", NULL);
}
