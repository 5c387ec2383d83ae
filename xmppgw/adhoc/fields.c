#include "xmppgw/adhoc/fields.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/loop.h"
#include "common/base/mem.h"
#include "common/config/config_value.h"
#include "common/text/hex.h"
#include "xmppgw/xmpp/form.h"
#include "xmppgw/xmpp/markup.h"

#define HASH_LEN 40 /* hex digits of a SHA-1 */

/* Amounts are written as in relayd's configuration. */
static const struct config_key limit = { "limit", CONFIG_LIMIT };

/* ---- how each kind is read: NULL, or a sentence (heap) that says what is wrong with TEXT ---- */

static char *read_text(const struct field *field, const char *text, struct field_values *values,
                       struct field_value *value)
{
	value->text = text;
	return NULL;
}

/* "all, user or domain" */
static char *list_choices(const char *const *choices)
{
	struct buf list = { 0 };

	for (size_t i = 0; choices[i] != NULL; i++) {
		if (i > 0)
			buf_text(&list, choices[i + 1] == NULL ? " or " : ", ");
		buf_text(&list, choices[i]);
	}
	return buf_take(&list);
}

static char *read_choice(const struct field *field, const char *text, struct field_values *values,
                         struct field_value *value)
{
	char *list, *complaint;

	if (field->choices == NULL)
		return read_text(field, text, values, value);
	for (size_t i = 0; field->choices[i] != NULL; i++) {
		if (strcmp(field->choices[i], text) == 0) {
			value->text = field->choices[i];
			return NULL;
		}
	}
	list = list_choices(field->choices);
	complaint = mem_printf("%s must be %s.", field->var, list);
	free(list);
	return complaint;
}

static char *read_account(const struct field *field, const char *text, struct field_values *values,
                          struct field_value *value)
{
	if (jid_parse_bare(text, values->account) != 0)
		return mem_printf("%s must be user@domain or a domain.", field->var);
	value->text = values->account;
	return NULL;
}

static char *read_limit(const struct field *field, const char *text, struct field_values *values,
                        struct field_value *value)
{
	char *why = config_value_parse(&limit, &value->bytes, text), *complaint;

	value->text = text;
	if (why == NULL)
		return NULL;
	complaint = mem_printf("%s: %s.", field->var, why);
	free(why);
	return complaint;
}

static char *read_bytes(const struct field *field, const char *text, struct field_values *values,
                        struct field_value *value)
{
	char *complaint = read_limit(field, text, values, value);

	if (complaint == NULL && value->bytes <= 0)
		complaint = mem_printf("%s must be more than 0.", field->var);
	return complaint;
}

static char *read_month(const struct field *field, const char *text, struct field_values *values,
                        struct field_value *value)
{
	if (strlen(text) != FIELD_MONTH_LEN || strspn(text, "0123456789") != FIELD_MONTH_LEN)
		return mem_printf("%s must be YYYYMM.", field->var);
	return read_text(field, text, values, value);
}

static char *read_hash(const struct field *field, const char *text, struct field_values *values,
                       struct field_value *value)
{
	if (!hex_is(text, HASH_LEN))
		return mem_printf("%s must be %d hex digits.", field->var, HASH_LEN);
	return read_text(field, text, values, value);
}

static char *read_user(const struct field *field, const char *text, struct field_values *values,
                       struct field_value *value)
{
	if (jid_parse_bare(text, values->account) != 0 || strchr(values->account, '@') == NULL)
		return mem_printf("%s must be user@domain.", field->var);
	value->text = values->account;
	return NULL;
}

static char *read_domain(const struct field *field, const char *text, struct field_values *values,
                         struct field_value *value)
{
	if (jid_domain(text, values->domain) != 0)
		return mem_printf("%s must be a domain.", field->var);
	value->text = values->domain;
	return NULL;
}

