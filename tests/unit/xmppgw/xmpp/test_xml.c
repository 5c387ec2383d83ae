#include "xmppgw/xmpp/xml.c"

#include <sys/resource.h>

#include "tests/unit/stanza.h"
#include "tests/unit/unit.h"

#define IQ "<iq type='get' id='1' from='a@b/c' to='p.x'><query xmlns='urn:q'>text</query></iq>"

static struct xml_reader *reader;
static const struct xml *element;

static void setup(void)
{
	reader = xml_reader_new();
}

static void teardown(void)
{
	xml_reader_free(reader);
}

static void feed(const char *text)
{
	stanza_feed(reader, text, strlen(text));
}

static void open_stream(void)
{
	feed(STREAM_HEADER);
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_HEADER);
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
}

static void check_iq(void)
{
	const struct xml *query = xml_child(element, "urn:q", "query");

	ck_assert(xml_is(element, "jabber:component:accept", "iq"));
	ck_assert_str_eq(xml_attribute(element, "type"), "get");
	ck_assert_str_eq(xml_attribute(element, "from"), "a@b/c");
	ck_assert_ptr_nonnull(query);
	ck_assert_str_eq(query->text, "text");
	ck_assert_str_eq(element->text, "");
	ck_assert_ptr_null(query->next);
}

/* The next stanza is as it should be: the stream lives. */
static void check_alive(void)
{
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
	feed(IQ);
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_STANZA);
	check_iq();
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
}

START_TEST(a_stream_is_its_header_its_stanzas_and_its_end)
{
	feed(STREAM_HEADER IQ " " IQ "</stream:stream>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_HEADER);
	ck_assert(xml_is(element, "http://etherx.jabber.org/streams", "stream"));
	ck_assert_str_eq(xml_attribute(element, "id"), "abc");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_STANZA);
	check_iq();
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_STANZA);
	check_iq();
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_END);
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_END);
}
END_TEST

START_TEST(every_event_comes_with_its_last_byte)
{
	const char *text = STREAM_HEADER IQ "<a/>" IQ "</stream:stream>";
	const enum xml_event expected[] = { XML_HEADER, XML_STANZA, XML_STANZA, XML_STANZA,
		                            XML_END };
	const char *ends[] = { "'abc'>", "</iq>", "<a/>", "</iq>", "</stream:stream>" };
	const char *end = text;
	size_t next = 0;

	for (const char *c = text; *c != '\0'; c++) {
		enum xml_event event;

		stanza_feed(reader, c, 1);
		event = xml_reader_next(reader, &element);
		if (event == XML_MORE)
			continue;
		ck_assert_int_eq(event, expected[next]);
		end = strstr(end, ends[next]) + strlen(ends[next]);
		ck_assert_ptr_eq(c + 1, end);
		next++;
		if (event != XML_END)
			ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
	}
	ck_assert_uint_eq(next, 5);
}
END_TEST

START_TEST(the_stream_may_end_with_its_header)
{
	feed("<stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_HEADER);
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_END);
}
END_TEST

