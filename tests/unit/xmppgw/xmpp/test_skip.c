#include "xmppgw/xmpp/skip.c"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

/* Feeds TEXT to a fresh skip at DEPTH, in pieces of STEP bytes: the result and what was used. */
static enum skip_result skip_in(const char *text, uint64_t depth, size_t step, size_t *used)
{
	struct skip skip = { .depth = depth };
	size_t len = strlen(text), now;
	enum skip_result result = SKIP_MORE;

	for (*used = 0; *used < len && result == SKIP_MORE; *used += now) {
		size_t left = len - *used;

		result = skip_feed(&skip, text + *used, left < step ? left : step, &now);
	}
	return result;
}

static void check(const char *text, uint64_t depth, enum skip_result expected, const char *rest)
{
	const size_t steps[] = { 1, 3, 100000 };

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		size_t used;

		ck_assert_int_eq(skip_in(text, depth, steps[i], &used), expected);
		if (rest != NULL)
			ck_assert_str_eq(text + used, rest);
	}
}

START_TEST(an_element_is_over_with_its_end_tag)
{
	check("<iq><a>text</a><b/></iq><next/>", 1, SKIP_DONE, "<next/>");
	check("text</a><b/></iq><next/>", 3, SKIP_DONE, "<next/>");
	check("<iq/>more", 1, SKIP_DONE, "more");
	check("<iq a='1' / >x</iq>more", 1, SKIP_DONE, "more");
	check("<a><a></a>", 1, SKIP_MORE, "");
}
END_TEST

START_TEST(what_looks_like_a_tag_in_values_and_cdata_is_none)
{
	check("<iq a='></iq>' b=\"'/>\"><c d='/'>x</c></iq>!", 1, SKIP_DONE, "!");
	check("<iq><![CDATA[</iq>]]]]><![CDATA[]]></iq>!", 1, SKIP_DONE, "!");
	check("<iq><![CDATA[]]]></iq>!", 1, SKIP_DONE, "!");
	check("<iq><![CDATA[]>]]x]]></iq>!", 1, SKIP_DONE, "!");
}
END_TEST

START_TEST(what_xmpp_forbids_is_refused)
{
	check("<iq><!-- </iq> -->", 1, SKIP_BAD, NULL);
	check("<iq><?php ?></iq>", 1, SKIP_BAD, NULL);
	check("<!DOCTYPE a>", 1, SKIP_BAD, NULL);
	check("<iq><![CDAT></iq>", 1, SKIP_BAD, NULL);
	check("</stream:stream>", 1, SKIP_BAD, NULL);
}
END_TEST

static void check_whole(const char *tag, const char *whole)
{
	ck_assert_uint_eq(skip_whole(tag, strlen(tag)), strlen(whole));
}

START_TEST(the_attributes_before_an_endless_one_are_whole)
{
	check_whole("<iq type='set' id=\"1'\" from='a@b'\n x='aaaa",
	            "<iq type='set' id=\"1'\" from='a@b'");
	check_whole("<iq\ttype", "<iq");
	check_whole("<iqiqiq", "");
	check_whole("<", "");
	check_whole("text", "");
	check_whole("</iq", "");
	check_whole("<!-- a", "");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_element_is_over_with_its_end_tag,
		what_looks_like_a_tag_in_values_and_cdata_is_none,
		what_xmpp_forbids_is_refused,
		the_attributes_before_an_endless_one_are_whole,
	};

	return unit_run("skip", tests, ARRAY_LEN(tests), NULL, NULL);
}
