/* Base64 (RFC 4648, section 4) of whole texts. Pure. */
#ifndef OG_COMMON_BASE_BASE64_H
#define OG_COMMON_BASE_BASE64_H

#include <stddef.h>

/* DATA in base64 with padding, one line; heap, the caller frees it. */
char *base64_encode(const void *data, size_t len);

/*
 * Decodes TEXT (blanks and line ends are skipped, padding may be missing) into bytes on the heap
 * with a NUL behind them, and their number in *LEN. NULL if it is no base64. There is no other
 * copy, so mem_wipe() on it is enough for a secret.
 */
char *base64_decode(const char *text, size_t *len);

#endif
