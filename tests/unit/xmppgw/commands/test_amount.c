#include "xmppgw/commands/amount.c"

#include "tests/unit/unit.h"

/* clang-format off */
static const struct {
	const char *text;
	int64_t bytes;
	const char *exact, *rounded;
} amounts[] = {
	{ "0",       0,                          "0",       "0 B" },
	{ "-1",      -1,                         "-1",      "-1 B" },
	{ "1",       1 << 20,                    "1M",      "1.0 MB" },
	{ "10",      10 << 20,                   "10M",     "10.0 MB" },
	{ "1B",      1,                          "1B",      "1 B" },
	{ "1023B",   1023,                       "1023B",   "1023 B" },
	{ "1536k",   1536 << 10,                 "1536k",   "1.5 MB" },
	{ "1500B",   1500,                       "1500B",   "1.5 kB" },
	{ "3G",      INT64_C(3) << 30,           "3G",      "3.0 GB" },
	{ "2048G",   INT64_C(2) << 40,           "2T",      "2.0 TB" },
};
/* clang-format on */

START_TEST(amounts_are_read_and_written_as_in_the_configuration)
{
	char text[AMOUNT_TEXT_MAX];
	int64_t bytes;

	for (size_t i = 0; i < ARRAY_LEN(amounts); i++) {
		ck_assert_ptr_null(amount_parse(amounts[i].text, &bytes));
		ck_assert_int_eq(bytes, amounts[i].bytes);
		ck_assert_str_eq(amount_format(bytes, text), amounts[i].exact);
		ck_assert_str_eq(amount_round(bytes, text), amounts[i].rounded);
	}
}
END_TEST

START_TEST(what_is_no_amount_is_complained_about)
{
	static const char *const wrong[] = { "",    "x",  "-2",   "1,5",     "1.5G",
		                             "1 M", "1Q", "0x10", "-1M",     "99999999999999999999",
		                             "+5",  "-",  " 5",   "8388608T" };

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		int64_t bytes = 7;
		char *complaint = amount_parse(wrong[i], &bytes);

		ck_assert_msg(complaint != NULL, "%s was taken", wrong[i]);
		ck_assert_int_eq(bytes, 0);
		free(complaint);
	}
}
END_TEST

START_TEST(every_number_fits)
{
	char text[AMOUNT_TEXT_MAX];

	ck_assert_str_eq(amount_round(INT64_MAX, text), "8.0 EB");
	ck_assert_str_eq(amount_format(INT64_MAX, text), "9223372036854775807B");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		amounts_are_read_and_written_as_in_the_configuration,
		what_is_no_amount_is_complained_about,
		every_number_fits,
	};

	return unit_run("amount", tests, ARRAY_LEN(tests), NULL, NULL);
}
