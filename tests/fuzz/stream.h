/*
 * XML for harnesses: what comes in read as a component's stream, and what goes out checked to be
 * nothing but whole stanzas.
 */
#ifndef OG_TESTS_FUZZ_STREAM_H
#define OG_TESTS_FUZZ_STREAM_H

#include "common/base/buf.h"
#include "tests/fuzz/fuzz.h"
#include "xmppgw/xmpp/xml.h"

#define STREAM_HEADER                                                                              \
	"<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "                     \
	"xmlns:stream='http://etherx.jabber.org/streams' id='abc'>"

static inline void stream_feed(struct xml_reader *reader, const void *bytes, size_t len)
{
	if (len == 0)
		return;
	memcpy(xml_reader_room(reader, len), bytes, len);
	xml_reader_fed(reader, len);
}

/* A reader that has read a stream's header. */
static inline struct xml_reader *stream_open(void)
{
	struct xml_reader *reader = xml_reader_new();
	const struct xml *element;

	stream_feed(reader, STREAM_HEADER, strlen(STREAM_HEADER));
	assert(xml_reader_next(reader, &element) == XML_HEADER);
	assert(xml_reader_next(reader, &element) == XML_MORE);
	return reader;
}

/* What comes next in READER; NULL when there is no whole stanza any more. */
static inline const struct xml *stream_stanza(struct xml_reader *reader)
{
	const struct xml *element;
	enum xml_event event;

	do
		event = xml_reader_next(reader, &element);
	while (event == XML_SKIPPED);
	return event == XML_STANZA ? element : NULL;
}

/* How many stanzas TEXT is: a peer must be able to read it, and nothing may be left. */
static inline unsigned stream_count(const char *text, size_t len)
{
	struct xml_reader *reader = stream_open();
	const struct xml *element;
	enum xml_event event = XML_MORE;
	unsigned count = 0;

	stream_feed(reader, text, len);
	while (len > 0 && (event = xml_reader_next(reader, &element)) == XML_STANZA)
		count++;
	assert(event == XML_MORE);
	/* Only between two stanzas the stream can end. */
	stream_feed(reader, "</stream:stream>", strlen("</stream:stream>"));
	assert(xml_reader_next(reader, &element) == XML_END);
	xml_reader_free(reader);
	return count;
}

#endif
