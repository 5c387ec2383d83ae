/*
 * Skipping an element by its tags alone: for one that is too large to be parsed. No memory is
 * needed, however long a tag is or however deep the element. Whether the XML is well-formed isn't
 * checked beyond what counting needs. Pure.
 */
#ifndef OG_XMPPGW_XMPP_SKIP_H
#define OG_XMPPGW_XMPP_SKIP_H

#include <stddef.h>
#include <stdint.h>

enum skip_result {
	SKIP_MORE, /* needs more bytes */
	SKIP_DONE, /* the element is over */
	SKIP_BAD,  /* a comment, a DOCTYPE or a processing instruction; or the parent's end tag */
};

struct skip {
	uint64_t depth; /* open elements, the parent included: over when only that one is open */
	int state;      /* 0: between two tags */
	char quote;     /* that ends the value of an attribute */
	size_t matched; /* how much of "[CDATA[" or "]]>" has come */
};

/*
 * Reads LEN BYTES in UTF-8, which begin where a token of XML begins if SKIP is fresh. *USED becomes
 * how many belong to the element.
 */
enum skip_result skip_feed(struct skip *skip, const char *bytes, size_t len, size_t *used);

/*
 * How many of the LEN bytes of TAG, the beginning of a start tag, are its name and attributes that
 * are whole; 0: not even the name.
 */
size_t skip_whole(const char *tag, size_t len);

#endif
