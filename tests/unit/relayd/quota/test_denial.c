#include "relayd/quota/denial.c"

#include "tests/unit/unit.h"

static void expect(const char *ledger, int64_t limit, const char *text)
{
	const struct denial denial = { ledger, limit };
	char *got = denial_text(&denial, "Stream closed");

	ck_assert_str_eq(got, text);
	free(got);
}

static void expect_split(const char *name, const char *kind, const char *account)
{
	const char *got;

	ck_assert_str_eq(ledger_split(name, &got), kind);
	ck_assert_str_eq(got, account);
}

START_TEST(a_ledgers_name_is_its_kind_and_its_account)
{
	expect_split("user:romeo@example.org", "user", "romeo@example.org");
	expect_split("domain:[2001:db8::1]", "domain", "[2001:db8::1]");
	expect_split("instance:relay-1", "instance", "relay-1");
	expect_split("global", "global", "global");
	expect_split("file", "file", "file");
	expect_split("", "unknown", "");
	expect_split("globally:x", "unknown", "globally:x");
}
END_TEST

START_TEST(a_reached_limit_is_told_in_the_words_that_users_of_tigase_know)
{
	expect("user:a@b", 5, "Stream closed due to exceeded transfer quota for user a@b");
	expect("domain:b", 5, "Stream closed due to exceeded transfer quota for domain b");
	expect("instance:r1", 5, "Stream closed due to exceeded transfer quota for instance r1");
	expect("global", 5, "Stream closed due to exceeded global transfer quota");
	expect("file", 5, "Stream closed due to exceeded quota for single file transfer");
}
END_TEST

START_TEST(a_limit_of_minus_one_says_that_transfers_are_forbidden)
{
	expect("user:a@b", -1, "Transfers are forbidden for user a@b");
	expect("instance:r1", -1, "Transfers are forbidden for instance r1");
	expect("global", -1, "Transfers are forbidden");
}
END_TEST

static void explain(const char *ledger, int64_t limit, const char *text)
{
	const struct denial denial = { ledger, limit };
	char *got = denial_explanation(&denial, 1796083200); /* 1 December 2026 */

	ck_assert_str_eq(got, text);
	free(got);
}

START_TEST(an_explanation_says_whose_limit_it_is_how_much_and_until_when)
{
#define USED_UP ", is used up. It starts anew on 1 December 2026 (UTC)."
	explain("user:a@b", 100 << 20, "The transfer quota of a@b, 100 MB a month" USED_UP);
	explain("domain:b", INT64_C(5) << 30,
	        "The transfer quota of the domain b, 5 GB a month" USED_UP);
	explain("instance:r1", 5, "The transfer quota of the relay r1, 5 bytes a month" USED_UP);
	explain("global", INT64_C(3) << 50,
	        "The transfer quota of this service, 3072 TB a month" USED_UP);
	explain("user:a@b", 1500, "The transfer quota of a@b, 1.46 kB a month" USED_UP);
	explain("file", 1023, "A single file may have at most 1023 bytes.");
}
END_TEST

START_TEST(an_explanation_of_a_limit_of_minus_one_says_who_may_not)
{
	explain("user:a@b", -1, "File transfers are not allowed for a@b.");
	explain("domain:b", -1, "File transfers are not allowed for the domain b.");
	explain("global", -1, "File transfers are not allowed for this service.");
	explain("file", -1, "File transfers are not allowed here.");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_ledgers_name_is_its_kind_and_its_account,
		a_reached_limit_is_told_in_the_words_that_users_of_tigase_know,
		a_limit_of_minus_one_says_that_transfers_are_forbidden,
		an_explanation_says_whose_limit_it_is_how_much_and_until_when,
		an_explanation_of_a_limit_of_minus_one_says_who_may_not,
	};

	return unit_run("denial", tests, ARRAY_LEN(tests), NULL, NULL);
}
