/*
 * Header fields in one flat block: "name\0value\0name\0value\0…", so that a request's headers are
 * recorded by one copy. No field has a NUL in it (RFC 9110, section 5.5).
 */
#ifndef OG_TESTS_FAKES_HEADERS_H
#define OG_TESTS_FAKES_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"

struct header {
	const char *name;
	const char *value;
};

/* Adds one field; -1 when the block's cap would be passed (it is then as it was). */
int headers_add(struct buf *block, struct header header, size_t name_len, size_t value_len);

/* Steps through LEN bytes of BLOCK: *CURSOR starts at 0; false at the end. */
bool headers_next(const char *block, size_t len, size_t *cursor, struct header *header);

/* The value of the first field called NAME (lower case, as in HTTP/2), or NULL. */
const char *headers_find(const struct buf *block, const char *name);

#endif
