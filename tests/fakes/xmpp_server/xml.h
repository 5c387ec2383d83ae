/*
 * Reading a component's stream (expat): bytes in, the stream's header and then what a server looks
 * at of each element. Texts that are longer than their field are cut: they come from a test.
 */
#ifndef OG_TESTS_FAKES_XMPP_SERVER_XML_H
#define OG_TESTS_FAKES_XMPP_SERVER_XML_H

#include <stdbool.h>
#include <stddef.h>

#define XML_JID_MAX 3072

/* The stream's header, or an element at the top of the stream. */
struct element {
	char name[64]; /* without its namespace */
	char type[32], id[512], from[XML_JID_MAX], to[XML_JID_MAX];
	bool has_from, has_to, allows_multiple;
	char payload_ns[128];               /* of the first child */
	char error_type[32], condition[64]; /* of the child error; "" without one */
	char error_text[256];
	char text[256]; /* of an element without children */
};

struct xml {
	/* In: what is called, inside xml_feed(). */
	void (*began)(struct xml *xml, const struct element *header);
	void (*came)(struct xml *xml, const struct element *element);
	/* Out. */
	bool ended;   /* the stream's end tag was read */
	bool comment; /* there was a comment */
	/* The module's own. */
	void *parser;
	unsigned depth;
	bool in_error, in_text;
	struct element element;
};

void xml_start(struct xml *xml);

/* Reads LEN bytes; 0, or -1 if they aren't well-formed. */
int xml_feed(struct xml *xml, const char *bytes, size_t len);

/* Frees the parser; not inside a callback. */
void xml_stop(struct xml *xml);

#endif
