#include "tests/fakes/xmpp_server/kind.c"
#include "tests/fakes/xmpp_server/text.c"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

/* In the order of the columns below. */
static const char *const servers[] = { "prosody", "ejabberd", "mongooseim", "tigase", "openfire" };

enum { NONE = EFFECT_NONE, KEEP = EFFECT_KEEP, COUNT = EFFECT_COUNT, DROP = EFFECT_DROP };

/* What each reply does: measured on Prosody and ejabberd, read in the source of the others. */
/* clang-format off */
static const struct {
	const char *type; /* NULL: a result; "": an error without <error/> */
	const char *condition;
	int effects[ARRAY_LEN(servers)];
} rows[] = {
	{ NULL,       NULL,                      { KEEP,  KEEP, KEEP, KEEP, NONE } },
	{ "wait",     "internal-server-error",   { NONE,  KEEP, KEEP, KEEP, NONE } },
	{ "wait",     "service-unavailable",     { NONE,  KEEP, KEEP, KEEP, NONE } },
	{ "wait",     "remote-server-timeout",   { NONE,  KEEP, KEEP, KEEP, NONE } },
	{ "wait",     "resource-constraint",     { NONE,  KEEP, KEEP, DROP, NONE } },
	{ "wait",     "recipient-unavailable",   { NONE,  KEEP, KEEP, DROP, NONE } },
	{ "cancel",   "item-not-found",          { COUNT, DROP, DROP, DROP, NONE } },
	{ "cancel",   "service-unavailable",     { COUNT, DROP, DROP, KEEP, NONE } },
	{ "modify",   "bad-request",             { COUNT, DROP, KEEP, KEEP, NONE } },
	{ "auth",     "forbidden",               { COUNT, DROP, KEEP, DROP, NONE } },
	{ "continue", "undefined-condition",     { COUNT, DROP, KEEP, DROP, NONE } },
	{ "",         NULL,                      { COUNT, DROP, KEEP, DROP, NONE } },
};
/* clang-format on */

START_TEST(a_reply_does_what_the_server_does)
{
	for (size_t n = 0; n < ARRAY_LEN(rows) * ARRAY_LEN(servers); n++) {
		size_t row = n / ARRAY_LEN(servers), server = n % ARRAY_LEN(servers);
		struct verdict verdict = {
			.result = rows[row].type == NULL,
			.from_asked = true,
			.error_type = rows[row].type,
			.condition = rows[row].condition,
		};

		ck_assert_msg((int)kind_by_name(servers[server])->effect(&verdict) ==
		                      rows[row].effects[server],
		              "%s at row %zu", servers[server], row);
	}
}
END_TEST

START_TEST(only_prosody_looks_at_the_sender_of_a_reply)
{
	struct verdict verdict = { .error_type = "cancel", .condition = "item-not-found" };

	ck_assert_int_eq(kind_by_name("prosody")->effect(&verdict), EFFECT_NONE);
	ck_assert_int_eq(kind_by_name("ejabberd")->effect(&verdict), EFFECT_DROP);
}
END_TEST

START_TEST(every_kind_has_a_usual_publish_and_knows_its_others_by_name)
{
	for (size_t i = 0; i < kind_count; i++) {
		ck_assert_ptr_eq(kind_form(&kinds[i], NULL), &kinds[i].forms[0]);
		ck_assert_ptr_eq(kind_form(&kinds[i], "message"), &kinds[i].forms[0]);
		ck_assert_ptr_null(kind_form(&kinds[i], "nothing"));
	}
	ck_assert_ptr_null(kind_by_name("jabberd"));
	ck_assert_ptr_nonnull(kind_form(kind_by_name("mongooseim"), "call"));
}
END_TEST

START_TEST(values_are_filled_in_and_escaped)
{
	const struct text_value values[] = { { "a", "<&'\">", 0 }, { "b", "<b/>", 1 }, { NULL } };
	struct buf out = { 0 };
	char *text;

	text_fill(&out, "{a}-{b}-{c}-{a-{", values);
	text = buf_take(&out);
	ck_assert_str_eq(text, "&#60;&#38;&#39;&#34;&#62;-<b/>-{c}-{a-{");
	free(text);
	text = text_number("x{n}", 7);
	ck_assert_str_eq(text, "x0000000007");
	free(text);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_reply_does_what_the_server_does,
		only_prosody_looks_at_the_sender_of_a_reply,
		every_kind_has_a_usual_publish_and_knows_its_others_by_name,
		values_are_filled_in_and_escaped,
	};

	return unit_run("fake_xmpp_kind", tests, ARRAY_LEN(tests), NULL, NULL);
}
