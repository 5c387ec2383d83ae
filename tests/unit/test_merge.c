#include "pushd/merge.c"

#include "common/mem.h"
#include "tests/unit/unit.h"

/* What comes, and what becomes of one of each priority that waits: VoIP, high, low. */
struct row {
	const char *what;
	struct notification newer;
	enum priority priority;
	enum merge merge[PRIORITY_COUNT];
	const char *decisions;
	bool bypasses;
};

#define BESIDE MERGE_BESIDE
#define REPLACE MERGE_REPLACE
#define ABSORB MERGE_ABSORB

/* clang-format off */
static const struct row rows[] = {
	{ "a call", { .count = NOTIFICATION_ABSENT, .voip = true }, PRIORITY_VOIP,
	  { BESIDE, BESIDE, BESIDE }, "aaa", true },
	{ "a call that says 0", { .count = 0, .voip = true }, PRIORITY_VOIP,
	  { BESIDE, BESIDE, BESIDE }, "aaa", true },
	{ "a message", { .count = 3, .body = "x" }, PRIORITY_HIGH,
	  { BESIDE, REPLACE, REPLACE }, "arr", false },
	{ "a message without a count", { .count = NOTIFICATION_ABSENT, .body = "x" }, PRIORITY_HIGH,
	  { BESIDE, REPLACE, REPLACE }, "arr", false },
	{ "a wish for high with count 0", { .count = 0, .wish = WISH_HIGH }, PRIORITY_HIGH,
	  { BESIDE, REPLACE, REPLACE }, "arr", false },
	{ "a count", { .count = 1, .summary = true }, PRIORITY_LOW,
	  { BESIDE, ABSORB, REPLACE }, "aar", false },
	{ "one without a count", { .count = NOTIFICATION_ABSENT }, PRIORITY_LOW,
	  { BESIDE, ABSORB, REPLACE }, "aar", false },
	{ "a dismissal", { .count = 0, .summary = true }, PRIORITY_LOW,
	  { BESIDE, REPLACE, REPLACE }, "arr", false },
	{ "the end of an account", { .count = NOTIFICATION_ABSENT, .account_removed = true },
	  PRIORITY_LOW, { BESIDE, BESIDE, BESIDE }, "aaa", true },
};
/* clang-format on */

START_TEST(every_pair_has_its_row)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		char decisions[MERGE_DECISIONS];

		for (enum priority waiting = 0; waiting < PRIORITY_COUNT; waiting++)
			ck_assert_msg(merge_decide(waiting, &row->newer, row->priority) ==
			                      row->merge[waiting],
			              "%s comes to priority %d", row->what, (int)waiting);
		merge_tell(&row->newer, row->priority, decisions);
		ck_assert_str_eq(decisions, row->decisions);
		ck_assert_msg(merge_bypasses(&row->newer, row->priority) == row->bypasses, "%s",
		              row->what);
	}
}
END_TEST

START_TEST(what_waits_never_falls_in_priority_but_for_a_dismissal)
{
	for (enum priority waiting = 0; waiting < PRIORITY_COUNT; waiting++) {
		for (enum priority comes = 0; comes < PRIORITY_COUNT; comes++) {
			struct notification newer = { .count = 7 };
			enum merge merge = merge_decide(waiting, &newer, comes);

			ck_assert(merge != MERGE_REPLACE || comes <= waiting);
			ck_assert(merge != MERGE_ABSORB || comes > waiting);
		}
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_pair_has_its_row,
		what_waits_never_falls_in_priority_but_for_a_dismissal,
	};

	return unit_run("merge", tests, ARRAY_LEN(tests), NULL, NULL);
}