/* "2026-11-30" or "2026-11-30T12:00:00Z". */
static char *read_time(const struct field *field, const char *text, struct field_values *values,
                       struct field_value *value)
{
	struct tm parts = { 0 };
	const char *end = strptime(text, "%Y-%m-%d", &parts);

	if (end != NULL && *end == 'T')
		end = strptime(end, "T%H:%M:%SZ", &parts);
	if (end == NULL || *end != '\0')
		return mem_printf("%s must be YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ.", field->var);
	value->at_ms = (int64_t)timegm(&parts) * 1000;
	value->text = text;
	return NULL;
}

/* clang-format off */
static const struct {
	const char *type; /* XEP-0004 3.3 */
	char *(*read)(const struct field *field, const char *text, struct field_values *values,
	              struct field_value *value);
	enum iq_condition malformed;
} kinds[] = {
	[FIELD_TEXT]    = { "text-single", read_text, IQ_BAD_REQUEST },
	[FIELD_CHOICE]  = { "list-single", read_choice, IQ_BAD_REQUEST },
	[FIELD_ACCOUNT] = { "jid-single", read_account, IQ_JID_MALFORMED },
	[FIELD_LIMIT]   = { "text-single", read_limit, IQ_BAD_REQUEST },
	[FIELD_BYTES]   = { "text-single", read_bytes, IQ_BAD_REQUEST },
	[FIELD_MONTH]   = { "text-single", read_month, IQ_BAD_REQUEST },
	[FIELD_HASH]    = { "text-single", read_hash, IQ_BAD_REQUEST },
	[FIELD_USER]    = { "jid-single", read_user, IQ_JID_MALFORMED },
	[FIELD_DOMAIN]  = { "jid-single", read_domain, IQ_JID_MALFORMED },
	[FIELD_TIME]    = { "text-single", read_time, IQ_BAD_REQUEST },
	[FIELD_LINES]   = { "text-multi", read_text, IQ_BAD_REQUEST },
	[FIELD_SECRET]  = { "text-private", read_text, IQ_BAD_REQUEST },
	[FIELD_HIDDEN]  = { "hidden", read_text, IQ_BAD_REQUEST },
};
/* clang-format on */

/* ---- writing the form ---- */

/* Writes the current month (UTC) to TEXT, which is returned. */
static const char *this_month(char *text)
{
	time_t now = (time_t)(loop_wall_ms() / 1000);
	struct tm parts;

	if (gmtime_r(&now, &parts) == NULL ||
	    strftime(text, FIELD_MONTH_LEN + 1, "%Y%m", &parts) == 0)
		text[0] = '\0';
	return text;
}

static void add_options(const char *const *values, size_t count, struct buf *out)
{
	for (size_t i = 0; i < count; i++)
		markup_add(out, "<option label='%s'><value>%s</value></option>", values[i],
		           values[i]);
}

static void add_offered(const json_t *options, struct buf *out)
{
	const json_t *option;
	size_t i;

	json_array_foreach (options, i, option)
		markup_add(out, "<option label='%s'><value>%s</value></option>",
		           json_string_value(json_object_get(option, "label")),
		           json_string_value(json_object_get(option, "value")));
}

static bool is_offered(const struct field *field, const struct field_offer *offer)
{
	return offer != NULL && offer->var != NULL && strcmp(offer->var, field->var) == 0;
}

static void add_choices(const struct field *field, const struct field_offer *offer, struct buf *out)
{
	const char *offered[FIELD_CHOICES_MAX];
	size_t count = 1;

	if (is_offered(field, offer)) {
		add_offered(offer->options, out);
		return;
	}
	if (field->choices == NULL) {
		if (field->offer != NULL)
			add_options(offered, field->offer(offered), out);
		return;
	}
	while (field->choices[count] != NULL)
		count++;
	markup_add(out, "<value>%s</value>", field->choices[0]);
	add_options(field->choices, count, out);
}

