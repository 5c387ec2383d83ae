/*
 * Reading an XMPP stream (expat): bytes in, the stream's header and then one element tree per
 * stanza out. Its memory is bounded whatever the bytes are: a stanza that is too large, too deep or
 * has too many attributes is skipped, however long it is, and the stream lives on. DOCTYPE,
 * processing instructions and comments end the stream (RFC 6120 11.1). Pure.
 */
#ifndef OG_XMPPGW_XMPP_XML_H
#define OG_XMPPGW_XMPP_XML_H

#include <stdbool.h>
#include <stddef.h>

#define XML_STANZA_MAX (256 * 1024)         /* bytes of a stanza on the wire */
#define XML_MEMORY_MAX (4 * XML_STANZA_MAX) /* bytes of its tree */
#define XML_DEPTH_MAX 32      /* elements within each other, the stanza's own included */
#define XML_ATTRIBUTES_MAX 32 /* of one element */
/* Beyond so many bytes a stanza, and a single tag, isn't parsed any more: its tags are counted. */
#define XML_PARSED_MAX (2 * 1024 * 1024)
#define XML_TOKEN_MAX (1024 * 1024)

struct xml_attribute {
	const char *ns; /* "" for most */
	const char *name;
	const char *value;
};

/* An element. Strings are never NULL. It lives until the next xml_reader_next(). */
struct xml {
	const char *ns;
	const char *name;
	const char *text; /* of an element without children; "" otherwise */
	const struct xml_attribute *attributes;
	size_t attribute_count;
	struct xml *parent, *first, *last, *next; /* children: first to last by next */
};

enum xml_event {
	XML_MORE,    /* needs more bytes */
	XML_HEADER,  /* the stream began: its element, without children */
	XML_STANZA,  /* a whole element at the top of the stream */
	XML_SKIPPED, /* a stanza that passed a limit: its element without children, or NULL */
	XML_END,     /* the stream was closed */
	XML_BAD,     /* the stream can't be read further: see xml_reader_why() */
};

struct xml_reader;

struct xml_reader *xml_reader_new(void);
void xml_reader_free(struct xml_reader *reader);

/*
 * A buffer for SIZE bytes that the caller reads into; xml_reader_fed() then says how many it has
 * read. Both only at the start and after XML_MORE.
 */
void *xml_reader_room(struct xml_reader *reader, size_t size);
void xml_reader_fed(struct xml_reader *reader, size_t len);

/*
 * Reads on to the next event; *ELEMENT (may become NULL) is valid until the next call. After
 * XML_BAD only xml_reader_why() and xml_reader_free() may be called.
 */
enum xml_event xml_reader_next(struct xml_reader *reader, const struct xml **element);

/* After XML_BAD: the stream error's condition (RFC 6120 4.9.3). */
const char *xml_reader_why(const struct xml_reader *reader);

/* True if ELEMENT is {NS}NAME; false for NULL. */
bool xml_is(const struct xml *element, const char *ns, const char *name);

/* The first child {NS}NAME, or NULL. ELEMENT may be NULL. */
const struct xml *xml_child(const struct xml *element, const char *ns, const char *name);

/* The next sibling after ELEMENT of the same {NS}NAME, or NULL. */
const struct xml *xml_again(const struct xml *element);

/* The value of the attribute NAME without a namespace, or NULL. ELEMENT may be NULL. */
const char *xml_attribute(const struct xml *element, const char *name);

/* The library's name and version (static). */
const char *xml_version(void);

#endif
