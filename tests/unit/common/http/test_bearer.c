#include "common/http/bearer.c"

#include <stdio.h>

#include "common/base/mem.h"
#include "tests/unit/unit.h"

START_TEST(only_the_token_itself_matches)
{
	static const char *const others[] = { "",
		                              "Bearer",
		                              "Bearer ",
		                              "Bearer secre",
		                              "Bearer secrets",
		                              "Bearer Secret",
		                              "Basic secret",
		                              "secret",
		                              "Bearersecret",
		                              "Bearer  secret",
		                              "Bearer secret " };
	struct bearer bearer;
	char other[32];

	bearer_init(&bearer, "secret", NULL);
	for (int i = 0; i < 5000; i++) {
		snprintf(other, sizeof(other), "Bearer %d", i);
		ck_assert_msg(!bearer_matches(&bearer, other), "%s", other);
	}
	ck_assert(bearer_matches(&bearer, "Bearer secret"));
	ck_assert(bearer_matches(&bearer, "bearer secret"));
	ck_assert(!bearer_matches(&bearer, NULL));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		ck_assert_msg(!bearer_matches(&bearer, others[i]), "%s", others[i]);
}
END_TEST

START_TEST(an_empty_token_is_not_the_same_as_none)
{
	struct bearer bearer;

	bearer_init(&bearer, "", NULL);
	ck_assert(!bearer_matches(&bearer, NULL));
	bearer_init(&bearer, NULL, NULL);
	ck_assert(bearer_matches(&bearer, NULL));
	ck_assert(bearer_matches(&bearer, "Bearer whatever"));
}
END_TEST

START_TEST(of_two_tokens_either_matches)
{
	struct bearer bearer;

	bearer_init(&bearer, "secret", "next");
	ck_assert(bearer_matches(&bearer, "Bearer secret"));
	ck_assert(bearer_matches(&bearer, "Bearer next"));
	ck_assert(!bearer_matches(&bearer, "Bearer "));
	ck_assert(!bearer_matches(&bearer, "Bearer secretnext"));
	bearer_init(&bearer, "secret", "");
	ck_assert(bearer_matches(&bearer, "Bearer secret"));
	ck_assert(!bearer_matches(&bearer, "Bearer "));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		only_the_token_itself_matches,
		an_empty_token_is_not_the_same_as_none,
		of_two_tokens_either_matches,
	};

	return unit_run("bearer", tests, ARRAY_LEN(tests), NULL, NULL);
}