static bool has_children(const struct field *field)
{
	return field->help != NULL || field->need != FIELD_OPTIONAL || field->kind == FIELD_MONTH;
}

static void add_field(const struct field *field, const struct field_offer *offer, struct buf *out)
{
	char month[FIELD_MONTH_LEN + 1];
	const char *given = NULL;
	bool chosen = field->kind == FIELD_CHOICE || is_offered(field, offer);

	markup_add(out, "<field var='%s' type='%s' label='%s'", field->var,
	           kinds[chosen ? FIELD_CHOICE : field->kind].type, field->label);
	if (offer != NULL && offer->given_var != NULL && strcmp(offer->given_var, field->var) == 0)
		given = offer->given;
	if (!has_children(field) && !chosen && given == NULL) {
		buf_text(out, "/>");
		return;
	}
	buf_text(out, ">");
	if (field->help != NULL)
		markup_add(out, "<desc>%s</desc>", field->help);
	if (field->need != FIELD_OPTIONAL)
		buf_text(out, "<required/>");
	if (field->kind == FIELD_MONTH)
		markup_add(out, "<value>%s</value>", this_month(month));
	if (chosen)
		add_choices(field, offer, out);
	if (given != NULL)
		markup_add(out, "<value>%s</value>", given);
	buf_text(out, "</field>");
}

/* What can be chosen isn't known before other fields are submitted. */
static bool lacks_choices(const struct field *field, const struct field_offer *offer)
{
	return field->kind == FIELD_CHOICE && field->choices == NULL && field->offer == NULL &&
	       !is_offered(field, offer);
}

bool fields_visible(const struct field *fields)
{
	for (const struct field *field = fields; field != NULL && field->var != NULL; field++)
		if (field->kind != FIELD_HIDDEN)
			return true;
	return false;
}

void fields_add(const struct field *fields, const struct field_offer *offer, struct buf *out)
{
	for (const struct field *field = fields; field->var != NULL; field++)
		if (field->kind != FIELD_HIDDEN && !lacks_choices(field, offer))
			add_field(field, offer, out);
}

/* ---- reading what was submitted ---- */

/* FIELD was left empty. Returns NULL, or a sentence (heap) that it is missing. */
static char *use_default(const struct field *field, struct field_values *values,
                         struct field_value *value)
{
	if (field->need == FIELD_REQUIRED)
		return mem_printf("%s is missing.", field->var);
	if (field->kind == FIELD_MONTH)
		value->text = this_month(values->month);
	else if (field->choices != NULL)
		value->text = field->choices[0];
	return NULL;
}

static const char *find_text(const struct xml *form, const struct field *field,
                             struct field_values *values)
{
	if (field->kind != FIELD_LINES)
		return form_value(form, field->var);
	values->lines = form_lines(form, field->var);
	return values->lines;
}

void fields_release(struct field_values *values)
{
	mem_free_secret(values->lines);
	values->lines = NULL;
}

bool fields_read(const struct field *fields, const struct xml *form, struct iq *iq,
                 struct field_values *values)
{
	values->fields = fields;
	values->lines = NULL;
	memset(values->values, 0, sizeof(values->values));
	for (size_t i = 0; fields[i].var != NULL; i++) {
		const struct field *field = &fields[i];
		const char *text = find_text(form, field, values);
		char *complaint;

		assert(i < FIELDS_MAX);
		if (text == NULL)
			complaint = use_default(field, values, &values->values[i]);
		else
			complaint =
			        kinds[field->kind].read(field, text, values, &values->values[i]);
		if (complaint != NULL) {
			iq_error(iq, text == NULL ? IQ_BAD_REQUEST : kinds[field->kind].malformed,
			         complaint);
			free(complaint);
			return false;
		}
	}
	return true;
}

const struct field_value *fields_get(const struct field_values *values, const char *var)
{
	size_t i = 0;

	while (strcmp(values->fields[i].var, var) != 0) /* it is one of them */
		i++;
	return &values->values[i];
}
