#include "pushd/provider/payload.c"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

static struct arena arena;

static void teardown(void)
{
	arena_release(&arena);
}

static void check_short(const char *unit, size_t times, size_t kept)
{
	size_t len = strlen(unit);
	char *body = arena_alloc(&arena, len * times + 1);
	const char *cut;

	for (size_t i = 0; i < times; i++)
		memcpy(body + i * len, unit, len);
	cut = short_body(body, &arena);
	if (kept == times) {
		ck_assert_ptr_eq(cut, body);
		return;
	}
	ck_assert_uint_eq(strlen(cut), kept * len + 3);
	ck_assert_int_eq(memcmp(cut, body, kept * len), 0);
	ck_assert_str_eq(cut + kept * len, "...");
}

START_TEST(a_body_of_more_than_512_characters_keeps_500)
{
	static const char *const units[] = { "x", "é", "€", "😀", NULL };

	for (size_t i = 0; units[i] != NULL; i++) {
		check_short(units[i], 0, 0);
		check_short(units[i], 500, 500);
		check_short(units[i], 512, 512);
		check_short(units[i], 513, 500);
		check_short(units[i], 5000, 500);
	}
}
END_TEST

/* Whether NOTIFICATION shares a place at the provider with others of its node. */
static bool collapses(struct notification notification, enum priority priority)
{
	struct provider_message message = { .notification = &notification,
		                            .priority = priority,
		                            .node = "n" };
	char text[PAYLOAD_COLLAPSE_TEXT];

	return payload_collapse(&message, text);
}

START_TEST(only_news_of_messages_collapses)
{
	static const struct notification others[] = {
		{ .payload = "QUJD" }, { .action = "accept" },      { .meet_id = "m" },
		{ .inviter = "a@b" },  { .account_removed = true },
	};

	ck_assert(collapses((struct notification){ 0 }, PRIORITY_LOW));
	ck_assert(collapses((struct notification){ .summary = true, .count = 3 }, PRIORITY_LOW));
	ck_assert(!collapses((struct notification){ .summary = true }, PRIORITY_HIGH));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		ck_assert_msg(!collapses(others[i], PRIORITY_LOW), "%zu", i);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_body_of_more_than_512_characters_keeps_500,
		only_news_of_messages_collapses,
	};

	return unit_run("payload", tests, ARRAY_LEN(tests), NULL, teardown);
}
