/*
 * Stanzas for unit tests of xmppgw: text in, the element as the stream's reader gives it out.
 */
#ifndef OG_TESTS_UNIT_STANZA_H
#define OG_TESTS_UNIT_STANZA_H

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "xmppgw/xmpp/xml.h"

#define STREAM_HEADER                                                                              \
	"<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "                     \
	"xmlns:stream='http://etherx.jabber.org/streams' id='abc'>"

static inline void stanza_feed(struct xml_reader *reader, const char *bytes, size_t len)
{
	memcpy(xml_reader_room(reader, len), bytes, len);
	xml_reader_fed(reader, len);
}

/* Parses one stanza; *READER (freed by the caller) owns what is returned. */
static inline const struct xml *stanza_parse(struct xml_reader **reader, const char *text)
{
	const struct xml *element;

	*reader = xml_reader_new();
	stanza_feed(*reader, STREAM_HEADER, strlen(STREAM_HEADER));
	ck_assert_int_eq(xml_reader_next(*reader, &element), XML_HEADER);
	ck_assert_int_eq(xml_reader_next(*reader, &element), XML_MORE);
	stanza_feed(*reader, text, strlen(text));
	ck_assert_int_eq(xml_reader_next(*reader, &element), XML_STANZA);
	return element;
}

/* The content of a file, heap. */
static inline char *stanza_file(const char *path)
{
	char *text = mem_alloc(1, 65536);
	FILE *file = fopen(path, "r");

	ck_assert_msg(file != NULL, "%s can't be read", path);
	ck_assert_uint_lt(fread(text, 1, 65535, file), 65535);
	fclose(file);
	return text;
}

#endif
