#include "common/base/loop.h"

static int64_t wall_ms;

static int64_t told_wall_ms(void)
{
	return wall_ms;
}
#define loop_wall_ms told_wall_ms
#include "pushd/credential/expiry_warning.c"
#undef loop_wall_ms

#include "tests/unit/unit.h"

#define END_MS INT64_C(1801353600000) /* 2027-01-31 */

START_TEST(each_threshold_begins_to_the_millisecond)
{
	static const int days[] = { 30, 14, 7, 3, 1, 0 };
	int before = -1;

	for (size_t i = 0; i < ARRAY_LEN(days); i++) {
		wall_ms = END_MS - days[i] * DAY_MS - 1;
		ck_assert_int_eq(threshold_of(END_MS), before);
		wall_ms++;
		ck_assert_int_eq(threshold_of(END_MS), days[i]);
		before = days[i];
	}
	wall_ms = END_MS + 1000 * DAY_MS;
	ck_assert_int_eq(threshold_of(END_MS), 0);
}
END_TEST

START_TEST(people_are_told_what_ends_when)
{
	static char id[] = "apns-main";
	const struct conf_provider provider = { .id = id };
	struct warning warning = { .provider = &provider };
	char *text;

	wall_ms = END_MS - 3 * DAY_MS;
	text = make_text(&warning, END_MS);
	ck_assert_str_eq(text, "The certificate of the push provider apns-main expires on "
	                       "2027-01-31, in 72 hours. Set a new one before that.");
	free(text);
	wall_ms = END_MS;
	text = make_text(&warning, END_MS);
	ck_assert_str_eq(text, "The certificate of the push provider apns-main expired on "
	                       "2027-01-31: its notifications can't be sent until a new one is "
	                       "set.");
	free(text);
	warning.for_calls = true;
	text = make_text(&warning, END_MS);
	ck_assert_str_eq(text, "The certificate for calls (voip-cert-file) of the push provider "
	                       "apns-main expired on 2027-01-31: calls are sent as alerts until "
	                       "the file is a new one.");
	free(text);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		each_threshold_begins_to_the_millisecond,
		people_are_told_what_ends_when,
	};

	return unit_run("expiry_warning", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
