/* Base64 (RFC 4648, section 4) of whole texts. Pure. */
#ifndef OG_COMMON_BASE_BASE64_H
#define OG_COMMON_BASE_BASE64_H

#include <stddef.h>

/* DATA in base64 with padding, one line; heap, the caller frees it. */
char *base64_encode(const void *data, size_t len);

/*
 * The bytes that TEXT stands for (blanks and line ends in it don't count; padding may lack), with a
 * NUL behind them, on the heap, and their number in *LEN. NULL when it is no base64. It is the only
 * copy, so that mem_wipe() on it is enough for a secret.
 */
char *base64_decode(const char *text, size_t *len);

#endif
