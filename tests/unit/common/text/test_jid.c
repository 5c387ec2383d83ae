#include "common/text/jid.c"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

static struct jid jid;
static char text[JID_TEXT_MAX];

static void becomes(const char *given, const char *expected)
{
	ck_assert_msg(jid_parse(given, &jid) == 0, "%s was refused", given);
	ck_assert_str_eq(jid_full(&jid, text), expected);
}

static void is_refused(const char *given)
{
	ck_assert_msg(jid_parse(given, &jid) == -1, "%s was taken", given);
}

START_TEST(the_parts_are_split_at_the_first_slash_and_the_at_before_it)
{
	becomes("romeo@example.com/a@b/c", "romeo@example.com/a@b/c");
	ck_assert_str_eq(jid.local, "romeo");
	ck_assert_str_eq(jid.domain, "example.com");
	ck_assert_str_eq(jid.resource, "a@b/c");
	ck_assert_str_eq(jid_bare(&jid, text), "romeo@example.com");
	becomes("example.com/x@y", "example.com/x@y");
	ck_assert_str_eq(jid.local, "");
	ck_assert_str_eq(jid_bare(&jid, text), "example.com");
	becomes("example.com", "example.com");
	ck_assert_str_eq(jid.resource, "");
}
END_TEST

START_TEST(case_is_folded_but_in_the_resource)
{
	becomes("Romeo@EXAMPLE.com/Phone", "romeo@example.com/Phone");
	becomes("J\xc3\x9cRGEN@B\xc3\x9c"
	        "CHER.example/\xc3\x9c",
	        "j\xc3\xbcrgen@b\xc3\xbc"
	        "cher.example/\xc3\x9c");
	becomes("stra\xc3\x9f"
	        "e@example.com",
	        "strasse@example.com");
	becomes("a@\xef\xbd\x85xample.com", "a@example.com"); /* a fullwidth e */
}
END_TEST

START_TEST(a_final_dot_of_the_domain_is_dropped)
{
	becomes("example.com.", "example.com");
	becomes("a@example.com./r", "a@example.com/r");
}
END_TEST

START_TEST(a_domain_with_an_empty_label_is_refused)
{
	is_refused("a@example.com..");
	is_refused(".example.com");
	is_refused("a@example..com/r");
	is_refused(".");
	is_refused("a@b\xe2\x80\xa6"); /* an ellipsis, which is mapped to three dots */
}
END_TEST

START_TEST(addresses_are_domains_too)
{
	becomes("a@192.0.2.1/r", "a@192.0.2.1/r");
	becomes("a@[2001:db8::1]/r", "a@[2001:db8::1]/r");
}
END_TEST

START_TEST(empty_parts_are_refused)
{
	is_refused("");
	is_refused("@example.com");
	is_refused("a@");
	is_refused("/r");
	is_refused("a@/r");
	is_refused("example.com/");
}
END_TEST

START_TEST(forbidden_characters_are_refused)
{
	const char *bad[] = { "a b@example.com",     "a\"b@example.com", "a&b@example.com",
		              "a'b@example.com",     "a:b@example.com",  "a<b@example.com",
		              "a@b@example.com",     "exam ple.com",     "example.com\n",
		              "a@exa<mple.com",      "a\tb@example.com", "example.com/a\nb",
		              "\xe2\x80\x8e@\x01.x", "a\x7f@x",          "\xc2\xa0@example.com",
		              "\xc2\xaa\x7f" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		is_refused(bad[i]);
	becomes("a!#$%*+-=?^_`{|}~.b@example.com/it's & <b> ok: \"r\"",
	        "a!#$%*+-=?^_`{|}~.b@example.com/it's & <b> ok: \"r\"");
}
END_TEST

START_TEST(what_maps_to_nothing_or_to_a_forbidden_character_is_refused)
{
	is_refused("\xc2\xad@example.com"); /* a soft hyphen alone */
	is_refused("a\xef\xbc\xa0"
	           "b@example.com"); /* a fullwidth at sign */
}
END_TEST

START_TEST(bytes_that_are_no_utf8_are_refused)
{
	is_refused("\xff@example.com");
	is_refused("a@\xc3");
	is_refused("a@example.com/\xe2\x82");
}
END_TEST

START_TEST(parts_have_at_most_1023_bytes)
{
	char most[JID_TEXT_MAX], more[JID_TEXT_MAX + 1];

	memset(most, 'a', sizeof(most));
	most[JID_PART_MAX] = '@';
	most[2 * JID_PART_MAX + 1] = '/';
	most[3 * JID_PART_MAX + 2] = '\0';
	becomes(most, most);
	snprintf(more, sizeof(more), "%sa", most);
	is_refused(more);
	most[JID_PART_MAX] = 'a'; /* now the domain is too long */
	is_refused(most);
	snprintf(more, sizeof(more), "%.1024s@x", most);
	is_refused(more);
}
END_TEST

START_TEST(a_domain_alone_is_prepared_alike)
{
	char domain[JID_PART_MAX + 1];

	ck_assert_int_eq(jid_domain("Push.EXAMPLE.com.", domain), 0);
	ck_assert_str_eq(domain, "push.example.com");
	ck_assert_int_eq(jid_domain("a@b", domain), -1);
	ck_assert_int_eq(jid_domain("", domain), -1);
}
END_TEST

START_TEST(blanks_around_a_jid_are_dropped_on_demand_only)
{
	ck_assert_int_eq(jid_parse_trimmed(" \r\n\ta@b/c d \n", &jid), 0);
	ck_assert_str_eq(jid.resource, "c d");
	ck_assert_int_eq(jid_parse_trimmed("", &jid), -1);
	ck_assert_int_eq(jid_parse_trimmed(" \n", &jid), -1);
	ck_assert_int_ne(jid_parse(" a@b", &jid), 0);
}
END_TEST

START_TEST(a_bare_jid_or_a_domain_is_one_without_a_resource)
{
	char bare[JID_TEXT_MAX];

	ck_assert_int_eq(jid_parse_bare(" User@Example.ORG.\n", bare), 0);
	ck_assert_str_eq(bare, "user@example.org");
	ck_assert_int_eq(jid_parse_bare("Example.org", bare), 0);
	ck_assert_str_eq(bare, "example.org");
	ck_assert_int_eq(jid_parse_bare("a@b/c", bare), -1);
	ck_assert_int_eq(jid_parse_bare("a@b/", bare), -1);
	ck_assert_int_eq(jid_parse_bare("a b", bare), -1);
	ck_assert_int_eq(jid_parse_bare("", bare), -1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_parts_are_split_at_the_first_slash_and_the_at_before_it,
		case_is_folded_but_in_the_resource,
		a_final_dot_of_the_domain_is_dropped,
		a_domain_with_an_empty_label_is_refused,
		addresses_are_domains_too,
		empty_parts_are_refused,
		forbidden_characters_are_refused,
		what_maps_to_nothing_or_to_a_forbidden_character_is_refused,
		bytes_that_are_no_utf8_are_refused,
		parts_have_at_most_1023_bytes,
		a_domain_alone_is_prepared_alike,
		blanks_around_a_jid_are_dropped_on_demand_only,
		a_bare_jid_or_a_domain_is_one_without_a_resource,
	};

	return unit_run("jid", tests, ARRAY_LEN(tests), NULL, NULL);
}
