#include "xmppgw/xmpp/markup.c"

#include "tests/unit/stanza.h"
#include "tests/unit/unit.h"

static void writes(const char *text, const char *expected)
{
	struct buf out = { 0 };
	char *written;

	markup_add(&out, "<a b='%s'/>", text);
	written = buf_take(&out);
	ck_assert_str_eq(written, expected);
	free(written);
}

START_TEST(text_is_escaped_for_either_quotes_and_for_content)
{
	writes("a", "<a b='a'/>");
	writes("", "<a b=''/>");
	writes("<&>\"'", "<a b='&lt;&amp;&gt;&quot;&apos;'/>");
	writes("]]>", "<a b=']]&gt;'/>");
	writes("x\ty\nz\r", "<a b='x&#9;y&#10;z&#13;'/>");
}
END_TEST

START_TEST(what_xml_cannot_carry_is_replaced)
{
	writes("a\001b\037c", "<a b='a\xef\xbf\xbd"
	                      "b\xef\xbf\xbd"
	                      "c'/>");
	writes("\xef\xbf\xbe!\xef\xbf\xbf", "<a b='\xef\xbf\xbd!\xef\xbf\xbd'/>");
	writes("\xef\xbb\xbf\xef\xbf\xbd\xf0\x9f\x98\x80",
	       "<a b='\xef\xbb\xbf\xef\xbf\xbd\xf0\x9f\x98\x80'/>");
}
END_TEST

START_TEST(markup_itself_numbers_and_percent_signs_are_not_escaped)
{
	struct buf out = { 0 };
	char *written;

	markup_add(&out, "<a><b n='%u'>%s</b>100%%</a>", 4294967295u, "5 < 6");
	written = buf_take(&out);
	ck_assert_str_eq(written, "<a><b n='4294967295'>5 &lt; 6</b>100%</a>");
	free(written);
}
END_TEST

START_TEST(a_reader_gets_back_what_was_written)
{
	const char *text = " \t\n\r<iq id=\"'&amp;\"> \xc3\xa9 ]]> ";
	struct buf out = { 0 };
	struct xml_reader *reader;
	const struct xml *element;
	char *written;

	markup_add(&out, "<iq id='%s'><b>%s</b></iq>", text, text);
	written = buf_take(&out);
	element = stanza_parse(&reader, written);
	ck_assert_str_eq(xml_attribute(element, "id"), text);
	ck_assert_str_eq(element->first->text, text);
	xml_reader_free(reader);
	free(written);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		text_is_escaped_for_either_quotes_and_for_content,
		what_xml_cannot_carry_is_replaced,
		markup_itself_numbers_and_percent_signs_are_not_escaped,
		a_reader_gets_back_what_was_written,
	};

	return unit_run("markup", tests, ARRAY_LEN(tests), NULL, NULL);
}