START_TEST(names_are_those_of_their_namespaces_whatever_the_prefix)
{
	open_stream();
	feed("<x:iq xmlns:x='jabber:component:accept' xmlns:y='urn:y' y:id='no' id='yes' "
	     "xml:lang='de'><y:q/><q xmlns=''/></x:iq>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_STANZA);
	ck_assert(xml_is(element, "jabber:component:accept", "iq"));
	ck_assert_str_eq(xml_attribute(element, "id"), "yes");
	ck_assert_ptr_null(xml_attribute(element, "lang"));
	ck_assert_ptr_nonnull(xml_child(element, "urn:y", "q"));
	ck_assert_ptr_nonnull(xml_child(element, "", "q"));
	ck_assert_ptr_null(xml_child(element, "jabber:component:accept", "q"));
}
END_TEST

START_TEST(a_namespace_may_have_any_character)
{
	open_stream();
	feed("<a xmlns='jabber:component:accept&#10;&#9; #|iq'/>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_STANZA);
	ck_assert_str_eq(element->name, "a");
	ck_assert_str_eq(element->ns, "jabber:component:accept\n\t #|iq");
}
END_TEST

START_TEST(text_is_joined_from_references_and_cdata)
{
	open_stream();
	feed("<iq><a>&lt;1&#50;<![CDATA[<3>]]>\r\n4</a><b>x<c/>y</b></iq>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_STANZA);
	ck_assert_str_eq(element->first->text, "<12<3>\n4");
	ck_assert_str_eq(element->last->text, "");
}
END_TEST

static void check_ends(const char *text, const char *why)
{
	open_stream();
	feed(text);
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_BAD);
	ck_assert_str_eq(xml_reader_why(reader), why);
	teardown();
	setup();
}

START_TEST(what_xmpp_forbids_ends_the_stream)
{
	check_ends("<!-- a comment -->", "restricted-xml");
	check_ends("<iq><!-- a comment --></iq>", "restricted-xml");
	check_ends("<?php echo 1 ?>", "restricted-xml");
	check_ends("<iq><?target data?></iq>", "restricted-xml");
	check_ends("<iq>&unknown;</iq>", "not-well-formed");
	check_ends("<iq></message>", "not-well-formed");
	check_ends("<iq id='1' id='2'/>", "not-well-formed");
	check_ends("<iq><x:a/></iq>", "not-well-formed");
	check_ends("<iq>\xff</iq>", "not-well-formed");
	check_ends("<iq>\001</iq>", "not-well-formed");
	feed("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_BAD);
	ck_assert_str_eq(xml_reader_why(reader), "restricted-xml");
}
END_TEST

/*
 * Feeds COUNT times TEXT in a few pieces; returns the last event, which is the only one but
 * XML_MORE.
 */
static enum xml_event feed_many(const char *text, size_t count)
{
	size_t len = strlen(text), per_piece = 1 + 16384 / len;
	char *piece = mem_alloc(per_piece, len);
	enum xml_event event = XML_MORE;

	for (size_t i = 0; i < per_piece; i++)
		memcpy(piece + i * len, text, len);
	while (count > 0 && event == XML_MORE) {
		size_t now = count < per_piece ? count : per_piece;

		stanza_feed(reader, piece, now * len);
		event = xml_reader_next(reader, &element);
		count -= now;
	}
	free(piece);
	return event;
}

START_TEST(a_stanza_that_is_too_large_is_skipped_and_its_attributes_told)
{
	open_stream();
	feed("<iq type='set' id='big'><a>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
	ck_assert_int_eq(feed_many("0123456789", XML_STANZA_MAX / 10), XML_MORE);
	feed("</a><b/></iq>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_SKIPPED);
	ck_assert_str_eq(xml_attribute(element, "id"), "big");
	ck_assert_uint_le(reader->arena.used, XML_MEMORY_MAX);
	check_alive();
}
END_TEST

START_TEST(a_stanza_of_the_most_bytes_is_taken)
{
	const char *begin = "<iq><a>", *end = "</a></iq>";

	open_stream();
	feed(begin);
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
	ck_assert_int_eq(feed_many("x", XML_STANZA_MAX - strlen(begin) - strlen(end)), XML_MORE);
	feed(end);
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_STANZA);
	ck_assert_uint_eq(strlen(element->first->text),
	                  XML_STANZA_MAX - strlen(begin) - strlen(end));
	check_alive();
}
END_TEST

START_TEST(a_stanza_of_too_many_elements_is_skipped_before_it_takes_much_memory)
{
	open_stream();
	feed("<iq type='get' id='many'>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
	ck_assert_int_eq(feed_many("<a/>", XML_STANZA_MAX / 4 - 100), XML_MORE);
	ck_assert_uint_le(reader->arena.used, XML_MEMORY_MAX);
	feed("</iq>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_SKIPPED);
	ck_assert_str_eq(xml_attribute(element, "id"), "many");
	check_alive();
}
END_TEST

START_TEST(depth_is_limited)
{
	char text[1024] = "";
	struct buf out = { .bytes = NULL };

	for (int depth = XML_DEPTH_MAX; depth <= XML_DEPTH_MAX + 1; depth++) {
		open_stream();
		for (int i = 0; i < depth; i++)
			buf_printf(&out, "<a id='deep'>");
		for (int i = 0; i < depth; i++)
			buf_printf(&out, "</a>");
		snprintf(text, sizeof(text), "%.*s", (int)buf_len(&out), buf_data(&out));
		buf_release(&out);
		feed(text);
		ck_assert_int_eq(xml_reader_next(reader, &element),
		                 depth > XML_DEPTH_MAX ? XML_SKIPPED : XML_STANZA);
		ck_assert_str_eq(xml_attribute(element, "id"), "deep");
		check_alive();
		teardown();
		setup();
	}
}
END_TEST

static long peak_kib(void)
{
	struct rusage usage;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

START_TEST(an_element_of_any_depth_takes_little_memory)
{
	static char piece[30001];
	const size_t pieces = 150; /* of 10,000 elements each: 4 MiB in all */
	long before;

	open_stream();
	feed("<iq id='deep'>");
	before = peak_kib();
	for (size_t i = 0; i < 10000; i++)
		memcpy(piece + 3 * i, "<d>", 3);
	for (size_t i = 0; i < pieces; i++) {
		ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
		feed(piece);
	}
	for (size_t i = 0; i < 7500; i++)
		memcpy(piece + 4 * i, "</d>", 4);
	for (size_t i = 0; i < pieces * 10000 / 7500; i++) {
		ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
		feed(piece);
	}
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
	feed("</iq>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_SKIPPED);
	ck_assert_str_eq(xml_attribute(element, "id"), "deep");
	ck_assert_int_lt(peak_kib() - before, 16 * 1024);
	check_alive();
}
END_TEST

START_TEST(attributes_are_limited)
{
	struct buf out = { .bytes = NULL };

	for (int count = XML_ATTRIBUTES_MAX; count <= XML_ATTRIBUTES_MAX + 1; count++) {
		char *text;

		open_stream();
		buf_printf(&out, "<iq id='1'><b ");
		for (int i = 0; i < count; i++)
			buf_printf(&out, "a%d='' ", i);
		buf_printf(&out, "/></iq>");
		text = buf_take(&out);
		feed(text);
		free(text);
		ck_assert_int_eq(xml_reader_next(reader, &element),
		                 count > XML_ATTRIBUTES_MAX ? XML_SKIPPED : XML_STANZA);
		ck_assert_str_eq(xml_attribute(element, "id"), "1");
		check_alive();
		teardown();
		setup();
	}
}
END_TEST

START_TEST(attributes_that_fit_nowhere_are_not_told)
{
	open_stream();
	feed("<iq type='get' id='");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
	ck_assert_int_eq(feed_many("x", XML_TOKEN_MAX - 100), XML_MORE);
	feed("'/>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_SKIPPED);
	if (element != NULL)
		ck_assert_uint_le(reader->arena.used, XML_MEMORY_MAX);
	check_alive();
}
END_TEST

/* BEGIN, then MIDDLE until it is COUNT bytes, then END: a stanza that is skipped. */
static void skip_stanza(const char *begin, const char *middle, size_t count, const char *end)
{
	open_stream();
	feed(begin);
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
	ck_assert_int_eq(feed_many(middle, count / strlen(middle)), XML_MORE);
	ck_assert(reader->counting);
	feed(end);
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_SKIPPED);
	ck_assert_uint_le(reader->arena.used, XML_MEMORY_MAX);
}

static void next_reader(void)
{
	check_alive();
	teardown();
	setup();
}

START_TEST(a_tag_of_any_length_is_skipped_and_the_attributes_before_told)
{
	size_t count = 5 * XML_TOKEN_MAX;

	skip_stanza("<iq type='set' id='1' from='a@b' x='", "y>", count, "'><a/></iq>");
	ck_assert_str_eq(xml_attribute(element, "from"), "a@b");
	ck_assert_ptr_null(xml_attribute(element, "x"));
	next_reader();
	skip_stanza("<iq type='set' id='", "y", count, "' from='a@b'/>");
	ck_assert_ptr_null(xml_attribute(element, "id"));
	ck_assert_str_eq(xml_attribute(element, "type"), "set");
	next_reader();
	skip_stanza("<iq", "q", count, "><a/></iq>");
	ck_assert_ptr_null(element);
	next_reader();
	skip_stanza("<iq id='1'><a b='", "/iq>", count, "'/><c>x</c></iq>");
	ck_assert_str_eq(xml_attribute(element, "id"), "1");
	next_reader();
	skip_stanza("<iq id='1'><aa></a", " ", count, "></iq>");
	ck_assert_str_eq(xml_attribute(element, "id"), "1");
}
END_TEST

START_TEST(a_stanza_of_any_length_is_skipped_and_its_attributes_told)
{
	size_t count = 3 * XML_PARSED_MAX;

	skip_stanza("<iq id='1'>", "<a>text</a>", count, "</iq>");
	ck_assert_str_eq(xml_attribute(element, "id"), "1");
	next_reader();
	skip_stanza("<iq id='2'>", "<a/>", count, "</iq>");
	ck_assert_str_eq(xml_attribute(element, "id"), "2");
	next_reader();
	skip_stanza("<iq id='3'><b>", "&lt;text", count, "<![CDATA[</iq>]]></b></iq>");
	ck_assert_str_eq(xml_attribute(element, "id"), "3");
	next_reader();
	skip_stanza("<iq id='4'>", "<![CDATA[]]>", count, "</iq>");
	ck_assert_str_eq(xml_attribute(element, "id"), "4");
}
END_TEST

START_TEST(the_end_of_a_skipped_stanza_may_come_with_the_limit)
{
	open_stream();
	feed("<iq id='1'><b>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
	ck_assert_int_eq(feed_many("x", XML_PARSED_MAX - 100), XML_MORE);
	ck_assert(!reader->counting);
	feed("<c>"
	     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	     "xxxxxxxxxxxxxxxxxxxxx</c><d/></b></iq>" IQ IQ);
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_SKIPPED);
	ck_assert_str_eq(xml_attribute(element, "id"), "1");
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(xml_reader_next(reader, &element), XML_STANZA);
		check_iq();
	}
	check_alive();
}
END_TEST

START_TEST(what_is_skipped_may_be_the_only_child_whose_end_passes_the_limit)
{
	open_stream();
	feed("<iq id='1'>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
	ck_assert_int_eq(feed_many("x", XML_PARSED_MAX - 8), XML_MORE);
	feed("</iq>" IQ);
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_SKIPPED);
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_STANZA);
	check_iq();
	check_alive();
}
END_TEST

START_TEST(what_is_no_element_is_not_skipped)
{
	open_stream();
	feed("<iq id='1'><!-- ");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
	ck_assert_int_eq(feed_many("x", 2 * XML_TOKEN_MAX), XML_BAD);
	ck_assert_str_eq(xml_reader_why(reader), "policy-violation");
	teardown();
	setup();
	open_stream();
	feed("</stream");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
	ck_assert_int_eq(feed_many("x", 2 * XML_TOKEN_MAX), XML_BAD);
	teardown();
	setup();
	feed("<stream a='");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_MORE);
	ck_assert_int_eq(feed_many("x", 2 * XML_TOKEN_MAX), XML_BAD);
}
END_TEST

START_TEST(a_stream_outlives_many_parsers_fed_in_any_pieces)
{
	struct buf stream = { .bytes = NULL };
	size_t count = 0, told = 0, sizes[] = { 1, 7, 4096, 65536, 3 }, turn = 0;
	XML_Parser first;

	open_stream();
	first = reader->parser;
	while (buf_len(&stream) < 3 * PARSER_BYTES) {
		buf_printf(&stream, "<iq xmlns:p='urn:p'><p:q%zu a%zu='&amp;'>%zu</p:q%zu></iq> ",
		           count, count, count, count);
		count++;
	}
	while (buf_len(&stream) > 0) {
		size_t size = sizes[turn++ % ARRAY_LEN(sizes)];
		enum xml_event event;

		if (size > buf_len(&stream))
			size = buf_len(&stream);
		stanza_feed(reader, buf_data(&stream), size);
		buf_consume(&stream, size);
		while ((event = xml_reader_next(reader, &element)) != XML_MORE) {
			char text[24];

			ck_assert_int_eq(event, XML_STANZA);
			snprintf(text, sizeof(text), "%zu", told++);
			ck_assert_str_eq(element->first->text, text);
			ck_assert_str_eq(element->first->ns, "urn:p");
			ck_assert_str_eq(element->ns, "jabber:component:accept");
		}
	}
	ck_assert_uint_eq(told, count);
	ck_assert_ptr_ne(reader->parser, first);
	feed("</stream:stream>");
	ck_assert_int_eq(xml_reader_next(reader, &element), XML_END);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_stream_is_its_header_its_stanzas_and_its_end,
		every_event_comes_with_its_last_byte,
		the_stream_may_end_with_its_header,
		names_are_those_of_their_namespaces_whatever_the_prefix,
		a_namespace_may_have_any_character,
		text_is_joined_from_references_and_cdata,
		what_xmpp_forbids_ends_the_stream,
		a_stanza_that_is_too_large_is_skipped_and_its_attributes_told,
		a_stanza_of_the_most_bytes_is_taken,
		a_stanza_of_too_many_elements_is_skipped_before_it_takes_much_memory,
		depth_is_limited,
		an_element_of_any_depth_takes_little_memory,
		attributes_are_limited,
		attributes_that_fit_nowhere_are_not_told,
		a_tag_of_any_length_is_skipped_and_the_attributes_before_told,
		a_stanza_of_any_length_is_skipped_and_its_attributes_told,
		the_end_of_a_skipped_stanza_may_come_with_the_limit,
		what_is_skipped_may_be_the_only_child_whose_end_passes_the_limit,
		what_is_no_element_is_not_skipped,
		a_stream_outlives_many_parsers_fed_in_any_pieces,
	};

	return unit_run("xml", tests, ARRAY_LEN(tests), setup, teardown);
}
