/* Percent-encoding of URLs, RFC 3986 section 2.1. Pure. */
#ifndef OG_COMMON_TEXT_PERCENT_H
#define OG_COMMON_TEXT_PERCENT_H

#include <stddef.h>

/*
 * LEN bytes of TEXT decoded into a heap string that the caller owns; NULL if an escape is
 * malformed or encodes a NUL.
 */
char *percent_decode(const char *text, size_t len);

/*
 * TEXT as one segment of a path or one value of a query: all but unreserved characters escaped.
 * Heap, owned by the caller.
 */
char *percent_encode(const char *text);

#endif
