/*
 * Text with {name}s in it that stand for values. Pure.
 */
#ifndef OG_TESTS_FAKES_XMPP_SERVER_TEXT_H
#define OG_TESTS_FAKES_XMPP_SERVER_TEXT_H

#include <stdint.h>

#include "common/base/buf.h"

struct text_value {
	const char *name;
	const char *text;
	char raw; /* markup: it isn't escaped */
};

/*
 * Appends TEXT to OUT with each {name} of VALUES (ended by one without a name) replaced; a value
 * is escaped as XML wants it. What has no value stays as it is.
 */
void text_fill(struct buf *out, const char *text, const struct text_value *values);

/* TEXT with its {n} replaced by NUMBER in decimal, of 10 digits at least; heap. */
char *text_number(const char *text, uint64_t number);

#endif
