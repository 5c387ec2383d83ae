#include "pushd/delivery/merge.c"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

struct row {
	const char *what;
	struct notification notification;
	enum priority priority;
	bool bypasses;
	enum store_waiting class; /* if it doesn't */
};

/* clang-format off */
static const struct row rows[] = {
	{ "a call", { .count = NOTIFICATION_ABSENT, .voip = true }, PRIORITY_VOIP, true },
	{ "a call that says 0", { .count = 0 }, PRIORITY_VOIP, true },
	{ "the end of an account", { .count = NOTIFICATION_ABSENT, .account_removed = true },
	  PRIORITY_LOW, true },
	{ "an urgent end of an account", { .count = NOTIFICATION_ABSENT, .account_removed = true },
	  PRIORITY_HIGH, true },
	{ "a message", { .count = 3, .body = "x" }, PRIORITY_HIGH, false, STORE_WAITING_HIGH },
	{ "a message without a count", { .count = NOTIFICATION_ABSENT, .body = "x" }, PRIORITY_HIGH,
	  false, STORE_WAITING_HIGH },
	{ "an urgent 0", { .count = 0 }, PRIORITY_HIGH, false, STORE_WAITING_HIGH },
	{ "a count", { .count = 1 }, PRIORITY_LOW, false, STORE_WAITING_LOW },
	{ "one without a count", { .count = NOTIFICATION_ABSENT }, PRIORITY_LOW, false,
	  STORE_WAITING_LOW },
	{ "a dismissal", { .count = 0 }, PRIORITY_LOW, false, STORE_WAITING_DISMISSAL },
};
/* clang-format on */

START_TEST(each_notification_waits_as_what_it_is)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];

		ck_assert_msg(merge_bypasses(&row->notification, row->priority) == row->bypasses,
		              "%s", row->what);
		ck_assert_msg(row->bypasses ||
		                      merge_class(&row->notification, row->priority) == row->class,
		              "%s", row->what);
	}
}
END_TEST

/* What becomes of the older one, for all pairs; the columns are the newer one's class. */
static const char *const pairs[STORE_WAITING_COUNT] = {
	/* high, low, dismissal: r it is replaced, a it stays and takes the count */
	[STORE_WAITING_HIGH] = "rar",
	[STORE_WAITING_LOW] = "rrr",
	[STORE_WAITING_DISMISSAL] = "rrr",
};

START_TEST(the_newest_wins_but_what_waits_does_not_fall_in_priority)
{
	for (enum store_waiting older = 0; older < STORE_WAITING_COUNT; older++)
		for (enum store_waiting newer = 0; newer < STORE_WAITING_COUNT; newer++)
			ck_assert_msg(merge_replaces(older, newer) == (pairs[older][newer] == 'r'),
			              "%d then %d", (int)older, (int)newer);
}
END_TEST

START_TEST(the_store_is_told_the_same_from_either_side)
{
	for (enum store_waiting older = 0; older < STORE_WAITING_COUNT; older++) {
		for (enum store_waiting newer = 0; newer < STORE_WAITING_COUNT; newer++) {
			char put = merge_put_decisions(newer)[older];
			char back = merge_return_decisions(older)[newer];

			ck_assert_int_eq(put, pairs[older][newer]);
			ck_assert_msg(put != back, "one of the two stays, whoever is there first");
		}
		ck_assert_uint_eq(strlen(merge_put_decisions(older)), STORE_WAITING_COUNT);
		ck_assert_uint_eq(strlen(merge_return_decisions(older)), STORE_WAITING_COUNT);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		each_notification_waits_as_what_it_is,
		the_newest_wins_but_what_waits_does_not_fall_in_priority,
		the_store_is_told_the_same_from_either_side,
	};

	return unit_run("merge", tests, ARRAY_LEN(tests), NULL, NULL);
}
